"""What is true now, for those who join: the last sequences, and the last state and health of each camera."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from streamvc.publish.wire import Kind, Message

KEPT: tuple[Kind, ...] = ("state", "health")


class Present:
    """The newest of each camera and kind. Written under the publisher's lock; the socket's thread reads it without.

    Nothing of it is changed in place but single entries of dictionaries, and these are copied before they are gone through.
    """

    def __init__(self, sequences: Mapping[tuple[str, Kind], int], messages: Iterable[Message]) -> None:
        """Begin with what a log has from before."""
        self._sequences = dict(sequences)
        self._last = {(message.topic.camera, message.topic.kind): message for message in messages}

    def step(self, message: Message) -> None:
        """Take the next message of a camera and kind, which is on its way to subscribers."""
        key = message.topic.camera, message.topic.kind
        self._sequences[key] = message.sequence
        if message.topic.kind in KEPT:
            self._last[key] = message

    def next_sequence(self, camera: str, kind: Kind) -> int:
        return self._sequences.get((camera, kind), 0) + 1

    def sequences(self, cameras: Collection[str] | None = None) -> dict[str, dict[str, int]]:
        """The last sequence of each kind, by camera; of these cameras, or of all."""
        found: dict[str, dict[str, int]] = defaultdict(dict)
        for (camera, kind), sequence in self._sequences.copy().items():
            if cameras is None or camera in cameras:
                found[camera][kind] = sequence
        return dict(found)

    def messages(self, cameras: Collection[str] | None = None) -> list[Message]:
        """The last state and health of these cameras, or of all."""
        return [message for message in self._last.copy().values() if cameras is None or message.topic.camera in cameras]
