from dataclasses import replace

import pytest

from streamvc.events import Activity, Decision, Event, Health, Media, ModelInfo, State, StreamInfo, Timing, describe, event_id
from streamvc.types import Subject

START = Event(
    event_id="x",
    phase="start",
    camera="yard",
    label="squat",
    subject=None,
    score=0.861,
    top=(("squat", 0.861), ("lunge", 0.1)),
    t_start=None,
    t_end=None,
    stream_start_s=12.4,
    stream_end_s=None,
    duration_s=None,
    count=None,
    reason=None,
    decision=Decision(0.7, 0.4, 0.5, 2.0, 0.6),
    timing=Timing(0.0, 0.0, 0.0, 0.0, None),
    stream=StreamInfo(25.0, 5.0, 0, 0.0, "pts"),
    model=ModelInfo("exercise", "1", "abc"),
    media=Media(None, None),
    seq=None,
    epoch=None,
)


def test_an_event_id_is_a_ulid_of_the_start_in_milliseconds() -> None:
    identifier = event_id("yard", "abc", "squat", 1795289575.120)
    assert len(identifier) == 26
    digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    milliseconds = 0
    for symbol in identifier[:10]:
        milliseconds = milliseconds * 32 + digits.index(symbol)
    assert milliseconds == 1795289575120


def test_event_ids_are_the_same_for_the_same_and_different_for_different_things() -> None:
    same = event_id("yard", "abc", "squat", 12.4)
    assert same == event_id("yard", "abc", "squat", 12.4)
    others = {event_id("door", "abc", "squat", 12.4), event_id("yard", "abd", "squat", 12.4), event_id("yard", "abc", "lunge", 12.4)}
    assert same not in others
    assert len(others) == 3


SOMEBODY = Subject(2, (0.1, 0.2, 0.3, 0.4), 0.9)


def test_event_ids_sort_by_time() -> None:
    assert event_id("yard", "abc", "squat", 12.4) < event_id("yard", "abc", "squat", 12.402) < event_id("yard", "abc", "squat", 1795289575.1)


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (START, "  12.40 s  yard  start   squat  0.86"),
        (replace(START, phase="update", duration_s=1.0), "  13.40 s  yard  update  squat  0.86  1.0 s"),
        (replace(START, phase="end", stream_end_s=20.4, duration_s=8.0, reason="left"), "  20.40 s  yard  end     squat  0.86  8.0 s"),
        (replace(START, phase="update", duration_s=5.0, count=3), "  17.40 s  yard  update  squat  0.86  3 times  5.0 s"),
        (replace(START, phase="update", duration_s=1.0, subject=SOMEBODY), "  13.40 s  yard  update  squat  person 2  0.86  1.0 s"),
        (replace(START, phase="end", stream_end_s=20.4, duration_s=8.0, reason="gap"), "  20.40 s  yard  end     squat  0.86  8.0 s  (gap)"),
    ],
)
def test_a_recording_s_event_is_told_in_seconds(event: Event, line: str) -> None:
    assert describe(event) == line


def test_a_live_event_is_told_in_local_time() -> None:
    line = describe(replace(START, t_start=1795289575.12, stream_start_s=1e9))
    assert line.startswith("2026-11-2")
    assert line.endswith("yard  start   squat  0.86")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            State("yard", "up", (Activity("x", "squat", None, 0.9, None, 1.0), Activity("y", "lunge", None, 0.8, None, 2.0)), 1, 1),
            "yard  state   squat, lunge  (up)",
        ),
        (State("yard", None, (), 1, 1), "yard  state   -  (unknown)"),
        (Health("yard", "down", "lost", "nothing came for 5 s", None, None, 0, 1, 1), "yard  down  nothing came for 5 s"),
        (Health("yard", "up", None, None, 25.0, 5.0, 0, 1, 1), "yard  up"),
    ],
)
def test_a_state_and_health_are_told_with_the_time_they_were_written(body: State | Health, words: str) -> None:
    assert describe(body) == words
    told = describe(body, written=1795289575.12)
    assert told.startswith("2026-11-2")
    assert told.endswith(f"  {words}")


@pytest.mark.parametrize("sign", ["\n", "\r", "\x1b[2J", "\u202e", "\x9b", "\u2028"])
def test_no_name_breaks_the_line_of_an_event(sign: str) -> None:
    for body in (
        replace(START, label=f"a{sign}b"),
        replace(START, camera=f"a{sign}b"),
        Health(f"a{sign}b", "down", None, sign, None, None, 0, None, None),
    ):
        assert describe(body, 0.0).isprintable()
