"""Decides by its heartbeats whether a publisher is alive. Pure."""

from streamvc.publish.notices import PublisherLost, PublisherReconnected

NUM_HEARTBEATS = 3  # that may be missing
INTERVAL_S = 1.0  # between heartbeats, until one has said its own
MIN_INTERVAL_S, MAX_INTERVAL_S = 0.01, 60.0  # bounds of what a heartbeat may say
RECONNECT_S = 5.0  # between attempts to reach a lost publisher


class LivenessMonitor:
    """Is told when something is received from the publisher. Times are of one monotonic clock, in seconds.

    Attributes:
        has_heartbeats: A heartbeat has been received.
        without_heartbeats: Messages have come for so long without a heartbeat that the publisher sends none; then silence means nothing.
        is_lost: Nothing has been received for too long.
        first_s: When something was first received; None before that.
    """

    def __init__(self, now: float) -> None:
        self.has_heartbeats = self.without_heartbeats = self.is_lost = False
        self.first_s: float | None = None
        self._last_s = now
        self._interval_s = INTERVAL_S
        self._reconnect_s = now
        self._epoch, self._epoch_s = 0, now  # the newest epoch, and when its first message came

    @property
    def due_s(self) -> float | None:
        """When `tick` must be called; None for never, unless something is received."""
        if self.is_lost:
            return self._reconnect_s
        return None if self.without_heartbeats else self._last_s + NUM_HEARTBEATS * self._interval_s

    def heartbeat(self, interval_s: float) -> None:
        """What was received is a heartbeat, and the next one follows in `interval_s`."""
        self.has_heartbeats, self.without_heartbeats = True, False
        self._interval_s = min(max(interval_s, MIN_INTERVAL_S), MAX_INTERVAL_S)

    def message(self, epoch: int, now: float) -> None:
        """What was received is a message of this epoch."""
        if epoch != self._epoch:
            self._epoch, self._epoch_s = epoch, now
        self.without_heartbeats = not self.has_heartbeats and now - self._epoch_s >= NUM_HEARTBEATS * INTERVAL_S

    def received(self, now: float) -> PublisherReconnected | None:
        """Something was received from the publisher."""
        reconnected = PublisherReconnected(now - self._last_s, self.first_s is not None) if self.is_lost else None
        if self.first_s is None:
            self.first_s = now
        self._last_s = now
        self.is_lost = False
        return reconnected

    def tick(self, now: float) -> PublisherLost | None:
        """Time has passed. While the publisher is lost, `should_reconnect` says when to try again."""
        if self.is_lost or self.due_s is None or now < self.due_s:
            return None
        self.is_lost = True
        self._reconnect_s = now
        return PublisherLost(now - self._last_s, self.first_s is not None)

    def should_reconnect(self, now: float) -> bool:
        """Whether to connect anew now, since a connection that hangs may hang for ever."""
        if not self.is_lost or now < self._reconnect_s:
            return False
        self._reconnect_s = now + RECONNECT_S
        return True
