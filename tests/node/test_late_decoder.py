"""Decoders that cannot keep up with a live camera, on real streams."""

import os
import selectors
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from streamvc.node.decoder import Decoder
from streamvc.node.messages import Arrived, DecoderSettings
from streamvc.node.nursery import Nursery
from streamvc.testing import Play, ScriptedCamera
from streamvc.types import Array
from tests.capture.videos import number_of, textured

NUM_KNOWN = 50  # pictures that differ; then they begin anew
FPS = 25
SIZE = (640, 480)
STALENESS_S = 0.5
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
        number = number_of(np.asarray(arrived.frame.image))
        return min((arrived.due.decoded - seen for seen in self.seen[number::NUM_KNOWN] if seen <= arrived.due.decoded), default=np.inf)


def settings(camera: ScriptedCamera) -> DecoderSettings:
    return DecoderSettings("yard", camera.url, rates_hz=(float(FPS),), staleness_s=STALENESS_S, frozen_s=0.0)


def arrivals(decoder: Decoder, clock: Clock, seconds: float) -> Iterator[tuple[Arrived, float | None]]:
    """What arrives within so many seconds of the first; how old each picture is."""
    until = time.monotonic() + PATIENCE_S
    with selectors.DefaultSelector() as selector:
        selector.register(decoder, selectors.EVENT_READ)
        is_first = True
        while selector.select(max(0.0, until - time.monotonic())):
            for said in decoder.receive():
                if isinstance(said, Arrived):
                    until = time.monotonic() + seconds if is_first else until
                    is_first = False
                    yield said, clock.age_s(said) if said.frame else None
                    said.release()


@contextmanager
def throttled(pid: int) -> Iterator[None]:
    """A process gets a twentieth of a processor, as in a container with a limit."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(0.01):
            os.kill(pid, signal.SIGSTOP)
            over.wait(0.19)
            os.kill(pid, signal.SIGCONT)

    thread = threading.Thread(target=run)
    thread.start()
    yield
    over.set()
    thread.join()


def test_one_that_gets_too_little_time_skips_to_keyframes_and_shows_nothing_that_is_old() -> None:
    clock = Clock(SIZE)
    with ScriptedCamera([Play(60)], pictures=clock.pictures(), size=SIZE, fps=FPS) as camera, Nursery() as nursery:
        decoder = Decoder(settings(camera), nursery)
        list(arrivals(decoder, clock, 1.0))
        assert decoder.pid
        with throttled(decoder.pid):
            found = list(arrivals(decoder, clock, 12.0))
        decoder.close()
    late = [each for each, _ in found if each.due.absence == "late"]
    shown = {each.due.timestamp: age for each, age in found if age is not None}
    assert len(late) > 60
    assert len(shown) > 10
    assert max(shown.values()) < 1.5  # without skipping, ten and more
    assert {int((timestamp - min(shown)) // 4) for timestamp in shown} >= {0, 1, 2}  # it is not late for long


def test_one_that_was_stopped_for_a_while_says_how_old_is_what_it_reads() -> None:
    clock = Clock((64, 48))
    with ScriptedCamera([Play(60)], pictures=clock.pictures(), size=(64, 48), fps=FPS) as camera, Nursery() as nursery:
        decoder = Decoder(settings(camera), nursery)
        list(arrivals(decoder, clock, 1.0))
        assert decoder.pid
        os.kill(decoder.pid, signal.SIGSTOP)
        time.sleep(3.0)
        os.kill(decoder.pid, signal.SIGCONT)
        found = list(arrivals(decoder, clock, 2.0))
        decoder.close()
    late = [each for each, _ in found if each.due.absence == "late"]
    assert 40 < len(late) < 75  # of three seconds all but the last half
    assert late[0].due.decoded - late[0].due.captured == pytest.approx(3.0, abs=0.5)
    assert max(age for _, age in found if age is not None) < STALENESS_S + 0.3
    assert found[-1][0].frame
