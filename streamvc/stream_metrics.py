"""Figures of how good a recogniser is on streams, in which activities begin, last and end, from arrays alone.

Shapes: K predictions of a stream, N of anything, L labels. A label is its index. A stretch without an activity has no segment: the background label
is never that of a segment, nor of an event. All figures are over all streams together; one that is undefined is NaN.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

OVERLAPS = (0.1, 0.3, 0.5)
LATE = 0.9  # share of the events that come no later than the late ones
ROUNDING_S = 1e-6  # timestamps that are sums of hops are off by this much at most


@dataclass(frozen=True, slots=True)
class Segment:
    """An activity that is really there, from `start_s` up to, but not at, `end_s`, in stream time."""

    label: int
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """An event: an activity that was recognised.

    Attributes:
        label: Which one.
        start_s: Stream time at which it began, as the event says.
        end_s: Stream time at which it ended.
        published_s: Stream time at which its beginning was published, which is later than `start_s` by the time the detector waited to be sure.
    """

    label: int
    start_s: float
    end_s: float
    published_s: float


@dataclass(frozen=True, slots=True, eq=False)
class EvaluatedStream:
    """A stream with its true segments, its predictions and its events.

    Attributes:
        segments: The activities that are really there, in any order; they may overlap.
        duration_s: How long the stream is.
        timestamps: (K,) float64, stream time of the predictions, rising.
        scores: (K, L) the predictions' scores.
        smoothed: (K, L) the same after smoothing.
        events: The events that were published.
    """

    segments: tuple[Segment, ...]
    duration_s: float
    timestamps: FloatArray
    scores: NDArray[np.float32]
    smoothed: NDArray[np.float32]
    events: tuple[StreamEvent, ...]


@dataclass(frozen=True, slots=True)
class EventFigures:
    """How well events are found: each 0 to 1, and 0 where there is nothing to divide by.

    Attributes:
        precision: Share of the events that match a segment.
        recall: Share of the segments that match an event.
        f1: Harmonic mean of the two.
    """

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True)
class StreamFigures:
    """All figures of streams; each is defined at the function of its name.

    Attributes:
        frame_map: Per-frame mean average precision.
        events: Of each overlap in `OVERLAPS`, how well events are found.
        delay_s: Median delay of the events.
        late_delay_s: Their delay's 90th percentile.
        first_right_s: Median time to the first right prediction.
        flips_per_min: How often the best label changes.
        false_events_per_hour: False events an hour.
        accuracy_by_tenth: Share of the segments that are recognised once a tenth, two tenths, ... of them was seen.
    """

    frame_map: float
    events: dict[float, EventFigures]
    delay_s: float
    late_delay_s: float
    first_right_s: float
    flips_per_min: float
    false_events_per_hour: float
    accuracy_by_tenth: tuple[float, ...]

    def as_json(self) -> dict[str, Any]:
        """The figures in a form that JSON can hold: null for one that is undefined."""
        by_overlap = {
            f"event_{name}_{10 * overlap:02.0f}": value for overlap, figures in self.events.items() for name, value in asdict(figures).items()
        }
        names = ("frame_map", "delay_s", "late_delay_s", "first_right_s", "flips_per_min", "false_events_per_hour")
        alone = {name: finite(getattr(self, name)) for name in names}
        return {**alone, **by_overlap, "accuracy_by_tenth": [finite(share) for share in self.accuracy_by_tenth]}


def measure_streams(streams: Sequence[EvaluatedStream]) -> StreamFigures:
    """All figures of at least one stream."""
    return StreamFigures(
        frame_map=frame_map(streams),
        events={overlap: event_figures(streams, overlap) for overlap in OVERLAPS},
        delay_s=delay_s(streams),
        late_delay_s=delay_s(streams, LATE),
        first_right_s=first_right_s(streams),
        flips_per_min=flips_per_min(streams),
        false_events_per_hour=false_events_per_hour(streams),
        accuracy_by_tenth=tuple(accuracy_by_tenth(streams).tolist()),
    )


def frame_map(streams: Sequence[EvaluatedStream]) -> float:
    """Mean, over the labels that occur, of the average precision over the single predictions of all streams.

    A prediction is positive for each label that has a segment around its timestamp, so for none where nothing goes on, and for two where two segments
    overlap. The scores are those before smoothing. Time without predictions (warm-up) does not count.
    """
    scores = np.concatenate([stream.scores for stream in streams])
    truth = np.concatenate([active_labels(stream) for stream in streams])
    precisions = [average_precision(scores[:, label], truth[:, label]) for label in np.flatnonzero(truth.any(axis=0))]
    return float(np.mean(precisions)) if precisions else float("nan")


def active_labels(stream: EvaluatedStream) -> BoolArray:
    """(K, L) True for the labels that have a segment around the timestamp of a prediction."""
    active = np.zeros(stream.scores.shape, np.bool_)
    for segment in stream.segments:
        active[_within(stream, segment), segment.label] = True
    return active


def average_precision(scores: NDArray[np.floating], truth: BoolArray) -> float:
    """Area under the steps of precision over recall, without interpolation; equal scores are one step.

    Args:
        scores: (N,) higher for what is more likely true.
        truth: (N,) what is true; at least one must be.
    """
    order = np.argsort(-scores, kind="stable")
    num_right = np.cumsum(truth[order])
    steps = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    precision, recall = num_right[steps] / (steps + 1), num_right[steps] / num_right[-1]
    return float((np.diff(recall, prepend=0.0) * precision).sum())


def temporal_overlap(event: StreamEvent, segment: Segment) -> float:
    """Intersection over union of two spans of time: 0 where they do not meet, 1 where they are the same."""
    shared = min(event.end_s, segment.end_s) - max(event.start_s, segment.start_s)
    union = max(event.end_s, segment.end_s) - min(event.start_s, segment.start_s)
    return max(shared, 0.0) / union if union > 0 else 0.0


def meets(event: StreamEvent, segment: Segment) -> bool:
    """Whether an event is of a segment's label and shares some time with it."""
    return event.label == segment.label and event.start_s < segment.end_s and segment.start_s < event.end_s


