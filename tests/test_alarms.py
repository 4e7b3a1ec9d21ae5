import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamvc.alarms import AlarmFigures, count_alarms
from streamvc.stream_metrics import EvaluatedStream, Segment, StreamEvent, false_events_per_hour

WALK, FALL = range(2)


def stream(segments: list[Segment], events: list[StreamEvent], duration_s: float = 1800.0) -> EvaluatedStream:
    nothing = np.empty((0, 2), np.float32)
    return EvaluatedStream(tuple(segments), duration_s, np.empty(0), nothing, nothing, tuple(events))


def fall(start_s: float, end_s: float, published_s: float) -> StreamEvent:
    return StreamEvent(FALL, start_s, end_s, published_s)


def test_what_counts_is_when_an_event_is_published() -> None:
    truth = [Segment(FALL, 10, 18)]
    assert count_alarms([stream(truth, [fall(11, 20, 12.5)])], FALL).num_found == 1
    assert count_alarms([stream(truth, [fall(12, 20, 13.5)])], FALL).num_found == 0  # it began in time, but nobody knew
    assert count_alarms([stream(truth, [fall(12, 20, 13.5)])], FALL, within_s=4).num_found == 1
    assert count_alarms([stream(truth, [fall(8, 12, 8.5)])], FALL).num_found == 1  # who sees it coming is not late
    assert count_alarms([stream(truth, [fall(8, 9.9, 8.5)])], FALL).num_found == 0  # this one was over before it began


def test_what_must_go_on_for_long_is_due_when_it_has() -> None:
    truth = [Segment(FALL, 10, 18), Segment(FALL, 40, 43)]
    events = [fall(11, 18, 16), fall(40, 43, 41)]
    assert count_alarms([stream(truth, events)], FALL, min_s=5) == AlarmFigures(num=1, num_found=1, num_false=0, hours=0.5)
    assert count_alarms([stream(truth, [fall(14, 18, 19)])], FALL, min_s=5).num_found == 0
    assert count_alarms([stream(truth, events)], FALL, min_s=2).num_found == 1  # it can be told within 3 s, and is to be


def test_an_alarm_that_has_been_running_for_long_tells_of_no_second_fall() -> None:
    two = [Segment(FALL, 10, 18), Segment(FALL, 30, 38)]
    assert count_alarms([stream(two, [fall(10, 50, 11)])], FALL) == AlarmFigures(2, 1, 0, 0.5)
    assert count_alarms([stream(two, [fall(10, 29, 11), fall(31, 50, 32)])], FALL).found == 1.0


def test_a_late_event_is_not_a_false_one_and_one_of_another_label_is_neither_found_nor_false() -> None:
    truth = [Segment(FALL, 10, 18), Segment(WALK, 20, 40)]
    late, elsewhere, other = fall(15, 25, 16), fall(18, 25, 19), StreamEvent(WALK, 10, 18, 10)
    assert count_alarms([stream(truth, [late, elsewhere, other])], FALL) == AlarmFigures(num=1, num_found=0, num_false=1, hours=0.5)
    assert count_alarms([stream(truth, [late, elsewhere, other])], WALK) == AlarmFigures(num=1, num_found=0, num_false=1, hours=0.5)


def test_all_streams_are_counted_together() -> None:
    quiet = stream([], [fall(5, 6, 5.5)], duration_s=5400)
    alarm = count_alarms([stream([Segment(FALL, 10, 18)], [fall(10, 12, 11)]), quiet], FALL)
    assert (alarm.found, alarm.false_per_hour, alarm.hours) == (1.0, 0.5, 2.0)
    assert alarm.as_json() == {"num": 1, "num_found": 1, "num_false": 1, "hours": 2.0, "found": 1.0, "false_per_hour": 0.5}


def test_of_nothing_nothing_can_be_said() -> None:
    assert count_alarms([], FALL).as_json() == {"num": 0, "num_found": 0, "num_false": 0, "hours": 0.0, "found": None, "false_per_hour": None}


starts, lengths, labels = st.floats(0, 100), st.floats(0.1, 20), st.integers(0, 1)
segments = st.lists(st.builds(lambda label, start, length: Segment(label, start, start + length), labels, starts, lengths), max_size=5)
events = st.lists(
    st.builds(lambda label, start, length, wait: StreamEvent(label, start, start + length, start + wait), labels, starts, lengths, st.floats(0, 5)),
    max_size=5,
)


@given(segments, events)
def test_more_is_found_in_more_time_and_false_events_are_those_of_all_labels(truth: list[Segment], said: list[StreamEvent]) -> None:
    found = stream(truth, said)
    in_time = [count_alarms([found], FALL, within_s).num_found for within_s in (0, 1, 3, 200)]
    assert in_time == sorted(in_time)
    alarms = [count_alarms([found], label) for label in (WALK, FALL)]
    assert sum(alarm.false_per_hour for alarm in alarms) == pytest.approx(false_events_per_hour([found]))
