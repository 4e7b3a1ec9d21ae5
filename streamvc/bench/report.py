"""Runs all measurements and gathers them."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from streamvc.bench.extraction import measure_extraction
from streamvc.bench.latency import measure_latency
from streamvc.bench.memory import measure_memory
from streamvc.bench.notebook import measure_notebook
from streamvc.bench.rate import measure_rate
from streamvc.bench.start import measure_help, measure_start
from streamvc.inference.bundle import load_bundle


@dataclass(frozen=True, slots=True)
class BenchmarkSettings:
    """What to measure with: a clip (640x480 at 25 fps ships with the package), a model, a runtime, and for how long."""

    clip: Path
    model: str = "figure"
    runtime: str | None = None
    threads: int = 1
    num_frames: int = 100_000  # of the memory measurement
    rounds: int = 5


@dataclass(frozen=True, slots=True)
class BenchmarkReport:
    """The figures; ratios first. None where something was not installed, or the model has several backbones.

    Attributes:
        pipeline_ratio: Frames/s of the whole pipeline on a file with every frame analysed, over those of the bare backbone.
        extraction_ratio: Features/s of extraction from files by two workers with every frame analysed, over those of two bare backbones.
        extraction_cpu_ratio: The same in CPU time, which other programs disturb less.
        extraction_own_ratio: Features/s of extraction at the model's own rate, most frames being decoded for nothing, over the same.
        extraction_own_cpu_ratio: The same in CPU time.
        notebook_ratio: CPU time of the notebooks' way for one prediction (`keras.predict` on each frame of the window), over ours.
        backbone_p50_ms: One pass of the bare backbone, passes back to back.
        backbone_paced_p50_ms: The same at the pace of the latency measurement, in which the processor falls asleep between two passes.
        pipeline_fps: Frames/s of the whole pipeline on a file with every frame analysed.
        latency_p50_ms: Capture of a frame to its event at a subscriber in another process, 25 fps source.
        latency_p99_ms: The 99th percentile of the same.
        start_s: Start of the process to the first prediction on a file.
        help_s: `streamvc --help`.
        rss_mb: Most resident memory of `watch --headless`.
        growth_mb: Its growth from warm-up to the end.
        num_frames: Frames watched while memory was measured.
        cpu_ms: CPU time of `watch --headless` for each analysed frame, decoding included.
    """

    pipeline_ratio: float
    extraction_ratio: float
    extraction_cpu_ratio: float
    extraction_own_ratio: float
    extraction_own_cpu_ratio: float
    notebook_ratio: float | None
    backbone_p50_ms: float
    backbone_paced_p50_ms: float
    pipeline_fps: float
    latency_p50_ms: float
    latency_p99_ms: float
    start_s: float
    help_s: float
    rss_mb: float
    growth_mb: float
    num_frames: int
    cpu_ms: float


def run_benchmarks(settings: BenchmarkSettings, on_stage: Callable[[str], None] = lambda _name: None) -> BenchmarkReport:
    """Measure everything, one after the other, so that nothing disturbs anything.

    Args:
        settings: What to measure with.
        on_stage: Is called with the name of each measurement as it begins.

    Raises:
        StreamvcError: The clip or the model cannot be used.
    """
    on_stage("pipeline against bare backbone")
    rate = measure_rate(settings.clip, settings.model, settings.runtime, settings.threads, settings.rounds)
    on_stage("feature extraction against bare backbones")
    every, own = measure_extraction(settings.clip, settings.model, settings.rounds)
    on_stage("latency to a subscriber")
    latency = measure_latency(settings.clip, settings.model, settings.runtime, settings.threads)
    on_stage("start")
    start_s, help_s = measure_start(settings.clip, settings.model, settings.rounds), measure_help(settings.rounds)
    on_stage(f"memory over {settings.num_frames} frames")
    memory = measure_memory(settings.clip, settings.model, settings.runtime, settings.threads, settings.num_frames)
    notebook_ms = None
    if find_spec("keras") and load_bundle(settings.model).manifest.backbone:
        on_stage("the notebooks' way")
        notebook_ms = measure_notebook(settings.model)
    return BenchmarkReport(
        pipeline_ratio=rate.ratio,
        extraction_ratio=every.ratio,
        extraction_cpu_ratio=every.cpu_ratio,
        extraction_own_ratio=own.ratio,
        extraction_own_cpu_ratio=own.cpu_ratio,
        notebook_ratio=None if notebook_ms is None else notebook_ms / memory.cpu_ms,
        backbone_p50_ms=rate.backbone_p50_ms,
        backbone_paced_p50_ms=latency.backbone_p50_ms,
        pipeline_fps=rate.pipeline_fps,
        latency_p50_ms=latency.p50_ms,
        latency_p99_ms=latency.p99_ms,
        start_s=start_s,
        help_s=help_s,
        rss_mb=memory.peak_mb,
        growth_mb=memory.growth_mb,
        num_frames=memory.num_frames,
        cpu_ms=memory.cpu_ms,
    )
