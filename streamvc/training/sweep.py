"""Smoothing and detection under many settings at once, by numpy: the events are those of `Smoother` and `Detector`, to the last digit.

Shapes: S time constants of the smoothing, E thresholds, L labels.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamvc.detection import ROUNDING_S
from streamvc.types import Prediction

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

NEVER = math.inf


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """The settings that are tried, each smoothing with each of the thresholds.

    Attributes:
        smoothing_s: The S time constants.
        enter: (E,) thresholds; see `streamvc.events.Decision`.
        leave: (E,)
        min_s: (E,)
        cooldown_s: Of all of them.
    """

    smoothing_s: tuple[float, ...]
    enter: FloatArray
    leave: FloatArray
    min_s: FloatArray
    cooldown_s: float

    def shape(self, num_labels: int) -> tuple[int, int, int]:
        """(S, L, E)."""
        return len(self.smoothing_s), num_labels, len(self.enter)


@dataclass(frozen=True, slots=True, eq=False)
class SweptEvents:
    """The N events of a stream under all settings.

    Attributes:
        setting: (3, N) of each event the index of its smoothing, its label and its thresholds.
        start_s: (N,) stream time at which it began.
        end_s: (N,) at which it ended.
        published_s: (N,) at which its beginning was published.
    """

    setting: IntArray
    start_s: FloatArray
    end_s: FloatArray
    published_s: FloatArray

    @property
    def label(self) -> IntArray:
        """(N,) the label of each event."""
        return np.asarray(self.setting[1])


def sweep(stretches: Sequence[Sequence[Prediction]], grid: Grid, num_labels: int, background: int | None) -> SweptEvents:
    """The events that predictions lead to.

    Args:
        stretches: The predictions of a stream, parted where it has gaps.
        grid: The settings.
        num_labels: L.
        background: The label that stands for no activity, if there is one; it has no events.
    """
    watches = _Watches(grid, num_labels, background)
    for stretch in stretches:
        watches.run(stretch)
    found = watches.found
    if not found:
        return SweptEvents(np.empty((3, 0), np.int64), *np.empty((3, 0)))
    rows = ((each.setting, each.start_s, each.end_s, each.published_s) for each in found)
    return SweptEvents(*(np.concatenate(parts, axis=-1) for parts in zip(*rows, strict=True)))


class _Watches:
    """The state of all detectors, (S, L, E)."""

    def __init__(self, grid: Grid, num_labels: int, background: int | None) -> None:
        self._grid = grid
        self._shape = grid.shape(num_labels)
        self._background = background
        self.found: list[SweptEvents] = []

    def run(self, stretch: Sequence[Prediction]) -> None:
        self._running = np.zeros(self._shape, np.bool_)
        self._since, self._published = np.full((2, *self._shape), NEVER)
        self._cooldown_until = np.full(self._shape, -math.inf)
        for now, scores in zip([prediction.timestamp for prediction in stretch], self._smoothed(stretch), strict=True):
            self._step(now, scores[:, :, None])
        if stretch:
            self._end(self._running, stretch[-1].timestamp)

    def _smoothed(self, stretch: Sequence[Prediction]) -> FloatArray:
        """(K, S, L) what the detectors are given: the smoothed scores, and 0 for a label that does not beat the background."""
        smoothed = np.empty((len(stretch), *self._shape[:2]), np.float32)
        before = 0.0
        for index, prediction in enumerate(stretch):
            smoothed[index] = prediction.scores
            if index:
                weights = np.array([-math.expm1(-(prediction.timestamp - before) / each) if each else 1.0 for each in self._grid.smoothing_s])
                smoothed[index] = smoothed[index - 1] + weights.astype(np.float32)[:, None] * (smoothed[index] - smoothed[index - 1])
                smoothed[index, np.equal(self._grid.smoothing_s, 0)] = prediction.scores
            before = prediction.timestamp
        if self._background is not None:
            smoothed[smoothed <= smoothed[:, :, [self._background]]] = 0.0  # so the background itself has no score either
        return smoothed.astype(np.float64)

    def _step(self, now: float, scores: FloatArray) -> None:
        grid, idle = self._grid, ~self._running
        ended = self._running & (scores < grid.leave)
        self._since = np.where(idle & (scores < grid.enter), NEVER, np.where(idle, np.minimum(self._since, now), self._since))
        waited = (now - self._since >= grid.min_s - ROUNDING_S) & (now >= self._cooldown_until - ROUNDING_S)
        if ended.any():
            self._end(ended, now)
            self._cooldown_until[ended] = now + grid.cooldown_s
            self._since[ended] = NEVER
        begun = idle & waited
        self._published[begun] = now
        self._running = (self._running & ~ended) | begun

    def _end(self, ended: NDArray[np.bool_], now: float) -> None:
        setting = np.array(np.nonzero(ended), np.int64)
        self.found.append(SweptEvents(setting, self._since[ended], np.full(setting.shape[1], now), self._published[ended]))
