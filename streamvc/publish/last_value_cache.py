"""The last value cache: the newest state and health message of each camera, and the last sequences, for subscribers that join late."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from streamvc.publish.wire import Kind, Message

CACHED_KINDS: tuple[Kind, ...] = ("state", "health")


class LastValueCache:
    """Keeps the newest message of each camera and kind that is on its way. One thread at a time adds to it; the socket's reads it at any time.

    Only single entries of its dictionaries are ever changed, and they are copied before they are iterated over.
    """

    def __init__(self, sequences: Mapping[tuple[str, Kind], int], messages: Iterable[Message]) -> None:
        """Start with what the log has from earlier runs."""
        self._sequences = dict(sequences)
        self._messages = {(message.topic.camera, message.topic.kind): message for message in messages}

    def add(self, message: Message) -> None:
        """Take the next message of a camera and kind, which is on its way to subscribers."""
        key = message.topic.camera, message.topic.kind
        self._sequences[key] = message.sequence
        if message.topic.kind in CACHED_KINDS:
            self._messages[key] = message

    def sequences(self, cameras: Collection[str] | None = None) -> dict[str, dict[str, int]]:
        """The last sequence of each kind, by camera; of these cameras, or of all."""
        found: dict[str, dict[str, int]] = defaultdict(dict)
        for (camera, kind), sequence in self._sequences.copy().items():
            if cameras is None or camera in cameras:
                found[camera][kind] = sequence
        return dict(found)

    def messages(self, cameras: Collection[str] | None = None) -> list[Message]:
        """The newest state and health of these cameras, or of all."""
        return [message for message in self._messages.copy().values() if cameras is None or message.topic.camera in cameras]
