"""What a user says in place of a model's own settings of detection."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import ClassVar, Literal

from pydantic import ConfigDict

from streamvc.events import Decision
from streamvc.inference.manifest import LabelThresholds, S, Seconds, Share, Threshold

Sensitivity = Literal["low", "normal", "high"]
# By what the odds, p / (1 - p), of the scores that a model asks for are multiplied.
ODDS: dict[Sensitivity, float] = {"low": 3.0, "normal": 1.0, "high": 1 / 3}


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Settings that the user puts in place of the model's own; None keeps the model's. See `Decision`.

    `sensitivity` moves the model's own thresholds: at `low` the odds of a score must be three times as high, at `high` a third is enough.

    Raises:
        ValueError: `leave` is above `enter`, or a value is out of its range.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")  # where they stand in a configuration

    enter: Share | None = None
    leave: Share | None = None
    min_s: Seconds | None = None
    cooldown_s: Seconds | None = None
    smoothing_s: Seconds | None = None
    sensitivity: Sensitivity | None = None

    def __post_init__(self) -> None:
        if self.sensitivity not in (None, *ODDS):
            raise ValueError(f"sensitivity is {self.sensitivity}; it must be {', '.join(ODDS)}")
        for name, value in self._given.items():
            if not 0 <= value < float("inf") or (name in ("enter", "leave") and value > 1):
                raise ValueError(
                    f"{name} is {value:g}; it must be {'from 0 to 1' if name in ('enter', 'leave') else 'a number of seconds from 0 on'}"
                )
        if self.enter is not None and self.leave is not None and self.leave > self.enter:
            raise ValueError(f"leave ({self.leave:g}) must not be above enter ({self.enter:g})")

    @property
    def _given(self) -> dict[str, float]:
        return {name: value for name, value in asdict(self).items() if value is not None and name != "sensitivity"}

    def apply(self, decision: Decision) -> Decision:
        """The decision with what is set here put in. Where only one threshold is set, the other gives way to it."""
        changed = replace(with_odds(decision, ODDS[self.sensitivity or "normal"]), **self._given)
        if self.leave is None:
            return replace(changed, leave=min(changed.leave, changed.enter))
        return replace(changed, enter=max(changed.leave, changed.enter))

    def over(self, other: "Thresholds") -> "Thresholds":
        """What is set here, and for the rest what is set there.

        Raises:
            ValueError: `leave` would be above `enter`.
        """
        return replace(other, **self._given, sensitivity=self.sensitivity or other.sensitivity)


def with_odds(decision: Decision, factor: float) -> Decision:
    """The decision with the odds of both its thresholds multiplied: 0.8 is 4 to 1, and by 3 it is 12 to 1, which is 0.923."""
    enter, leave = (share if share == 1 else factor * share / (1 - share + factor * share) for share in (decision.enter, decision.leave))
    return decision if factor == 1 else replace(decision, enter=enter, leave=leave)


def put_into(settings: S, decide: Callable[[Decision], Decision]) -> S:
    """The settings of a bundle with each label's thresholds, and the smoothing, as `decide` makes them."""
    own, default = settings.thresholds, settings.thresholds.default
    made = decide(Decision(default.enter, default.leave, default.min_s, default.cooldown_s, settings.smoothing_s))
    return settings.model_copy(update={"thresholds": decided(own, settings.smoothing_s, decide), "smoothing_s": made.smoothing_s})


def decided(thresholds: LabelThresholds, smoothing_s: float, decide: Callable[[Decision], Decision]) -> LabelThresholds:
    """The thresholds of all labels as `decide` makes them."""

    def changed(given: Threshold) -> Threshold:
        made = decide(Decision(given.enter, given.leave, given.min_s, given.cooldown_s, smoothing_s))
        return Threshold(enter=made.enter, leave=made.leave, min_s=made.min_s, cooldown_s=made.cooldown_s)

    return LabelThresholds(default=changed(thresholds.default), labels={label: changed(each) for label, each in thresholds.labels.items()})
