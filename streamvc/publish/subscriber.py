"""Reads what somebody publishes over ZeroMQ, and misses nothing without saying so."""

import asyncio
import logging
import select
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Generic, Literal, Self, cast

from typing_extensions import TypeVar

from streamvc.errors import PublishError
from streamvc.events import Event, Health, Heartbeat, State
from streamvc.publish import wire
from streamvc.publish.authentication import secure_client
from streamvc.publish.cloudevents import decode
from streamvc.publish.cursor import Cursor
from streamvc.publish.feed import Choice, Feed, Place
from streamvc.publish.holes import key_of, position_of
from streamvc.publish.listener import Item, Listener
from streamvc.publish.notices import Back, Lagging, Lost, Missed, Notice
from streamvc.publish.sockets import ENDPOINT, QUEUE_SIZE, Secure, neighbour, plain
from streamvc.threads import ChannelClosed

logger = logging.getLogger(__name__)

T = TypeVar("T", default=Event)

ItemKind = Literal["event", "state", "health"]
TYPES: dict[wire.Kind, type[Event | State | Health | Heartbeat]] = {"event": Event, "state": State, "health": Health, "heartbeat": Heartbeat}


class Subscriber(Generic[T]):
    """Iterate over it for the events, as they come.

        with streamvc.Subscriber(cameras=["front_door"]) as events:
            for event in events:
                print(event.phase, event.label)

    Each event comes once, and those of a camera in their order. What was missed on the way (a slow reader, a cut network, a restart) is had from the
    publisher's log before what comes after it; what cannot be had any more is told as `Missed`. It connects by itself, again when the publisher comes
    back, and says when it is gone. `async for` does the same in asyncio.

    With other `kinds`, annotate it: `states: Subscriber[State] = Subscriber(kinds=["state"])`. The present states come first, unless a cursor says
    where to go on.

    Attributes:
        endpoint: Where it listens.
        num_missing: Messages of the chosen cameras and kinds, of any label, that were published and cannot be had.
        body: The JSON of the last item, as it was sent.
    """

    def __init__(
        self,
        endpoint: str = ENDPOINT,
        *,
        cameras: Sequence[str] | None = None,
        labels: Sequence[str] | None = None,
        kinds: Sequence[ItemKind] = ("event",),
        site: str | None = None,
        since: float | Literal["beginning"] | None = None,
        cursor: Cursor | Path | None = None,
        on_notice: Callable[[Notice], None] | None = None,
        timeout_s: float | None = None,
        queue_size: int = QUEUE_SIZE,
        keys: Path | None = None,
        server_key: str | None = None,
        requests: str | None = None,
    ) -> None:
        """Subscribe.

        Args:
            endpoint: `tcp://ADDRESS:PORT` or `ipc://PATH`.
            cameras: Only these; all if not given.
            labels: Only events of these; all if not given. They are chosen here and not by the publisher, so that nothing is missed unseen.
            kinds: What to give: `event`, `state`, `health`.
            site: Only this; all if not given.
            since: Begin with what was written at this moment or later (Unix seconds), or at the "beginning" of what the publisher's log keeps; with
                what comes, if not given.
            cursor: Remembers where this reader is, and goes on there in its next run, whatever `since` says; a path is opened with its defaults.
            on_notice: Is called with each notice, in the thread that reads; without it, they are logged.
            timeout_s: The iteration ends after so many seconds without an item; without it, only `close` ends it.
            queue_size: Messages held while this program is busy; more are left to the publisher's log.
            keys: The file of this client's keys, where the publisher uses keys.
            server_key: The publisher's public key, if not the one in that file.
            requests: Where the publisher answers requests, if not at the port beside its endpoint.

        Raises:
            PublishError: This is not an endpoint, a name is empty, or the keys or the cursor cannot be used.
        """
        self.endpoint = endpoint
        self.num_missing = 0
        self.body = b""
        self._choice = Choice(frozenset(kinds), _chosen(cameras), site)
        self._labels = _chosen(labels)
        self._on_notice = on_notice or self._log
        self._timeout_s = timeout_s
        self._queue_size = queue_size
        self._num_malformed = 0
        self._lagging = False
        self._closed = False
        self._items: deque[Item] = deque()
        self._claims = deque([None])  # whoever reads has taken it out; so there is but one
        secure: Secure = plain if keys is None else partial(secure_client, key_file=keys, server_key=server_key)
        prefixes = _prefixes(self._choice)
        asked = requests or neighbour(endpoint, "requests")
        self._owns_cursor = isinstance(cursor, Path)
        self._cursor = Cursor(cursor) if isinstance(cursor, Path) else cursor
        try:
            place = self._cursor.place if self._cursor else None
            feed = Feed(self._choice, time.monotonic(), place=place, from_s=0.0 if since == "beginning" else since)
            self._listener = Listener(feed, endpoint, asked, prefixes, queue_size, secure)
        except PublishError:
            self._close_cursor()
            raise

    @property
    def num_malformed(self) -> int:
        """Messages that were skipped."""
        return self._num_malformed + self._listener.num_malformed

    def receive(self, timeout_s: float | None = None) -> T | None:
        """The next item; None where there was none for so many seconds, or the subscriber was closed.

        Raises:
            PublishError: Another thread is reading, or the cursor cannot be written.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        if not self._claim():
            return None
        try:
            self._settle()
            while (item := self._next()) is None and not self._closed:
                remaining_s = None if deadline is None else deadline - time.monotonic()
                if remaining_s is not None and remaining_s <= 0:
                    return None
                _wait(self._listener.items.fileno(), remaining_s)
            return item
        finally:
            self._yield_claim()

    def run(self, callback: Callable[[T], None]) -> None:
        """Call back with each item, until closed or silent for `timeout_s`."""
        for item in self:
            callback(item)

    def close(self) -> None:
        """End the subscription, and an iteration that goes on in another thread. What was not dealt with yet is given again to the next run."""
        self._closed = True
        try:
            self._listener.close()
        finally:
            self._release()

    def __iter__(self) -> Iterator[T]:
        while (item := self.receive(self._timeout_s)) is not None:
            yield item

    async def __aiter__(self) -> AsyncIterator[T]:
        while (item := await self._receive_async()) is not None:
            yield item

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None and not self._closed:
                self._settle()
        finally:
            self.close()

    async def _receive_async(self) -> T | None:
        if not self._claim():
            return None
        try:
            self._settle()
            async with asyncio.timeout(self._timeout_s):
                while (item := self._next()) is None and not self._closed:
                    await _readable(self._listener.items.fileno())
            return item
        except TimeoutError:
            return None
        finally:
            self._yield_claim()

    def _claim(self) -> bool:
        """Be the one who reads; False where there is nothing to read any more."""
        try:
            self._claims.pop()
        except IndexError:
            if self._closed:
                return False
            raise PublishError(f"another thread reads from {self.endpoint}; make a subscriber for each") from None
        return True

    def _yield_claim(self) -> None:
        self._claims.append(None)
        if self._closed:
            self._release()

    def _release(self) -> None:
        """Once closed: by the reader, or else by whoever closes."""
        try:
            self._claims.pop()
        except IndexError:
            return  # a reader has it, and is about to come here
        with suppress(ChannelClosed):
            while True:
                self._listener.items.take()
        self._close_cursor()

    def _close_cursor(self) -> None:
        if self._cursor is not None:
            self._cursor.rollback()
            if self._owns_cursor:
                self._cursor.close()

    def _settle(self) -> None:
        """The item that was given has been dealt with."""
        if self._cursor is not None:
            self._cursor.commit()

    def _next(self) -> T | None:
        """The next item of what has come; None if that was all."""
        while not self._closed and self._refill():
            match self._items.popleft():
                case wire.Message() as message:
                    self._listener.num_read += 1
                    if (item := self._opened(message)) is not None:
                        return item
                case Place() as place:
                    if self._cursor is not None:
                        self._cursor.begin(place)
                case notice:
                    self._tell(notice)
        return None

    def _refill(self) -> bool:
        """Whether there is something to take, after a look at what has come."""
        if self._items:
            return True
        try:
            self._items.extend(self._listener.items.take())
        except ChannelClosed:
            self.close()  # raises what the thread died of
        self._tell_lag()
        if not self._items and self._listener.num_behind and not self._closed:
            self._listener.wake()
        return bool(self._items)

    def _opened(self, message: wire.Message) -> T | None:
        """What is in a message, if it was asked for."""
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

    def _tell(self, notice: Notice) -> None:
        if isinstance(notice, Missed):
            self.num_missing += notice.num_missing
        self._on_notice(notice)

    def _log(self, notice: Notice) -> None:
        waits = isinstance(notice, Lost | Back) and not notice.ever
        logger.log(logging.INFO if waits else logging.WARNING, "%s: %s", self.endpoint, notice)

    def _tell_lag(self) -> None:
        """Once, until it has nearly caught up."""
        num_unread = self._listener.num_unread
        if not self._lagging and 2 * num_unread >= self._queue_size:
            self._lagging = True
            self._tell(Lagging(num_unread + self._listener.num_behind))
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


async def _readable(descriptor: int) -> None:
    ready = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)


def _chosen(names: Sequence[str] | None) -> frozenset[str]:
    """The names as a set; a single string is one name, not its letters. An empty set means all."""
    chosen = frozenset([names] if isinstance(names, str) else names or ())
    for name in chosen:
        wire.escape(name)
    return chosen


def _prefixes(choice: Choice) -> set[bytes]:
    """The subscriptions that let in all that is wanted; a prefix knows no wildcards."""
    if choice.site is None or not choice.cameras:
        return {wire.subscription(choice.site)}
    return {wire.subscription(choice.site, camera, kind) for camera in choice.cameras for kind in choice.kinds}
