"""The ZeroMQ wire: a message is `[topic][header][body]`. Pure.

topic   `sv1/<site>/<camera>/<kind>/<label>/`. Names are percent-encoded (RFC 3986), so that any name will do and a "/" only ever separates. It always
        ends with one, because a subscription is a prefix: `run/` does not get `running/`.
header  16 bytes, big-endian: sequence, then epoch. The sequence counts the messages of one `<site>/<camera>/<kind>` from 1, whatever their label, so
        that a subscriber that filters still sees its holes. The epoch tells the runs of a publisher apart: with each, the sequence begins anew.
body    JSON, UTF-8.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args
from urllib.parse import quote, unquote

from streamvc.errors import PublishError

Kind = Literal["event", "state", "health"]

VERSION = "sv1"
KINDS: dict[str, Kind] = {kind: kind for kind in get_args(Kind)}
HEADER = struct.Struct(">QQ")
NUM_PARTS = 3


@dataclass(frozen=True, slots=True)
class Topic:
    """What a message is about."""

    site: str
    camera: str
    kind: Kind
    label: str


@dataclass(frozen=True, slots=True)
class Message:
    """One message, not yet or no longer on the wire."""

    topic: Topic
    sequence: int
    epoch: int
    body: bytes


def escape(name: str) -> str:
    """Percent-encode a name for a topic or a URI.

    Raises:
        PublishError: The name is empty or is not Unicode text.
    """
    if not name:
        raise PublishError("a site, node, camera or label has an empty name; give it one")
    try:
        return quote(name, safe="")
    except UnicodeEncodeError as error:
        raise PublishError(f"the name {name!a} is not valid Unicode text; choose another") from error


def subscription(site: str | None = None, camera: str | None = None, kind: Kind | None = None) -> bytes:
    """The longest prefix of all topics that match; a name left out ends it, as a prefix knows no wildcards."""
    prefix = VERSION + "/"
    for name in (site, camera, kind):
        if name is None:
            break
        prefix += escape(name) + "/"
    return prefix.encode()


def join(message: Message) -> list[bytes]:
    """The parts of a message as they are sent."""
    topic = message.topic
    names = "/".join(escape(name) for name in (topic.site, topic.camera, topic.kind, topic.label))
    return [f"{VERSION}/{names}/".encode(), HEADER.pack(message.sequence, message.epoch), message.body]


def split(parts: Sequence[bytes]) -> Message:
    """The message that was sent as these parts.

    Raises:
        PublishError: They are not a message of this wire.
    """
    if len(parts) != NUM_PARTS:
        raise PublishError(f"a message has {NUM_PARTS} parts, not {len(parts)}")
    topic, header, body = parts
    if len(header) != HEADER.size:
        raise PublishError(f"a header has {HEADER.size} bytes, not {len(header)}")
    sequence, epoch = HEADER.unpack(header)
    return Message(_parse_topic(topic), sequence, epoch, body)


def _parse_topic(topic: bytes) -> Topic:
    shown = repr(topic[:200])
    try:
        version, *names, rest = topic.decode("ascii").split("/")
        site, camera, kind, label = (unquote(name, errors="strict") for name in names)
    except ValueError as error:  # UnicodeDecodeError is one
        raise PublishError(f"not a topic: {shown}") from error
    if version != VERSION or rest or not (site and camera and label) or kind not in KINDS:
        raise PublishError(f"not a topic of {VERSION}: {shown}")
    return Topic(site, camera, KINDS[kind], label)
