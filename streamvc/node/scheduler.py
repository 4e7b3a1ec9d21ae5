"""Frames on their way from the hub to the workers that analyse them. There is no queue: of each camera the newest frame waits.

A recording is the exception: it waits for its reader, so that all of its frames do.

Beside the frame buffer this is the only module that makes its own channel: others can say who waits longest, but not forget what is too old.
"""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from streamvc.capture.messages import Arrived
from streamvc.events import Reason
from streamvc.node.settings import Priority
from streamvc.threads import ChannelClosed

T = TypeVar("T")

RANKS: dict[Priority, int] = {"high": 0, "normal": 1, "low": 2}
ENDS_FIRST = -1


@dataclass(frozen=True, slots=True, eq=False)
class Work(Generic[T]):
    """What is to be done next for a camera: to analyse what has arrived, or to end what goes on there.

    Attributes:
        camera: Its name.
        session: What was given for it to `FrameScheduler.add`.
        arrival: The frame, or the word that nothing has moved; to be released when it was used. None for an end.
        end: Why what goes on is to be ended; None for an arrival.
        is_last: Nothing will follow for this camera: it has been removed.
        dropped: How many due frames of the camera were not used so far.
        taken: `time.monotonic()` when it was taken, in seconds.
    """

    camera: str
    session: T
    arrival: Arrived | None
    end: Reason | None
    is_last: bool
    dropped: int
    taken: float


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of a camera's due frames so far; those that are in no other count still wait.

    Attributes:
        offered: All of them.
        analysed: Taken to be analysed.
        still: Taken as the word that nothing has moved.
        shed: Replaced by a newer one.
        stale: Too old when their turn came.
    """

    offered: int
    analysed: int
    still: int
    shed: int
    stale: int


class FrameScheduler(Generic[T]):
    """Holds what has come of each camera until its worker takes it: one frame, and behind it the newest word that nothing has moved since.

    Next is the camera of the highest priority and, of several, the one that was served longest ago by its own period: so one that cannot be served in
    time is not always the same. Any thread may call anything.

    Attributes:
        staleness_s: Seconds; a frame that is older is never given out.
    """

    def __init__(self, staleness_s: float) -> None:
        self.staleness_s = staleness_s
        self._lanes: dict[str, _Lane[T]] = {}
        self._lock = threading.Lock()
        self._queues: dict[int, _Queue[T]] = {}  # by worker
        self._closed = False

    def add(self, camera: str, session: T, *, worker: int, period_s: float, priority: Priority = "normal") -> None:
        """Take frames of a camera from now on.

        One that has been removed a moment ago may be added again: a worker meets the end of the one before first.

        Args:
            camera: Its name.
            session: What the worker analyses it with; handed out with all its work.
            worker: Who analyses it, counted from 0.
            period_s: Seconds between two of its frames.
            priority: Against other cameras of the same worker.

        Raises:
            ChannelClosed: It was closed.
        """
        with self._lock:
            if self._closed:
                raise ChannelClosed
            self._lanes[camera] = _Lane(camera, session, self._queue(worker), period_s, RANKS[priority], time.monotonic())

    def remove(self, camera: str, reason: Reason = "stop") -> None:
        """Forget a camera and what waits of it; its worker is told to end what goes on there. One that is not there is none."""
        with self._lock:
            lane = self._lanes.pop(camera, None)
            dropped = lane.put_last(reason) if lane else []
        _release(dropped)

    def move(self, camera: str, worker: int) -> None:
        """Let another worker analyse a camera from now on. For the one that did so far, when it has done what it took."""
        with self._lock:
            if lane := self._lanes.get(camera):
                lane.move(self._queue(worker))

    def keep_all(self, camera: str, is_wanted: bool) -> None:
        """Whether each frame of a camera is to be given out, however old, as its source waits; else the newest is."""
        with self._lock:
            if lane := self._lanes.get(camera):
                lane.keeps_all = is_wanted

    def offer(self, camera: str, arrival: Arrived) -> None:
        """Take what has arrived, in place of what is older; waits for nothing. What is of no use, now or later, is released."""
        with self._lock:
            lane = self._lanes.get(camera)
            dropped = lane.put(arrival) if lane else [arrival]
        _release(dropped)

    def end(self, camera: str, reason: Reason) -> None:
        """Let the camera's worker end what goes on there, once it has used what waits; what is offered thereafter is a new beginning."""
        with self._lock:
            lane = self._lanes.get(camera)
            dropped = lane.put_end(reason) if lane else []
        _release(dropped)

    def take(self, worker: int) -> Work[T] | None:
        """What a worker is to do next; waits while there is nothing, and gives None when there is nothing left and never will be."""
        while True:
            with self._lock:
                queue = self._queue(worker)
                while (lane := queue.first()) is None:
                    if self._closed:
                        return None
                    queue.changed.wait()
                now = time.monotonic()
                dropped = lane.drop_stale(now - self.staleness_s)
                work = lane.pop(now) if lane.items else None
                if not lane.items:
                    queue.lanes.remove(lane)
            _release(dropped)
            if work:
                return work

    def counts(self, camera: str) -> Counts:
        """What became of a camera's frames since it was added.

        Raises:
            KeyError: There is no such camera.
        """
        with self._lock:
            return self._lanes[camera].counts()

    def finish(self) -> None:
        """Nothing is offered any more: `take` gives None when all that waits was taken."""
        with self._lock:
            self._close()

    def close(self) -> None:
        """Remove all cameras; workers are told to end what goes on at each, and then that there is nothing left."""
        with self._lock:
            dropped = [arrival for lane in self._lanes.values() for arrival in lane.put_last("stop")]
            self._lanes.clear()
            self._close()
        _release(dropped)

    def _queue(self, worker: int) -> "_Queue[T]":
        return self._queues.setdefault(worker, _Queue(threading.Condition(self._lock)))

    def _close(self) -> None:
        self._closed = True
        for queue in self._queues.values():
            queue.changed.notify_all()


