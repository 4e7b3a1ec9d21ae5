"""A sequence tracker by itself; what it is for is tested with the subscriber's protocol."""

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from streamvc.publish.notices import Missed
from streamvc.publish.sequence_tracker import MAX_HELD, Position, SequenceKey, SequenceTracker
from streamvc.publish.wire import Message, Topic

NUM_SENT = 20
ROOM = 1_000
KEY = SequenceKey("site", "yard", "event")


def message(sequence: int, epoch: int = 1) -> Message:
    return Message(Topic("site", "yard", "event", "run"), sequence, epoch, b"")


def held(tracker: SequenceTracker, numbers: Iterable[int]) -> list[int]:
    """What is given of these, as they come."""
    given = []
    for number in numbers:
        tracker.hold(message(number))
        given += [released.sequence for released in tracker.release(1, ROOM)]
    return given


@given(st.sets(st.integers(1, NUM_SENT)))
def test_what_arrived_and_what_is_missed_make_the_whole(arrived: set[int]) -> None:
    tracker = SequenceTracker(KEY, Position(1, 0))
    given = held(tracker, sorted(arrived))
    given_up = list(tracker.give_up(Position(1, NUM_SENT)))

    missed = [number for step in given_up if isinstance(step, Missed) for number in range(step.first, step.last + 1)]
    given += [step.sequence for step in given_up if isinstance(step, Message)]
    assert given == sorted(arrived)
    assert missed == sorted(set(range(1, NUM_SENT + 1)) - arrived)
    assert sum(step.num_missing for step in given_up if isinstance(step, Missed)) == len(missed)
    assert tracker.position == Position(1, NUM_SENT)


@given(st.sets(st.integers(1, NUM_SENT)), st.integers(0, NUM_SENT))
def test_what_the_log_has_is_given_once_in_order_whatever_came_before(arrived: set[int], already: int) -> None:
    tracker = SequenceTracker(KEY, Position(1, already))
    given = held(tracker, sorted(arrived))
    given += [step.sequence for step in tracker.fill(map(message, range(1, NUM_SENT + 1))) if isinstance(step, Message)]

    assert given == list(range(already + 1, NUM_SENT + 1))
    assert tracker.num_behind == 0


def test_no_more_is_given_than_there_is_room_for() -> None:
    tracker = SequenceTracker(KEY, Position(1, 0))
    for number in range(1, 6):
        tracker.hold(message(number))

    assert [released.sequence for released in tracker.release(1, 2)] == [1, 2]
    assert tracker.num_behind == 3
    assert [released.sequence for released in tracker.release(1, ROOM)] == [3, 4, 5]


def test_few_messages_wait_behind_a_hole_and_the_others_are_known() -> None:
    tracker = SequenceTracker(KEY, Position(1, 0))
    assert held(tracker, range(2, 2 * MAX_HELD)) == []
    assert tracker.num_behind == 2 * MAX_HELD - 1

    assert [step.sequence for step in tracker.fill([message(1)]) if isinstance(step, Message)] == [1]
    assert [released.sequence for released in tracker.release(1, ROOM)] == list(range(2, MAX_HELD + 2))
    assert tracker.known == Position(1, 2 * MAX_HELD - 1)


def test_messages_of_a_later_epoch_wait() -> None:
    tracker = SequenceTracker(KEY, Position(1, 0))
    tracker.hold(message(1))
    tracker.hold(message(2, epoch=2))

    assert [released.sequence for released in tracker.release(1, ROOM)] == [1]
    assert [released.sequence for released in tracker.release(2, ROOM)] == [2]


def test_the_same_sequence_of_a_later_epoch_is_the_same_place() -> None:
    tracker = SequenceTracker(KEY, Position(1, 7))
    tracker.note(Position(2, 7))
    assert tracker.num_behind == 0
    tracker.note(Position(2, 9))
    assert tracker.num_behind == 2
