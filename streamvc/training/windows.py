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
class FeatureTable:
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
    """N windows: rows of a `FeatureTable`.

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
        chosen = np.concatenate([begin + evenly_spaced(count, min(count, num_per_clip)) for begin, count in zip(first, counts, strict=True)])
        return Windows(self.rows[chosen], self.lengths[chosen], self.clips[chosen])


def build_table(stretches: Sequence[Sequence[Array]], num_before: Sequence[Sequence[int]] = ()) -> FeatureTable:
    """Put stretches, each (T, D), of clips into one table.

    Args:
        stretches: Of each clip, its stretches.
        num_before: Of each clip, how many features at the start of each of its stretches came before the clip; none if not given.
    """
    flat = [stretch for stretches in stretches for stretch in stretches]
    lengths = np.array([len(stretch) for stretch in flat], np.int64)
    clips = np.repeat(np.arange(len(stretches)), [len(stretches) for stretches in stretches])
    before = np.array([num for each in num_before for num in each], np.int64) if len(num_before) else np.zeros_like(lengths)
    return FeatureTable(np.concatenate(flat), np.cumsum(lengths) - lengths + before, lengths - before, before, clips)


def all_windows(table: FeatureTable, window: int, warm_up: int) -> Windows:
    """One window for each prediction that the recogniser makes: one ends at every row but the first `warm_up` - 1 of a stretch."""
    first = np.maximum(warm_up - 1 - table.before, 0)
    counts = np.maximum(table.lengths - first, 0)
    stretch = np.repeat(np.arange(len(counts)), counts)
    last = np.concatenate([np.arange(begin, length) for begin, length in zip(first, table.lengths, strict=True)]).astype(np.int64)
    return _ending_at(table, stretch, last, np.minimum(table.before[stretch] + last + 1, window), window)


def sample_windows(
    table: FeatureTable,
    window: int,
    warm_up: int,
    num_per_clip: int,
    partial: float,
    rng: np.random.Generator,
    *,
    varied_speed: bool = False,
    by_length: bool = False,
) -> Windows:
    """Windows at random places, in random order: `num_per_clip` of each clip, or with `by_length` so many on average, more of longer clips.

    A share of `partial` has a random length.
    """
    stretch = _by_length(table, num_per_clip, rng) if by_length else _by_clip(table, num_per_clip, rng)
    lengths, before = table.lengths[stretch], table.before[stretch]
    last = rng.integers(np.maximum(np.minimum(warm_up - before, lengths) - 1, 0), lengths)
    longest = np.minimum(before + last + 1, window)
    length = np.where(rng.random(len(last)) < partial, rng.integers(np.minimum(warm_up, longest), longest + 1), longest)
    windows = _ending_at(table, stretch, last, length, window)
    return _at_another_speed(windows, table.starts[stretch] - before, rng) if varied_speed else windows


def select_windows(table: FeatureTable, window: int, take: Literal["first", "even"]) -> Windows:
    """One window of each clip, of its longest stretch: its first W features, or W evenly from all, repeated where there are fewer."""
    order = np.lexsort((-table.lengths, table.clips))
    stretch = order[np.unique(table.clips[order], return_index=True)[1]]
    lengths = table.lengths[stretch]
    if take == "first":
        return _ending_at(table, stretch, np.minimum(lengths, window) - 1, np.minimum(lengths, window), window)
    rows = table.starts[stretch][:, None] + np.stack([evenly_spaced(length, window) for length in lengths])
    return Windows(rows, np.full(len(stretch), window), table.clips[stretch])


def evenly_spaced(num: int, num_taken: int) -> Ints:
    """Of `num` things in a row, `num_taken` in the middles of as many equal parts."""
    return ((np.arange(num_taken) + 0.5) * num / num_taken).astype(np.int64)


def _by_clip(table: FeatureTable, num_per_clip: int, rng: np.random.Generator) -> Ints:
    """Stretches to draw windows of: of each clip as many, long or short, in random order."""
    first, num_stretches = np.unique(table.clips, return_index=True)[1], np.bincount(table.clips)
    clip = np.concatenate([rng.permutation(len(first)) for _ in range(num_per_clip)])
    return np.asarray(first[clip] + rng.integers(0, num_stretches[clip]))


def _by_length(table: FeatureTable, num_per_clip: int, rng: np.random.Generator) -> Ints:
    """Stretches to draw windows of: the longer, the more often."""
    shares = table.lengths / table.lengths.sum()
    return np.asarray(rng.choice(len(shares), num_per_clip * len(np.unique(table.clips)), p=shares), np.int64)


def _ending_at(table: FeatureTable, stretch: Ints, last: Ints, length: Ints, window: int) -> Windows:
    begin = table.starts[stretch] + last + 1 - length
    rows = np.minimum(begin[:, None] + np.arange(window), len(table.features) - 1)
    return Windows(rows, length, table.clips[stretch])


def _at_another_speed(windows: Windows, starts: Ints, rng: np.random.Generator) -> Windows:
    """The same windows, ending where they did, at a pace of their own; what would lie before the stretch is its first feature."""
    speed = rng.uniform(*SPEEDS, (len(windows.rows), 1))
    last = np.take_along_axis(windows.rows, windows.lengths[:, None] - 1, axis=1)
    back = windows.lengths[:, None] - 1 - np.arange(windows.rows.shape[1])  # features before the last one; negative behind it
    rows = np.where(back >= 0, np.maximum(last - np.rint(back * speed).astype(np.int64), starts[:, None]), windows.rows)
    return Windows(rows, windows.lengths, windows.clips)