class _Queue(Generic[T]):
    """The lanes of one worker in which something waits, also those of cameras that were removed. The scheduler's lock guards it."""

    def __init__(self, changed: threading.Condition) -> None:
        self.changed = changed
        self.lanes: list[_Lane[T]] = []

    def add(self, lane: "_Lane[T]") -> None:
        """Something waits in a lane."""
        if lane not in self.lanes:
            self.lanes.append(lane)
        self.changed.notify()

    def first(self) -> "_Lane[T] | None":
        """The lane that is served next."""
        if len(self.lanes) <= 1:
            return self.lanes[0] if self.lanes else None
        now = time.monotonic()
        return min(self.lanes, key=lambda lane: lane.turn(now))


@dataclass(frozen=True, slots=True)
class _End:
    reason: Reason
    is_last: bool = False


class _Lane(Generic[T]):
    """What waits of one camera: at most a frame and a still, an end, and again a frame and a still."""

    def __init__(self, camera: str, session: T, queue: _Queue[T], period_s: float, rank: int, now: float) -> None:
        self._queue = queue
        self.items: list[Arrived | _End] = []
        self._camera = camera
        self._session = session
        self._period_s = period_s
        self._rank = rank
        self._served = now
        self.keeps_all = False
        self._is_blind = False  # the last frame was dropped, and that nothing has moved since says nothing
        self._offered = self._analysed = self._still = self._shed = self._stale = 0

    def turn(self, now: float) -> tuple[int, float]:
        """A sorting key: the lane with the smallest is served next. An end goes first, as it costs next to nothing and what runs on is wrong."""
        if any(isinstance(item, _End) for item in self.items) and not self.keeps_all:
            return ENDS_FIRST, 0.0
        return self._rank, (self._served - now) / self._period_s

    def move(self, queue: _Queue[T]) -> None:
        """Wait in the queue of another worker."""
        if self.items:
            self._queue.lanes.remove(self)
            queue.add(self)
        self._queue = queue

    def put(self, arrival: Arrived) -> list[Arrived]:
        """Append it; returns what it takes the place of."""
        self._offered += 1
        if self.keeps_all:
            self._append(arrival)
            return []
        if self._is_blind and not arrival.frame and not any(item.frame for item in self._tail()):
            self._stale += 1
            return [arrival]
        replaced = [item for item in self._tail() if arrival.frame or not item.frame]
        self._shed += len(replaced)
        self._drop(replaced)
        self._append(arrival)
        return replaced

    def put_end(self, reason: Reason) -> list[Arrived]:
        """Append an end; where one waits already, what came after it goes."""
        if self.keeps_all or not any(isinstance(item, _End) for item in self.items):
            self._append(_End(reason))
            return []
        tail = list(self._tail())
        self._shed += len(tail)
        self._drop(tail)
        return tail

    def put_last(self, reason: Reason) -> list[Arrived]:
        """Put the last end in place of all that waits; the first reason holds."""
        ends = [item.reason for item in self.items if isinstance(item, _End)]
        dropped = [item for item in self.items if isinstance(item, Arrived)]
        self.items = []
        self._append(_End(ends[0] if ends else reason, is_last=True))
        return dropped

    def drop_stale(self, since: float) -> list[Arrived]:
        """Drop what was captured before `since`, up to the first that may be used."""
        dropped: list[Arrived] = []
        if self.keeps_all:
            return dropped
        while self.items and isinstance(first := self.items[0], Arrived) and (first.due.captured < since or (self._is_blind and not first.frame)):
            self._is_blind = self._is_blind or first.frame is not None
            dropped.append(first)
            del self.items[0]
        self._stale += len(dropped)
        return dropped

    def pop(self, now: float) -> Work[T]:
        """Take what is first."""
        first = self.items.pop(0)
        dropped = self._shed + self._stale
        if isinstance(first, _End):
            return Work(self._camera, self._session, None, first.reason, first.is_last, dropped, now)
        self._served = now
        if first.frame:
            self._analysed += 1
            self._is_blind = False
        else:
            self._still += 1
        return Work(self._camera, self._session, first, None, False, dropped, now)

    def counts(self) -> Counts:
        return Counts(self._offered, self._analysed, self._still, self._shed, self._stale)

    def _append(self, item: "Arrived | _End") -> None:
        self.items.append(item)
        self._queue.add(self)

    def _tail(self) -> Iterator[Arrived]:
        """What came after the last end, the newest first."""
        for item in reversed(self.items):
            if isinstance(item, _End):
                return
            yield item

    def _drop(self, items: list[Arrived]) -> None:
        self.items = [item for item in self.items if item not in items]


def _release(arrivals: list[Arrived]) -> None:
    """Give back their slots; never under the lock, as that is the ring's business."""
    for arrival in arrivals:
        arrival.release()
