"""The whole pipeline's rate against the bare backbone's."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from streamvc.capture.source import open_source
from streamvc.errors import StreamvcError
from streamvc.inference.bundle import Bundle, load_bundle
from streamvc.inference.recognizer import Recognizer
from streamvc.inference.runtime import Model, open_model
from streamvc.live import watch

BARE_PASSES = 100  # before and after each round


@dataclass(frozen=True, slots=True)
class PipelineRate:
    """`ratio` is the median over rounds; a round compares a run of the pipeline with bare passes right before and after it."""

    ratio: float
    backbone_p50_ms: float
    pipeline_fps: float


def measure_rate(clip: Path, model: str, runtime: str | None, threads: int, rounds: int) -> PipelineRate:
    """Watch a file with every frame analysed, headless, between rounds of the bare backbone in the same process, runtime and threads."""
    bundle = load_bundle(model)
    recognizer = every_frame(bundle, frame_rate(clip), runtime, threads)
    bare = open_bare(bundle, runtime, threads)
    ratios, passes, paces = [], [], []
    before = bare_passes(bare)
    for _ in range(rounds):
        pipeline_s = pipeline_pass(clip, recognizer)
        after = bare_passes(bare)
        bare_s = sum(before + after) / len(before + after)
        ratios.append(bare_s / pipeline_s)
        paces.append(1 / pipeline_s)
        passes += after
        before = after
    return PipelineRate(median(ratios), median(passes) * 1e3, median(paces))


def frame_rate(clip: Path) -> float:
    """Frames per second of a clip."""
    with open_source(clip) as source:
        next(iter(source))
        return source.fps


def every_frame(bundle: Bundle, fps: float, runtime: str | None, threads: int) -> Recognizer:
    """The bundle's recogniser, but at the rate of the clip instead of its own."""
    hurried = replace(bundle, manifest=bundle.manifest.model_copy(update={"rate_hz": fps}))
    return Recognizer(hurried, bundle.open_extractor(runtime, threads), bundle.open_head(runtime))


def open_bare(bundle: Bundle, runtime: str | None, threads: int) -> list[Model]:
    """The networks that a frame passes, alone, with inputs in place.

    Raises:
        StreamvcError: There are none, as the bundle sees the pictures themselves, or they cannot be run.
    """
    models = [open_model(path, runtime, threads) for path in bundle.networks()]
    if not models:
        raise StreamvcError(f"{bundle.path}: has no backbone to compare with; name another model")
    for model in models:
        model.run(lambda tensor: tensor.fill(0))
    return models


def bare_passes(models: Sequence[Model], num_passes: int = BARE_PASSES, pause_s: float = 0.0) -> list[float]:
    """Seconds of each of many passes through all of them."""
    durations = []
    for _ in range(num_passes):
        time.sleep(pause_s)
        started = time.perf_counter()
        for model in models:
            model.run(lambda _tensor: None)
        durations.append(time.perf_counter() - started)
    return durations


def pipeline_pass(clip: Path, recognizer: Recognizer) -> float:
    """Seconds per frame of a whole run over the clip: opening, decoding, every stage, events."""
    started = time.perf_counter()
    num_frames = sum(step.frame is not None for step in watch(clip, recognizer).steps())
    return (time.perf_counter() - started) / num_frames
