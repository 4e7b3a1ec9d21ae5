"""`streamvc bench`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from streamvc.cli import options

if TYPE_CHECKING:
    from streamvc.bench.report import BenchmarkReport


@click.command()
@click.option(
    "--clip",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Video to measure with.  [default: the demo's clip, 640x480 at 25 fps]",
)
@click.option("-m", "--model", default="figure", show_default=True, metavar="NAME|PATH", shell_complete=options.complete_model, help="Model bundle.")
@click.option(
    "--frames", "num_frames", type=click.IntRange(1000), default=100_000, show_default=True, help="Frames to watch while memory is measured."
)
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True, help="Repetitions; medians are printed.")
@options.runtime
@options.as_json
def bench(clip: Path | None, model: str, num_frames: int, rounds: int, runtime: str | None, threads: int, as_json: bool) -> None:
    """Measure streamvc on this machine: ratios first, side by side in one run.

    Needs a quiet machine and, with 100,000 frames, some minutes. The comparison with the notebooks' way needs the `train` extra.

    \b
    Examples:
      streamvc bench
      streamvc bench --frames 5000 --json
    """
    from rich.console import Console

    from streamvc.bench.report import BenchmarkSettings, run_benchmarks
    from streamvc.demo import CLIP

    settings = BenchmarkSettings(clip or CLIP, model, runtime, threads, num_frames, rounds)
    with Console(stderr=True).status("measuring ...") as status:
        report = run_benchmarks(settings, lambda name: status.update(f"measuring: {name} ..."))
    click.echo(json.dumps(asdict(report)) if as_json else table(report))


def table(report: "BenchmarkReport") -> str:
    """One line a figure, with what it means."""
    notebook = (
        "not measured: needs the `train` extra, and a model with one backbone" if report.notebook_ratio is None else f"{report.notebook_ratio:.0f}"
    )
    rows = [
        (
            "pipeline_ratio",
            f"{report.pipeline_ratio:.3f}",
            f"whole pipeline ({report.pipeline_fps:.0f} frames/s, every frame analysed) / bare backbone",
        ),
        (
            "extraction_ratio",
            f"{report.extraction_ratio:.3f}",
            f"feature extraction from files, two workers, every frame analysed / two bare backbones ({report.extraction_cpu_ratio:.3f} in CPU time)",
        ),
        (
            "extraction_own_ratio",
            f"{report.extraction_own_ratio:.3f}",
            f"the same at the model's own rate ({report.extraction_own_cpu_ratio:.3f} in CPU time)",
        ),
        ("notebook_ratio", notebook, "CPU time of a prediction the notebooks' way / ours"),
        ("backbone_p50_ms", f"{report.backbone_p50_ms:.2f}", f"bare backbone; {report.backbone_paced_p50_ms:.2f} with pauses, as in a 25 fps stream"),
        ("latency_p50_ms", f"{report.latency_p50_ms:.2f}", "capture of a frame to its event at a subscriber"),
        ("latency_p99_ms", f"{report.latency_p99_ms:.2f}", "the same, 99th percentile"),
        ("start_s", f"{report.start_s:.2f}", "start of the process to the first prediction"),
        ("help_s", f"{report.help_s:.2f}", "streamvc --help"),
        ("rss_mb", f"{report.rss_mb:.0f}", "most memory of watch --headless"),
        ("growth_mb", f"{report.growth_mb:.1f}", f"its growth over {report.num_frames} frames"),
        ("cpu_ms", f"{report.cpu_ms:.2f}", "CPU time of watch --headless for an analysed frame, with decoding"),
    ]
    return "\n".join(f"{name:20} {value:>8}  {meaning}" for name, value, meaning in rows)
