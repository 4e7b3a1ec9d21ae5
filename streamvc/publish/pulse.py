"""Tells a publisher that is silent from one that is gone, by its heartbeats. Pure."""

from streamvc.publish.notices import Back, Lost

NUM_BEATS = 3  # heartbeats that may fail to come
INTERVAL_S = 1.0  # between heartbeats, until one has said
MIN_INTERVAL_S, MAX_INTERVAL_S = 0.01, 60.0  # whatever it says
RECONNECT_S = 5.0  # between attempts to find the publisher again


class Pulse:
    """Is told what is heard, and when; times are of one monotonic clock, in seconds.

    Attributes:
        beats: A heartbeat has been heard.
        mute: It spoke for so long without a heartbeat that it sends none; then silence says nothing.
        lost: Nothing has been heard for too long.
    """

    def __init__(self, now: float) -> None:
        self.beats = self.mute = self.lost = False
        self.first_s: float | None = None  # when something was first heard
        self._last_s = now
        self._interval_s = INTERVAL_S
        self._reconnect_s = now
        self._epoch, self._epoch_s = 0, now  # what spoke last, and since when

    @property
    def due_s(self) -> float | None:
        """When `tick` is due; None if never, unless something is heard."""
        if self.lost:
            return self._reconnect_s
        return None if self.mute else self._last_s + NUM_BEATS * self._interval_s

    def beat(self, interval_s: float) -> None:
        """What was heard is a heartbeat, and they come at this interval."""
        self.beats, self.mute = True, False
        self._interval_s = min(max(interval_s, MIN_INTERVAL_S), MAX_INTERVAL_S)

    def speak(self, epoch: int, now: float) -> None:
        """What was heard is said by the run of a publisher that has this epoch."""
        if epoch != self._epoch:
            self._epoch, self._epoch_s = epoch, now
        self.mute = not self.beats and now - self._epoch_s >= NUM_BEATS * INTERVAL_S

    def hear(self, now: float) -> Back | None:
        """Something was heard of the publisher."""
        back = Back(now - self._last_s, self.first_s is not None) if self.lost else None
        if self.first_s is None:
            self.first_s = now
        self._last_s = now
        self.lost = False
        return back

    def tick(self, now: float) -> Lost | None:
        """Time has passed. While it is lost, `reconnects` says when to try again."""
        if self.lost or self.due_s is None or now < self.due_s:
            return None
        self.lost = True
        self._reconnect_s = now
        return Lost(now - self._last_s, self.first_s is not None)

    def reconnects(self, now: float) -> bool:
        """Whether the connection should be made anew, now: what hangs may hang for good."""
        if not self.lost or now < self._reconnect_s:
            return False
        self._reconnect_s = now + RECONNECT_S
        return True
