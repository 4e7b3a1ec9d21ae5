"""What a camera goes through, by what its decoder says and by time. Pure: all moments are given in, in seconds of one clock that never steps back."""

import math
import random
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from streamvc.capture.messages import FinishReason
from streamvc.health import STALL_S

LifecycleState = Literal["connecting", "running", "stalled", "frozen", "lost", "disabled"]

LEGAL: Mapping[LifecycleState, frozenset[LifecycleState]] = {
    "connecting": frozenset({"running", "frozen", "lost", "disabled"}),
    "running": frozenset({"stalled", "frozen", "lost", "disabled"}),
    "stalled": frozenset({"running", "frozen", "lost", "disabled"}),
    "frozen": frozenset({"running", "stalled", "lost", "disabled"}),
    "lost": frozenset({"connecting", "disabled"}),
    "disabled": frozenset({"connecting"}),
}

# Seconds to the next connection: doubled with each that fails. The longest, its jitter and the connecting itself stay below 5 s.
FIRST_DELAY_S, LONGEST_DELAY_S = 0.5, 2.0
REFUSED_DELAY_S = 30.0  # to the next, where the login was refused: cameras lock out whoever tries too often
JITTER = 0.25  # share of a delay by which it is longer or shorter, so that not all cameras of a network come back at the same moment
PROVEN_S = 10.0  # seconds that a connection must have run, for the next delay to be the first again
MARGIN_S = 2.0  # seconds beyond the decoder's own time-outs, after which it hangs
INSIST_S = 5.0  # seconds after which what hangs is killed once more

# A decoder dies of a defect that the stream brings out. It is not tried for ever at full speed: each time might do more harm.
NUM_DEATHS, DEATHS_S = 5, 600.0  # so many within so many seconds set a camera apart, until a connection has run for as long
APART_S = 600.0  # seconds to the next connection of one that is


@dataclass(frozen=True, slots=True)
class Start:
    """Connect now."""


@dataclass(frozen=True, slots=True)
class Kill:
    """The decoder hangs: kill it."""

    detail: str


Action = Start | Kill


class Lifecycle:
    """The life of one camera.

    `connecting` until its first picture, `running` while they come, `stalled` where none has come for a while, `frozen` where they are all the same,
    `lost` until it is connected again, `disabled` while nobody wants it.

    Attributes:
        state: Where it is.
        since: When it got there.
        is_set_apart: Its stream kills decoders: it is tried again now and then only.
        num_connections: Connections so far that gave a picture.
        num_gaps: How often it was left without pictures that could be used, while it ran.
        num_deaths: Decoders so far that died of it, or hung and were killed.
    """

    def __init__(self, *, open_timeout_s: float, read_timeout_s: float, rng: random.Random | None = None) -> None:
        """A camera that is to be connected at once; `rng` makes the jitter of the delays."""
        self.state: LifecycleState = "connecting"
        self.since = 0.0
        self.is_set_apart = False
        self.num_connections = self.num_gaps = self.num_deaths = 0
        self._patience_s = open_timeout_s + max(open_timeout_s, read_timeout_s) + MARGIN_S  # until the first picture
        self._silence_s = math.inf  # after which the decoder hangs
        self._rng = rng or random.Random()
        self._start_at = 0.0  # when to connect, where there is no decoder; never, where there is one
        self._heard = 0.0  # when the decoder last said something
        self._kill_at = math.inf
        self._killed = False
        self._ran_since = math.inf
        self._delay_s = FIRST_DELAY_S  # to the next connection
        self._deaths: deque[float] = deque(maxlen=NUM_DEATHS)

    def due(self) -> float:
        """When `step` is to be called next, at the latest."""
        stalls_at = self._heard + STALL_S if self.state in ("running", "frozen") else math.inf
        return min(self._start_at, self._kill_at, stalls_at)

    def step(self, now: float) -> Action | None:
        """Time has passed; says what is to be done. It goes on saying `Start` until it is told that a decoder was `started`."""
        if now >= self._start_at:
            return Start()
        if self.state in ("running", "frozen") and now >= self._heard + STALL_S:
            self._move("stalled", now)
        if now >= self._kill_at:
            self._kill_at, self._killed = now + INSIST_S, True
            return Kill(f"its decoder hung: it said nothing for {now - self._heard:.0f} s")
        return None

    def started(self, now: float) -> None:
        """A decoder was started."""
        if self.state == "lost":
            self._move("connecting", now)
        self._start_at, self._killed, self._ran_since = math.inf, False, math.inf
        self._hear(now, self._patience_s)

    def opened(self, now: float, silence_s: float) -> None:
        """The decoder has a first picture; after `silence_s` without a word it hangs."""
        if self._has_decoder:
            self.num_connections += self._ran_since == math.inf
            self._ran_since = min(self._ran_since, now)
            self._hear(now, silence_s)

    def answered(self, now: float) -> None:
        """The decoder is alive, but has nothing new."""
        if self._has_decoder:
            self._kill_at = now + self._silence_s

    def heard(self, now: float) -> None:
        """Pictures come, of which nothing can be said."""
        if self._has_decoder:
            self._hear(now, self._silence_s)
            if self.state in ("connecting", "stalled"):
                self._move("running", now)

    def arrived(self, now: float, frozen: bool) -> None:
        """A picture was due, and is one of many that are all the same where it is `frozen`."""
        if self._has_decoder:
            self._hear(now, self._silence_s)
            self._move("frozen" if frozen else "running", now)

    def finished(self, now: float, reason: FinishReason) -> None:
        """The decoder has ended."""
        if not self._has_decoder:
            return
        ran_s = now - self._ran_since
        if ran_s >= PROVEN_S:
            self._delay_s = FIRST_DELAY_S
        if ran_s >= DEATHS_S:
            self._forgive()
        if reason == "died":
            self._mourn(now)
        delay_s = REFUSED_DELAY_S if reason == "refused" else self._delay_s
        self._start_at = now + (APART_S if self.is_set_apart else delay_s * self._rng.uniform(1 - JITTER, 1 + JITTER))
        self._delay_s = min(LONGEST_DELAY_S, self._delay_s * 2)
        self._kill_at = math.inf
        self._move("lost", now)

    def disable(self, now: float) -> None:
        """It is not wanted any more; its decoder is closed."""
        self._start_at = self._kill_at = math.inf
        self._move("disabled", now)

    def enable(self, now: float) -> None:
        """It is wanted again, with all forgotten."""
        self._start_at, self._delay_s = now, FIRST_DELAY_S
        self._forgive()
        self._move("connecting", now)

    @property
    def _has_decoder(self) -> bool:
        """Otherwise, what is told is of a decoder that was given up."""
        return self._start_at == math.inf and self.state != "disabled"

    def _hear(self, now: float, silence_s: float) -> None:
        self._heard, self._silence_s, self._kill_at = now, silence_s, now + silence_s

    def _mourn(self, now: float) -> None:
        self.num_deaths += 1
        if self._killed:  # a hang may as well be the network's fault, and ends as that does
            return
        self._deaths.append(now)
        if len(self._deaths) == NUM_DEATHS and now - self._deaths[0] <= DEATHS_S:
            self.is_set_apart = True

    def _forgive(self) -> None:
        self.is_set_apart = False
        self._deaths.clear()

    def _move(self, state: LifecycleState, now: float) -> None:
        if state == self.state:
            return
        if state not in LEGAL[self.state]:
            raise ValueError(f"a camera that is {self.state} cannot become {state}")
        self.num_gaps += self.state == "running" and state != "disabled"
        self.state, self.since = state, now
