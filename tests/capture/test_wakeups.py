import random

import pytest

from streamvc.capture.lateness import Lateness
from streamvc.capture.wakeups import LONGEST_S, MARGIN_S, WakeupScheduler

DECODING_S = 0.001


class Stream:
    """A camera of 25 pictures/s, and a decoder that reads it, in simulated time: each picture that is due at 5 Hz is read, with all before it."""

    def __init__(self, *, jitter_s: float = 0.0, drift: float = 0.0, backlog_s: float = 0.0, fps: int = 25, rate_hz: float = 5.0) -> None:
        rng = random.Random(1)
        self.naps = WakeupScheduler([rate_hz])
        self.lateness = Lateness(bearable_s=0.5)
        self.come = [backlog_s + number / fps * (1 + drift) + rng.uniform(0, jitter_s) for number in range(2000)]
        self.come[: int(backlog_s * fps)] = [backlog_s] * int(backlog_s * fps)
        self.fps, self.every = fps, round(fps / rate_hz)
        self.slept: list[float] = []
        self.late: list[float] = []  # from the coming of each due picture to its reading

    def read(self) -> None:
        asked = 0.0
        for number, come in enumerate(self.come):
            captured = max(asked, come) if number else come
            was_waited_for = number > 0 and come > asked  # nobody knows how long the first has lain there
            now = captured + DECODING_S
            self.lateness.step(number / self.fps, "pts", captured, was_waited_for=was_waited_for)
            if number % self.every == 0:
                self.late.append(captured - come)
                until = self.naps.until(number / self.fps, self.lateness.lag_s, asked, now, was_waited_for=was_waited_for)
                self.slept.append(until - now)
                now = until
            asked = now


def test_all_is_slept_through_but_what_is_due() -> None:
    stream = Stream()
    stream.read()
    assert max(stream.late) == 0.0
    assert min(stream.slept[2:]) > 0.2 - MARGIN_S - 0.02


@pytest.mark.parametrize("drift", [-0.001, 0.001])
def test_clocks_that_differ_make_nothing_late(drift: float) -> None:
    stream = Stream(drift=drift)
    stream.read()
    assert max(stream.late) < 0.001
    assert sum(nap > 0.15 for nap in stream.slept) > 0.95 * len(stream.slept)


def test_where_pictures_come_irregularly_they_are_late_by_no_more_than_that() -> None:
    stream = Stream(jitter_s=0.03)
    stream.read()
    assert max(stream.late) < 0.03
    assert sum(nap > 0.1 for nap in stream.slept) > 0.5 * len(stream.slept)


def test_what_was_held_back_at_first_is_caught_up_with_at_once() -> None:
    stream = Stream(backlog_s=1.0)
    stream.read()
    assert stream.slept[:4] == [0.0] * 4
    assert max(stream.late[10:]) == 0.0


def test_a_stall_is_slept_through_no_longer_than_any_nap() -> None:
    stream = Stream()
    stream.come[1000:] = [come + 3.0 for come in stream.come[1000:]]
    stream.read()
    assert max(stream.late) == 0.0
    assert max(stream.slept) < LONGEST_S


def test_where_nearly_all_are_due_there_is_no_nap() -> None:
    stream = Stream(fps=25, rate_hz=25.0)
    stream.read()
    assert set(stream.slept) == {0.0}
    stream = Stream(fps=2, rate_hz=2.0)
    stream.read()
    assert max(stream.slept) <= LONGEST_S
