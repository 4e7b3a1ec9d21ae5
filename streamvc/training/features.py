"""What a backbone sees in clips, made once and kept on disk.

Features are made by the very stages that run live: source, sampler, backbone. The cache is addressed by content: the clip's bytes, the backbone's and
the rate make the name of an entry, so that a clip may move, and a changed clip is never mistaken for the old one. An entry appears whole or not
at all, whenever the process is killed, and one that was damaged since is made again.
"""

import hashlib
import os
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, fields, replace
from itertools import compress
from pathlib import Path
from queue import SimpleQueue
from typing import Self

import numpy as np
from numpy.typing import NDArray

from streamvc.capture.source import open_source
from streamvc.errors import DataError, InferenceError, SourceError
from streamvc.inference.backbone import Backbone
from streamvc.inference.manifest import BackboneManifest
from streamvc.sampling import Sampler
from streamvc.training.dataset import Clip
from streamvc.training.progress import Advance, silent

FORMAT_VERSION = 1  # raise it when features come out otherwise: by another decoder, sampler or preprocessing


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """What a backbone saw of a clip: N samples, as the sampler picked them.

    Attributes:
        features: (N, D) float32.
        indices: (N,) int64, index of the frame.
        timestamps: (N,) float64, stream time of the tick that it stands for, in seconds.
        num_ticks: (N,) int64, how many ticks of the model's clock it stands for.
        gaps_s: (N,) float64, seconds of missing video before it; 0.0 but after a gap.
    """

    features: NDArray[np.float32]
    indices: NDArray[np.int64]
    timestamps: NDArray[np.float64]
    num_ticks: NDArray[np.int64]
    gaps_s: NDArray[np.float64]

    def segments(self) -> list[NDArray[np.float32]]:
        """The stretches between gaps, each (T, D): one row per tick, a sample being held until the next."""
        starts = np.flatnonzero(self.gaps_s)
        return [
            np.repeat(features, num_ticks, axis=0)
            for features, num_ticks in zip(np.split(self.features, starts), np.split(self.num_ticks, starts), strict=True)
        ]


@dataclass(frozen=True, slots=True)
class Skipped:
    """A clip that could not be used, and why."""

    clip: Clip
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Extraction:
    """The clips that could be used with a track for each, those that could not, and how many tracks were in the cache already."""

    clips: tuple[Clip, ...]
    tracks: tuple[Track, ...]
    skipped: tuple[Skipped, ...]
    num_cached: int

    def lasting(self, num_ticks: int) -> Self:
        """Without the clips that have no stretch of so many ticks: no prediction is made of them."""
        short = [max(map(len, track.segments())) < num_ticks for track in self.tracks]
        reason = f"too short: fewer than {num_ticks} ticks without a gap"
        skipped = (Skipped(clip, f"{clip.path}: {reason}") for clip in compress(self.clips, short))
        kept = [not is_short for is_short in short]
        if not any(kept):
            raise DataError(f"all {len(self.clips)} clips are {reason}")
        return replace(self, clips=tuple(compress(self.clips, kept)), tracks=tuple(compress(self.tracks, kept)), skipped=(*self.skipped, *skipped))


class FeatureCache:
    """Tracks on disk, of one backbone at one rate."""

    def __init__(self, folder: Path, backbone: BackboneManifest, rate_hz: float) -> None:
        self._folder = folder / "features"
        self._recipe = f"{FORMAT_VERSION} {backbone.sha256} {backbone.input.model_dump_json()} {rate_hz!r}"

    def load(self, clip_sha256: str) -> Track | None:
        """The track of a clip; None if it is not there or damaged."""
        try:
            with self._path(clip_sha256).open("rb") as file, np.load(file, allow_pickle=False) as entry:
                return Track(**{field.name: entry[field.name] for field in fields(Track)})
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None

    def store(self, clip_sha256: str, track: Track) -> None:
        """Keep the track of a clip.

        Raises:
            DataError: It cannot be written.
        """
        path = self._path(clip_sha256)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as scratch:
                whole = Path(scratch, path.name)
                np.savez(whole, **{field.name: getattr(track, field.name) for field in fields(Track)})
                whole.replace(path)
        except OSError as error:
            raise DataError(f"{self._folder}: features cannot be kept there ({error.strerror}); name another folder with --cache") from error

    def _path(self, clip_sha256: str) -> Path:
        name = hashlib.sha256(f"{clip_sha256} {self._recipe}".encode()).hexdigest()
        return self._folder / name[:2] / f"{name}.npz"


