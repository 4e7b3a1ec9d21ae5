"""Reads what somebody publishes over ZeroMQ, and misses nothing without saying so."""

import asyncio
import logging
import select
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from functools import partial
from typing import Generic, Literal, Self, cast, get_args

from typing_extensions import TypeVar

from streamvc.errors import PublishError
from streamvc.events import Event, Health, Heartbeat, State
from streamvc.publish import wire
from streamvc.publish.arguments import AnyPath, read_path, require_number, require_type
from streamvc.publish.authentication import secure_client
from streamvc.publish.cloudevents import decode
from streamvc.publish.cursor import Cursor
from streamvc.publish.listener import Item, Listener
from streamvc.publish.notices import Lagging, Missed, Notice, PublisherLost, PublisherReconnected
from streamvc.publish.sequence_tracker import key_of, position_of
from streamvc.publish.sockets import ENDPOINT, QUEUE_SIZE, Secure, neighbour, unencrypted
from streamvc.publish.subscriber_protocol import ResumePoint, SubscriberProtocol, SubscriptionFilter
from streamvc.threads import ChannelClosed

logger = logging.getLogger(__name__)

T = TypeVar("T", default=Event)
R = TypeVar("R")

ItemKind = Literal["event", "state", "health"]
ITEM_KINDS: frozenset[str] = frozenset(get_args(ItemKind))
TYPES: dict[wire.Kind, type[Event | State | Health | Heartbeat]] = {"event": Event, "state": State, "health": Health, "heartbeat": Heartbeat}


