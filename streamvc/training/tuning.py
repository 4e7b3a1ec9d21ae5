"""Chooses the smoothing and the thresholds that find the most events, by predictions on unseen video.

One setting is chosen for all labels: of those that silence none of them, and keep the bound on false events where one is set, the one with the
best F score of the events. Silent is a label of which less than `HEARD_SHARE` of the activities are found that any setting finds. Then a label may
have an `enter` of its own, by at most `DEVIATION` from the common one, where that makes F better: chosen freely on so few clips, thresholds silence
whole labels for the sake of the others. The events of one label do not depend on the thresholds of another, so that this choice is exact: F is a
ratio of sums over the labels, maximised by Dinkelbach's method (1967); to share the bound out among the labels is a knapsack problem. Unseen video
gives more false events than this video, so the bound must also hold with `enter` one step lower.

Shapes: S time constants of the smoothing, E thresholds, L labels.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from itertools import product

import numpy as np
from numpy.typing import NDArray

from streamvc.inference.manifest import LabelThresholds, Threshold
from streamvc.training.prediction_trace import PredictionTrace
from streamvc.training.sweep import FloatArray, Grid, IntArray, SweptEvents, sweep

# What is tried, the defaults first: of equal settings the first is taken.
SMOOTHING_S = (0.6, 0.3, 1.0, 0.0, 2.0)
ENTER = (0.7, 0.75, 0.65, 0.6, 0.8, 0.85, 0.5, 0.9, 0.4, 0.95, 0.3, 0.98, 0.93, 0.97, 0.99)
LEAVE = (0.55, 0.35, 0.8)  # as shares of `enter`
MIN_S = (0.5, 0.8, 1.2, 0.0, 2.0)

HEARD_SHARE = 0.5
DEVIATION = 0.05


@dataclass(frozen=True, slots=True)
class TuningObjective:
    """What the settings are chosen for.

    Attributes:
        beta: How much finding a segment counts against an event being right: 1 for F1, less for fewer wrong events.
        overlap: An event is right if it overlaps a segment of its label by this much at least (intersection over union); at 0, if it meets one.
        false_per_hour: How many false events an hour there may be; None for no bound.
        background_only: Whether they are counted only on streams without any segment.
        within_s: An event is right only if it was published so far from the segment's start at most; None for no such bound.
    """

    beta: float
    overlap: float
    false_per_hour: float | None
    background_only: bool
    within_s: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class EventCounts:
    """Counts of the events of streams under all settings, and of the segments there were to find.

    Attributes:
        events: (S, L, E) how many events there are.
        right: (S, L, E) how many of them are right.
        false: (S, L, E) how many are false by the bound.
        num_segments: How many segments there are.
        bound_s: Seconds of video that the bound is for.
    """

    events: IntArray
    right: IntArray
    false: IntArray
    num_segments: int
    bound_s: float

    def __add__(self, other: "EventCounts") -> "EventCounts":
        return EventCounts(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))


def tune(
    traces: Sequence[PredictionTrace], labels: Sequence[str], background: str | None, objective: TuningObjective, default: Threshold
) -> tuple[float, LabelThresholds]:
    """Choose settings by the predictions along streams; returns the time constant of the smoothing, and the thresholds.

    Args:
        traces: The predictions along each stream, and its segments; at least one stream.
        labels: The L labels, in the order of the scores.
        background: The one that stands for no activity, if there is one.
        objective: What they are chosen for.
        default: The cooldown that all labels have, and what stays the default of labels that are not named.
    """
    return choose_settings(count_events(traces, labels, background, objective, default), labels, background, objective, default)


def count_events(
    traces: Iterable[PredictionTrace], labels: Sequence[str], background: str | None, objective: TuningObjective, default: Threshold
) -> EventCounts:
    """Count the events of streams under all settings; see `tune`."""
    grid = make_grid(default.cooldown_s)
    index = None if background is None else labels.index(background)
    shape = grid.shape(len(labels))
    none = np.zeros(shape, np.int64)
    return sum(
        (_count(each, sweep(each.stretches, grid, len(labels), index), shape, objective) for each in traces), EventCounts(none, none, none, 0, 0.0)
    )


def choose_settings(
    counts: EventCounts, labels: Sequence[str], background: str | None, objective: TuningObjective, default: Threshold
) -> tuple[float, LabelThresholds]:
    """The best settings by the counts of events under all of them; see `tune`."""
    grid = make_grid(default.cooldown_s)
    # One is always allowed: in so little video, what is rarer cannot be told from what never happens.
    most_false = None if objective.false_per_hour is None else max(1, int(objective.false_per_hour * counts.bound_s / 3600))
    false, missable = with_margin(counts.false), objective.beta**2 * counts.num_segments
    smoothing, common = _choose_common(counts, false, missable, most_false)
    near = [common, *np.flatnonzero(_are_near(grid, common))]  # of equals it is the first
    _, chosen = _choose(counts.events[smoothing][:, near], counts.right[smoothing][:, near], false[smoothing][:, near], missable, most_false)
    own = {label: _threshold(grid, near[number]) for label, number in zip(labels, chosen, strict=True) if label != background}
    threshold = _threshold(grid, common)
    return grid.smoothing_s[smoothing], LabelThresholds(default=threshold, labels={label: each for label, each in own.items() if each != threshold})


def _choose_common(counts: EventCounts, false: IntArray, missable: float, most_false: int | None) -> tuple[int, int]:
    """The smoothing and the thresholds that are best for all labels together, none of which they may silence."""
    is_silent = (counts.right < HEARD_SHARE * counts.right.max(axis=(0, 2), keepdims=True)).any(axis=1)
    excess = np.zeros_like(is_silent, np.int64) if most_false is None else np.maximum(false.sum(axis=1) - most_false, 0)
    shares = counts.right.sum(axis=1) / np.maximum(counts.events.sum(axis=1) + missable, 1)
    best = np.lexsort((-shares.ravel(), excess.ravel(), is_silent.ravel()))[0]  # it keeps the order of equals, the defaults first
    smoothing, common = np.unravel_index(best, shares.shape)
    return int(smoothing), int(common)


def _are_near(grid: Grid, number: int) -> NDArray[np.bool_]:
    """(E,) which thresholds a label may have where all others have this one."""
    shares = grid.leave / grid.enter
    same = (grid.min_s == grid.min_s[number]) & (np.abs(shares - shares[number]) < 0.01)
    return np.asarray(same & (np.abs(grid.enter - grid.enter[number]) <= DEVIATION))


def make_grid(cooldown_s: float) -> Grid:
    """All settings that are tried."""
    enter, share, min_s = (np.array(column) for column in zip(*product(ENTER, LEAVE, MIN_S), strict=True))
    return Grid(SMOOTHING_S, enter, np.round(share * enter, 3), min_s, cooldown_s)


def with_margin(false: IntArray) -> IntArray:
    """(..., E) false events of all settings, or those of the next lower `enter` where these are more."""
    by_enter = false.reshape(*false.shape[:-1], len(ENTER), -1)
    order = np.argsort(ENTER)
    lower = np.empty(len(ENTER), np.int64)
    lower[order] = order[np.maximum(np.arange(len(ENTER)) - 1, 0)]
    return np.maximum(by_enter, by_enter[..., lower, :]).reshape(false.shape)


def _threshold(grid: Grid, number: int) -> Threshold:
    return Threshold(enter=float(grid.enter[number]), leave=float(grid.leave[number]), min_s=float(grid.min_s[number]), cooldown_s=grid.cooldown_s)


def _is_bound(trace: PredictionTrace, objective: TuningObjective) -> bool:
    return not (objective.background_only and trace.segments)


def _count(trace: PredictionTrace, swept: SweptEvents, shape: tuple[int, int, int], objective: TuningObjective) -> EventCounts:
    """Count the events of a stream that match its segments. Neither an event nor a segment counts twice as right."""
    setting = np.ravel_multi_index(tuple(swept.setting), shape)

    def number(chosen: IntArray) -> IntArray:
        return np.bincount(chosen, minlength=int(np.prod(shape))).reshape(shape)

    fits, meets = np.zeros((2, len(setting)), np.bool_)
    found = np.zeros(shape, np.int64)
    for segment in trace.segments:
        shared = np.minimum(swept.end_s, segment.end_s) - np.maximum(swept.start_s, segment.start_s)
        union = np.maximum(swept.end_s, segment.end_s) - np.minimum(swept.start_s, segment.start_s)
        meeting = (swept.label == segment.label) & (shared > 0)
        fitting = meeting & (shared >= objective.overlap * union)
        if objective.within_s is not None:
            fitting &= np.abs(swept.published_s - segment.start_s) <= objective.within_s
        fits, meets = fits | fitting, meets | meeting
        found += number(setting[fitting]) > 0
    is_bound = _is_bound(trace, objective)
    false = number(setting[~meets]) if is_bound else np.zeros(shape, np.int64)
    right = np.minimum(found, number(setting[fits]))
    return EventCounts(number(setting), right, false, len(trace.segments), trace.duration_s if is_bound else 0.0)


def _choose(events: IntArray, right: IntArray, false: IntArray, missable: float, most_false: int | None) -> tuple[float, IntArray]:
    """The most that right events, as a share of all events and `missable`, can be under a bound, by (L, E) counts; and the (L,) thresholds for it.

    F is this share times 1 + beta^2, where `missable` is beta^2 times the number of segments.
    """
    rows = np.arange(len(events))
    best, chosen = -1.0, np.zeros(len(events), np.int64)
    while True:
        candidate = _most_valuable(right - max(best, 0.0) * events, false, most_false)
        share = float(right[rows, candidate].sum() / max(events[rows, candidate].sum() + missable, 1))
        if share <= best:
            return best, chosen
        best, chosen = share, candidate


def _most_valuable(values: FloatArray, false: IntArray, most_false: int | None) -> IntArray:
    """The (L,) thresholds with the highest sum of (L, E) values whose false events are no more in sum than the bound, or as few as can be."""
    rows = np.arange(len(values))
    free = np.asarray(values.argmax(axis=1))
    if most_false is None or false[rows, free].sum() <= most_false:
        return free
    most = max(most_false, int(false.min(axis=1).sum()))
    best = np.zeros(most + 1)  # by how many false events all labels so far may have
    spent = np.zeros((len(values), most + 1), np.int64)  # what the last of them then has of these
    options = [_by_false(*pair, most) for pair in zip(values, false, strict=True)]
    for label, (value, _) in enumerate(options):
        sums = np.stack([np.concatenate([np.full(num, -np.inf), best[: most + 1 - num] + value[num]]) for num in range(most + 1)])
        spent[label] = sums.argmax(axis=0)
        best = sums.max(axis=0)
    chosen = np.zeros(len(values), np.int64)
    for label in reversed(range(len(values))):
        chosen[label] = options[label][1][spent[label, most]]
        most -= spent[label, most]
    return chosen


def _by_false(values: FloatArray, false: IntArray, most: int) -> tuple[FloatArray, IntArray]:
    """Of each number of false events up to `most`: the highest value that has it, and where that is."""
    masked = np.where(false == np.arange(most + 1)[:, None], values, -np.inf)
    return masked.max(axis=1), masked.argmax(axis=1)
