"""Local cameras: one that is not there, and one that is played by `fake_camera.c` below OpenCV's own driver."""

import json
import os
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from streamvc.capture.source import open_source
from streamvc.errors import SourceError

MISSING = 87

READ = """
import itertools, json
from streamvc.capture.source import open_source
error, frames = None, []
try:
    with open_source("0", policy="every") as source:
        form = [source.name, source.size, source.is_live]
        for frame in itertools.islice(source, 20):
            frames.append([frame.index, frame.clock, frame.timestamp, float(frame.image.mean()), frame.decoded - frame.captured])
except Exception as problem:
    error = str(problem)
print(json.dumps({"form": form, "frames": frames, "error": error}))
"""


@pytest.mark.parametrize("source", [MISSING, str(MISSING), f"/dev/video{MISSING}", Path(f"/dev/video{MISSING}")])
def test_a_camera_that_is_not_there(source: int | str | Path) -> None:
    with pytest.raises(SourceError, match=rf"^camera {MISSING}: "):
        open_source(source)


def test_opencv_keeps_quiet_about_it() -> None:
    script = f"from streamvc.capture.source import open_source\ntry: open_source({MISSING})\nexcept Exception as error: print(error)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"camera {MISSING}: ")
    assert done.stderr == ""


@pytest.fixture(scope="module")
def fake_camera(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc")
    if not compiler or not sys.platform.startswith("linux"):
        pytest.skip("the fake camera needs Linux and a C compiler")
    library = tmp_path_factory.mktemp("camera") / "fake_camera.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", library, Path(__file__).with_name("fake_camera.c"), "-ldl"], check=True)
    return library


def read(camera: Path, **environment: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", READ],
        env={**os.environ, "LD_PRELOAD": str(camera), **environment},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_a_camera_is_live_and_its_frames_go_by_arrival(fake_camera: Path) -> None:
    result = read(fake_camera)
    assert result["form"] == ["camera 0", [640, 480], True]
    assert result["error"] is None
    indices, clocks, times, brightness, ages = zip(*result["frames"], strict=True)
    assert indices == tuple(range(20))
    assert set(clocks) == {"arrival"}
    assert times[0] == 0.0
    assert list(times) == sorted(set(times))
    assert 0.5 < times[-1] < 3.0  # 19 steps of 0.04 s
    steps = [after - before for before, after in pairwise(brightness)]
    assert steps == pytest.approx([255 / 219] * 19, abs=1.0)
    assert max(ages) < 0.5


def test_a_camera_that_is_unplugged_is_lost_after_its_last_frame(fake_camera: Path) -> None:
    result = read(fake_camera, UNPLUG_AFTER="10")
    assert 5 <= len(result["frames"]) <= 10
    assert result["error"].startswith("camera 0: lost")