class Subscriber(Generic[T]):
    """Iterate over it for the events, as they come.

        with streamvc.Subscriber(cameras=["front_door"]) as events:
            for event in events:
                print(event.phase, event.label)

    Each event comes once, and those of a camera in their order. What was missed on the way (a slow reader, a cut network, a restart) is fetched from
    the publisher's log before what comes after it; what the log has no more is reported as `Missed`. It connects by itself, again when the publisher
    comes back, and reports when it is gone.

    In asyncio, `async with`, `async for` and `anext` do the same, and never block the event loop: the cursor's file is written in a thread. Only the
    constructor opens that file at once; where its disk is slow, `await asyncio.to_thread(Subscriber, ...)`.

    With other `kinds`, annotate it: `states: Subscriber[State] = Subscriber(kinds=["state"])`. The present states come first, unless a cursor says
    where to go on.

    Attributes:
        endpoint: Where it listens.
        num_missing: Messages of the chosen cameras and kinds, of any label, that were published and cannot be fetched.
        body: The JSON of the last item, as it was sent.
    """

    def __init__(
        self,
        endpoint: str = ENDPOINT,
        *,
        cameras: Collection[str] | None = None,
        labels: Collection[str] | None = None,
        kinds: Iterable[ItemKind] = ("event",),
        site: str | None = None,
        since: float | Literal["beginning"] | None = None,
        cursor: Cursor | AnyPath | None = None,
        on_notice: Callable[[Notice], None] | None = None,
        timeout_s: float | None = None,
        queue_size: int = QUEUE_SIZE,
        keys: AnyPath | None = None,
        server_key: str | None = None,
        requests: str | None = None,
    ) -> None:
        """Subscribe.

        Args:
            endpoint: `tcp://ADDRESS:PORT` or `ipc://PATH`.
            cameras: Only these; all if not given.
            labels: Only events of these; all if not given. They are chosen here and not by the publisher, so that what is missing is noticed.
            kinds: What to receive: `event`, `state`, `health`.
            site: Only this; all if not given.
            since: Begin with what was written at this moment or later (Unix seconds), or at the "beginning" of what the publisher's log keeps; with
                what comes, if not given.
            cursor: Remembers what this reader has received, and goes on there in its next run, whatever `since` says; or the path of one.
            on_notice: Is called with each notice, in the thread that reads, or in that of the event loop; without it, they are logged.
            timeout_s: The iteration ends after so many seconds without an item; without it, only `close` ends it.
            queue_size: Messages held while this program is busy; more are left to the publisher's log.
            keys: The file of this client's keys, where the publisher uses keys.
            server_key: The publisher's public key, if not the one in that file.
            requests: Where the publisher answers requests, if not at the port beside its endpoint.

        Raises:
            PublishError: This is not an endpoint, a name is empty, there is no such kind, or the keys or the cursor cannot be used.
            TypeError: An argument is of the wrong type.
        """
        for name, text in (("endpoint", endpoint), ("site", site or ""), ("server_key", server_key or ""), ("requests", requests or "")):
            require_type(name, text, str)
        require_type("on_notice", on_notice, Callable, type(None))  # type: ignore[arg-type]
        require_type("queue_size", queue_size, int)
        require_number("queue_size", queue_size, 1)
        require_number("timeout_s", timeout_s, 0)
        if since != "beginning":
            require_number("since", since)
        self.endpoint = endpoint
        self.num_missing = 0
        self.body = b""
        self._wanted = SubscriptionFilter(_read_kinds(kinds), _read_names("cameras", cameras), site)
        self._labels = _read_names("labels", labels)
        self._on_notice = on_notice or self._log
        self._timeout_s = timeout_s
        self._queue_size = queue_size
        self._num_malformed = 0
        self._lagging = False
        self._closed = False
        self._items: deque[Item] = deque()  # received, and not looked at yet
        self._notices: deque[Notice] = deque()  # not reported yet
        self._item: T | None = None  # the next one to return
        self._reader_slot = deque([None])  # the reader takes it out, so that there is only one
        secure: Secure = unencrypted if keys is None else partial(secure_client, key_file=read_path("keys", keys), server_key=server_key)
        requests = requests or neighbour(endpoint, "requests")
        self._owns_cursor = not isinstance(cursor, Cursor)
        self._cursor = cursor if cursor is None or isinstance(cursor, Cursor) else Cursor(read_path("cursor", cursor))
        try:
            resume = self._cursor.resume_point if self._cursor else None
            protocol = SubscriberProtocol(self._wanted, time.monotonic(), resume=resume, from_s=0.0 if since == "beginning" else since)
            self._listener = Listener(protocol, endpoint, requests, _prefixes(self._wanted), queue_size, secure)
        except BaseException:
            self._close_cursor()
            raise

    @property
    def num_malformed(self) -> int:
        """Messages that were skipped."""
        return self._num_malformed + self._listener.num_malformed

    def receive(self, timeout_s: float | None = None) -> T | None:
        """The next item; None where none came within `timeout_s`, or the subscriber was closed.

        Raises:
            PublishError: Another thread is reading, or the cursor cannot be written.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        if not self._begin_reading():
            return None
        try:
            self._commit()
            while (item := self._deliver()) is None and not self._closed:
                if self._advance():
                    continue
                remaining_s = None if deadline is None else deadline - time.monotonic()
                if remaining_s is not None and remaining_s <= 0:
                    return None
                _wait(self._listener.items.fileno(), remaining_s)
            return item
        finally:
            self._end_reading()

    def run(self, callback: Callable[[T], None]) -> None:
        """Call back with each item, until closed or silent for `timeout_s`."""
        for item in self:
            callback(item)

    def close(self) -> None:
        """End the subscription, and an iteration in another thread. The item in hand counts as not done: it will come again in the next run."""
        self._closed = True
        try:
            self._listener.close()
        finally:
            self._release()

    async def aclose(self) -> None:
        """Close without blocking the event loop."""
        await _in_thread(self.close)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        if (item := self.receive(self._timeout_s)) is None:
            raise StopIteration
        return item

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None and not self._closed:
                self._commit()
        finally:
            self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        if (item := await self._receive_async()) is None:
            raise StopAsyncIteration
        return item

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        await _in_thread(partial(self.__exit__, kind))

    async def _receive_async(self) -> T | None:
        """As `receive`. Until it returns, what has come stays in `_item`: a caller that gives up waiting loses nothing."""
        deadline = None if self._timeout_s is None else asyncio.get_running_loop().time() + self._timeout_s
        if not self._begin_reading():
            return None
        try:
            await self._off_loop(self._commit)
            while (item := self._deliver()) is None and not self._closed:
                await asyncio.sleep(0)  # for other tasks, where there is always something to read
                if not await self._off_loop(self._advance) and not await _readable(self._listener.items.fileno(), deadline):
                    return None
            return item
        finally:
            if self._closed:
                await self._off_loop(self._end_reading)
            else:
                self._end_reading()

    async def _off_loop(self, function: Callable[[], R]) -> R:
        """Call what may use the cursor's file; where there is one, in a thread."""
        return function() if self._cursor is None else await _in_thread(function)

    def _begin_reading(self) -> bool:
        """Become the one reader; False where there is nothing to read any more."""
        try:
            self._reader_slot.pop()
        except IndexError:
            if self._closed:
                return False
            raise PublishError(f"another thread or task reads from {self.endpoint}; make a subscriber for each") from None
        return True

    def _end_reading(self) -> None:
        self._reader_slot.append(None)
        if self._closed:
            self._release()

    def _release(self) -> None:
        """After `close`, drop what is left: done by the reader, or by who closes if nobody reads."""
        try:
            self._reader_slot.pop()
        except IndexError:
            return  # a reader is active, and will do it
        with suppress(ChannelClosed):
            while True:
                self._listener.items.take()
        self._close_cursor()

    def _close_cursor(self) -> None:
        if self._cursor is not None:
            self._cursor.rollback()
            if self._owns_cursor:
                self._cursor.close()

    def _commit(self) -> None:
        """The item that was returned last is done."""
        if self._cursor is not None and self._item is None:
            self._cursor.commit()

    def _deliver(self) -> T | None:
        """Report the notices, then return the item, if there is one."""
        while self._notices:
            self._report(self._notices.popleft())
        item, self._item = self._item, None
        return item

    def _advance(self) -> bool:
        """Look at the next thing that was received, for `_deliver`; False if there is none."""
        if not self._refill():
            return False
        match self._items.popleft():
            case wire.Message() as message:
                self._listener.num_read += 1
                self._item = self._opened(message)
            case ResumePoint() as resume:
                if self._cursor is not None:
                    self._cursor.begin(resume)
            case notice:
                self._notices.append(notice)
        return True

    def _refill(self) -> bool:
        """Take what the listener has received; whether there is something to look at."""
        if self._items:
            return True
        try:
            self._items.extend(self._listener.items.take())
        except ChannelClosed:
            self.close()  # raises what the thread has ended with
        self._note_lag()
        if not self._items and self._listener.num_behind and not self._closed:
            self._listener.wake()
        return bool(self._items)

    def _opened(self, message: wire.Message) -> T | None:
        """What is in a message, if it is wanted."""
        try:
            item = _decode(message)
        except PublishError as error:
            self._num_malformed += 1
            logger.warning("skipped a message from %s: %s", self.endpoint, error)
            item = None
        wanted = item is not None and not (self._labels and isinstance(item, Event) and item.label not in self._labels)
        if self._cursor is not None:
            self._cursor.note(key_of(message), position_of(message), given=wanted)
        if not wanted:
            return None
        self.body = message.body
        return cast(T, item)  # the kinds that were chosen are the types that T stands for

    def _report(self, notice: Notice) -> None:
        if isinstance(notice, Missed):
            self.num_missing += notice.num_missing
        self._on_notice(notice)

    def _log(self, notice: Notice) -> None:
        is_first = isinstance(notice, PublisherLost | PublisherReconnected) and not notice.seen_before
        logger.log(logging.INFO if is_first else logging.WARNING, "%s: %s", self.endpoint, notice)

    def _note_lag(self) -> None:
        """Report that the reader lags: once, until it has nearly caught up."""
        num_unread = self._listener.num_unread
        if not self._lagging and 2 * num_unread >= self._queue_size:
            self._lagging = True
            self._items.appendleft(Lagging(num_unread + self._listener.num_behind))
        elif 4 * num_unread < self._queue_size:
            self._lagging = False


