"""The ZeroMQ wire, byte by byte, as docs/wire.md describes it. Pure.

A message is `[topic][header][body]`:

topic   `sv1/<site>/<camera>/<kind>/<label>/`. Names are percent-encoded (RFC 3986), so that any name will do and a "/" only ever separates. It always
        ends with one, because a subscription is a prefix: `run/` does not get `running/`.
header  16 bytes, big-endian: sequence, then epoch. The sequence counts the messages of one `<site>/<camera>/<kind>` from 1, whatever their label, so
        that a subscriber that filters still sees its gaps. The epoch tells the runs of a publisher apart and always grows. With a log, the
        sequence goes on across them; where the log was lost it begins anew. So `(epoch, sequence)` orders the messages of one camera and kind.
body    JSON, UTF-8.

A request is `[id][command][JSON]`. Its answer is any number of messages, `[id][topic][header][body]` each, and then `[id]["end"][JSON]`, or
`[id]["error"][JSON]` alone. The id is chosen by who requests.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Annotated, Any, Literal, TypeVar, get_args
from urllib.parse import quote, unquote

from pydantic import Field, TypeAdapter, ValidationError

from streamvc.errors import MessageError, PublishError

T = TypeVar("T")
Kind = Literal["event", "state", "health", "heartbeat"]
Command = Literal["snapshot", "since"]
MAX_COUNT = 2**63 - 1  # what SQLite can hold
Count = Annotated[int, Field(ge=0, le=MAX_COUNT)]
Name = Annotated[str, Field(min_length=1)]

VERSION = "sv1"
KINDS: dict[str, Kind] = {kind: kind for kind in get_args(Kind)}
HEADER = struct.Struct(">QQ")
NUM_PARTS = 3
MAX_ID_BYTES = 32
MAX_LIMIT = 1000  # messages in one answer
MAX_CACHED = 4_096  # names whose escaped form is kept: the same few come again and again
NO_LABEL = "-"  # of a heartbeat


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


@dataclass(frozen=True, slots=True)
class SnapshotQuery:
    """Requests the last state and health of these cameras, or of all.

    `epoch` is one that the subscriber knows, for the answer to say whether sequences have gone on since; 0 if it knows none.
    """

    cameras: tuple[Name, ...] | None = None
    epoch: Count = 0


@dataclass(frozen=True, slots=True)
class SinceQuery:
    """Requests the logged messages of a camera and kind that are behind `(epoch, seq)`, oldest first.

    Behind it are those of `epoch` with a higher sequence, and those of every later epoch, whatever their sequence.

    Attributes:
        limit: Messages in the answer, at most.
        from_s: Only messages written at this moment or later, in Unix seconds.
    """

    camera: Name
    kind: Literal["event", "state", "health"]
    epoch: Count
    seq: Count
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT)] = MAX_LIMIT
    from_s: Annotated[float, Field(allow_inf_nan=False)] = 0.0


@dataclass(frozen=True, slots=True)
class Request:
    """What a subscriber sends; `id` (1 to 32 bytes) comes back with each part of the answer."""

    id: bytes
    query: SnapshotQuery | SinceQuery


@dataclass(frozen=True, slots=True)
class AnswerEnd:
    """The last part of an answer.

    Attributes:
        command: What is answered.
        count: Messages in the answer.
        epoch: The publisher's, now.
        renumbered: The requested epoch is not one of the log's, or a later one has used its sequences again: the subscriber's position says nothing.
        more: There are more messages than the limit let through: ask again.
        first: Oldest sequence of the camera and kind that is kept; 0 for none. For `since`.
        last: Newest sequence; 0 for none. For `since`.
        site: The publisher's. For `snapshot`.
        node: The publisher's. For `snapshot`.
        sequences: The last sequence of each camera and kind. For `snapshot`.
    """

    command: Command
    count: Count
    epoch: Count
    renumbered: bool = False
    more: bool = False
    first: Count = 0
    last: Count = 0
    site: Name | None = None
    node: Name | None = None
    sequences: Mapping[str, Mapping[str, Count]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refusal:
    """The answer to a request that cannot be answered."""

    reason: str


QUERIES: dict[bytes, TypeAdapter[Any]] = {b"snapshot": TypeAdapter(SnapshotQuery), b"since": TypeAdapter(SinceQuery)}
COMMANDS: dict[type[SnapshotQuery] | type[SinceQuery], bytes] = {SnapshotQuery: b"snapshot", SinceQuery: b"since"}
END: TypeAdapter[AnswerEnd] = TypeAdapter(AnswerEnd)
REFUSAL: TypeAdapter[Refusal] = TypeAdapter(Refusal)


@lru_cache(maxsize=MAX_CACHED)
def escape(name: str) -> str:
    """Percent-encode a name for a topic or a URI.

    Raises:
        MessageError: The name is empty or is not Unicode text.
    """
    if not name:
        raise MessageError("a site, node, camera or label has an empty name; give it one")
    try:
        return quote(name, safe="")
    except UnicodeEncodeError as error:
        raise MessageError(f"the name {name!a} is not valid Unicode text; choose another") from error


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
    if max(sequence, epoch) > MAX_COUNT:
        raise PublishError(f"sequences and epochs are numbers up to {MAX_COUNT}, not {max(sequence, epoch)}")
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


def single(parts: Sequence[bytes]) -> bytes:
    """The parts of a message in one frame, for the `latest` endpoint: ZeroMQ conflates only those. The topic is first, for subscriptions to match."""
    topic, header, body = parts
    return topic + b"\0" + header + body


def join_request(request: Request) -> list[bytes]:
    """The parts of a request as they are sent."""
    command = COMMANDS[type(request.query)]
    return [request.id, command, QUERIES[command].dump_json(request.query, exclude_none=True)]


def split_request(parts: Sequence[bytes]) -> Request:
    """The request that was sent as these parts.

    Raises:
        PublishError: They are not a request; the words can be sent back.
    """
    if len(parts) != NUM_PARTS:
        raise PublishError(f"a request has {NUM_PARTS} parts, not {len(parts)}")
    identifier, command, parameters = parts
    if not 1 <= len(identifier) <= MAX_ID_BYTES:
        raise PublishError(f"the id of a request has 1 to {MAX_ID_BYTES} bytes, not {len(identifier)}")
    if command not in QUERIES:
        raise PublishError(f"{command[:MAX_ID_BYTES]!r} is no command; there are snapshot and since")
    return Request(identifier, _parse(QUERIES[command], parameters, command.decode()))


def join_answer(identifier: bytes, answer: Message | AnswerEnd | Refusal) -> list[bytes]:
    """One part of the answer to the request of that id, as it is sent."""
    if isinstance(answer, Message):
        return [identifier, *join(answer)]
    if isinstance(answer, AnswerEnd):
        return [identifier, b"end", END.dump_json(answer, exclude_none=True)]
    return [identifier, b"error", REFUSAL.dump_json(answer)]


def split_answer(parts: Sequence[bytes]) -> tuple[bytes, Message | AnswerEnd | Refusal]:
    """The id of the request, and one part of its answer.

    Raises:
        PublishError: They are not part of an answer.
    """
    if len(parts) == NUM_PARTS + 1:
        return parts[0], split(parts[1:])
    if len(parts) != NUM_PARTS:
        raise PublishError(f"a part of an answer has {NUM_PARTS} or {NUM_PARTS + 1} parts, not {len(parts)}")
    identifier, word, text = parts
    if word == b"end":
        return identifier, _parse(END, text, "end")
    if word == b"error":
        return identifier, _parse(REFUSAL, text, "error")
    raise PublishError(f"not part of an answer: {word[:MAX_ID_BYTES]!r}")


def _parse(adapter: TypeAdapter[T], text: bytes, what: str) -> T:
    try:
        return adapter.validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise PublishError(f"not the JSON of {what!r}: {'.'.join(map(str, first['loc'])) or 'all of it'}: {first['msg']}") from error
