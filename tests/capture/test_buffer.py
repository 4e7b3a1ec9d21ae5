import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamvc.capture.buffer import MIN_SLOTS, FrameBuffer
from streamvc.capture.loop import NO_IMAGE
from streamvc.capture.messages import Policy
from streamvc.errors import SourceError
from streamvc.threads import ChannelClosed, Worker
from streamvc.types import Frame


def put_one(buffer: FrameBuffer, number: int, policy: Policy, shape: tuple[int, int, int] = (4, 6, 3)) -> None:
    frame = Frame(number, number / 10, NO_IMAGE, "pts", float(number))
    buffer.put(frame, shape, lambda slot: slot.fill(number), policy)


def put(buffer: FrameBuffer, numbers: range, policy: Policy) -> None:
    for number in numbers:
        put_one(buffer, number, policy)


@contextmanager
def writing(buffer: FrameBuffer, numbers: range, policy: Policy) -> Iterator[None]:
    def write() -> None:
        put(buffer, numbers, policy)
        buffer.close()

    with Worker("writer", write, buffer.stop):
        yield


def read_all(buffer: FrameBuffer) -> Iterator[Frame]:
    while True:
        try:
            yield buffer.get()
        except ChannelClosed:
            return


@pytest.mark.parametrize("num_slots", [MIN_SLOTS, 8])
def test_every_gives_every_frame_in_order_through_few_slots(num_slots: int) -> None:
    buffer = FrameBuffer(num_slots)
    with writing(buffer, range(200), "every"):
        seen = [(frame.index, int(frame.image[0, 0, 0]), frame.image.ctypes.data) for frame in read_all(buffer)]
    assert [(index, value) for index, value, _ in seen] == [(number, number) for number in range(200)]
    assert len({address for *_, address in seen}) <= num_slots
    assert buffer.dropped == 0


def test_latest_gives_the_newest_and_counts_what_it_dropped() -> None:
    buffer = FrameBuffer()
    put(buffer, range(10), "latest")
    assert buffer.get().index == 9
    assert buffer.dropped == 9


@given(st.lists(st.sampled_from(["put", "get"]), max_size=60), st.integers(MIN_SLOTS, 6))
def test_latest_accounts_for_every_frame_and_never_overwrites_a_lent_one(steps: list[str], num_slots: int) -> None:
    buffer = FrameBuffer(num_slots)
    num_put = 0
    read: list[int] = []
    lent: Frame | None = None
    for step in steps:
        if step == "put":
            put_one(buffer, num_put, "latest")
            num_put += 1
        elif num_put and (not read or read[-1] < num_put - 1):
            lent = buffer.get()
            assert lent.index == num_put - 1
            read.append(lent.index)
        assert lent is None or (lent.image == lent.index).all()
        num_unread = num_put > 0 and (not read or read[-1] < num_put - 1)
        assert buffer.dropped + len(read) + num_unread == num_put


def test_a_lent_frame_keeps_its_picture_while_the_writer_goes_on() -> None:
    buffer = FrameBuffer(MIN_SLOTS)
    put(buffer, range(1), "latest")
    lent = buffer.get()
    put(buffer, range(1, 50), "latest")
    assert (lent.image == 0).all()
    assert buffer.get().index == 49


def test_frame_size_may_change_in_mid_stream() -> None:
    buffer = FrameBuffer(MIN_SLOTS)
    shapes = [(4, 6, 3)] * 5 + [(8, 2, 3)] * 5 + [(4, 6, 3)] * 5

    def write() -> None:
        for number, shape in enumerate(shapes):
            put_one(buffer, number, "every", shape)
        buffer.close()

    with Worker("writer", write, buffer.stop):
        seen = [(frame.image.shape, int(frame.image.min()), int(frame.image.max())) for frame in read_all(buffer)]
    assert seen == [(shape, number, number) for number, shape in enumerate(shapes)]


def test_recent_gives_copies_of_the_last_seconds() -> None:
    buffer = FrameBuffer(num_slots=6)
    assert buffer.recent(1.0) == []
    put(buffer, range(20), "latest")
    recent = buffer.recent(0.3)
    assert [frame.index for frame in recent] == [16, 17, 18, 19]
    assert [frame.index for frame in buffer.recent(60.0)] == [14, 15, 16, 17, 18, 19]
    put(buffer, range(20, 40), "latest")
    assert [int(frame.image[0, 0, 0]) for frame in recent] == [16, 17, 18, 19]


def test_the_error_it_was_closed_with_comes_after_the_last_frame() -> None:
    buffer = FrameBuffer()
    put(buffer, range(2), "every")
    buffer.close(SourceError("lost"))
    assert [buffer.get().index, buffer.get().index] == [0, 1]
    for _ in range(2):
        with pytest.raises(SourceError, match="lost"):
            buffer.get()


def test_peek_leaves_the_frame_to_be_read() -> None:
    buffer = FrameBuffer()
    put(buffer, range(2), "every")
    assert buffer.peek().index == 0
    assert buffer.get().index == 0


def test_stop_releases_a_writer_that_waits_for_room_and_leaves_the_rest_unread() -> None:
    buffer = FrameBuffer(MIN_SLOTS)
    with writing(buffer, range(100), "every"):
        assert buffer.get().index == 0
        buffer.stop()
        with pytest.raises(ChannelClosed):
            buffer.get()


def test_stop_releases_a_writer_that_waits_for_a_moment_far_off() -> None:
    buffer = FrameBuffer()
    with Worker("writer", lambda: buffer.wait_until(time.monotonic() + 3600), buffer.stop):
        pass


def test_stop_releases_a_reader_that_waits() -> None:
    buffer = FrameBuffer()
    read: list[Frame] = []
    with Worker("reader", lambda: read.extend(read_all(buffer)), buffer.stop):
        pass
    assert read == []


def test_a_moment_in_the_past_is_not_waited_for() -> None:
    FrameBuffer().wait_until(0.0)


def test_too_few_slots_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 3"):
        FrameBuffer(MIN_SLOTS - 1)


def test_frames_carry_their_times() -> None:
    buffer = FrameBuffer()
    put(buffer, range(3), "every")
    frame = [buffer.get() for _ in range(3)][-1]
    assert (frame.timestamp, frame.clock, frame.captured) == (0.2, "pts", 2.0)
    assert frame.decoded > 0
    assert frame.image.dtype == np.uint8


def test_a_stop_by_a_signal_handler_is_never_missed() -> None:
    """A handler runs between any two steps of the thread that it interrupts: here, between its look and its wait."""
    buffer = FrameBuffer()
    places: list[str] = []

    def interrupt(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and frame.f_code is threading.Condition.wait.__code__ and not places:
            places.append("wait")
            buffer.stop()

    def read() -> None:
        sys.setprofile(interrupt)
        with pytest.raises(ChannelClosed):
            buffer.get()

    reader = Worker("reader", read, buffer.stop).start()
    reader.join(10.0)
    assert not reader.is_running
    assert places
    reader.close()
