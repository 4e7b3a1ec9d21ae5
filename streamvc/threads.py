"""Threads and what passes between them. Nothing else in the package imports `threading`, but the frame buffer and the node's due frames.

What passes between threads (a `Mailbox`, a frame buffer, due frames) is bounded and can be closed from either end; closing is the only stop signal.
An exception in a thread closes what it feeds and travels behind the data: whoever reads it meets it after the last good item.
"""

import atexit
import logging
import os
import selectors
import socket
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Generic, Self, TypeVar

from streamvc.errors import StreamvcError

logger = logging.getLogger(__name__)

T = TypeVar("T")
A = TypeVar("A")
Lock = threading.RLock  # for what several threads call and cannot be a channel; not to be held over anything that waits
PollSelector = getattr(selectors, "PollSelector", selectors.SelectSelector)  # poll needs no descriptor of its own: there may be none left
LOOK_S = 1.0  # between two looks whether who holds a lock hangs
CLOSE_S = 10.0  # for a thread to end when its block is left; one that hangs does not hold the program
EXIT_TIMEOUT_S = 2.0  # for all threads together, when the program ends


class ChannelClosed(Exception):  # noqa: N818 - an end, not an error
    """The other end has closed the channel. Internal: it never leaves the package."""


class Worker:
    """A thread that runs `target` within a `with` block; leaving the block calls `stop` and joins it.

    `target` hands its own errors over (by closing the channel it feeds); one that it lets out is logged at once, as what it did is not done from then
    on, and raised when the block is left.
    """

    def __init__(self, name: str, target: Callable[[], None], stop: Callable[[], None], *, niceness: int = 0, close_s: float = CLOSE_S) -> None:
        """Prepare the thread.

        Args:
            name: What to call it.
            target: What it does.
            stop: Makes it end; waits for nothing.
            niceness: By so much others of the process go first, on Linux.
            close_s: Seconds for which `close` waits for its end; then it is left behind, and ends with the program.
        """
        self._niceness = niceness
        self._close_s = close_s
        self._target = target
        self._stop = stop
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"streamvc-{name}", daemon=True)

    def _run(self) -> None:
        try:
            self._step_back()
            self._target()
        except ChannelClosed:
            pass
        except BaseException as error:  # handed over to the thread that leaves the block
            self._error = error
            is_expected = isinstance(error, StreamvcError)
            logger.error("the thread %s has failed: %s: %s", self._thread.name, type(error).__name__, error, exc_info=None if is_expected else error)
            self._stop()

    def _step_back(self) -> None:
        if self._niceness and sys.platform == "linux":  # elsewhere a thread has no priority of its own
            thread = threading.get_native_id()
            os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + self._niceness)

    def start(self) -> Self:
        _started.add(self)
        self._thread.start()
        return self

    @property
    def is_running(self) -> bool:
        """Whether the thread has begun and not ended."""
        return self._thread.is_alive()

    def join(self, timeout_s: float) -> None:
        """Wait for so long at most until it has ended by itself."""
        self._thread.join(timeout_s)

    def leave_behind(self) -> None:
        """It hangs: nobody waits for it any more, nor for a `HangAwareLock` that it holds. It ends by itself, or with the program."""
        _left_behind.add(self._thread)

    def close(self) -> None:
        """Stop the thread, wait for it, and raise the error it died of. One that hangs is left behind, which is logged."""
        if self._thread in _left_behind:
            return
        self._stop()
        self._thread.join(self._close_s)
        if self._thread.is_alive():
            logger.error("the thread %s has not ended within %g s, and is left behind", self._thread.name, self._close_s)
        error, self._error = self._error, None
        if error is not None:
            raise error

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()


_started: weakref.WeakSet[Worker] = weakref.WeakSet()
_left_behind: weakref.WeakSet[threading.Thread] = weakref.WeakSet()


