"""Figures of labels as alarms, from arrays alone: how many segments have an event in time, and how many events are false."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from streamvc.stream_metrics import EvaluatedStream, Segment, finite, meets

WITHIN_S = 3.0  # seconds from the true start, if nothing else is asked for


@dataclass(frozen=True, slots=True)
class AlarmFigures:
    """How good the events of one label are as alarms, over all streams together.

    Attributes:
        num: How many segments of the label there are.
        num_found: How many of them have an event in time.
        num_false: How many events of the label meet no segment of it.
        hours: Of video, with and without segments.
    """

    num: int
    num_found: int
    num_false: int
    hours: float

    @property
    def found(self) -> float:
        """Share of the segments that have an event in time; NaN where there are none."""
        return self.num_found / self.num if self.num else math.nan

    @property
    def false_per_hour(self) -> float:
        """False events an hour; NaN where there is no video."""
        return self.num_false / self.hours if self.hours else math.nan

    def as_json(self) -> dict[str, Any]:
        """The figures in a form that JSON can hold."""
        return {**asdict(self), "found": finite(self.found), "false_per_hour": finite(self.false_per_hour)}


def count_alarms(streams: Sequence[EvaluatedStream], label: int, within_s: float = WITHIN_S, min_s: float = 0.0) -> AlarmFigures:
    """Count the segments of a label that have an event in time, and its false events.

    Args:
        streams: What is true, and what was said.
        label: The one that is counted.
        within_s: How far from a segment's start an event may be published to count for it.
        min_s: For how long the label must go on before its events are published. Where that is longer than `within_s`, as of somebody who lies still,
            segments that are shorter do not count, and an event is in time so long after the start, `within_s` more or less.
    """
    due_s = min_s if min_s > within_s else 0.0
    counted = [
        (segment, stream) for stream in streams for segment in stream.segments if segment.label == label and segment.end_s - segment.start_s >= due_s
    ]
    return AlarmFigures(
        num=len(counted),
        num_found=sum(_is_found(segment, stream, within_s, due_s) for segment, stream in counted),
        num_false=sum(
            event.label == label and not any(meets(event, segment) for segment in stream.segments) for stream in streams for event in stream.events
        ),
        hours=sum(stream.duration_s for stream in streams) / 3600,
    )


def _is_found(segment: Segment, stream: EvaluatedStream, within_s: float, due_s: float) -> bool:
    """Whether an event that meets a segment was published near its start: an event that had long been running is no alarm for it."""
    return any(meets(event, segment) and abs(event.published_s - segment.start_s - due_s) <= within_s for event in stream.events)
