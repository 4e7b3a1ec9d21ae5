"""What a camera of the torture kit does, step by step."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Play:
    """Send pictures as they come, for `seconds`."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Freeze:
    """Send the same picture again and again, with times that go on, for `seconds`."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Stall:
    """Send nothing for `seconds`, over connections that stay open; new ones are taken, and hear nothing either."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Burst:
    """Hold the pictures of `seconds` back, then send them all at once."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Jump:
    """From here on, presentation times are later by `seconds`, or earlier where that is below 0 (by an hour at most)."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Resize:
    """From here on, pictures are of this size: even numbers of pixels."""

    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Corrupt:
    """From here on, this share of the bytes (0 to 1) is damaged; 0 for none."""

    share: float


@dataclass(frozen=True, slots=True)
class Die:
    """Reset all connections; new ones are taken at once."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Reset all connections, and refuse new ones for `seconds`."""

    seconds: float


ScriptStep = Play | Freeze | Stall | Burst | Jump | Resize | Corrupt | Die | Refuse