@atexit.register
def _stop_all() -> None:
    """Stop the threads that nobody has closed before the interpreter goes: it would abort one that is in foreign code, and the program with it."""
    running = [worker for worker in _started if worker.is_running]
    for worker in running:
        try:
            worker._stop()
        except Exception:
            logger.exception("a thread cannot be stopped")
    end = time.monotonic() + EXIT_TIMEOUT_S
    for worker in running:
        worker.join(max(0.0, end - time.monotonic()))


@contextmanager
def time_limit(seconds: float, stop: Callable[[], None]) -> Iterator[None]:
    """A block that may take so long; then `stop` is called, once and by another thread, to end what it waits for."""
    timer = threading.Timer(seconds, stop)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


class HangAwareLock:
    """A lock to be held over a call that may never come back. Who waits is told where that is so."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holder: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Take it.

        Raises:
            TimeoutError: The thread that holds it was left behind.
        """
        while self._holder in _left_behind or not self._lock.acquire(timeout=LOOK_S):
            if self._holder in _left_behind:
                raise TimeoutError
        self._holder = threading.current_thread()
        return self

    def __exit__(self, *_: object) -> None:
        self._holder = None
        self._lock.release()


class Together(Generic[T, A]):
    """Answers questions that several threads ask at the same time, all that wait at once.

    Who asks first sees to it. What is asked meanwhile waits, and is then answered together by one of those who wait.
    """

    def __init__(self, answer: Callable[[list[T]], Sequence[A]]) -> None:
        """`answer` gives the answers to some questions, in their order; it is never called by two threads at once."""
        self._answer = answer
        self._waiting: list[tuple[T, Future[A]]] = []
        self._lock = threading.Lock()
        self._turn = HangAwareLock()

    @property
    def num_waiting(self) -> int:
        """How many questions wait to be answered."""
        return len(self._waiting)

    def ask(self, question: T) -> A:
        """The answer. What `answer` raises, it raises for all whose questions it was given.

        Raises:
            TimeoutError: It was asked by a thread that hangs since, and was left behind.
        """
        mine = Future[A]()
        with self._lock:
            self._waiting.append((question, mine))
        with self._turn:
            if not mine.done():
                with self._lock:
                    asked, self._waiting = self._waiting, []
                _answer_all(self._answer, asked)
        return mine.result()


def _answer_all(answer: Callable[[list[T]], Sequence[A]], asked: list[tuple[T, Future[A]]]) -> None:
    try:
        answers = answer([question for question, _ in asked])
        for (_, future), each in zip(asked, answers, strict=True):
            future.set_result(each)
    except BaseException as error:  # handed over to those who ask
        for _, future in asked:
            if not future.done():
                future.set_exception(error)


class Mailbox(Generic[T]):
    """A bounded queue whose writers never wait and whose reader waits for sockets at the same time.

    Its `fileno` is readable while there is something to take, so that one poll watches it beside other sockets.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._items: list[T] = []
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
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
            self._changed.notify_all()
            return True

    def wait_until(self, moment: float) -> None:
        """Let the writer wait until `time.monotonic()` is `moment`.

        Raises:
            ChannelClosed: It was closed meanwhile.
        """
        with self._changed:
            if self._changed.wait_for(lambda: self._closed, max(0.0, moment - time.monotonic())):
                raise ChannelClosed

    def wait_for(self, is_ready: Callable[[], bool]) -> None:
        """Let the writer wait until this is so; it is asked again after each `notify`.

        Raises:
            ChannelClosed: It was closed meanwhile.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or is_ready())
            if self._closed:
                raise ChannelClosed

    def notify(self) -> None:
        """Something has changed that the writer may wait for."""
        with self._changed:
            self._changed.notify_all()

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
                self._changed.notify_all()

    def discard(self) -> None:
        """Close it from the reader's end, and let go of all that is in it."""
        self.close()
        with self._lock:
            self._items = []
            self._reading.close()


def wait_for_any(mailboxes: Sequence[Mailbox[T]], timeout_s: float | None) -> None:
    """Wait until something lies in one of them, or one is closed; not longer than `timeout_s`."""
    with PollSelector() as selector:
        for mailbox in mailboxes:
            selector.register(mailbox, selectors.EVENT_READ)
        selector.select(timeout_s)
