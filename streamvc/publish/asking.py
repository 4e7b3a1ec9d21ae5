"""The requests of a subscriber that wait for their answers. Pure."""

from dataclasses import dataclass
from itertools import count

from streamvc.publish.holes import BEGINNING, Position, Series
from streamvc.publish.wire import Request, Since, Snapshot

MAX_ASKED = 8  # requests that wait at the same time
RETRY_S = 2.0  # after which a request is taken for lost


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A request on its way; for a `since`, with its series and with what was known to exist of it when it was asked."""

    at_s: float
    series: Series | None
    known: Position


class Asking:
    """Keeps the requests by their ids; times are of one monotonic clock, in seconds.

    Attributes:
        waiting_s: Since when something has been asked and nothing answered; None while nothing waits.
    """

    def __init__(self) -> None:
        self.waiting_s: float | None = None
        self._asked: dict[bytes, Asked] = {}
        self._numbers = count(1)

    @property
    def full(self) -> bool:
        return len(self._asked) >= MAX_ASKED

    @property
    def due_s(self) -> float | None:
        """When `expire` is due; None while nothing waits."""
        return min((asked.at_s + RETRY_S for asked in self._asked.values()), default=None)

    def awaits(self, series: Series | None) -> bool:
        """Whether an answer about this series is on its way; None stands for a snapshot."""
        return any(asked.series is series for asked in self._asked.values())

    def expects(self, identifier: bytes) -> bool:
        """Whether a request of that id waits."""
        return identifier in self._asked

    def ask(self, what: Snapshot | Since, now: float, series: Series | None = None) -> Request:
        """A request to be sent now."""
        request = Request(b"%d" % next(self._numbers), what)
        self._asked[request.id] = Asked(now, series, BEGINNING if series is None else series.known)
        self.waiting_s = now if self.waiting_s is None else self.waiting_s
        return request

    def answered(self, identifier: bytes, now: float) -> Asked | None:
        """What was asked, and is answered now; None where nobody waits for it any more."""
        asked = self._asked.pop(identifier, None)
        if asked is not None:
            self.waiting_s = now if self._asked else None
        return asked

    def be_patient(self, now: float) -> None:
        """Whoever is asked was just started."""
        self.waiting_s = None if self.waiting_s is None else now

    def expire(self, now: float) -> None:
        """Take for lost what has waited too long. Whoever still needs it asks again, and waits on."""
        self._asked = {identifier: asked for identifier, asked in self._asked.items() if now < asked.at_s + RETRY_S}

    def forget(self) -> None:
        """Take all for lost."""
        self._asked.clear()
