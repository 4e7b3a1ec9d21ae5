"""Decoders that cannot keep up with a live camera, on real streams."""

import os
import selectors
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from streamvc.capture.messages import Arrived, CaptureSettings
from streamvc.node.decoder import Decoder, ProcessDecoder
from streamvc.node.fork_server import DecoderForkServer
from streamvc.testing import Play, ScriptedCamera
from streamvc.types import Array
from tests.capture.videos import number_of, textured, write_video

NUM_KNOWN = 50  # pictures that differ; then they begin anew
FPS = 25
SIZE = (640, 480)
STALENESS_S = 0.5
DARKER = 2.7  # grey levels that the camera's conversion takes from a picture
PATIENCE_S = 30.0  # for a busy machine


class Clock:
    """What a camera sees, and when it did."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.seen: list[float] = []
        self._pictures = [textured(number, size) for number in range(NUM_KNOWN)]

    def pictures(self) -> Iterator[Array]:
        while True:
            self.seen.append(time.monotonic())
            yield self._pictures[(len(self.seen) - 1) % NUM_KNOWN]

    def age_s(self, arrived: Arrived) -> float:
        """How long ago the picture was seen when it had been decoded; known within `NUM_KNOWN` pictures."""
        assert arrived.frame
        number = number_of(arrived.frame.image + DARKER)
        return min(arrived.due.decoded - seen for seen in self.seen[number::NUM_KNOWN] if seen <= arrived.due.decoded)


def settings(camera: ScriptedCamera) -> CaptureSettings:
    return CaptureSettings("yard", camera.url, rates_hz=(float(FPS),), staleness_s=STALENESS_S, frozen_s=0.0)


def arrivals(decoder: Decoder, seconds: float, clock: Clock | None = None) -> Iterator[tuple[Arrived, float | None]]:
    """What arrives within so many seconds of the first; by a clock, how old each picture is."""
    until = time.monotonic() + PATIENCE_S
    with selectors.DefaultSelector() as selector:
        selector.register(decoder, selectors.EVENT_READ)
        is_first = True
        while selector.select(max(0.0, until - time.monotonic())):
            for said in decoder.receive():
                if isinstance(said, Arrived):
                    until = time.monotonic() + seconds if is_first else until
                    is_first = False
                    yield said, clock.age_s(said) if clock and said.frame else None
                    said.release()


@contextmanager
def throttled(pid: int, running_s: float = 0.006) -> Iterator[None]:
    """A process runs for so long of each fifth of a second, as in a container with a limit."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(running_s):
            os.kill(pid, signal.SIGSTOP)
            over.wait(0.2 - running_s)
            os.kill(pid, signal.SIGCONT)  # also at the end

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.slow
def test_one_that_gets_too_little_time_skips_to_keyframes_and_shows_nothing_that_is_old() -> None:
    clock = Clock(SIZE)
    with ScriptedCamera([Play(60)], pictures=clock.pictures(), size=SIZE, fps=FPS) as camera, DecoderForkServer() as fork_server:
        decoder = ProcessDecoder(fork_server, settings(camera))
        list(arrivals(decoder, 1.0))
        assert decoder.pid
        with throttled(decoder.pid):
            found = list(arrivals(decoder, 12.0, clock))
        decoder.close()
    late = [each for each, _ in found if each.due.absence == "late"]
    shown = {each.due.timestamp: age for each, age in found if age is not None}
    assert len(late) > 40
    assert max(shown.values()) < 1.5  # without skipping, ten and more
    assert max(shown) - min(shown) > 6.0  # it is not late for ever


@pytest.mark.slow
def test_a_recording_that_plays_as_a_camera_is_caught_up_with_too(tmp_path: Path) -> None:
    pictures = [textured(number % NUM_KNOWN, SIZE) for number in range(18 * FPS)]
    path = write_video(tmp_path / "room.mp4", pictures, fps=FPS, options={"preset": "ultrafast", "g": "25", "qp": "20", "bf": "0"})
    with DecoderForkServer() as fork_server:
        decoder = ProcessDecoder(fork_server, CaptureSettings("yard", str(path), rates_hz=(float(FPS),), staleness_s=STALENESS_S, frozen_s=0.0))
        list(arrivals(decoder, 2.0))
        assert decoder.pid
        with throttled(decoder.pid):
            found = [each for each, _ in arrivals(decoder, 12.0)]
        decoder.close()
    shown = [each.due.timestamp for each in found if each.frame]
    assert sum(each.due.absence == "late" for each in found) > 40
    assert max(shown) - found[0].due.timestamp > 6.0


@pytest.mark.slow
def test_one_that_was_stopped_for_a_while_says_how_old_is_what_it_reads() -> None:
    clock = Clock((64, 48))
    with ScriptedCamera([Play(60)], pictures=clock.pictures(), size=(64, 48), fps=FPS) as camera, DecoderForkServer() as fork_server:
        decoder = ProcessDecoder(fork_server, settings(camera))
        list(arrivals(decoder, 1.0))
        assert decoder.pid
        begun = time.monotonic()
        os.kill(decoder.pid, signal.SIGSTOP)
        time.sleep(3.0)
        os.kill(decoder.pid, signal.SIGCONT)
        stopped_s = time.monotonic() - begun
        found = list(arrivals(decoder, 2.0, clock))
        decoder.close()
    late = [each for each, _ in found if each.due.absence == "late"]
    assert len(late) == pytest.approx((stopped_s - STALENESS_S) * FPS, abs=10)
    assert late[0].due.decoded - late[0].due.captured == pytest.approx(stopped_s, abs=0.3)
    assert max(age for _, age in found if age is not None) < STALENESS_S + 0.3
    assert found[-1][0].frame
