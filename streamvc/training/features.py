"""The features of clips, extracted once and kept on disk.

The cache is addressed by content: the video's bytes, the extractor's and the rate make the name of an entry, so that a video may move, and a changed
one is never mistaken for the old one. An entry appears whole or not at all, whenever the process is killed, and one that was damaged since is made
again.
"""

import hashlib
import os
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import MISSING, dataclass, fields, replace
from itertools import compress
from pathlib import Path
from queue import SimpleQueue
from typing import Self

import numpy as np

from streamvc.errors import DataError, InferenceError, SourceError
from streamvc.inference.backbone import Extractor
from streamvc.inference.composite import CompositeExtractor
from streamvc.inference.extractors import open_extractor
from streamvc.training.augment import AS_IT_IS, Variation
from streamvc.training.dataset import Clip
from streamvc.training.feature_sequence import (
    ALL_FRAMES,
    NOBODY,
    ExtractionSpec,
    FeatureSequence,
    Thinning,
    actor_in,
    extract_sequences,
    people_of,
)
from streamvc.training.progress import Advance, silent

FORMAT_VERSION = 2  # raise it when features come out otherwise: by another decoder, sampler or preprocessing


@dataclass(frozen=True, slots=True)
class SkippedClip:
    """A clip that could not be used, and why."""

    clip: Clip
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Extraction:
    """The clips that could be used, with a feature sequence and the video's sha256 for each; those that could not; and how many were in the cache."""

    clips: tuple[Clip, ...]
    sequences: tuple[FeatureSequence, ...]
    digests: tuple[str, ...]
    skipped: tuple[SkippedClip, ...]
    num_cached: int

    def mirrored(self, extractor: CompositeExtractor) -> Self:
        """As of mirrored pictures; see `CompositeExtractor.mirrored`."""
        sequences = (replace(sequence, features=extractor.mirrored(sequence.features)) for sequence in self.sequences)
        return replace(self, sequences=tuple(sequences))

    def of_actors(self, files: Mapping[Path, FeatureSequence], background: str | None) -> Self:
        """With the features of the people alone whom the labels are of, by the whole of each file; see `actors`."""
        pairs = zip(self.clips, self.sequences, strict=True)
        return replace(self, sequences=tuple(sequence.of(actors(clip, files[clip.path], background)) for clip, sequence in pairs))

    def lasting(self, num_ticks: int) -> Self:
        """Without the clips that have no stretch of so many features: no prediction is made of them."""
        short = [max(map(len, sequence.stretches()), default=0) < num_ticks for sequence in self.sequences]
        personal = any(sequence.tracks is not None for sequence in self.sequences)
        reason = f"too short: fewer than {num_ticks} features without a gap (a second without a picture{', or nobody in it' if personal else ''})"
        skipped = (SkippedClip(clip, f"{clip.path}: {reason}") for clip in compress(self.clips, short))
        kept = [not is_short for is_short in short]
        if not any(kept):
            raise DataError(f"all {len(self.clips)} clips are {reason}")
        return replace(
            self,
            clips=tuple(compress(self.clips, kept)),
            sequences=tuple(compress(self.sequences, kept)),
            digests=tuple(compress(self.digests, kept)),
            skipped=(*self.skipped, *skipped),
        )


def actors(clip: Clip, whole: FeatureSequence, background: str | None) -> list[int]:
    """The tracks whom the label of a clip is of, by the whole of its file: see `actor_in`; that of nothing is of everybody."""
    if clip.label == background:
        return sorted(people_of(whole))
    actor = actor_in(whole, clip.start_s, clip.end_s)
    return [] if actor == NOBODY else [actor]


class FeatureCache:
    """Feature sequences on disk, all extracted in one way."""

    def __init__(self, folder: Path, spec: ExtractionSpec, extractor: Extractor) -> None:
        self._folder = folder / "features"
        varied = "" if spec.variation == AS_IT_IS else f" {spec.variation}"
        thinned = "" if spec.thinning == ALL_FRAMES else f" {spec.thinning!r}"
        self._recipe = f"{FORMAT_VERSION} {extractor.identity} {spec.rate_hz!r}{varied}{thinned}"

    def __contains__(self, video_sha256: str) -> bool:
        return self._path(video_sha256).is_file()

    def load(self, video_sha256: str) -> FeatureSequence | None:
        """The feature sequence of a video; None if it is not there or damaged."""
        try:
            with self._path(video_sha256).open("rb") as file, np.load(file, allow_pickle=False) as entry:
                names = [field.name for field in fields(FeatureSequence) if field.name in entry or field.default is MISSING]
                return FeatureSequence(**{name: entry[name] for name in names})
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None

    def store(self, video_sha256: str, sequence: FeatureSequence) -> None:
        """Keep the feature sequence of a video.

        Raises:
            DataError: It cannot be written.
        """
        path = self._path(video_sha256)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as scratch:
                whole = Path(scratch, path.name)
                np.savez(whole, **sequence.columns())
                whole.replace(path)
        except OSError as error:
            raise DataError(f"{self._folder}: features cannot be kept there ({error.strerror}); name another folder with --cache") from error

    def _path(self, video_sha256: str) -> Path:
        name = hashlib.sha256(f"{video_sha256} {self._recipe}".encode()).hexdigest()
        return self._folder / name[:2] / f"{name}.npz"


