"""Is a recogniser silent about what it was never taught? Labels are left out of the training in turn, and what is heard of them is counted."""

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from streamvc.training.evaluate import Quiet, count_false
from streamvc.training.held_out import HeldOut


@dataclass(frozen=True, slots=True)
class Round:
    """What came of leaving labels out.

    Attributes:
        labels: These labels.
        num_clips: How many clips of them there are.
        num_silent: Of how many of these no event was heard.
        heard: What was heard of them; all of it is false.
    """

    labels: tuple[str, ...]
    num_clips: int
    num_silent: int
    heard: Quiet

    def as_json(self) -> dict[str, Any]:
        """The figures in a form that JSON can hold."""
        return {**asdict(self), "heard": self.heard.as_json()}


@dataclass(frozen=True, slots=True)
class OpenSet:
    """What came of all rounds: each label was left out once. The thresholds were chosen on other labels, and on clips of other groups."""

    rounds: tuple[Round, ...]

    @property
    def silent(self) -> float:
        """Share of the left-out clips of which no event was heard."""
        return sum(each.num_silent for each in self.rounds) / sum(each.num_clips for each in self.rounds)

    @property
    def heard(self) -> Quiet:
        """What was heard of all left-out clips."""
        events = sum((Counter(each.heard.events) for each in self.rounds), Counter[str]())
        return Quiet(sum(each.heard.hours for each in self.rounds), dict(events.most_common()))

    def as_json(self) -> dict[str, Any]:
        """The figures in a form that JSON can hold."""
        return {"silent": self.silent, "heard": self.heard.as_json(), "rounds": [each.as_json() for each in self.rounds]}


def hear_left_out(held_out: HeldOut) -> OpenSet:
    """What a subscriber would have heard of the labels that were left out of a training."""
    rounds = []
    for labels, streams in held_out.judge_left_out():
        silent = [not stream.events for stream in streams]
        heard = count_false(streams, held_out.labels) or Quiet(0.0, {})
        rounds.append(Round(labels, len(streams), int(np.sum(silent)), heard))
    return OpenSet(tuple(rounds))
