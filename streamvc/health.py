"""How a camera fares, and when there is something to say about it. Pure."""

from collections import deque

from streamvc.events import Health, Reason, Status
from streamvc.sampling import GAP_S

RATE_SPAN_S = 2.0  # seconds of stream time over which a rate is measured
STALL_S = 2.0  # without a frame, after which a live camera has stalled; they pause for half a second at times
REPEAT_S = 60.0  # seconds of stream time between two reports of a camera that stays up
NOT_WATCHED = "it is not watched any more"  # of a camera that was removed
CHANGE = 0.2  # share by which a rate must have changed for another


class Rate:
    """How many there are a second, over the last seconds of the clock that it is given."""

    def __init__(self, span_s: float = RATE_SPAN_S) -> None:
        self._span_s = span_s
        self._counts: deque[tuple[float, float]] = deque()

    @property
    def value(self) -> float:
        """A second; 0.0 where only one moment is known."""
        if not self._counts:
            return 0.0
        (begin, first), (end, last) = self._counts[0], self._counts[-1]
        return (last - first) / (end - begin) if end > begin else 0.0

    @property
    def is_settled(self) -> bool:
        """The whole span is known."""
        return bool(self._counts) and self._counts[-1][0] - self._counts[0][0] >= self._span_s

    def step(self, now: float, count: float) -> None:
        """Take how many there were up to `now`, in seconds; both may also begin anew."""
        counts = self._counts
        if counts and (now < counts[-1][0] or count < counts[-1][1]):
            counts.clear()
        counts.append((now, count))
        while len(counts) > 2 and now - counts[1][0] >= self._span_s:
            counts.popleft()

    def clear(self) -> None:
        """Forget what was."""
        self._counts.clear()


def is_sparse(fps: float | None) -> bool:
    """Whether so many pictures/s are too few for any model, as each comes after a gap; not, where nothing is known."""
    return fps is not None and fps * GAP_S < 1


class HealthReporter:
    """Picks what is worth reporting of one camera: a status that is new and, while it stays up, rates that are."""

    def __init__(self, camera: str) -> None:
        self._camera = camera
        self._told: Health | None = None
        self._up_since = self._told_at = 0.0

    def up(self, timestamp: float, fps_in: float, rate_hz: float, dropped: int) -> Health | None:
        """A frame has come; the rates are frames/s received and analysed, and the first report of them waits until they are known."""
        told = self._told
        if told is None or told.status != "up":
            self._up_since = timestamp
            return self._tell("up", None, None, dropped)
        # Time may begin anew.
        known, recent = abs(timestamp - self._up_since) >= RATE_SPAN_S, abs(timestamp - self._told_at) < REPEAT_S
        if not known or (told.fps_in is not None and (recent or not (_differ(fps_in, told.fps_in) or _differ(rate_hz, told.rate_hz)))):
            return None
        self._told_at = timestamp
        return self._tell("up", fps_in, rate_hz, dropped)

    def not_up(self, status: Status, dropped: int, reason: Reason | None = None, detail: str | None = None) -> Health | None:
        """No frame comes; None where that was the last report."""
        if self._told is not None and self._told.status == status:
            return None
        return self._tell(status, None, None, dropped, reason, detail)

    def _tell(
        self, status: Status, fps_in: float | None, rate_hz: float | None, dropped: int, reason: Reason | None = None, detail: str | None = None
    ) -> Health:
        self._told = Health(self._camera, status, reason, detail, fps_in, rate_hz, dropped, seq=None, epoch=None)
        return self._told


def _differ(now: float, before: float | None) -> bool:
    return before is None or abs(now - before) > CHANGE * before