def cache_folder() -> Path:
    """The default folder of features: `streamvc` in $XDG_CACHE_HOME, which is `~/.cache` where it is not set."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "streamvc"


def extract(
    clips: Sequence[Clip],
    extractor: str,
    rate_hz: float,
    *,
    variation: Variation = AS_IT_IS,
    thinning: Thinning = ALL_FRAMES,
    cache: Path | None = None,
    num_workers: int | None = None,
    advance: Advance = silent,
) -> Extraction:
    """The feature sequences of clips: from the cache, and extracted for those that it does not hold.

    A clip that cannot be read is skipped, and so is one whose video has the very bytes of another, which would count twice and could stand on both
    sides of a split.

    Args:
        clips: The clips.
        extractor: Its name; see `open_extractor`.
        rate_hz: Samples per second.
        variation: How the pictures are varied.
        thinning: Which frames are missing.
        cache: Folder to keep them in; `cache_folder()` if not given.
        num_workers: How many videos are decoded at a time; as many as there are cores if not given.
        advance: Is called with the progress.

    Raises:
        DataError: Not one of the clips can be used, or the cache cannot be written.
        BundleError: The backbone is missing or damaged.
    """
    spec = ExtractionSpec(extractor, rate_hz, variation, thinning)
    digests, problems = _hash(clips)
    opened = open_extractor(extractor, rate_hz)
    store = FeatureCache(cache or cache_folder(), spec, opened)
    sequences = {path: sequence for path, digest in digests.items() if (sequence := store.load(digest))}
    num_cached = len(sequences)
    missing = {path: digest for path, digest in digests.items() if path not in sequences}
    for path, made in _make(missing, {spec: store}, {spec: opened}, num_workers, advance, len(digests)):
        if isinstance(made, str):
            problems[path] = made
        else:
            sequences[path] = made[spec]
    usable = tuple(clip for clip in clips if clip.path in sequences)
    skipped = tuple(SkippedClip(clip, problems[clip.path]) for clip in clips if clip.path in problems)
    if not usable:
        raise DataError(f"not one of {len(clips)} clips can be used; the first: {skipped[0].reason}")
    cut = tuple(sequences[clip.path].between(clip.start_s, clip.end_s) for clip in usable)
    return Extraction(usable, cut, tuple(digests[clip.path] for clip in usable), skipped, num_cached)


def fill_cache(
    clips: Sequence[Clip], specs: Sequence[ExtractionSpec], *, cache: Path | None = None, num_workers: int | None = None, advance: Advance = silent
) -> None:
    """Extract all the features that will be asked for, so that each video is decoded once for all of them. Raises as `extract`."""
    digests, _ = _hash(clips)
    opened = {spec: open_extractor(spec.extractor, spec.rate_hz) for spec in specs}
    stores = {spec: FeatureCache(cache or cache_folder(), spec, extractor) for spec, extractor in opened.items()}
    missing = {path: digest for path, digest in digests.items() if any(digest not in store for store in stores.values())}
    for _ in _make(missing, stores, opened, num_workers, advance, len(digests)):
        pass


def _hash(clips: Sequence[Clip]) -> tuple[dict[Path, str], dict[Path, str]]:
    """The sha256 of each video's bytes, largest first (one that is begun last would keep a single core busy), and the problem of each without."""
    first: dict[str, Clip] = {}
    num_bytes: dict[Path, int] = {}
    problems: dict[Path, str] = {}
    by_path: dict[Path, Clip] = {}
    for clip in clips:
        by_path.setdefault(clip.path, clip)
    for clip in by_path.values():
        try:
            with clip.path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                num_bytes[clip.path] = file.tell()
        except OSError as error:
            problems[clip.path] = f"{clip.path}: cannot be read ({error.strerror})"
            continue
        twin = first.setdefault(digest, clip)
        if twin is not clip:
            problems[clip.path] = f"{clip.path}: the same bytes as {twin.path} ({twin.label})"
    largest_first = sorted(first.items(), key=lambda item: -num_bytes[item[1].path])
    return {clip.path: digest for digest, clip in largest_first}, problems


def _make(
    missing: Mapping[Path, str],
    stores: Mapping[ExtractionSpec, FeatureCache],
    opened: Mapping[ExtractionSpec, Extractor],
    num_workers: int | None,
    advance: Advance,
    num_all: int,
) -> Iterator[tuple[Path, dict[ExtractionSpec, FeatureSequence] | str]]:
    """The tracks of each video, or why there are none, in the order in which they are done. Each thread borrows a set of extractors for a video."""
    if not missing:
        return
    num_workers = min(num_workers or os.cpu_count() or 1, len(missing))
    idle: SimpleQueue[Mapping[ExtractionSpec, Extractor]] = SimpleQueue()
    idle.put(opened)
    for _ in range(num_workers - 1):
        idle.put({spec: open_extractor(spec.extractor, spec.rate_hz) for spec in stores})

    def make(path: Path) -> dict[ExtractionSpec, FeatureSequence] | str:
        extractors = idle.get()
        try:
            sequences = extract_sequences(path, extractors)
        except (SourceError, InferenceError) as error:
            return str(error)
        finally:
            idle.put(extractors)
        for spec, sequence in sequences.items():
            stores[spec].store(missing[path], sequence)
        return sequences

    # Decoding, resizing and inference all let go of the interpreter lock: threads keep the cores as busy as processes would, and start at once.
    with ThreadPoolExecutor(num_workers, thread_name_prefix="streamvc-features") as pool:
        futures = {pool.submit(make, path): path for path in missing}
        try:
            for num_made, future in enumerate(as_completed(futures), start=num_all - len(missing) + 1):
                advance("features", num_made, num_all)
                yield futures[future], future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
