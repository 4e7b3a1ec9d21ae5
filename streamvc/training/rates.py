"""What becomes of a recogniser's events where frames are missing."""

from collections.abc import Sequence
from dataclasses import dataclass

from streamvc.stream_metrics import EvaluatedStream, meets

DROPPED = 0.5  # share of the frames, under an overload


@dataclass(frozen=True, slots=True)
class RateFigures:
    """The events on streams of which frames are missing.

    Attributes:
        rate: What there was of the frames, in words.
        num_found: Activities that have an event of theirs.
        num: All activities.
        num_false: Events that meet no activity of their label.
        hours: How long the streams are together.
    """

    rate: str
    num_found: int
    num: int
    num_false: int
    hours: float

    @property
    def false_per_hour(self) -> float:
        """False events an hour."""
        return self.num_false / self.hours if self.hours else 0.0


def count_at_rate(rate: str, streams: Sequence[EvaluatedStream]) -> RateFigures:
    """The figures of streams whose frames came at a rate, in words."""
    found = [any(meets(event, segment) for event in stream.events) for stream in streams for segment in stream.segments]
    false = [not any(meets(event, segment) for segment in stream.segments) for stream in streams for event in stream.events]
    return RateFigures(rate, sum(found), len(found), sum(false), sum(stream.duration_s for stream in streams) / 3600)