def _decode(message: wire.Message) -> Event | State | Health:
    item = decode(message.body)
    kind = message.topic.kind
    if isinstance(item, Heartbeat) or not isinstance(item, TYPES[kind]) or item.camera != message.topic.camera:
        raise PublishError(f"its topic says {kind} of camera {message.topic.camera!r}, and its body something else")
    return item


def _wait(descriptor: int, timeout_s: float | None) -> None:
    """Wait until it can be read, or for so long."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    poll.poll(None if timeout_s is None else 1000 * timeout_s)


async def _readable(descriptor: int, deadline: float | None) -> bool:
    """Wait until it can be read; False at the deadline, by the loop's time."""
    ready = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(descriptor, ready.set)
    try:
        async with asyncio.timeout_at(deadline):
            return await ready.wait()
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(descriptor)


async def _in_thread(function: Callable[[], R]) -> R:
    """Call in a thread. When the task is cancelled it waits all the same: what runs in the thread cannot be stopped half way."""
    running = asyncio.get_running_loop().run_in_executor(None, function)
    cancelled: asyncio.CancelledError | None = None
    while not running.done():
        try:
            await asyncio.wait([running])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        running.exception()  # is raised no more, and not complained of either
        raise cancelled
    return running.result()


def _read_names(what: str, names: Iterable[str] | None) -> frozenset[str]:
    """The names as a set; a single string is one name, not its letters. An empty set means all."""
    require_type(what, names, str, Iterable, type(None))
    chosen = frozenset([names] if isinstance(names, str) else names or ())
    for name in chosen:
        require_type(f"each of {what}", name, str)
        wire.escape(name)
    return chosen


def _read_kinds(kinds: Iterable[ItemKind]) -> frozenset[wire.Kind]:
    chosen = _read_names("kinds", kinds)
    if not chosen or chosen - ITEM_KINDS:
        raise PublishError(f"there is no kind {', '.join(sorted(chosen - ITEM_KINDS)) or 'chosen'}; there are {', '.join(sorted(ITEM_KINDS))}")
    return frozenset(wire.KINDS[kind] for kind in chosen)


def _prefixes(wanted: SubscriptionFilter) -> set[bytes]:
    """The subscriptions that let in all that is wanted; a prefix knows no wildcards."""
    if wanted.site is None or not wanted.cameras:
        return {wire.subscription(wanted.site)}
    return {wire.subscription(wanted.site, camera, kind) for camera in wanted.cameras for kind in wanted.kinds}
