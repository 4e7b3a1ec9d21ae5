"""Turns smoothed scores into activities that begin, go on and end."""

from collections.abc import Callable, Sequence

from streamvc.events import Decision, Detection, Phase, Reason
from streamvc.types import Prediction

Top = tuple[tuple[str, float], ...]  # labels with their scores, best first

NUM_TOP = 3
UPDATE_S = 1.0
ROUNDING_S = 1e-6  # timestamps that are sums of hops are off by this much at most


class Detector:
    """Hysteresis, minimum duration and cooldown, for each label by itself; `start` and `end` alternate per label.

    An activity starts once its score has been at `enter` or above for `min_s`, and not within `cooldown_s` of its last end. It ends when its
    score falls below `leave`. Where the background label scores at least as high, a label counts as below both.
    """

    def __init__(self, labels: Sequence[str], decisions: Sequence[Decision], *, background: str | None = None, update_s: float = UPDATE_S) -> None:
        """Set up one watch per label.

        Args:
            labels: All L labels, in the order of the scores.
            decisions: The settings of each label, in the same order.
            background: The label that stands for no activity; it never becomes an event.
            update_s: Seconds between two `update` detections of a running activity; 0 for none.
        """
        self._labels = tuple(labels)
        self._background = None if background is None else self._labels.index(background)
        self._watches = [
            _Watch(index, label, decision, update_s, self.top)
            for index, (label, decision) in enumerate(zip(self._labels, decisions, strict=True))
            if index != self._background
        ]
        self._last: Prediction | None = None

    @property
    def running(self) -> list[Detection]:
        """The `start` detections of the activities that go on now, the oldest first."""
        return sorted((started for watch in self._watches if (started := watch.started)), key=lambda detection: detection.t_start)

    def step(self, prediction: Prediction) -> list[Detection]:
        """Take the next smoothed prediction; returns what begins, goes on and ends with it, ends first."""
        self._last = prediction
        scores = prediction.scores.tolist()
        floor = 0.0 if self._background is None else scores[self._background]
        found = [watch.step(scores[watch.index], prediction, floor) for watch in self._watches]
        return sorted((detection for detection in found if detection), key=lambda detection: detection.phase != "end")

    def flush(self, reason: Reason) -> list[Detection]:
        """End all that runs, at the time of the last prediction, and forget the stream."""
        last, self._last = self._last, None
        if last is None:
            return []
        found = [watch.flush(last, reason) for watch in self._watches]
        return [detection for detection in found if detection]

    def top(self, prediction: Prediction) -> Top:
        """The best labels with their scores, best first."""
        best = prediction.scores.argsort(kind="stable")[::-1][:NUM_TOP]
        return tuple((self._labels[index], float(prediction.scores[index])) for index in best)


class _Watch:
    """One label: idle, then a candidate (above `enter` since a time), then running."""

    def __init__(self, index: int, label: str, decision: Decision, update_s: float, top: Callable[[Prediction], Top]) -> None:
        self.index = index
        self._label = label
        self._decision = decision
        self._update_s = update_s
        self._top = top
        self._cooldown_until = float("-inf")
        self.started: Detection | None = None
        self._candidate_since: float | None = None
        self._peak = 0.0
        self._updated = 0.0

    def step(self, score: float, prediction: Prediction, floor: float) -> Detection | None:
        now = prediction.timestamp
        if floor > 0.0 and score <= floor:
            score = 0.0
        if self.started:
            self._peak = max(self._peak, score)
            if score < self._decision.leave:
                return self._end(prediction, "left")
            return self._update(prediction, score)
        if score < self._decision.enter:
            self._candidate_since = None
            return None
        if self._candidate_since is None:
            self._candidate_since = now
        if now - self._candidate_since < self._decision.min_s - ROUNDING_S or now < self._cooldown_until - ROUNDING_S:
            return None
        self._peak, self._updated = score, now
        self.started = self._detection("start", prediction, self._candidate_since, score)
        return self.started

    def flush(self, last: Prediction, reason: Reason) -> Detection | None:
        ended = self._end(last, reason)
        self._candidate_since = None
        self._cooldown_until = float("-inf")  # time may start anew after a flush
        return ended

    def _update(self, prediction: Prediction, score: float) -> Detection | None:
        now = prediction.timestamp
        if self._update_s <= 0 or now - self._updated < self._update_s - ROUNDING_S or self.started is None:
            return None
        self._updated = now
        return self._detection("update", prediction, self.started.t_start, score)

    def _end(self, prediction: Prediction, reason: Reason) -> Detection | None:
        if self.started is None:
            return None
        now = prediction.timestamp
        ended = self._detection("end", prediction, self.started.t_start, self._peak, t_end=now, reason=reason)
        self.started = self._candidate_since = None
        self._cooldown_until = now + self._decision.cooldown_s
        return ended

    def _detection(
        self, phase: Phase, prediction: Prediction, t_start: float, score: float, t_end: float | None = None, reason: Reason | None = None
    ) -> Detection:
        return Detection(phase, self._label, score, self._top(prediction), prediction.timestamp, t_start, t_end, reason, self._decision)
