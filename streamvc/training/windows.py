"""The windows that a head learns from: the last W ticks of a stretch of video, fewer after its start, as the recogniser sees them live."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Ticks:
    """Features of many clips in one table.

    Attributes:
        features: (M, D) float32, one row per tick: stretch after stretch, clip after clip.
        starts: (S,) the first row of each stretch; a clip with gaps has several.
        lengths: (S,) how many rows it has.
        clips: (S,) the clip it is of.
    """

    features: Floats
    starts: Ints
    lengths: Ints
    clips: Ints


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """N windows: rows of a table of ticks.

    Attributes:
        rows: (N, W) the first `lengths` of each are its ticks, oldest first; the others are any rows.
        lengths: (N,) how many ticks it has, 1 to W.
        clips: (N,) the clip it is of.
    """

    rows: Ints
    lengths: Ints
    clips: Ints


def lay_out(segments: Sequence[Sequence[Floats]]) -> Ticks:
    """Put stretches, each (T, D), of clips into one table."""
    flat = [stretch for stretches in segments for stretch in stretches]
    lengths = np.array([len(stretch) for stretch in flat], np.int64)
    clips = np.repeat(np.arange(len(segments)), [len(stretches) for stretches in segments])
    return Ticks(np.concatenate(flat), np.cumsum(lengths) - lengths, lengths, clips)


def every_window(ticks: Ticks, window: int, warm_up: int) -> Windows:
    """One window for each prediction that the recogniser makes: ending at every tick but the first `warm_up` - 1 of a stretch."""
    counts = np.maximum(ticks.lengths - warm_up + 1, 0)
    stretch = np.repeat(np.arange(len(counts)), counts)
    last = np.concatenate([np.arange(warm_up - 1, length) for length in ticks.lengths]).astype(np.int64)
    return _ending_at(ticks, stretch, last, np.minimum(last + 1, window), window)


def draw_windows(ticks: Ticks, window: int, warm_up: int, num_per_clip: int, partial: float, rng: np.random.Generator) -> Windows:
    """As many windows of each clip, long or short, at random places and in random order; a share of `partial` has a random length."""
    first, num_stretches = np.unique(ticks.clips, return_index=True)[1], np.bincount(ticks.clips)
    clip = np.concatenate([rng.permutation(len(first)) for _ in range(num_per_clip)])
    stretch = first[clip] + rng.integers(0, num_stretches[clip])
    last = rng.integers(np.minimum(warm_up, ticks.lengths[stretch]) - 1, ticks.lengths[stretch])
    longest = np.minimum(last + 1, window)
    length = np.where(rng.random(len(clip)) < partial, rng.integers(np.minimum(warm_up, longest), longest + 1), longest)
    return _ending_at(ticks, stretch, last, length, window)


def _ending_at(ticks: Ticks, stretch: Ints, last: Ints, length: Ints, window: int) -> Windows:
    begin = ticks.starts[stretch] + last + 1 - length
    rows = np.minimum(begin[:, None] + np.arange(window), len(ticks.features) - 1)
    return Windows(rows, length, ticks.clips[stretch])
