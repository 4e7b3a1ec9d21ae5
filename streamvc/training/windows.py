"""The windows that a head learns from: the last W features of a stretch of video, fewer after its start, as the recogniser sees them live."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from streamvc.types import Array

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

SPEEDS = (0.8, 1.25)  # the slowest and the quickest pace that windows are varied to


@dataclass(frozen=True, slots=True, eq=False)
class Ticks:
    """Features of many clips in one table.

    Attributes:
        features: (M, D) one row per tick: stretch after stretch, clip after clip.
        starts: (S,) the first row of each stretch; a clip with gaps has several.
        lengths: (S,) how many rows it has.
        before: (S,) how many rows before it windows may reach back to: what came right before the clip in its video.
        clips: (S,) the clip it is of.
    """

    features: Array
    starts: Ints
    lengths: Ints
    before: Ints
    clips: Ints


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """N windows: rows of a table of ticks.

    Attributes:
        rows: (N, W) the first `lengths` of each are its features, oldest first; the others are any rows.
        lengths: (N,) how many features it has, 1 to W.
        clips: (N,) the clip it is of.
    """

    rows: Ints
    lengths: Ints
    clips: Ints

    def filled(self) -> "Windows":
        """The same with the oldest feature standing in for those that are missing before it."""
        missing = self.rows.shape[1] - self.lengths
        columns = np.maximum(np.arange(self.rows.shape[1]) - missing[:, None], 0)
        return Windows(np.take_along_axis(self.rows, columns, axis=1), np.full_like(self.lengths, self.rows.shape[1]), self.clips)

    def thinned(self, num_per_clip: int) -> "Windows":
        """At most so many of each clip, evenly from all of its windows, which stand together."""
        first, counts = np.unique(self.clips, return_index=True, return_counts=True)[1:]
        chosen = np.concatenate([begin + evenly(count, min(count, num_per_clip)) for begin, count in zip(first, counts, strict=True)])
        return Windows(self.rows[chosen], self.lengths[chosen], self.clips[chosen])


def lay_out(segments: Sequence[Sequence[Array]], num_before: Sequence[int] | Ints = ()) -> Ticks:
    """Put stretches, each (T, D), of clips into one table.

    Args:
        segments: Of each clip its stretches.
        num_before: How many features at the start of each clip's first stretch came before the clip; none if not given.
    """
    flat = [stretch for stretches in segments for stretch in stretches]
    lengths = np.array([len(stretch) for stretch in flat], np.int64)
    clips = np.repeat(np.arange(len(segments)), [len(stretches) for stretches in segments])
    before = np.zeros_like(lengths)
    if len(num_before):
        named, first = np.unique(clips, return_index=True)
        before[first] = np.asarray(num_before)[named]
    return Ticks(np.concatenate(flat), np.cumsum(lengths) - lengths + before, lengths - before, before, clips)


def every_window(ticks: Ticks, window: int, warm_up: int) -> Windows:
    """One window for each prediction that the recogniser makes: ending at every tick but the first `warm_up` - 1 of what there is."""
    first = np.maximum(warm_up - 1 - ticks.before, 0)
    counts = np.maximum(ticks.lengths - first, 0)
    stretch = np.repeat(np.arange(len(counts)), counts)
    last = np.concatenate([np.arange(begin, length) for begin, length in zip(first, ticks.lengths, strict=True)]).astype(np.int64)
    return _ending_at(ticks, stretch, last, np.minimum(ticks.before[stretch] + last + 1, window), window)


def draw_windows(
    ticks: Ticks,
    window: int,
    warm_up: int,
    num_per_clip: int,
    partial: float,
    rng: np.random.Generator,
    *,
    varied_speed: bool = False,
    by_length: bool = False,
) -> Windows:
    """As many windows of each clip, or on average so many by its length, at random places and in random order.

    A share of `partial` has a random length.
    """
    stretch = _by_length(ticks, num_per_clip, rng) if by_length else _by_clip(ticks, num_per_clip, rng)
    lengths, before = ticks.lengths[stretch], ticks.before[stretch]
    last = rng.integers(np.maximum(np.minimum(warm_up - before, lengths) - 1, 0), lengths)
    longest = np.minimum(before + last + 1, window)
    length = np.where(rng.random(len(last)) < partial, rng.integers(np.minimum(warm_up, longest), longest + 1), longest)
    windows = _ending_at(ticks, stretch, last, length, window)
    return _at_another_speed(windows, ticks.starts[stretch] - before, rng) if varied_speed else windows


def take_windows(ticks: Ticks, window: int, take: Literal["first", "even"]) -> Windows:
    """One window of each clip, of its longest stretch: its first W features, or W evenly from all, repeated where there are fewer."""
    order = np.lexsort((-ticks.lengths, ticks.clips))
    stretch = order[np.unique(ticks.clips[order], return_index=True)[1]]
    lengths = ticks.lengths[stretch]
    if take == "first":
        return _ending_at(ticks, stretch, np.minimum(lengths, window) - 1, np.minimum(lengths, window), window)
    rows = ticks.starts[stretch][:, None] + np.stack([evenly(length, window) for length in lengths])
    return Windows(rows, np.full(len(stretch), window), ticks.clips[stretch])


def evenly(num: int, num_taken: int) -> Ints:
    """Of `num` things in a row, `num_taken` in the middles of as many equal parts."""
    return ((np.arange(num_taken) + 0.5) * num / num_taken).astype(np.int64)


def _by_clip(ticks: Ticks, num_per_clip: int, rng: np.random.Generator) -> Ints:
    """Stretches to draw windows of: of each clip as many, long or short, in random order."""
    first, num_stretches = np.unique(ticks.clips, return_index=True)[1], np.bincount(ticks.clips)
    clip = np.concatenate([rng.permutation(len(first)) for _ in range(num_per_clip)])
    return np.asarray(first[clip] + rng.integers(0, num_stretches[clip]))


def _by_length(ticks: Ticks, num_per_clip: int, rng: np.random.Generator) -> Ints:
    """Stretches to draw windows of: the longer, the more often."""
    shares = ticks.lengths / ticks.lengths.sum()
    return np.asarray(rng.choice(len(shares), num_per_clip * len(np.unique(ticks.clips)), p=shares), np.int64)


def _ending_at(ticks: Ticks, stretch: Ints, last: Ints, length: Ints, window: int) -> Windows:
    begin = ticks.starts[stretch] + last + 1 - length
    rows = np.minimum(begin[:, None] + np.arange(window), len(ticks.features) - 1)
    return Windows(rows, length, ticks.clips[stretch])


def _at_another_speed(windows: Windows, starts: Ints, rng: np.random.Generator) -> Windows:
    """The same windows, ending where they did, at a pace of their own; what would lie before the stretch is its first feature."""
    speed = rng.uniform(*SPEEDS, (len(windows.rows), 1))
    last = np.take_along_axis(windows.rows, windows.lengths[:, None] - 1, axis=1)
    back = windows.lengths[:, None] - 1 - np.arange(windows.rows.shape[1])  # features before the last one; negative behind it
    rows = np.where(back >= 0, np.maximum(last - np.rint(back * speed).astype(np.int64), starts[:, None]), windows.rows)
    return Windows(rows, windows.lengths, windows.clips)
