"""What a subscriber reports beside the events: that it lags, that the publisher was lost, is back or was restarted, that messages were missed."""

from dataclasses import dataclass

from streamvc.publish.wire import Kind


@dataclass(frozen=True, slots=True)
class Lagging:
    """The reader is slower than the events come, and so many wait for it. Nothing is lost as long as the publisher's log keeps them."""

    behind: int

    def __str__(self) -> str:
        return f"lagging: {self.behind} messages wait to be read"


@dataclass(frozen=True, slots=True)
class PublisherLost:
    """Nothing came from the publisher for so many seconds: it is dead, out of reach, or (`seen_before` False) not there yet."""

    silent_s: float
    seen_before: bool = True

    def __str__(self) -> str:
        return f"lost: nothing was heard of the publisher for {self.silent_s:.1f} s" if self.seen_before else "waiting for a publisher"


@dataclass(frozen=True, slots=True)
class PublisherReconnected:
    """Something came from the publisher again, after so many seconds; or (`seen_before` False) for the first time."""

    silent_s: float
    seen_before: bool = True

    def __str__(self) -> str:
        return f"back: the publisher is heard again after {self.silent_s:.1f} s" if self.seen_before else "the publisher is there"


@dataclass(frozen=True, slots=True)
class PublisherRestarted:
    """The publisher was restarted; what it publishes from now on is of this epoch.

    Attributes:
        epoch: The new one; it is above all before.
        renumbered: It has lost its log, or has none: sequences begin anew, and nobody knows whether the end of the epoch before was missed.
    """

    epoch: int
    renumbered: bool

    def __str__(self) -> str:
        return f"restarted: the publisher is in epoch {self.epoch}" + (", without the log of the one before" if self.renumbered else "")


@dataclass(frozen=True, slots=True)
class Missed:
    """Messages of a camera and kind that were published, did not arrive and are not in the log any more: sequence `first` to `last`, both missing."""

    camera: str
    kind: Kind
    first: int
    last: int

    @property
    def num_missing(self) -> int:
        return self.last - self.first + 1

    def __str__(self) -> str:
        return f"missed: {self.num_missing} messages ({self.kind}) of camera {self.camera}, {self.first} to {self.last}"


Notice = Lagging | PublisherLost | PublisherReconnected | PublisherRestarted | Missed
