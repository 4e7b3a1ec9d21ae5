"""Whether a node keeps up with its cameras, and in which words it says that it does not. Pure."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields

from streamvc.health import Rate

SPAN_S = 10.0  # over which rates are measured
SHORT = 0.9  # share of its due frames below which a camera is analysed too seldom
ENOUGH = 0.95  # and that it must reach again; between the two nothing is said


@dataclass(frozen=True, slots=True)
class Tally:
    """What a camera has brought so far, in frames. As rates: the same a second.

    Attributes:
        received: By its decoder.
        due: For analysis.
        used: For it.
        late: Due, but read too late.
    """

    received: float = 0.0
    due: float = 0.0
    used: float = 0.0
    late: float = 0.0


class Rates:
    """A camera's rates over the last `SPAN_S` seconds, of its tallies at some moments."""

    def __init__(self) -> None:
        self._rates = tuple(Rate(SPAN_S) for _ in fields(Tally))

    @property
    def value(self) -> Tally:
        """Frames/s; zeros where only one moment is known."""
        return Tally(*(rate.value for rate in self._rates))

    @property
    def is_settled(self) -> bool:
        """The whole span is known."""
        return all(rate.is_settled for rate in self._rates)

    def step(self, now: float, tally: Tally) -> None:
        """Take the tally at `now`, in seconds; counts may also begin anew."""
        for rate, count in zip(self._rates, astuple(tally), strict=True):
            rate.step(now, count)

    def clear(self) -> None:
        """Forget what was: the camera was not there."""
        for rate in self._rates:
            rate.clear()


@dataclass(frozen=True, slots=True)
class Demand:
    """How often a camera's frames are due, how often they are used, and how often they were read too late for that, a second.

    `shortage` says for which model there are too few of them, in words; None where there is none.
    """

    camera: str
    due_hz: float
    used_hz: float
    late_hz: float = 0.0
    shortage: str | None = None

    @property
    def share(self) -> float:
        """Of the due frames that are used."""
        return self.used_hz / self.due_hz if self.due_hz else 1.0


class Overload:
    """Finds the cameras that are analysed below their rate, or too seldom for a model, and says so when there are some."""

    def __init__(self) -> None:
        self._short: frozenset[str] = frozenset()

    def step(self, demands: Sequence[Demand]) -> str | None:
        """What is wrong, in words; None where all cameras are analysed at their rate.

        Args:
            demands: Of all cameras whose rates are known.
        """
        short = [demand for demand in demands if demand.share < (ENOUGH if demand.camera in self._short else SHORT)]
        self._short = frozenset(demand.camera for demand in short)
        if starved := [demand for demand in demands if demand.shortage]:  # worse: nothing is recognised there
            others = f", and {len(starved) - 1} more of {len(demands)} cameras" if len(starved) > 1 else ""
            return f"{starved[0].camera}: {starved[0].shortage}{others}"
        if not short:
            return None
        lowest = min(short, key=lambda demand: demand.share)
        rate = f"{lowest.used_hz:.1f} of {lowest.due_hz:.1f} Hz ({lowest.camera})"
        are_undecoded = sum(demand.late_hz for demand in short) > sum(demand.due_hz - demand.used_hz for demand in short) / 2
        why = ", as there is no time to decode all" if are_undecoded else ""
        if len(short) == 1:
            return f"1 of {len(demands)} cameras is analysed below its rate, at {rate}{why}"
        return f"{len(short)} of {len(demands)} cameras are analysed below their rate, the lowest at {rate}{why}"
