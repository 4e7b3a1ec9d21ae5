"""What a user says in place of a model's own settings of detection."""

from dataclasses import asdict, dataclass, replace
from typing import ClassVar

from pydantic import ConfigDict

from streamvc.events import Decision
from streamvc.inference.manifest import Seconds, Share


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Settings that the user puts in place of the model's own; None keeps the model's. See `Decision`.

    Raises:
        ValueError: `leave` is above `enter`, or a value is out of its range.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")  # where they stand in a configuration

    enter: Share | None = None
    leave: Share | None = None
    min_s: Seconds | None = None
    cooldown_s: Seconds | None = None
    smoothing_s: Seconds | None = None

    def __post_init__(self) -> None:
        for name, value in self._given.items():
            if not 0 <= value < float("inf") or (name in ("enter", "leave") and value > 1):
                raise ValueError(
                    f"{name} is {value:g}; it must be {'from 0 to 1' if name in ('enter', 'leave') else 'a number of seconds from 0 on'}"
                )
        if self.enter is not None and self.leave is not None and self.leave > self.enter:
            raise ValueError(f"leave ({self.leave:g}) must not be above enter ({self.enter:g})")

    @property
    def _given(self) -> dict[str, float]:
        return {name: value for name, value in asdict(self).items() if value is not None}

    def apply(self, decision: Decision) -> Decision:
        """The decision with what is set here put in. Where only one threshold is set, the other gives way to it."""
        changed = replace(decision, **self._given)
        if self.leave is None:
            return replace(changed, leave=min(changed.leave, changed.enter))
        return replace(changed, enter=max(changed.leave, changed.enter))

    def over(self, other: "Thresholds") -> "Thresholds":
        """What is set here, and for the rest what is set there.

        Raises:
            ValueError: `leave` would be above `enter`.
        """
        return replace(other, **self._given)
