import math
import time
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamvc.capture.stream import Picture
from streamvc.capture.timeline import LONGEST_WAIT_S, Arrivals, Moment, Pacer, Timeline, paced


def moments(times: Sequence[float | None], arrivals: Sequence[float] | None = None, *, step_s: float = 0.04, tick_s: float = 0.0) -> list[Moment]:
    """Those of a live stream whose pictures come at these moments; of a recording where there are none."""
    timeline = Timeline(step_s, is_live=arrivals is not None, tick_s=tick_s)
    found = [moment for time, arrived in zip(times, arrivals or [0.0] * len(times), strict=True) for moment in timeline.step(time, arrived)]
    return found + timeline.flush()


def stamps(times: Sequence[float | None], arrivals: Sequence[float] | None = None) -> list[float]:
    return [round(moment.timestamp, 6) for moment in moments(times, arrivals)]


def segments(times: Sequence[float | None], arrivals: Sequence[float] | None = None) -> list[int]:
    return [moment.segment for moment in moments(times, arrivals)]


def test_time_counts_from_the_first_picture() -> None:
    assert stamps([1.4, 1.44, 1.5]) == [0.0, 0.04, 0.1]


def test_a_picture_without_a_time_comes_a_frame_after_the_last() -> None:
    assert stamps([1.4, None, 1.48, None, None]) == [0.0, 0.04, 0.08, 0.12, 0.16]


def test_the_first_pictures_may_have_no_time() -> None:
    assert stamps([None, None, 3.08, 3.12]) == [0.0, 0.04, 0.08, 0.12]


def test_a_slip_of_the_muxer_is_mended() -> None:
    assert stamps([0.0, 0.04, 0.02, 0.12, 0.16]) == [0.0, 0.04, 0.08, 0.12, 0.16]


def test_what_is_missing_of_a_recording_is_passed_on() -> None:
    assert stamps([0.0, 0.04, 600.0, 600.04]) == [0.0, 0.04, 600.0, 600.04]
    assert segments([0.0, 0.04, 600.0, 600.04]) == [0, 0, 0, 0]


def test_a_recording_whose_time_begins_anew_goes_on_as_another_segment() -> None:
    times = [100.0, 100.04, 50.0, 50.04, 50.08]
    assert stamps(times) == [0.0, 0.04, 0.08, 0.12, 0.16]
    assert segments(times) == [0, 0, 1, 1, 1]


@pytest.mark.parametrize("off_s", [10400.0, -10400.0, -3.0])
def test_one_time_that_is_far_off_changes_nothing(off_s: float) -> None:
    times = [number * 0.04 for number in range(100)]
    arrivals = [1000.0 + time for time in times]
    wrong = [time + off_s if number % 25 == 20 else time for number, time in enumerate(times)]
    for arrived in (arrivals, None):
        assert stamps(wrong, arrived) == pytest.approx(times, abs=1e-6)
        assert set(segments(wrong, arrived)) == {0}


def test_a_time_lapse_is_no_error() -> None:
    times = [60.0 * number for number in range(20)]
    assert stamps(times) == times


@pytest.mark.parametrize("jump_s", [3600.0, -3600.0, 91_843.0, -5.0])
def test_a_clock_of_a_camera_that_is_set_moves_no_event(jump_s: float) -> None:
    times = [number * 0.04 for number in range(50)]
    jumped = [time + jump_s * (number >= 20) for number, time in enumerate(times)]
    arrivals = [1000.0 + time for time in times]
    assert stamps(jumped, arrivals) == pytest.approx(times, abs=1e-6)
    assert segments(jumped, arrivals) == [0] * 20 + [1] * 30


def test_what_is_missing_of_a_live_stream_is_passed_on() -> None:
    times = [0.0, 0.04, 5.0, 5.04]
    assert stamps(times, [100.0, 100.04, 105.0, 105.04]) == times
    assert set(segments(times, [100.0, 100.04, 105.0, 105.04])) == {0}


def test_a_network_that_holds_pictures_up_is_no_jump() -> None:
    times = [number * 0.04 for number in range(50)]
    assert stamps(times, [100.0 + (time if time < 0.5 else max(time, 3.5)) for time in times]) == pytest.approx(times)


@pytest.mark.parametrize("bits", [32, 33])
def test_a_counter_that_was_full_goes_on(bits: int) -> None:
    tick_s = 1 / 90_000
    ticks = [(2**bits - 5 * 3600 + number * 3600) % 2**bits for number in range(20)]
    times = [tick * tick_s for tick in ticks]
    found = moments(times, [1000.0 + number * 0.04 for number in range(20)], tick_s=tick_s)
    assert [moment.timestamp for moment in found] == pytest.approx([number * 0.04 for number in range(20)], abs=1e-4)
    assert {moment.segment for moment in found} == {0}


@pytest.mark.parametrize("value", [0.0, None, 7.25])
def test_where_all_times_are_the_same_or_missing_arrival_is_the_clock(value: float | None) -> None:
    arrivals = [100.0 + number / 10 for number in range(100)]
    found = moments([value] * 100, arrivals)
    assert found[-1].clock == "arrival"
    assert found[-1].timestamp - found[20].timestamp == pytest.approx(7.9)
    assert {moment.segment for moment in found} == {0}
    recorded = moments([value] * 100)
    assert [moment.timestamp for moment in recorded] == pytest.approx([number * 0.04 for number in range(100)])
    assert recorded[-1].clock == "index"


@given(st.lists(st.none() | st.floats(-1e6, 1e6), min_size=1, max_size=50), st.booleans())
def test_time_always_moves_on_and_no_picture_is_lost(times: list[float | None], is_live: bool) -> None:
    found = moments(times, [number * 0.04 for number in range(len(times))] if is_live else None)
    assert len(found) == len(times)
    assert all(later.timestamp > earlier.timestamp for earlier, later in pairwise(found))


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


def test_a_live_stream_began_when_its_least_delayed_picture_says() -> None:
    arrivals = Arrivals()
    assert arrivals.start == math.inf
    for number in range(20):  # held back, then given all together
        arrivals.step(number * 0.04, 100.8)
    assert arrivals.start == pytest.approx(100.8 - 0.76)
    arrivals.step(0.8, 100.85)
    assert arrivals.start == pytest.approx(100.04)


def test_the_least_delayed_picture_of_a_minute_counts_for_the_next_too() -> None:
    arrivals = Arrivals()
    for second in range(120):
        arrivals.step(float(second), 1000.0 + second + (0.0 if second % 60 == 30 else 0.5))
        assert arrivals.start == (1000.0 if second >= 30 else 1000.5)


@pytest.mark.parametrize("ppm", [-100, -20, 20, 100])
def test_the_clock_of_a_camera_that_is_off_is_followed_for_weeks(ppm: int) -> None:
    arrivals = Arrivals()
    for minute in [*range(60), 24 * 60, 7 * 24 * 60]:
        for second in range(0, 60, 7):
            timestamp = minute * 60.0 + second
            arrived = 1000.0 + timestamp * (1 + ppm * 1e-6)
            arrivals.step(timestamp, arrived)
            ahead_s = arrivals.start + timestamp - arrived
            assert -0.02 < ahead_s <= 1e-6


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
