"""Open-set test: labels are left out of the training in turn, and the events on their clips are counted. All of them are false."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from streamvc.training.cross_validation import CrossValidation
from streamvc.training.evaluate import BackgroundEvents, count_false


@dataclass(frozen=True, slots=True)
class LeaveOutRound:
    """The figures of one round, which left some labels out.

    Attributes:
        labels: These labels.
        num_clips: How many clips of them there are.
        num_silent: How many of these gave no event.
        false_events: The events on these clips; all of them are false.
    """

    labels: tuple[str, ...]
    num_clips: int
    num_silent: int
    false_events: BackgroundEvents

    def as_json(self) -> dict[str, Any]:
        """The figures in a form that JSON can hold."""
        return {"labels": self.labels, "num_clips": self.num_clips, "num_silent": self.num_silent, "heard": self.false_events.as_json()}


@dataclass(frozen=True, slots=True)
class OpenSet:
    """All rounds; each label was left out once. The thresholds were chosen on other labels, and on clips of other groups."""

    rounds: tuple[LeaveOutRound, ...]

    @property
    def silent(self) -> float:
        """Share of the left-out clips that gave no event."""
        return sum(each.num_silent for each in self.rounds) / sum(each.num_clips for each in self.rounds)

    @property
    def false_events(self) -> BackgroundEvents:
        """The events on all left-out clips."""
        events = sum((Counter(each.false_events.events) for each in self.rounds), Counter[str]())
        return BackgroundEvents(sum(each.false_events.hours for each in self.rounds), dict(events.most_common()))

    def as_json(self) -> dict[str, Any]:
        """The figures in a form that JSON can hold."""
        return {"silent": self.silent, "heard": self.false_events.as_json(), "rounds": [each.as_json() for each in self.rounds]}


def measure_left_out(cross_validation: CrossValidation) -> OpenSet:
    """The events on the clips of labels that were left out of a training."""
    rounds = []
    for labels, streams in cross_validation.left_out_streams():
        silent = [not stream.events for stream in streams]
        false_events = count_false(streams, cross_validation.labels) or BackgroundEvents(0.0, {})
        rounds.append(LeaveOutRound(labels, len(streams), int(np.sum(silent)), false_events))
    return OpenSet(tuple(rounds))
