"""The scripted camera, watched as any other: by `open_source`."""

import itertools
import math
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from streamvc.capture.source import open_source
from streamvc.errors import SourceError
from streamvc.testing import Burst, Corrupt, Die, Freeze, Jump, Play, Refuse, Resize, ScriptedCamera, ScriptStep, Stall, moving_pattern, recording
from streamvc.testing.camera import Scheme
from streamvc.types import Array, Frame

FPS = 100  # quicker than cameras are, so that the tests are
OPENING = Play(0.3)  # FFmpeg looks at some 20 pictures of a stream before it gives one


def watch(url: str) -> list[Frame]:
    """All that comes, until the camera is lost."""
    frames: list[Frame] = []
    with open_source(url, policy="every") as source, pytest.raises(SourceError, match="lost"):
        frames.extend(replace(frame, image=frame.image.copy()) for frame in source)
    return frames


def difference(image: Array, sent: Array) -> float:
    return float(np.abs(image.astype(int) - sent).mean())


def steps_s(frames: list[Frame]) -> list[float]:
    return [round(later.timestamp - earlier.timestamp, 2) for earlier, later in itertools.pairwise(frames)]


@pytest.mark.parametrize("scheme", ["tcp", "http"])
def test_what_it_sees_comes_through_at_its_own_speed(scheme: Scheme) -> None:
    shades = (np.full((48, 64, 3), 40 + 4 * number, np.uint8) for number in itertools.count())
    with ScriptedCamera([Play(1.6)], pictures=shades, size=(64, 48), scheme=scheme) as camera:
        frames = watch(camera.url)
        assert (camera.url.partition(":")[0], camera.num_connections) == (scheme, 1)
    brightness = [float(frame.image.mean()) for frame in frames]
    assert [round((shade - brightness[0]) / 4) for shade in brightness] == list(range(40))
    assert steps_s(frames) == [0.04] * 39
    assert frames[-1].captured - frames[-16].captured == pytest.approx(15 / 25, abs=0.3)


def test_a_frozen_picture_is_the_same_in_each_bit() -> None:
    with ScriptedCamera([OPENING, Freeze(0.6), Play(0.1)], size=(160, 120), fps=FPS) as camera:
        frames = watch(camera.url)
    changed = [not np.array_equal(earlier.image, later.image) for earlier, later in itertools.pairwise(frames)]
    assert changed == [True] * 30 + [False] * 59 + [True] * 10
    assert steps_s(frames) == [0.01] * 99


def test_a_stall_leaves_a_hole_in_time_and_a_burst_none() -> None:
    with ScriptedCamera([OPENING, Stall(0.6), Play(0.1), Burst(0.6), Play(0.1)], size=(64, 48), fps=FPS) as camera:
        frames = watch(camera.url)
    assert steps_s(frames) == [0.01] * 29 + [0.61] + [0.01] * 79
    # FFmpeg gives a picture once the next one begins.
    assert frames[39].captured - frames[38].captured > 0.5
    assert frames[98].captured - frames[39].captured < 0.5


def test_time_jumps_ahead_and_back() -> None:
    with ScriptedCamera([OPENING, Jump(60.0), Play(0.1), Jump(-20.0), Play(0.1)], size=(64, 48), fps=FPS) as camera:
        frames = watch(camera.url)
    # Whoever reads it goes on by its own clock; that there was a jump is told.
    assert steps_s(frames) == pytest.approx([0.01] * 49, abs=0.03)
    assert [frame.segment for frame in frames] == [0] * 30 + [1] * 10 + [2] * 10


def test_the_size_changes() -> None:
    with ScriptedCamera([OPENING, Resize(96, 64), Play(0.1), Resize(64, 48), Play(0.1)], size=(64, 48), fps=FPS) as camera:
        frames = watch(camera.url)
    assert [frame.image.shape[:2] for frame in frames] == [(48, 64)] * 30 + [(64, 96)] * 10 + [(48, 64)] * 10


def test_damage_is_the_same_each_time_and_passes_with_the_next_keyframe() -> None:
    script: list[ScriptStep] = [OPENING, Corrupt(0.002), Play(0.2), Corrupt(0.0), Play(1.0)]
    seen = []
    for _ in range(2):
        with ScriptedCamera(script, fps=FPS) as camera:
            seen.append([frame.image for frame in watch(camera.url)])
    first, second = seen
    assert len(first) < 150
    assert all(np.array_equal(image, same) for image, same in zip(first, second, strict=True))
    sent = list(itertools.islice(moving_pattern(), 150))
    assert max(difference(image, was) for image, was in zip(first[:30], sent[:30], strict=True)) < 5.0
    assert max(difference(image, was) for image, was in zip(first[-10:], sent[-10:], strict=True)) < 5.0


def test_a_dead_camera_is_back_at_once_and_goes_on_with_its_script() -> None:
    with ScriptedCamera([OPENING, Die(), Resize(96, 64), OPENING], size=(64, 48), fps=FPS) as camera:
        lives = [watch(camera.url), watch(camera.url)]
        assert camera.num_connections == 2
    assert [{frame.image.shape[:2] for frame in frames} for frames in lives] == [{(48, 64)}, {(64, 96)}]


def test_one_that_refuses_is_back_later_at_the_same_place() -> None:
    refuses, back = threading.Event(), threading.Event()

    def script() -> Iterator[ScriptStep]:
        yield OPENING
        refuses.set()
        yield Refuse(0.5)
        back.set()
        yield OPENING

    with ScriptedCamera(script(), size=(64, 48), fps=FPS) as camera:
        watch(camera.url)
        assert refuses.wait(10.0)
        if not back.is_set():
            with pytest.raises(SourceError, match="refused"):
                open_source(camera.url)
        assert back.wait(10.0)
        assert len(watch(camera.url)) > 20
    with pytest.raises(SourceError, match="refused"):
        open_source(camera.url)


def test_its_time_stands_still_while_nobody_watches() -> None:
    begun = threading.Event()

    def pictures() -> Iterator[Array]:
        for number, image in enumerate(moving_pattern()):
            if number > 1:
                begun.set()
            yield image

    with ScriptedCamera([Play(math.inf)], pictures=pictures(), fps=FPS) as camera:
        assert not begun.wait(0.3)
        with open_source(camera.url) as source:
            assert next(source).image.shape == (240, 320, 3)
        assert begun.is_set()


def test_several_watch_it_each_from_a_whole_picture_on() -> None:
    with (
        ScriptedCamera([Play(math.inf)], size=(64, 48), fps=FPS) as camera,
        open_source(camera.url) as first,
        open_source(camera.url) as second,
    ):
        assert {next(source).image.shape for source in (first, second)} == {(48, 64, 3)}
        assert (first.corrupt, second.corrupt, camera.num_connections) == (0, 0, 2)


def test_it_shows_a_recording_again_and_again(demo_clip: Path) -> None:
    with ScriptedCamera([OPENING], pictures=recording(demo_clip), size=(160, 90), fps=FPS) as camera:
        frames = watch(camera.url)
    for frame, image in zip(frames, recording(demo_clip), strict=False):
        assert frame.image.mean() == pytest.approx(image.mean(), abs=3.0)


def test_at_the_end_it_hangs_up() -> None:
    with socket.socket() as viewer:
        with ScriptedCamera([Play(math.inf)]) as camera:
            viewer.connect(("127.0.0.1", int(camera.url.rstrip("/").rpartition(":")[2])))
            assert viewer.recv(1) == b"G"  # a transport stream's sync byte
        while viewer.recv(4096):
            pass
