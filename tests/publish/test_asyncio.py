"""The subscriber in asyncio: nothing of it may block the event loop, and nothing is lost where a task is cancelled."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import pytest

from streamvc.errors import PublishError
from streamvc.events import Event
from streamvc.publish.cursor import Cursor
from streamvc.publish.notices import Notice
from streamvc.publish.publisher import Publisher
from streamvc.publish.sequence_tracker import Position, SequenceKey
from streamvc.publish.subscriber import Subscriber
from streamvc.publish.subscriber_protocol import ResumePoint
from tests.publish.bare import ANY_PORT, PATIENCE_S, SILENCE_S
from tests.publish.samples import update

T = TypeVar("T")


@contextmanager
def publishing(num: int) -> Iterator[str]:
    """The endpoint of a publisher that has published so many events, numbered from 1."""
    with Publisher(ANY_PORT) as publisher:
        for number in range(num):
            publisher.publish(update(float(number)))
        yield publisher.endpoint


def subscribed(endpoint: str, **choices: Any) -> Subscriber:
    return Subscriber(endpoint, since="beginning", **{"timeout_s": PATIENCE_S, **choices})


async def islice_async(subscriber: Subscriber, number: int) -> AsyncIterator[Event]:
    for _ in range(number):
        yield await anext(subscriber)


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(coroutine)


class WatchedCursor(Cursor):
    """Notes in which threads its file is used."""

    def __init__(self, path: Path) -> None:
        self.threads: set[int] = set()
        super().__init__(path)

    def begin(self, resume: ResumePoint) -> None:
        self.threads.add(threading.get_ident())
        super().begin(resume)

    def note(self, key: SequenceKey, position: Position, *, given: bool) -> None:
        self.threads.add(threading.get_ident())
        super().note(key, position, given=given)

    def commit(self) -> None:
        self.threads.add(threading.get_ident())
        super().commit()

    def rollback(self) -> None:
        self.threads.add(threading.get_ident())
        super().rollback()


def test_async_with_anext_and_async_for() -> None:
    async def read(endpoint: str) -> list[int | None]:
        async with subscribed(endpoint) as subscriber:
            first = await anext(subscriber)
            received = [first.seq]
            async for event in subscriber:
                received.append(event.seq)
                if len(received) == 4:
                    break
            received.append((await anext(subscriber)).seq)
        return received

    with publishing(6) as endpoint:
        assert run(read(endpoint)) == [1, 2, 3, 4, 5]


def test_others_run_while_it_waits_and_while_there_is_always_something_to_read() -> None:
    num_turns = 0

    async def take_turns() -> None:
        nonlocal num_turns
        while True:
            num_turns += 1
            await asyncio.sleep(0)

    async def read(endpoint: str) -> list[int]:
        async with subscribed(endpoint) as subscriber:
            turns = asyncio.create_task(take_turns())
            counts = [num_turns async for _ in islice_async(subscriber, 200)]
            turns.cancel()
        return counts

    with publishing(200) as endpoint:
        counts = run(read(endpoint))
    assert all(before < after for before, after in pairwise(counts))


def test_after_silence_the_iteration_ends() -> None:
    async def read(endpoint: str) -> list[int | None]:
        async with subscribed(endpoint, timeout_s=SILENCE_S) as subscriber:
            return [event.seq async for event in subscriber]

    with publishing(0) as endpoint:
        assert run(read(endpoint)) == []


def test_without_patience_it_gives_what_has_come(tmp_path: Path) -> None:
    """As it does in a thread."""

    async def read(subscriber: Subscriber) -> list[int | None]:
        return [event.seq async for event in subscriber]

    with publishing(5) as endpoint, subscribed(endpoint, timeout_s=0, cursor=tmp_path / "cursor") as subscriber:
        received: list[int | None] = []
        deadline = time.monotonic() + PATIENCE_S
        while len(received) < 5 and time.monotonic() < deadline:
            received += run(read(subscriber))
    assert received == [1, 2, 3, 4, 5]


def test_a_wait_that_was_cancelled_can_be_gone_on_with() -> None:
    async def read(publisher: Publisher) -> int | None:
        async with Subscriber(publisher.endpoint, since="beginning") as subscriber:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(subscriber), SILENCE_S)
            publisher.publish(update(1.0))
            return (await anext(subscriber)).seq

    with Publisher(ANY_PORT) as publisher:
        assert run(read(publisher)) == 1


def test_close_ends_an_iteration_of_another_task(tmp_path: Path) -> None:
    async def read(endpoint: str, cursor: Cursor) -> list[int | None]:
        subscriber = subscribed(endpoint, cursor=cursor, timeout_s=None)
        await anext(subscriber)
        iteration = asyncio.create_task(anext_or_none(subscriber))
        await asyncio.sleep(0)
        await subscriber.aclose()
        return [await iteration, await anext_or_none(subscriber)]

    async def anext_or_none(subscriber: Subscriber) -> int | None:
        async for event in subscriber:
            return event.seq
        return None

    with publishing(1) as endpoint, WatchedCursor(tmp_path / "cursor") as cursor:
        assert run(read(endpoint, cursor)) == [None, None]
        assert threading.get_ident() not in cursor.threads


def test_two_tasks_cannot_read_one_subscriber() -> None:
    async def read(endpoint: str) -> None:
        async with Subscriber(endpoint) as subscriber:
            first = asyncio.ensure_future(anext(subscriber))
            await asyncio.sleep(0)
            with pytest.raises(PublishError, match="another thread or task reads"):
                await anext(subscriber)
            first.cancel()
            await asyncio.wait([first])

    with publishing(0) as endpoint:
        run(read(endpoint))


def test_the_file_of_a_cursor_is_never_used_in_the_thread_of_the_event_loop(tmp_path: Path) -> None:
    async def read(endpoint: str, cursor: Cursor) -> None:
        async with subscribed(endpoint, cursor=cursor, labels=["PushUps"]) as subscriber:
            for _ in range(3):
                await anext(subscriber)

    with publishing(4) as endpoint, WatchedCursor(tmp_path / "cursor") as cursor:
        run(read(endpoint, cursor))
        assert cursor.threads
        assert threading.get_ident() not in cursor.threads
        with subscribed(endpoint, cursor=cursor) as subscriber:
            assert next(subscriber).seq == 4


def test_an_item_that_came_while_its_task_was_cancelled_is_not_lost(tmp_path: Path) -> None:
    """The task is cancelled while a thread waits for the cursor's file, which another program writes."""

    async def read(endpoint: str) -> list[int | None]:
        async with subscribed(endpoint, cursor=tmp_path / "cursor") as subscriber:
            return [(await anext(subscriber)).seq for _ in range(2)]

    async def read_while_written(endpoint: str) -> None:
        async with subscribed(endpoint, cursor=tmp_path / "cursor") as subscriber:
            with closing(sqlite3.connect(tmp_path / "cursor", isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                waiting = asyncio.ensure_future(anext(subscriber))
                # Were the loop blocked, the file would be given up before it is free: that takes 5 s.
                assert not (await asyncio.wait([waiting], timeout=SILENCE_S))[0]
                waiting.cancel()
                assert not (await asyncio.wait([waiting], timeout=SILENCE_S))[0]
                other.execute("COMMIT")
                await asyncio.wait([waiting])
            assert waiting.cancelled()
            assert (await anext(subscriber)).seq == 3
            raise KeyError("it was not dealt with")

    with publishing(4) as endpoint:
        assert run(read(endpoint)) == [1, 2]
        with pytest.raises(KeyError):
            run(read_while_written(endpoint))
        assert run(read(endpoint)) == [3, 4]


def test_what_a_task_did_not_finish_is_given_again(tmp_path: Path) -> None:
    async def fail_at(endpoint: str, sequence: int) -> None:
        async with subscribed(endpoint, cursor=tmp_path / "cursor") as subscriber:
            async for event in subscriber:
                if event.seq == sequence:
                    raise KeyError(sequence)

    async def read(endpoint: str) -> int | None:
        async with subscribed(endpoint, cursor=tmp_path / "cursor") as subscriber:
            return (await anext(subscriber)).seq

    with publishing(3) as endpoint:
        with pytest.raises(KeyError):
            run(fail_at(endpoint, 2))
        assert [run(read(endpoint)), run(read(endpoint))] == [2, 3]


def test_notices_are_told_in_the_thread_of_the_event_loop(tmp_path: Path) -> None:
    told: list[tuple[Notice, int]] = []

    async def read(endpoint: str) -> None:
        async with subscribed(
            endpoint, cursor=tmp_path / "cursor", queue_size=4, on_notice=lambda notice: told.append((notice, threading.get_ident()))
        ) as subscriber:
            for _ in range(50):
                await anext(subscriber)

    with publishing(50) as endpoint:
        run(read(endpoint))
    assert [type(notice).__name__ for notice, _ in told][:1] == ["Lagging"]
    assert {thread for _, thread in told} == {threading.get_ident()}