def cache_folder() -> Path:
    """Where features are kept if nothing else is said: `streamvc` in $XDG_CACHE_HOME, which is `~/.cache` where it is not set."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "streamvc"


def read_track(path: Path, backbone: Backbone, rate_hz: float) -> Track:
    """Look at a clip, as the recogniser does.

    Raises:
        SourceError: It cannot be read.
        InferenceError: The backbone failed.
    """
    sampler = Sampler(rate_hz)
    features, rows = [], []
    with open_source(path, policy="every") as source:
        for frame in source:
            if sample := sampler.step(frame):
                features.append(backbone.features(frame.image))
                rows.append((frame.index, sample.timestamp, sample.num_ticks, sample.gap_s))
    indices, timestamps, num_ticks, gaps_s = zip(*rows, strict=True)
    return Track(np.stack(features), np.array(indices), np.array(timestamps), np.array(num_ticks), np.array(gaps_s))


def extract(
    clips: Sequence[Clip],
    backbone: str,
    rate_hz: float,
    *,
    cache: Path | None = None,
    num_workers: int | None = None,
    advance: Advance = silent,
) -> Extraction:
    """The tracks of clips: from the cache, and made for those that it does not hold.

    A clip that cannot be read is skipped, and so is one with the very bytes of another, which would count twice and could stand on both sides of a
    split.

    Args:
        clips: The clips.
        backbone: Name of the backbone.
        rate_hz: Samples per second.
        cache: Folder to keep the tracks in; `cache_folder()` if not given.
        num_workers: How many clips are looked at at a time; as many as there are cores if not given.
        advance: Is told of the progress.

    Raises:
        DataError: Not one of the clips can be used, or the cache cannot be written.
        BundleError: The backbone is missing or damaged.
    """
    backbones = [Backbone.load(backbone) for _ in range(num_workers or os.cpu_count() or 1)]
    store = FeatureCache(cache or cache_folder(), backbones[0].manifest, rate_hz)
    digests, problems = _hash(clips)
    tracks = {clip: track for clip, digest in digests.items() if (track := store.load(digest))}
    num_cached = len(tracks)
    missing = {clip: digest for clip, digest in digests.items() if clip not in tracks}
    for num_made, (clip, made) in enumerate(_make(missing, backbones, rate_hz, store), start=num_cached + 1):
        advance("features", num_made, len(digests))
        if isinstance(made, Track):
            tracks[clip] = made
        else:
            problems[clip] = made
    if not tracks:
        raise DataError(f"not one of {len(clips)} clips can be used; the first: {problems[clips[0]]}")
    usable = tuple(clip for clip in clips if clip in tracks)
    skipped = tuple(Skipped(clip, problems[clip]) for clip in clips if clip in problems)
    return Extraction(usable, tuple(tracks[clip] for clip in usable), skipped, num_cached)


def _hash(clips: Sequence[Clip]) -> tuple[dict[Clip, str], dict[Clip, str]]:
    """The sha256 of each clip's bytes, and the problem of each that has none of its own."""
    first: dict[str, Clip] = {}
    problems: dict[Clip, str] = {}
    for clip in clips:
        try:
            with clip.path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            problems[clip] = f"{clip.path}: cannot be read ({error.strerror})"
            continue
        twin = first.setdefault(digest, clip)
        if twin is not clip:
            problems[clip] = f"{clip.path}: the same bytes as {twin.path} ({twin.label})"
    return {clip: digest for digest, clip in first.items()}, problems


def _make(missing: Mapping[Clip, str], backbones: Sequence[Backbone], rate_hz: float, store: FeatureCache) -> Iterator[tuple[Clip, Track | str]]:
    """The track of each clip, or why there is none, in the order in which they are done. Each thread borrows a backbone for a clip."""
    idle: SimpleQueue[Backbone] = SimpleQueue()
    for backbone in backbones:
        idle.put(backbone)

    def make(clip: Clip) -> Track | str:
        backbone = idle.get()
        try:
            track = read_track(clip.path, backbone, rate_hz)
        except (SourceError, InferenceError) as error:
            return str(error)
        finally:
            idle.put(backbone)
        store.store(missing[clip], track)
        return track

    # Decoding, resizing and inference all let go of the interpreter lock: threads keep the cores as busy as processes would, and start at once.
    with ThreadPoolExecutor(len(backbones), thread_name_prefix="streamvc-features") as pool:
        futures = {pool.submit(make, clip): clip for clip in missing}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
