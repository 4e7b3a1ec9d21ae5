"""The requests of a subscriber that have not been answered yet. Pure."""

from dataclasses import dataclass
from itertools import count

from streamvc.publish.sequence_tracker import BEGINNING, Position, SequenceTracker
from streamvc.publish.wire import Request, SinceQuery, SnapshotQuery

MAX_PENDING = 8  # requests at the same time
RETRY_S = 2.0  # after this, a request counts as lost


@dataclass(frozen=True, slots=True, eq=False)
class PendingRequest:
    """A request that was sent at `sent_s`; for a `since`, with its tracker and the newest position that was known then."""

    sent_s: float
    tracker: SequenceTracker | None
    known: Position


class PendingRequests:
    """Keeps the requests by their ids. Times are of one monotonic clock, in seconds.

    Attributes:
        waiting_s: Since when requests have been pending without an answer; None while none is pending.
    """

    def __init__(self) -> None:
        self.waiting_s: float | None = None
        self._pending: dict[bytes, PendingRequest] = {}
        self._numbers = count(1)

    @property
    def is_full(self) -> bool:
        return len(self._pending) >= MAX_PENDING

    @property
    def due_s(self) -> float | None:
        """When `expire` must be called; None while nothing is pending."""
        return min((request.sent_s + RETRY_S for request in self._pending.values()), default=None)

    def has_for(self, tracker: SequenceTracker | None) -> bool:
        """Whether a request for this tracker is pending; None stands for a snapshot."""
        return any(request.tracker is tracker for request in self._pending.values())

    def __contains__(self, identifier: bytes) -> bool:
        return identifier in self._pending

    def add(self, query: SnapshotQuery | SinceQuery, now: float, tracker: SequenceTracker | None = None) -> Request:
        """Make a request, which is to be sent now."""
        request = Request(b"%d" % next(self._numbers), query)
        self._pending[request.id] = PendingRequest(now, tracker, BEGINNING if tracker is None else tracker.known)
        self.waiting_s = now if self.waiting_s is None else self.waiting_s
        return request

    def pop(self, identifier: bytes, now: float) -> PendingRequest | None:
        """Remove a request that was answered; None where it is not pending any more."""
        request = self._pending.pop(identifier, None)
        if request is not None:
            self.waiting_s = now if self._pending else None
        return request

    def restart_wait(self, now: float) -> None:
        """Count the waiting time from now on: the publisher was just started."""
        self.waiting_s = None if self.waiting_s is None else now

    def expire(self, now: float) -> None:
        """Forget the requests that are too old. What is still needed is requested again, and its waiting time goes on."""
        self._pending = {identifier: request for identifier, request in self._pending.items() if now < request.sent_s + RETRY_S}

    def clear(self) -> None:
        """Forget all of them."""
        self._pending.clear()
