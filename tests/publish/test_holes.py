from hypothesis import given
from hypothesis import strategies as st

from streamvc.publish.holes import Hole, SequenceCheck
from streamvc.publish.wire import Message, Topic

NUM_SENT = 20


def message(sequence: int, *, camera: str = "yard", epoch: int = 1) -> Message:
    return Message(Topic("site", camera, "event", "run"), sequence, epoch, b"")


@given(st.sets(st.integers(1, NUM_SENT), min_size=1), st.sets(st.integers(1, NUM_SENT), min_size=1))
def test_what_is_missing_between_the_first_and_the_last_is_found(yard: set[int], door: set[int]) -> None:
    check = SequenceCheck()
    received = [
        message(number, camera=camera)
        for number in range(1, NUM_SENT + 1)
        for camera in ("yard", "door")
        if number in {"yard": yard, "door": door}[camera]
    ]

    holes = [hole for item in received if (hole := check.step(item))]

    for camera, arrived in (("yard", yard), ("door", door)):
        missing = {number for hole in holes if hole.camera == camera for number in range(hole.first, hole.last + 1)}
        assert missing == set(range(min(arrived), max(arrived) + 1)) - arrived
        assert sum(hole.num_missing for hole in holes if hole.camera == camera) == len(missing)


def test_a_hole_says_where_it_is() -> None:
    check = SequenceCheck()
    check.step(message(7))

    assert check.step(message(10)) == Hole(camera="yard", kind="event", first=8, last=9, epoch=1)


def test_what_was_sent_before_one_joined_is_not_missing() -> None:
    assert SequenceCheck().step(message(1000)) is None


def test_a_new_epoch_is_a_restart_and_not_a_hole() -> None:
    check = SequenceCheck()
    check.step(message(1000))

    assert check.step(message(1, epoch=2)) is None
    assert check.step(message(2, epoch=2)) is None


def test_what_is_missing_at_the_beginning_of_a_new_epoch_is_found() -> None:
    check = SequenceCheck()
    check.step(message(1000))

    assert check.step(message(4, epoch=2)) == Hole("yard", "event", first=1, last=3, epoch=2)


def test_a_message_that_comes_twice_is_no_hole() -> None:
    check = SequenceCheck()

    assert [check.step(message(number)) for number in (1, 2, 1, 2, 3)] == [None] * 5
