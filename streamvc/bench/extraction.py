"""The rate at which features are made of files, against the bare backbone's on as many threads."""

import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from streamvc.bench.rate import bare_passes, frame_rate, open_bare
from streamvc.inference.bundle import Bundle, load_bundle
from streamvc.inference.runtime import Model
from streamvc.training.dataset import Clip
from streamvc.training.features import extract

NUM_WORKERS = 2


@dataclass(frozen=True, slots=True)
class ExtractionRate:
    """Features/s of extraction over those of the bare backbone, by the clock and by CPU time: medians over rounds."""

    ratio: float
    cpu_ratio: float


@dataclass(frozen=True, slots=True)
class _Spent:
    """Seconds by the clock, and of CPU time, for a feature."""

    wall_s: float
    cpu_s: float


def measure_extraction(clip: Path, model: str, rounds: int) -> tuple[ExtractionRate, ExtractionRate]:
    """With every frame analysed, and at the model's own rate, for which most frames are only decoded.

    A round looks at copies of the clip, as many as it takes to make equally many features at both rates, with the default runtime and an empty
    cache, between passes of as many bare backbones as there are workers, each in a thread of its own.
    """
    bundle = load_bundle(model)
    bare = [open_bare(bundle, None, threads=1) for _ in range(NUM_WORKERS)]
    fps, rate_hz = frame_rate(clip), bundle.manifest.rate_hz
    with tempfile.TemporaryDirectory() as folder:
        clips = _copies(clip, Path(folder), NUM_WORKERS * max(round(fps / rate_hz), 1))
        every = _compare(clips[:NUM_WORKERS], bundle, fps, bare, rounds)
        own = _compare(clips, bundle, rate_hz, bare, rounds)
    return every, own


def _compare(clips: Sequence[Clip], bundle: Bundle, rate_hz: float, bare: Sequence[Sequence[Model]], rounds: int) -> ExtractionRate:
    ratios, cpu_ratios = [], []
    before = _measure(lambda: _pass(bare))
    for _ in range(rounds):
        spent = _measure(lambda: _extract(clips, bundle, rate_hz))
        after = _measure(lambda: _pass(bare))
        ratios.append((before.wall_s + after.wall_s) / 2 / spent.wall_s)
        cpu_ratios.append((before.cpu_s + after.cpu_s) / 2 / spent.cpu_s)
        before = after
    return ExtractionRate(median(ratios), median(cpu_ratios))


def _measure(work: Callable[[], int]) -> _Spent:
    """What some work takes for each of the features that it says it made."""
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    num_features = work()
    return _Spent((time.perf_counter() - wall_s) / num_features, (time.process_time() - cpu_s) / num_features)


def _extract(clips: Sequence[Clip], bundle: Bundle, rate_hz: float) -> int:
    with tempfile.TemporaryDirectory() as cache:
        extraction = extract(clips, str(bundle.path), rate_hz, cache=Path(cache), num_workers=NUM_WORKERS)
        return sum(len(track.features) for track in extraction.sequences)


def _pass(bare: Sequence[Sequence[Model]]) -> int:
    """Passes of each set of networks in a thread of its own; returns how many in all."""
    with ThreadPoolExecutor(len(bare)) as pool:
        return sum(len(durations) for durations in pool.map(bare_passes, bare))


def _copies(clip: Path, folder: Path, num: int) -> list[Clip]:
    """Copies with a byte at the end that tells them apart, as the same video twice is looked at once."""
    paths = [folder / f"{number}{clip.suffix}" for number in range(num)]
    for number, path in enumerate(paths):
        path.write_bytes(clip.read_bytes() + bytes([number]))
    return [Clip(path, label="", group="") for path in paths]
