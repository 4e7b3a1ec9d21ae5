import os

import numpy as np
import pytest

from streamvc.capture.ring import NUM_SLOTS, Ring, new_memory


def pair(height: int = 4, width: int = 6) -> tuple[Ring, Ring]:
    """The writer's ring and the reader's, on the same memory."""
    descriptor = new_memory(height, width)
    try:
        return Ring(descriptor, height, width), Ring(descriptor, height, width)
    finally:
        os.close(descriptor)


def test_the_reader_sees_what_was_written_and_cannot_change_it() -> None:
    writer, reader = pair()
    for value in (10, 20):
        number = writer.claim()
        assert number is not None
        writer.slot(number)[:] = value
    assert [int(reader.lend(number).image.mean()) for number in (0, 1)] == [10, 20]
    with pytest.raises(ValueError, match="read-only"):
        reader.lend(0).image[0] = 1


def test_a_slot_is_used_again_once_it_was_given_back() -> None:
    writer, reader = pair()
    assert [writer.claim() for _ in range(NUM_SLOTS + 1)] == [*range(NUM_SLOTS), None]
    reader.lend(2).release()
    assert [writer.claim(), writer.claim()] == [2, None]


def test_giving_back_twice_does_not_free_what_is_used_again() -> None:
    writer, reader = pair()
    loan = reader.lend(writer.claim() or 0)
    loan.release()
    assert writer.claim() == 0
    loan.release()
    assert writer.claim() == 1


def test_a_picture_outlives_its_ring() -> None:
    writer, reader = pair()
    writer.slot(writer.claim() or 0)[:] = 77
    image = reader.lend(0).image
    del writer, reader
    assert np.all(image == 77)


def test_memory_that_is_too_small_is_refused() -> None:
    descriptor = new_memory(4, 6)
    try:
        with pytest.raises(ValueError, match="size"):
            Ring(descriptor, 400, 600)
        with pytest.raises(ValueError, match="0 x 4"):
            Ring(descriptor, 4, 0)
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("number", [-1, NUM_SLOTS])
def test_there_are_no_other_slots(number: int) -> None:
    with pytest.raises(ValueError, match="no slot"):
        pair()[1].lend(number)
