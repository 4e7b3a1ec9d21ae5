"""How late a decoder is with the pictures it reads, and when it will not catch up by decoding them all. Pure.

A picture of a live stream may have lain in a buffer for long before it is read, and nothing in it says so. But one that was waited for came at that
moment, and those behind it come as far apart as their times in the stream.
"""

import math
from collections import deque

from streamvc.types import Clock

GRACE_S = 0.5  # seconds of being too late that pass by themselves: something has held up the process, or the network
CAUGHT_UP_S = 0.1  # seconds by which who has skipped may still be late
NUM_WAITED = 5  # pictures after which a network that has become slower has become so for good
FALLING_S = 0.01  # by which one comes sooner than the one before, where what was held up comes as fast as it can


class Lateness:
    """Follows the pictures of one stream, each as it is read.

    Attributes:
        is_hopeless: What is read has been too old for a while; leave out all that lies there, until this is no longer so.
    """

    def __init__(self, bearable_s: float) -> None:
        """A picture that came more than `bearable_s` seconds ago is too old."""
        self.is_hopeless = False
        self._bearable_s = bearable_s
        # From the stream time of a picture to the moment at which it comes: of the last that were waited for, as one behind a hold-up comes late.
        self._lags_s: deque[float] = deque(maxlen=NUM_WAITED)
        # Before one was waited for, the first may have lain there, too; and without times in the stream nothing else is known.
        self._is_known = False
        self._waited: float | None = None  # when the last came that was waited for, or the first
        self._last_lag_s = -math.inf  # of the last that was waited for
        self._late_since: float | None = None

    def step(self, timestamp: float, clock: Clock, read: float, *, was_waited_for: bool) -> float:
        """Take the next picture.

        Args:
            timestamp: Its stream time, in seconds.
            clock: Where that is from.
            read: The moment at which it was read, in seconds.
            was_waited_for: It did not lie there already.

        Returns:
            The moment at which it came, in seconds of the same clock.
        """
        lag_s = read - timestamp
        is_falling = lag_s < self._last_lag_s - FALLING_S
        if not self._lags_s or lag_s < min(self._lags_s) or (was_waited_for and not is_falling):
            self._lags_s.append(lag_s)
        if was_waited_for or self._waited is None:
            self._waited, self._last_lag_s = read, lag_s
        self._is_known = self._is_known or (was_waited_for and clock != "arrival")
        came = timestamp + self.lag_s
        self._judge(read, read - (came if self._is_known else self._waited), self._waited)
        return came

    @property
    def lag_s(self) -> float:
        """Seconds from the stream time of a picture to the moment at which it comes, once there was one."""
        return min(self._lags_s)

    def _judge(self, now: float, late_s: float, waited: float) -> None:
        is_late = late_s > self._bearable_s
        self._late_since = (self._late_since or now) if is_late else None
        if late_s <= CAUGHT_UP_S:
            self.is_hopeless = False
        elif self._late_since is not None and now - max(self._late_since, waited) > GRACE_S:
            self.is_hopeless = True
