"""Messages of the `latest` endpoint, as a reader takes them apart."""

from streamvc.publish import wire

HEADER_BYTES = 16


def split_single(frame: bytes) -> wire.Message:
    """The message that was sent in one frame."""
    topic, _, rest = frame.partition(b"\0")
    return wire.split([topic, rest[:HEADER_BYTES], rest[HEADER_BYTES:]])
