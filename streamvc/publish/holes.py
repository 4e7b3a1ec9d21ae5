"""Finds what is missing in a stream of messages by their sequence. Pure."""

from dataclasses import dataclass

from streamvc.publish.wire import Kind, Message


@dataclass(frozen=True, slots=True)
class Hole:
    """Messages of one camera and kind that were published and did not arrive: `first` to `last`, both missing."""

    camera: str
    kind: Kind
    first: int
    last: int
    epoch: int

    @property
    def num_missing(self) -> int:
        return self.last - self.first + 1


class SequenceCheck:
    """Follows the sequences of all cameras.

    The first message of a camera sets the mark: what was published before one joined is not missing. A new epoch is a restart of the publisher, not a
    hole; but it counts from 1, so that what is missing at its beginning is seen.
    """

    def __init__(self) -> None:
        self._marks: dict[tuple[str, str, Kind], tuple[int, int]] = {}  # epoch and sequence last seen

    def step(self, message: Message) -> Hole | None:
        """Take the next message; returns the hole in front of it, if there is one."""
        topic = message.topic
        key = (topic.site, topic.camera, topic.kind)
        epoch, last = self._marks.get(key, (message.epoch, message.sequence - 1))
        if epoch != message.epoch:
            last = 0
        self._marks[key] = (message.epoch, max(message.sequence, last))
        if message.sequence <= last + 1:
            return None
        return Hole(topic.camera, topic.kind, last + 1, message.sequence - 1, message.epoch)
