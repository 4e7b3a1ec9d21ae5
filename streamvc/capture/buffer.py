"""The ring of recent frames between the capture thread and the one who reads it."""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from streamvc.capture.messages import Policy
from streamvc.threads import ChannelClosed
from streamvc.types import Array, Frame

MIN_SLOTS = 3  # one lent to the reader, one being written, one ready
NUM_SLOTS = 8


class FrameBuffer:
    """A fixed number of slots, written by one thread and read by another.

    A frame is lent: its slot is not written again until the reader takes the next frame. Closing it, from either end, is the stop signal: the
    writer leaves frames that can still be read, then the error it closed with is raised; the reader leaves at once.

    Under the policy `every` the writer waits while all slots hold unread frames. Under `latest` it never waits: a new frame drops the
    unread ones before it, here and nowhere else, and they are counted in `dropped`.
    """

    def __init__(self, num_slots: int = NUM_SLOTS) -> None:
        if num_slots < MIN_SLOTS:
            raise ValueError(f"num_slots must be at least {MIN_SLOTS}, not {num_slots}")
        self.dropped = 0
        self._num_slots = num_slots
        self._frames: deque[Frame] = deque()  # oldest first; the last `_num_unread` of them are unread
        self._num_unread = 0
        self._lent: Frame | None = None
        self._changed = threading.Condition(threading.Lock())  # not one that a signal handler would be let through
        self._closed = False
        self._stopped = False
        self._error: BaseException | None = None

    def put(self, frame: Frame, shape: tuple[int, int, int], write: Callable[[Array], None], policy: Policy) -> None:
        """Let `write` put a picture of this shape into the oldest slot that may be used again; `frame` says the rest of it.

        Raises:
            ChannelClosed: The buffer was closed.
        """
        image = self._claim(shape)
        write(image)
        frame = replace(frame, image=image, decoded=time.monotonic())
        with self._changed:
            if policy == "latest":
                self.dropped += self._num_unread
                self._num_unread = 0
            self._frames.append(frame)
            self._num_unread += 1
            self._changed.notify_all()

    def wait_until(self, moment: float) -> None:
        """Let the writer wait until `time.monotonic()` is `moment`.

        Raises:
            ChannelClosed: The buffer was closed meanwhile.
        """
        with self._changed:
            if self._changed.wait_for(lambda: self._closed, timeout=max(0.0, moment - time.monotonic())):
                raise ChannelClosed

    def close(self, error: BaseException | None = None) -> None:
        """Close from the writer's end; `error` is raised to the reader after the last frame."""
        with self._changed:
            if not self._closed:
                self._closed, self._error = True, error
                self._changed.notify_all()

    def stop(self) -> None:
        """Close from the reader's end; what is unread is left. Never waits, and may be called by a signal handler."""
        self._closed = self._stopped = True
        if self._changed.acquire(blocking=False):
            self._changed.notify_all()
            self._changed.release()
        else:  # the thread that a signal handler has interrupted may be about to wait, and would miss it
            threading.Thread(target=self._notify, name="stop", daemon=True).start()

    def clear(self) -> None:
        """Let go of all frames; for when both ends have left."""
        with self._changed:
            self._frames.clear()
            self._num_unread = 0

    def peek(self) -> Frame:
        """The next frame, left unread; waits while there is none. Raises as `get` does."""
        with self._changed:
            return self._next()

    def wait(self, timeout_s: float) -> bool:
        """Wait until `get` would return or raise at once; False where it still would not after so many seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._closed or self._num_unread > 0, timeout_s)

    def get(self) -> Frame:
        """Take the next frame, and give back the one before; waits while there is none.

        Raises:
            ChannelClosed: It was closed, and all has been read.
            BaseException: It was closed with this error, and all has been read.
        """
        with self._changed:
            self._lent = None
            self._changed.notify_all()
            self._lent = self._next()
            self._num_unread -= 1
            return self._lent

    def recent(self, seconds: float) -> list[Frame]:
        """Copies of the frames of the last `seconds` of stream time that are still held, oldest first."""
        with self._changed:
            since = self._frames[-1].timestamp - seconds if self._frames else 0.0
            return [replace(frame, image=frame.image.copy()) for frame in self._frames if frame.timestamp >= since]

    def _next(self) -> Frame:
        self._changed.wait_for(lambda: self._closed or self._num_unread > 0)
        if self._stopped:
            raise ChannelClosed
        if self._num_unread:
            return self._frames[-self._num_unread]
        raise self._error or ChannelClosed

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _claim(self, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
        """Wait for a slot that is neither lent nor unread, and take it out of the ring."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._frames) < self._num_slots or self._num_reusable() > 0)
            if self._closed:
                raise ChannelClosed
            if len(self._frames) < self._num_slots:
                return np.empty(shape, np.uint8)
            oldest = next(frame for frame in self._frames if frame is not self._lent)
            self._frames.remove(oldest)
        # A camera may change its frame size in mid-stream.
        return oldest.image if oldest.image.shape == shape else np.empty(shape, np.uint8)

    def _num_reusable(self) -> int:
        return len(self._frames) - self._num_unread - (self._lent is not None)
