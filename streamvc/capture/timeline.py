"""The time of a stream: from presentation times as they come to seconds since the first picture, and from these to moments on the clock.

Presentation times are what a camera says, and cameras say much: the same time for all pictures, none at all, one that is hours off, times that begin
anew when its clock is set, when a counter is full, when a server is restarted. Stream time always moves on. Of a live stream it also moves as the
arrival of its pictures does, so that no clock but this machine's has a say in when something was.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from streamvc.capture.stream import Picture
from streamvc.sampling import GAP_S
from streamvc.types import Clock

GLITCH_S = 1.0  # seconds of stepping back that are a slip of the muxer; more than that is a new timeline
JUMP_S = 10.0  # seconds ahead in a recording that may be a slip: the next picture tells
NUM_TIMELESS = 10  # pictures in a row without a time of their own, after which the stream is taken to have none
WRAPS = (1 << 32, 1 << 33)  # ticks after which the counters of RTP and of MPEG-TS begin anew
SPAN_S = 60.0  # over which the least delayed picture says when stream time began; the crystals of cameras are off by some ms a minute
LONGEST_WAIT_S = 10.0  # seconds; a recording whose time jumps further ahead is not waited for


@dataclass(frozen=True, slots=True)
class Moment:
    """Where a picture is in its stream.

    Attributes:
        timestamp: Stream time in seconds; it always moves on.
        segment: Another one than before: there is a gap, as the stream's own time has jumped.
        clock: Where the timestamp is from.
    """

    timestamp: float
    segment: int
    clock: Clock


class Timeline:
    """Makes stream time of presentation times. The first picture is 0; one without a time, or slightly out of order, comes a frame after the last.

    A picture whose time is far off waits for the next one: that tells whether time has jumped, or this one alone is wrong. A jump back, and any that
    the arrival of a live stream's pictures knows nothing of, begins a new segment.

    Attributes:
        is_live: The moments of arrival mean something.
        segment: Of the last picture.
    """

    def __init__(self, step_s: float, *, is_live: bool = False, tick_s: float = 0.0) -> None:
        """Start a timeline.

        Args:
            step_s: Nominal seconds from one picture to the next.
            is_live: The moments of arrival mean something.
            tick_s: Seconds of a tick of the stream's clock, for those that begin anew when they are full.
        """
        self._step_s = step_s
        self.is_live = is_live
        self._wraps_s = tuple(ticks * tick_s for ticks in WRAPS if tick_s)
        self._origin: float | None = None  # presentation time of stream time 0
        self._last: float | None = None  # stream time of the last picture
        self._arrived = 0.0  # when that came
        self._told: float | None = None  # presentation time of the picture before
        self._num_timeless = 0
        self.segment = 0
        self._held: tuple[float, float] | None = None  # presentation time and arrival of a picture that waits for the next

    @property
    def is_timeless(self) -> bool:
        """The stream has no times that could be used."""
        return self._num_timeless >= NUM_TIMELESS

    def step(self, pts_s: float | None, arrived: float = 0.0) -> list[Moment]:
        """Take the next picture: its presentation time, and when it came, in seconds. Gives the moments of pictures, in their order, once known."""
        self._count_timeless(pts_s)
        if self.is_timeless or pts_s is None:
            return [*self.flush(), self._put(self._following(arrived), arrived)]
        pts_s = self._unwrap(pts_s)
        moments = self._resolve(pts_s)
        if self._is_doubtful(pts_s, arrived):
            self._held = pts_s, arrived
            return moments
        return [*moments, self._put(self.look(pts_s), arrived)]

    def flush(self) -> list[Moment]:
        """The moment of a picture that waits for the next: there is none."""
        return [self._accept(*self._held)] if self._held else []

    def look(self, pts_s: float | None) -> float:
        """The stream time that a picture of this presentation time would have as the next, if its time is right."""
        following = 0.0 if self._last is None else self._last + self._step_s
        if pts_s is None:
            return following
        if self._origin is None:
            self._origin = pts_s - following
        timestamp = pts_s - self._origin
        return following if self._last is not None and timestamp <= self._last else timestamp

    def jump(self) -> None:
        """The next picture may lie anywhere before or after the last, and is not held against it."""
        self._last = self._told = self._held = None

    def _count_timeless(self, pts_s: float | None) -> None:
        """Once there are no times, what comes as one later is not trusted."""
        if not self.is_timeless:
            self._num_timeless = self._num_timeless + 1 if pts_s is None or pts_s == self._told else 0
        self._told = pts_s

    def _following(self, arrived: float) -> float:
        """The stream time of a picture that has none of its own."""
        if self._last is None:
            return 0.0
        if self.is_timeless and self.is_live:
            return self._last + max(arrived - self._arrived, 1e-6)
        return self._last + self._step_s

    def _unwrap(self, pts_s: float) -> float:
        """Let a counter that was full go on."""
        if self._last is None or self._origin is None:
            return pts_s
        for wrap_s in self._wraps_s:
            if abs(pts_s + wrap_s - self._origin - self._last) <= GAP_S:
                self._origin -= wrap_s
        return pts_s

    def _is_doubtful(self, pts_s: float, arrived: float) -> bool:
        if self._last is None or self._origin is None:
            return False
        step_s = pts_s - self._origin - self._last
        if self.is_live:
            return not -GLITCH_S < step_s <= GAP_S and abs(step_s - (arrived - self._arrived)) > GAP_S
        return not -GLITCH_S < step_s <= JUMP_S

    def _resolve(self, pts_s: float) -> list[Moment]:
        """Place the picture that has waited, by the one behind it."""
        if self._held is None or self._last is None or self._origin is None:
            return []
        held, arrived = self._held
        if abs(pts_s - held) <= abs(pts_s - self._origin - self._last):
            return [self._accept(held, arrived)]
        self._held = None
        return [self._put(self._last + self._step_s, arrived)]

    def _accept(self, pts_s: float, arrived: float) -> Moment:
        """Time has jumped to that of a picture."""
        self._held = None
        last, origin = self._last or 0.0, self._origin or 0.0
        timestamp = pts_s - origin
        if self.is_live or timestamp <= last:
            timestamp = last + (max(arrived - self._arrived, self._step_s) if self.is_live else self._step_s)
            self._origin = pts_s - timestamp
            self.segment += 1
        return self._put(timestamp, arrived)

    def _put(self, timestamp: float, arrived: float) -> Moment:
        self._last, self._arrived = timestamp, arrived
        return Moment(timestamp, self.segment, "pts" if not self.is_timeless else "arrival" if self.is_live else "index")


class Pacer:
    """Says when a picture of a recording is due, so that it plays at its own speed."""

    def __init__(self) -> None:
        self._start: float | None = None
        self._last = 0.0

    def due(self, timestamp: float, now: float) -> float:
        """The moment (on the clock of `now`, seconds) at which the picture of stream time `timestamp` is to be shown."""
        step_s, self._last = timestamp - self._last, timestamp
        if self._start is None or not 0 <= step_s <= LONGEST_WAIT_S:
            self._start = now - timestamp
        return self._start + timestamp


def paced(pictures: Iterator[Picture | None], wait_until: Callable[[float], None], *, as_camera: bool = False) -> Iterator[Picture | None]:
    """The same pictures, each when it is due, as if its encoded form had arrived that much later.

    Args:
        pictures: What comes too early.
        wait_until: Waits for a moment of `time.monotonic()`.
        as_camera: Cameras wait for nobody: a picture that is read too late came when it was due, all the same.
    """
    pacer = Pacer()
    released = 0.0  # when the last picture was due
    for picture in pictures:
        if picture is None:
            yield None
            continue
        ready = time.monotonic()
        # A picture that others refer to is read ahead of its turn: while they were held, it did not wait for us.
        begun = max(picture.captured, released)
        moment = pacer.due(picture.timestamp, ready)
        wait_until(moment)
        released = time.monotonic()
        came = begun + released - ready
        picture.captured = min(came, moment) if as_camera else came
        picture.read = max(picture.read, moment)
        yield picture


def polled(pictures: Iterator[Picture | None], wait_until: Callable[[float], None], period_s: float) -> Iterator[Picture | None]:
    """The same pictures, each asked for `period_s` seconds after the one before; later, where the answer took longer than that."""
    due = time.monotonic()
    for picture in pictures:
        yield picture
        due = max(due + period_s, time.monotonic())
        wait_until(due)


class Arrivals:
    """When a live stream began, by when its pictures come: as the least delayed one of the last minute says, which follows the camera's clock.

    The first pictures of a network stream were held back until FFmpeg knew its form, and come late and together; others wait in buffers on the way.
    None comes before it was taken, so that nothing is ever dated ahead of its arrival.

    Attributes:
        start: The moment of stream time 0, on the clock of `arrived`, in seconds.
    """

    def __init__(self) -> None:
        self.start = math.inf
        self._until = -math.inf
        self._least = self._least_before = math.inf  # of this span, and of the one before

    def step(self, timestamp: float, arrived: float) -> None:
        """Take the stream time of the next picture, and the moment at which it arrived, in seconds."""
        if arrived >= self._until:
            self._least_before = self._least if arrived < self._until + SPAN_S else math.inf  # what was long ago says nothing
            self._least = math.inf
            self._until = arrived + SPAN_S
        self._least = min(self._least, arrived - timestamp)
        self.start = min(self._least, self._least_before)
