"""A wall clock that is not led astray: machines boot at a wrong time, and a bad time server sets clocks weeks ahead for a minute. Pure."""

SLACK_S = 60.0  # seconds by which the clock may be set ahead and is followed at once


class SteadyClock:
    """Unix time that follows the machine's clock back at once, and ahead only when it has stayed there for a while.

    For what cannot be undone, such as deleting what is old, and for what must stay in order.
    """

    def __init__(self, hold_s: float, last_known: float | None = None) -> None:
        """Set up.

        Args:
            hold_s: Seconds for which the clock must stay ahead to be believed.
            last_known: Unix time of the last thing that is known to have happened: a clock far ahead of it is not believed at first, either.
        """
        self._hold_s = hold_s
        self._last_known = last_known
        self._offset_s: float | None = None  # from monotonic to Unix time, as it is believed
        self._ahead_since: float | None = None

    def step(self, wall: float, monotonic: float) -> float:
        """The Unix time that is believed, by what both clocks say now, in seconds."""
        offset_s = wall - monotonic
        if self._offset_s is None:
            self._offset_s = offset_s if self._last_known is None else min(offset_s, self._last_known - monotonic)
        if offset_s <= self._offset_s + SLACK_S or self._has_held(monotonic):
            self._offset_s, self._ahead_since = offset_s, None
        return monotonic + self._offset_s

    def _has_held(self, monotonic: float) -> bool:
        self._ahead_since = monotonic if self._ahead_since is None else self._ahead_since
        return monotonic - self._ahead_since >= self._hold_s