@dataclass(frozen=True, slots=True)
class Match:
    """An event and the segment that it matches."""

    event: StreamEvent
    segment: Segment


def match(stream: EvaluatedStream, overlap: float) -> list[Match]:
    """Pair events with segments of the same label that they overlap by at least `overlap`, which is above 0; neither is used twice.

    The pair with the greatest overlap is made first, then the greatest of the rest. Events are not ranked by score, as a subscriber gets
    them all; by overlap the pairs do not depend on any order, and what matches at one overlap also matches at any lower one.
    """
    events = sorted(stream.events, key=lambda event: event.start_s)
    segments = sorted(stream.segments, key=lambda segment: segment.start_s)
    overlaps = {(i, j): temporal_overlap(event, segment) for i, event in enumerate(events) for j, segment in enumerate(segments)}
    matches: dict[int, int] = {}
    for i, j in sorted(overlaps, key=lambda pair: -overlaps[pair]):
        if overlaps[i, j] >= overlap and events[i].label == segments[j].label and i not in matches and j not in matches.values():
            matches[i] = j
    return [Match(events[i], segments[j]) for i, j in matches.items()]


def event_figures(streams: Sequence[EvaluatedStream], overlap: float) -> EventFigures:
    """Precision, recall and F1 of the events of all labels together, by `match` at an overlap."""
    num_matched = sum(len(match(stream, overlap)) for stream in streams)
    num_events = sum(len(stream.events) for stream in streams)
    num_segments = sum(len(stream.segments) for stream in streams)
    precision, recall, f1 = num_matched / max(num_events, 1), num_matched / max(num_segments, 1), 2 * num_matched / max(num_events + num_segments, 1)
    return EventFigures(precision, recall, f1)


def delay_s(streams: Sequence[EvaluatedStream], share: float = 0.5) -> float:
    """Time from the true start of an activity to the moment its event was published, in seconds: so long at most for that share of the events.

    Over the events that match at the lowest of `OVERLAPS`. Negative where an event came before its time.
    """
    delays_s = [pair.event.published_s - pair.segment.start_s for stream in streams for pair in match(stream, OVERLAPS[0])]
    return float(np.quantile(delays_s, share)) if delays_s else float("nan")


def first_right_s(streams: Sequence[EvaluatedStream]) -> float:
    """Median time from the start of a segment to the first prediction within it whose best score, unsmoothed, is that of the right label, in seconds.

    A segment without one counts as infinitely late, so that the median is infinite where most have none.
    """
    return _median([_first_right(stream, segment) for stream in streams for segment in stream.segments])


def flips_per_min(streams: Sequence[EvaluatedStream]) -> float:
    """How often the label with the best smoothed score is another one than at the prediction before, per minute of video.

    True changes of the activity are in it, so that on untrimmed video the best figure is not 0.
    """
    num_flips = sum(int(np.count_nonzero(np.diff(_best(stream.smoothed)))) for stream in streams)
    return num_flips / (_total_s(streams) / 60)


def false_events_per_hour(streams: Sequence[EvaluatedStream]) -> float:
    """How many events meet no segment of their label, not even for an instant, per hour of video."""
    num_false = sum(not any(meets(event, segment) for segment in stream.segments) for stream in streams for event in stream.events)
    return num_false / (_total_s(streams) / 3600)


def accuracy_by_tenth(streams: Sequence[EvaluatedStream]) -> FloatArray:
    """(10,) share of the segments of which the best smoothed label is right when a tenth, two tenths, ... all of it was seen.

    What counts is the last prediction up to that moment; where there is none yet (warm-up) it is not right.
    """
    rows = [_right_by_tenth(stream, segment) for stream in streams for segment in stream.segments]
    return np.mean(rows, axis=0) if rows else np.full(10, np.nan)


def _first_right(stream: EvaluatedStream, segment: Segment) -> float:
    right = _within(stream, segment) & (_best(stream.scores) == segment.label)
    return float(stream.timestamps[right.argmax()]) - segment.start_s if right.any() else float("inf")


def _right_by_tenth(stream: EvaluatedStream, segment: Segment) -> BoolArray:
    moments = segment.start_s + (segment.end_s - segment.start_s) * np.arange(1, 11) / 10
    last = np.searchsorted(stream.timestamps, moments + ROUNDING_S, side="right") - 1
    right: BoolArray = (last >= 0) & np.append(_best(stream.smoothed) == segment.label, False)[last]
    return right


def _within(stream: EvaluatedStream, segment: Segment) -> BoolArray:
    times = stream.timestamps
    return np.asarray((times >= segment.start_s - ROUNDING_S) & (times < segment.end_s - ROUNDING_S))


def _best(scores: NDArray[np.float32]) -> NDArray[np.int64]:
    return np.asarray(scores.argmax(axis=1), np.int64)


def _total_s(streams: Sequence[EvaluatedStream]) -> float:
    return sum(stream.duration_s for stream in streams)


def _median(values: Sequence[float]) -> float:
    return float(np.median(values)) if values else float("nan")


def finite(value: float) -> float | None:
    """The figure in a form that JSON can hold: None for one that is undefined."""
    return value if math.isfinite(value) else None
