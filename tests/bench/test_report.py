import itertools
import json
from dataclasses import fields
from pathlib import Path

import pytest
from click.testing import CliRunner

from streamvc.bench.memory import repeat_clip
from streamvc.bench.report import BenchmarkReport
from streamvc.capture.source import open_source
from streamvc.cli import main
from streamvc.view.video import VideoWriter


@pytest.fixture(scope="module")
def short_clip(demo_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first five seconds of the demo's clip."""
    short = tmp_path_factory.mktemp("clips") / "short.mp4"
    with open_source(demo_clip) as source, VideoWriter(short) as writer:
        for frame in source:
            if frame.timestamp > 5.0:
                break
            writer.show(frame.image, frame.timestamp)
    return short


def test_a_clip_is_repeated_without_a_gap(short_clip: Path, tmp_path: Path) -> None:
    num_frames = repeat_clip(short_clip, tmp_path / "long.mkv", 500)
    with open_source(tmp_path / "long.mkv") as source:
        timestamps = [frame.timestamp for frame in source]
    assert len(timestamps) == num_frames >= 500
    steps = [later - earlier for earlier, later in itertools.pairwise(timestamps)]
    assert steps == pytest.approx([0.04] * len(steps), abs=0.002)


@pytest.mark.slow
@pytest.mark.train
def test_bench_prints_every_figure_by_name(short_clip: Path) -> None:
    result = CliRunner().invoke(main, ["bench", "--clip", str(short_clip), "--frames", "1000", "--rounds", "1", "--json"])
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    assert set(figures) == {field.name for field in fields(BenchmarkReport)}
    assert 0 < figures["pipeline_ratio"] < 2
    assert all(0 < figures[f"extraction_{kind}ratio"] < 2 for kind in ("", "cpu_", "own_", "own_cpu_"))
    assert figures["notebook_ratio"] > 1
    assert figures["latency_p99_ms"] >= figures["latency_p50_ms"] > 0
    assert figures["num_frames"] >= 1000
    assert 0 < figures["rss_mb"] < 1000
