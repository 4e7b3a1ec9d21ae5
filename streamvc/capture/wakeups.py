"""When a decoder may sleep although pictures come: all the time that none is due. Pure.

Pictures that are read and decoded several at once cost a quarter less than one by one, as the processor's caches are warm for all but the first. So
those that nobody wants are left where they are (in the socket's buffer), until shortly before the one that is due comes; that one is awaited.
"""

import math
from collections.abc import Sequence

from streamvc.sampling import EARLY

SHORTEST_S = 0.05  # of a nap: below that, it saves nothing
LONGEST_S = 0.25  # of a nap: what comes meanwhile must find room
MARGIN_S = 0.005  # seconds before the due picture comes, at which all others are to be decoded


class WakeupScheduler:
    """Says how long to sleep before the next due picture of a stream; when that comes is known from `Lateness`.

    Only while each is waited for, as one that lay there may have come at any time before: then there is no nap before the next, which so is read as
    soon as it comes.
    """

    def __init__(self, rates_hz: Sequence[float]) -> None:
        """Pictures are due at these rates."""
        self._rates_hz = rates_hz
        self._woken: float | None = None  # when the last nap was to end

    def until(self, timestamp: float, lag_s: float, asked: float, now: float, *, was_waited_for: bool) -> float:
        """A due picture was read; says until when the decoder may sleep, and takes it that it does.

        Args:
            timestamp: The picture's stream time, in seconds.
            lag_s: From the stream time of a picture to the moment at which it comes.
            asked: The moment at which the decoder was ready for it.
            now: The moment now. All are in seconds of the same clock.
            was_waited_for: It did not lie there already.
        """
        busy_s = 0.0 if self._woken is None else asked - self._woken  # with the pictures before it
        self._woken = None
        if not was_waited_for:
            return now
        moment = min(self._next_due(timestamp) + lag_s - busy_s - MARGIN_S, now + LONGEST_S)
        if moment - now < SHORTEST_S:
            return now
        self._woken = moment
        return moment

    def _next_due(self, timestamp: float) -> float:
        """The stream time from which on the next picture is due."""
        return min((math.floor(timestamp * rate_hz + EARLY) + 1 - EARLY) / rate_hz for rate_hz in self._rates_hz)
