import math
import socket
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from streamvc.node.check import check
from streamvc.node.settings import NodeConfig
from streamvc.testing import Play, ScriptedCamera
from tests.capture.videos import textured, write_plain, write_video


def config(*cameras: dict[str, Any], connecting: int = 8) -> NodeConfig:
    given = [{"models": ["figure"], **camera} for camera in cameras]
    return NodeConfig.model_validate({"log": None, "limits": {"connecting": connecting}, "cameras": given})


def test_cameras_and_models_that_work_are_described(demo_clip: Path) -> None:
    with ScriptedCamera([Play(math.inf)], size=(320, 240), fps=50) as camera:
        findings = check(config({"name": "file", "source": str(demo_clip)}, {"name": "network", "source": camera.url, "rate_hz": 2}))
    file, network = findings.cameras
    assert findings.is_well
    assert (file.name, file.source, file.size, file.fps, file.codec) == ("file", str(demo_clip), (640, 480), 25.0, "h264")
    assert (network.name, network.source, network.size) == ("network", camera.url, (320, 240))
    assert all(found.first_picture_s is not None and found.first_picture_s > 0 for found in (file, network))
    (model,) = findings.models
    assert (model.name, model.rate_hz, model.problem) == ("figure", 5.0, None)
    assert model.frame_s is not None
    assert math.isclose(findings.load, (5 + 2) * model.frame_s)


def test_what_does_not_work_is_told_of_each_and_disturbs_no_other(tmp_path: Path) -> None:
    clip = write_plain(tmp_path / "clip.mp4", 5)
    findings = check(
        config(
            {"name": "none", "source": str(tmp_path / "none.mp4"), "models": ["figure", "figura"]},
            {"name": "good", "source": str(clip)},
            {"name": "closed", "source": "rtsp://me:hunter2@127.0.0.1:9/stream"},
            {"name": "empty", "source": str(write_video(tmp_path / "empty.mkv", []))},
            {"name": "off", "source": str(tmp_path / "none.mp4"), "enabled": False},
            connecting=2,
        )
    )
    problems = {found.name: found.problem for found in findings.cameras}
    assert list(problems) == ["none", "good", "closed", "empty"]
    assert "there is no such file" in str(problems["none"])
    assert problems["good"] is None
    assert "refused" in str(problems["closed"])
    assert problems["empty"]
    assert [(model.name, model.problem is None) for model in findings.models] == [("figure", True), ("figura", False)]
    assert "did you mean 'figure'" in str(findings.models[1].problem)
    assert not findings.is_well
    assert "hunter2" not in repr(findings)


def test_keys_that_are_not_there_are_told(tmp_path: Path) -> None:
    findings = check(NodeConfig.model_validate({"log": None, "keys": tmp_path}))
    assert findings.cameras == findings.models == ()
    assert not findings.is_well
    assert "make them with `streamvc keys new" in findings.problems[0]


def test_a_camera_that_says_nothing_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:  # takes connections, and no more than that
        url = "http://{}:{}/stream".format(*server.getsockname())
        (found,) = check(config({"name": "silent", "source": url, "open_timeout_s": 0.3})).cameras
    assert found.problem
    assert found.first_picture_s is None


def test_a_sink_that_cannot_be_used_is_told_without_its_password() -> None:
    sinks = ["mqtts://me:hunter2@broker/house", "file:events.jsonl", "https://hooks.example/#retry=3"]
    findings = check(NodeConfig.model_validate({"log": None, "sinks": sinks}))
    first, second = findings.problems
    assert first.startswith("sink mqtts://broker: ")
    assert "a password in an address is seen by all users" in first
    assert "hunter2" not in first
    assert second.startswith("sink https://hooks.example: ")
    assert "has no option 'retry'" in second


def test_a_rate_below_what_a_model_was_measured_at_is_told(demo_clip: Path) -> None:
    cameras = [{"name": f"c{number}", "source": str(demo_clip), "models": ["fall"], "rate_hz": number} for number in (2, 5)]
    findings = check(config(*cameras))
    assert findings.problems == ("c2: fall needs 2.5 frames/s at least, and rate_hz allows 2: raise it, or leave it out",)
    assert not findings.is_well


@pytest.mark.parametrize(("gop", "is_right"), [("50", False), ("20", True)])
def test_keyframes_that_are_too_far_apart_are_told(tmp_path: Path, gop: str, is_right: bool) -> None:
    options = {"g": gop, "keyint_min": gop, "sc_threshold": "0", "preset": "ultrafast"}
    clip = write_video(tmp_path / "clip.mp4", [textured(number % 50) for number in range(120)], options=options)
    (found,) = check(config({"name": "yard", "source": str(clip), "decode": "keyframes"})).cameras
    expected = "its keyframes are 2.0 s apart, so that nothing can be recognised; say `decode: reference`, or let the camera send one a second"
    assert found.problem == (None if is_right else expected)


def test_a_camera_of_less_than_a_picture_a_second_is_told(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mp4", [textured(number) for number in range(5)], fps=Fraction(4, 5))
    (found,) = check(config({"name": "yard", "source": str(clip)})).cameras
    assert found.problem == "its pictures are 1.2 s apart, so that nothing can be recognised: each model needs one a second at least"
