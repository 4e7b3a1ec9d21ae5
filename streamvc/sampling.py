"""Picks frames by time, at the model's own rate, so that any frame rate gives the same answer."""

import math
from dataclasses import dataclass

from streamvc.types import Frame

GAP_S = 1.0  # seconds without a frame after which nothing older may be used
EARLY = 0.05  # share of a tick period by which a frame may come before its tick and still count for it
ROUNDING = 2e-3  # share by which a measured rate may be below another and still be the same: 29.97 / 6 is 5


@dataclass(frozen=True, slots=True)
class Tick:
    """A moment of the model's clock at which a frame is due.

    Attributes:
        timestamp: Stream time of the tick, in seconds: results lie on one grid, wherever in it the frames fell.
        num_ticks: For how many ticks the frame stands: 1, or more where frames are missing.
        gap_s: Seconds of missing video before it, where these exceed the sampler's limit; 0.0 otherwise. All older state is void then.
    """

    timestamp: float
    num_ticks: int
    gap_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A frame that is due, and the tick that it stands for; see `Tick`."""

    frame: Frame
    timestamp: float
    num_ticks: int
    gap_s: float


def is_enough(rate_hz: float, least_hz: float) -> bool:
    """Whether so many frames/s, evenly spaced, are enough for a model that needs `least_hz`; see `BundleSettings.least_hz`.

    Below a frame in `GAP_S` they are for none: each is behind a gap then.
    """
    return rate_hz * (1 + ROUNDING) >= max(least_hz, 1 / GAP_S)


class Sampler:
    """Lays a grid of ticks, `1 / rate_hz` apart, over stream time; a tick takes the first frame at or after it.

    Waiting for a nearer frame would cost latency, so there is no look-ahead. Where frames are missing, the next one stands for all ticks since
    the last. A gap (no frame for `gap_s` seconds, time running backwards, or another segment) is reported with the frame behind it.
    """

    def __init__(self, rate_hz: float, gap_s: float = GAP_S) -> None:
        if not (rate_hz > 0 and gap_s > 0):
            raise ValueError(f"rate_hz and gap_s must be above 0, not {rate_hz} and {gap_s}")
        self._rate_hz = rate_hz
        self._gap_s = gap_s
        self._tick = 0
        self._segment = 0
        self._last: float | None = None

    def step(self, frame: Frame) -> Sample | None:
        """Take the next frame of the stream; returns it as a sample where it is due."""
        tick = self.pick(frame.timestamp, frame.segment)
        return None if tick is None else Sample(frame, tick.timestamp, tick.num_ticks, tick.gap_s)

    def pick(self, timestamp: float, segment: int = 0) -> Tick | None:
        """As `step`, by the time and the segment of the next frame alone."""
        tick = math.floor(timestamp * self._rate_hz + EARLY)
        last, self._last = self._last, timestamp
        before, self._segment = self._segment, segment
        silence = 0.0 if last is None else timestamp - last
        is_gap = last is not None and (silence > self._gap_s or silence < 0 or segment != before)
        num_ticks = 1 if last is None or is_gap else tick - self._tick
        if num_ticks <= 0:
            return None
        self._tick = tick
        return Tick(tick / self._rate_hz, num_ticks, gap_s=(abs(silence) or 1 / self._rate_hz) if is_gap else 0.0)

    def reset(self) -> None:
        """Forget the stream; the next frame is the first of a new one."""
        self._last = None
