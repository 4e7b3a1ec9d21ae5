"""Threads and what passes between them. Nothing else in the package imports `threading`, but the frame buffer and the node's due frames.

What passes between threads (a `Mailbox`, a frame buffer, due frames) is bounded and can be closed from either end; closing is the only stop signal.
An exception in a thread closes what it feeds and travels behind the data: whoever reads it meets it after the last good item.
"""

import socket
import threading
from collections.abc import Callable
from typing import Generic, Self, TypeVar

T = TypeVar("T")
Lock = threading.RLock  # for what several threads call and cannot be a channel; not to be held over anything that waits


class ChannelClosed(Exception):  # noqa: N818 - an end, not an error
    """The other end has closed the channel. Internal: it never leaves the package."""


class Worker:
    """A thread that runs `target` within a `with` block; leaving the block calls `stop` and joins it.

    `target` hands its own errors over (by closing the channel it feeds); one that it lets out is raised when the block is left.
    """

    def __init__(self, name: str, target: Callable[[], None], stop: Callable[[], None]) -> None:
        self._target = target
        self._stop = stop
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"streamvc-{name}", daemon=True)

    def _run(self) -> None:
        try:
            self._target()
        except ChannelClosed:
            pass
        except BaseException as error:  # handed over to the thread that leaves the block
            self._error = error
            self._stop()

    def start(self) -> Self:
        self._thread.start()
        return self

    @property
    def is_running(self) -> bool:
        """Whether the thread has begun and not ended."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Stop the thread, wait for it, and raise the error it died of."""
        self._stop()
        self._thread.join()
        error, self._error = self._error, None
        if error is not None:
            raise error

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()


class Mailbox(Generic[T]):
    """A bounded queue whose writers never wait and whose reader waits for sockets at the same time.

    Its `fileno` is readable while there is something to take, so that one poll watches it beside other sockets.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._items: list[T] = []
        self._lock = threading.Lock()
        self._closed = False
        # One byte lies between the two while there are items; closing the writing end makes the other readable for good.
        self._reading, self._writing = socket.socketpair()

    def fileno(self) -> int:
        """The descriptor to poll for reading, until `take` has raised."""
        return self._reading.fileno()

    def offer(self, item: T) -> bool:
        """Append an item; False, and nothing is appended, where the mailbox is full.

        Raises:
            ChannelClosed: The mailbox was closed.
        """
        with self._lock:
            if self._closed:
                raise ChannelClosed
            if len(self._items) >= self._capacity:
                return False
            if not self._items:
                self._writing.send(b"\0")
            self._items.append(item)
            return True

    def take(self) -> list[T]:
        """Take all items, oldest first; an empty list where there are none. For one thread.

        Raises:
            ChannelClosed: It was closed and is empty.
        """
        with self._lock:
            if self._items:
                self._reading.recv(1)
            elif self._closed:
                self._reading.close()
                raise ChannelClosed
            items, self._items = self._items, []
            return items

    def close(self) -> None:
        """Close from either end. Items already in it can still be taken."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._writing.close()
