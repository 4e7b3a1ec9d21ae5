"""The time of a stream: from presentation times as they come to seconds since the first picture, and from these to moments on the clock."""

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace

from streamvc.capture.stream import Picture

GLITCH_S = 1.0  # seconds of stepping back that are a slip of the muxer; more than that is a new timeline, passed on as it is
SETTLE_S = 1.0  # seconds after which the beginning of a live stream is known for good
RATE_WINDOW = 64  # frames over which a rate is measured
MIN_SPAN_S = 0.5  # seconds of video that a rate is measured from, at least
LONGEST_WAIT_S = 10.0  # seconds; a recording whose time jumps further ahead is not waited for


class Timeline:
    """Makes stream time of presentation times. The first picture is 0; one without a time, or slightly out of order, comes a frame after the last.

    A jump (ahead, or back by more than `GLITCH_S`) is passed on: it is a gap, and the sampler must see it.
    """

    def __init__(self, step_s: float) -> None:
        """Start a timeline whose pictures are nominally `step_s` seconds apart."""
        self._step_s = step_s
        self._origin: float | None = None
        self._last: float | None = None

    def step(self, pts_s: float | None) -> float:
        """Take the presentation time of the next picture, in seconds; returns its stream time."""
        self._last = self.look(pts_s)
        return self._last

    def look(self, pts_s: float | None) -> float:
        """The stream time that a picture of this presentation time would have as the next."""
        return self._place(pts_s, 0.0 if self._last is None else self._last + self._step_s)

    def jump(self) -> None:
        """The next picture may lie anywhere before or after the last, and is not held against it."""
        self._last = None

    def _place(self, pts_s: float | None, following: float) -> float:
        if pts_s is None:
            return following
        if self._origin is None:
            self._origin = pts_s - following
        timestamp = pts_s - self._origin
        if self._last is not None and self._last - GLITCH_S < timestamp <= self._last:
            return following
        return timestamp


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
        yield replace(picture, captured=min(came, moment) if as_camera else came, read=max(picture.read, moment))


class Arrivals:
    """What the arrival of its pictures says of a stream: its rate, and when it began.

    The first pictures of a network stream were held back until FFmpeg knew its form, and come late and together. So the beginning is the
    earliest that any picture of the first second speaks for.

    Attributes:
        start: The moment of stream time 0, on the clock of `arrived`, in seconds.
    """

    def __init__(self) -> None:
        self.start = math.inf
        self._settled = math.inf
        self._recent: deque[float] = deque(maxlen=RATE_WINDOW)

    def step(self, timestamp: float, arrived: float) -> None:
        """Take the stream time of the next picture, and the moment at which it arrived, in seconds."""
        self._settled = min(self._settled, arrived + SETTLE_S)
        if arrived <= self._settled:
            self.start = min(self.start, arrived - timestamp)
        self._recent.append(timestamp)

    @property
    def fps(self) -> float | None:
        """Pictures/s of stream time, of late; None while unknown."""
        recent = tuple(self._recent)
        span_s = recent[-1] - recent[0] if recent else 0.0
        return (len(recent) - 1) / span_s if span_s >= MIN_SPAN_S else None
