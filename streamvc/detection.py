"""Turns scores into activities that begin, go on and end."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from weakref import proxy

from streamvc.events import Decision, Detection, Phase, Reason
from streamvc.smoothing import Smoother
from streamvc.types import Prediction

Top = tuple[tuple[str, float], ...]  # labels with their scores, best first

NUM_TOP = 3
UPDATE_S = 1.0
ROUNDING_S = 1e-6  # timestamps that are sums of hops are off by this much at most


@dataclass(frozen=True, slots=True)
class Candidate:
    """The label that is nearest to a start: its smoothed score, the score that it needs, and for how long."""

    label: str
    score: float
    enter: float
    min_s: float


class Detector:
    """Smoothing, hysteresis, minimum duration and cooldown; `start` and `end` alternate per label.

    An activity starts once its smoothed score has been at `enter` or above for `min_s`, and not within `cooldown_s` of its last end. It ends when its
    score falls below `leave`. Where the background label scores at least as high, a label counts as below both.

    Attributes:
        last: The last prediction, smoothed; None before the first, and after `flush`.
    """

    def __init__(self, labels: Sequence[str], decisions: Sequence[Decision], *, background: str | None = None, update_s: float = UPDATE_S) -> None:
        """Set up.

        Args:
            labels: All L labels, in the order of the scores.
            decisions: The settings of each label, in the same order. All scores are smoothed by the `smoothing_s` of the first.
            background: The label that stands for no activity; it never becomes an event.
            update_s: Seconds between two `update` detections of a running activity; 0 for none.
        """
        self._labels = tuple(labels)
        self._background = None if background is None else self._labels.index(background)
        self._smoother = Smoother(decisions[0].smoothing_s)
        own = proxy(self)  # what refers to itself is kept, and its session's networks with it, until the garbage is collected
        self._states = [
            _LabelState(index, label, decision, update_s, lambda: own.top)
            for index, (label, decision) in enumerate(zip(self._labels, decisions, strict=True))
            if index != self._background
        ]
        self.last: Prediction | None = None

    @property
    def running(self) -> list[Detection]:
        """The `start` detections of the activities that go on now, the oldest first."""
        return sorted((started for state in self._states if (started := state.started)), key=lambda detection: detection.t_start)

    def step(self, prediction: Prediction) -> list[Detection]:
        """Take the next prediction; returns what begins, goes on and ends with it, ends first."""
        self.last = prediction = self._smoother.step(prediction)
        scores = prediction.scores.tolist()
        floor = 0.0 if self._background is None else scores[self._background]
        found = [state.step(scores[state.index], prediction.timestamp, floor) for state in self._states]
        return sorted((detection for detection in found if detection), key=lambda detection: detection.phase != "end")

    def retune(self, decisions: Sequence[Decision]) -> None:
        """Decide by other settings from the next prediction on. What goes on does so until it falls below its new `leave`."""
        self._smoother.time_constant_s = decisions[0].smoothing_s
        for state in self._states:
            state.decision = decisions[state.index]

    def flush(self, reason: Reason) -> list[Detection]:
        """End all that runs, at the time of the last prediction, and forget the stream."""
        last = self.last
        found = [state.flush(last.timestamp, reason) for state in self._states] if last else []
        self.last = None
        self._smoother.reset()
        return [detection for detection in found if detection]

    @property
    def top(self) -> Top:
        """The best labels with their smoothed scores, best first; empty while there are none. May be read by any thread."""
        prediction = self.last
        if prediction is None:
            return ()
        best = prediction.scores.argsort(kind="stable")[::-1][:NUM_TOP]
        return tuple((self._labels[index], float(prediction.scores[index])) for index in best)

    @property
    def thresholds(self) -> dict[str, float]:
        """The score that each label needs now, to start or, where it goes on, to go on; the background needs none."""
        return {state.label: state.decision.leave if state.started else state.decision.enter for state in self._states}

    @property
    def candidate(self) -> Candidate | None:
        """The label that scores best, unless that goes on already, or is the background."""
        label, score = self.top[0] if self.last else (None, 0.0)
        state = next((state for state in self._states if state.label == label and not state.started), None)
        return Candidate(state.label, score, state.decision.enter, state.decision.min_s) if state else None


class _LabelState:
    """One label: idle, then a candidate (above `enter` since a time), then running."""

    def __init__(self, index: int, label: str, decision: Decision, update_s: float, top: Callable[[], Top]) -> None:
        self.index = index
        self.label = label
        self.decision = decision
        self._update_s = update_s
        self._top = top
        self._cooldown_until = float("-inf")
        self.started: Detection | None = None
        self._candidate_since: float | None = None
        self._peak = 0.0
        self._updated = 0.0

    def step(self, score: float, now: float, floor: float) -> Detection | None:
        if floor > 0.0 and score <= floor:
            score = 0.0
        if self.started:
            self._peak = max(self._peak, score)
            if not score >= self.decision.leave:
                return self._end(now, "left")
            return self._update(now, score)
        if not score >= self.decision.enter:  # NaN is no reason to begin, and one to end
            self._candidate_since = None
            return None
        if self._candidate_since is None:
            self._candidate_since = now
        if now - self._candidate_since < self.decision.min_s - ROUNDING_S or now < self._cooldown_until - ROUNDING_S:
            return None
        self._peak, self._updated = score, now
        self.started = self._detection("start", now, self._candidate_since, score)
        return self.started

    def flush(self, now: float, reason: Reason) -> Detection | None:
        ended = self._end(now, reason)
        self._candidate_since = None
        self._cooldown_until = float("-inf")  # time may start anew after a flush
        return ended

    def _update(self, now: float, score: float) -> Detection | None:
        if self._update_s <= 0 or now - self._updated < self._update_s - ROUNDING_S or self.started is None:
            return None
        self._updated = now
        return self._detection("update", now, self.started.t_start, score)

    def _end(self, now: float, reason: Reason) -> Detection | None:
        if self.started is None:
            return None
        ended = self._detection("end", now, self.started.t_start, self._peak, t_end=now, reason=reason)
        self.started = self._candidate_since = None
        self._cooldown_until = now + self.decision.cooldown_s
        return ended

    def _detection(
        self, phase: Phase, now: float, t_start: float, score: float, t_end: float | None = None, reason: Reason | None = None
    ) -> Detection:
        return Detection(phase, self.label, score, self._top(), now, t_start, t_end, reason, self.decision)
