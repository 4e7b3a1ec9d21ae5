import math
import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamvc.capture.stream import Picture
from streamvc.capture.timeline import GLITCH_S, LONGEST_WAIT_S, Arrivals, Pacer, Timeline, paced


def stamps(times: list[float | None], step_s: float = 0.04) -> list[float]:
    timeline = Timeline(step_s)
    return [round(timeline.step(time), 6) for time in times]


def test_time_counts_from_the_first_picture() -> None:
    assert stamps([1.4, 1.44, 1.5]) == [0.0, 0.04, 0.1]


def test_a_picture_without_a_time_comes_a_frame_after_the_last() -> None:
    assert stamps([1.4, None, 1.48, None, None]) == [0.0, 0.04, 0.08, 0.12, 0.16]


def test_the_first_pictures_may_have_no_time() -> None:
    assert stamps([None, None, 3.08, 3.12]) == [0.0, 0.04, 0.08, 0.12]


def test_a_slip_of_the_muxer_is_mended() -> None:
    assert stamps([0.0, 0.04, 0.02, 0.12, 0.16]) == [0.0, 0.04, 0.08, 0.12, 0.16]


def test_jumps_are_passed_on() -> None:
    assert stamps([0.0, 0.04, 600.0, 600.04]) == [0.0, 0.04, 600.0, 600.04]
    assert stamps([100.0, 100.04, 50.0, 50.04]) == [0.0, 0.04, -50.0, -49.96]


@given(st.lists(st.none() | st.floats(0, GLITCH_S * 0.9), min_size=1, max_size=50))
def test_short_of_a_jump_time_always_moves_on(times: list[float | None]) -> None:
    timeline = Timeline(0.001)
    out = [timeline.step(time) for time in times]
    assert out[0] == 0.0
    assert all(later > earlier for earlier, later in pairwise(out))


@given(st.lists(st.floats(0.001, LONGEST_WAIT_S * 0.9), min_size=1, max_size=30))
def test_a_recording_plays_at_its_own_speed_however_late_its_pictures_are_asked_for(gaps: list[float]) -> None:
    pacer = Pacer()
    start = pacer.due(0.0, now=100.0)
    timestamp = 0.0
    for number, gap in enumerate(gaps):
        timestamp += gap
        assert pacer.due(timestamp, now=100.0 + number * 7) == pytest.approx(start + timestamp)


def test_a_jump_of_the_time_is_not_waited_for() -> None:
    pacer = Pacer()
    pacer.due(0.0, now=100.0)
    assert pacer.due(3600.0, now=101.0) == 101.0
    assert pacer.due(3600.5, now=101.0) == 101.5
    assert pacer.due(0.0, now=102.0) == 102.0


def test_a_live_stream_began_when_its_least_delayed_early_picture_says() -> None:
    arrivals = Arrivals()
    assert arrivals.start == math.inf
    for number in range(20):  # held back, then given all together
        arrivals.step(number * 0.04, 100.8)
    assert arrivals.start == pytest.approx(100.8 - 0.76)
    arrivals.step(0.8, 100.85)
    assert arrivals.start == pytest.approx(100.04)
    arrivals.step(5.0, 102.0)  # a jump, later: the beginning is known by then
    assert arrivals.start == pytest.approx(100.04)


def test_the_rate_is_that_of_the_last_pictures() -> None:
    arrivals = Arrivals()
    assert arrivals.fps is None
    for number in range(100):
        arrivals.step(number / 10, number / 10)
    assert arrivals.fps == pytest.approx(10.0)
    for number in range(100):
        arrivals.step(10 + number / 25, 10 + number / 25)
    assert arrivals.fps == pytest.approx(25.0)


def picture(timestamp: float) -> Picture:
    now = time.monotonic()
    return Picture(timestamp, "pts", now, now, (4, 6, 3), lambda _slot: None, lambda: np.zeros((4, 6), np.uint8))


def test_pictures_that_come_too_early_are_held_until_they_are_due() -> None:
    moments: list[float] = []
    begun = time.monotonic()
    told = list(paced(iter([picture(0.0), None, picture(0.2), picture(0.6)]), moments.append))
    assert [moment - moments[0] for moment in moments] == pytest.approx([0.0, 0.2, 0.6])
    assert [one and one.timestamp for one in told] == [0.0, None, 0.2, 0.6]
    assert all(begun <= one.captured <= time.monotonic() for one in told if one)


@pytest.mark.parametrize("as_camera", [False, True])
def test_a_picture_that_is_read_too_late_came_when_it_was_due_from_a_camera(as_camera: bool) -> None:
    moments: list[float] = []
    pictures = paced((picture(timestamp) for timestamp in (0.0, 1e-6)), moments.append, as_camera=as_camera)
    next(pictures)
    begun = time.monotonic()
    assert begun > moments[0] + 1e-6
    late = next(pictures)
    assert late
    assert (late.captured <= moments[1] < begun) is as_camera
