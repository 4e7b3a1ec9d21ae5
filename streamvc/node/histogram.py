"""How durations are distributed, in little room: counts between fixed bounds. Pure."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

# Seconds; a camera's frame is there within some ten milliseconds, and none is used beyond the staleness bound.
BOUNDS_S = (0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.045, 0.06, 0.1, 0.2, 0.35, 0.5, 1.0, 2.0)


@dataclass(frozen=True, slots=True)
class Distribution:
    """What a histogram has counted.

    Attributes:
        bounds_s: Upper bounds, rising, in seconds.
        counts: How many lie at or below each bound and above the one before; one more count for what is above the last.
        sum_s: Of all that was counted.
    """

    bounds_s: tuple[float, ...]
    counts: tuple[int, ...]
    sum_s: float

    @property
    def count(self) -> int:
        """How many were counted."""
        return sum(self.counts)

    def quantile(self, share: float) -> float | None:
        """The bound that so large a share (0 to 1) lies at or below; infinity beyond the last one, None where nothing was counted."""
        if not self.count:
            return None
        wanted = share * self.count
        return next((bound for bound, reached in zip(self.bounds_s, accumulate(self.counts), strict=False) if reached >= wanted), float("inf"))


class Histogram:
    """Counts durations. For one thread at a time."""

    def __init__(self, bounds_s: Sequence[float] = BOUNDS_S) -> None:
        self._bounds_s = tuple(bounds_s)
        self._counts = [0] * (len(self._bounds_s) + 1)
        self._sum_s = 0.0

    @property
    def value(self) -> Distribution:
        """What it has counted so far."""
        return Distribution(self._bounds_s, tuple(self._counts), self._sum_s)

    def add(self, duration_s: float) -> None:
        self._counts[bisect_left(self._bounds_s, duration_s)] += 1
        self._sum_s += duration_s
