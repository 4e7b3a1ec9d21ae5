"""What is published, as CloudEvents 1.0 in JSON: the same bytes on every sink.

An event's `id` is made of its content alone: `<event_id>-start`, `<event_id>-update-<ms since its start>`, `<event_id>-end`. So it is the same in a
replay and after a restart, and a reader that has seen it can skip it. The others are told apart by their numbers. Readers ignore fields they do not
know; a breaking change gets a new `type`. Events and states are of version 2; what was published as version 1 is read too.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass
from pydantic_core import PydanticSerializationError

from streamvc.errors import MessageError, PublishError
from streamvc.events import Body, Event, Health, Heartbeat, State
from streamvc.publish.version1 import from_version_1
from streamvc.publish.wire import escape

Name = Annotated[str, Field(min_length=1)]
UtcTime = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$", json_schema_extra={"format": "date-time"})]

# Without `revalidate_instances` a body would be taken as it is, with a NaN or a NumPy number in it.
CHECKED = ConfigDict(revalidate_instances="always", allow_inf_nan=False)


@dataclass(frozen=True, slots=True, config=CHECKED)
class CloudEvent:
    """The envelope. `subject` is the camera, or the node; `time` is when it was written, in UTC with milliseconds."""

    specversion: Literal["1.0"]
    id: Name
    source: Name
    type: str
    subject: Name
    time: UtcTime
    datacontenttype: Literal["application/json"]
    data: Body


@dataclass(frozen=True, slots=True, config=CHECKED)
class ActivityEvent(CloudEvent):
    """An activity begins, goes on or ends."""

    type: Literal["dev.streamvc.activity.start.v2", "dev.streamvc.activity.update.v2", "dev.streamvc.activity.end.v2"]
    data: Event


@dataclass(frozen=True, slots=True, config=CHECKED)
class StateEvent(CloudEvent):
    """What goes on at a camera has changed."""

    type: Literal["dev.streamvc.camera.state.v2"]
    data: State


@dataclass(frozen=True, slots=True, config=CHECKED)
class HealthEvent(CloudEvent):
    """How a camera fares, or a node."""

    type: Literal["dev.streamvc.camera.health.v1"]
    data: Health


@dataclass(frozen=True, slots=True, config=CHECKED)
class HeartbeatEvent(CloudEvent):
    """A publisher is alive."""

    type: Literal["dev.streamvc.heartbeat.v1"]
    data: Heartbeat


ENVELOPES: dict[type[Body], type[CloudEvent]] = {Event: ActivityEvent, State: StateEvent, Health: HealthEvent, Heartbeat: HeartbeatEvent}
WRITERS: dict[type[Body], TypeAdapter[Any]] = {body: TypeAdapter(envelope) for body, envelope in ENVELOPES.items()}
ADAPTER: TypeAdapter[CloudEvent] = TypeAdapter(Annotated[ActivityEvent | StateEvent | HealthEvent | HeartbeatEvent, Field(discriminator="type")])


def encode(body: Body, *, site: str, node: str, time: float) -> bytes:
    """What is published, as CloudEvents JSON in UTF-8.

    Args:
        body: What to encode.
        site: The site, first part of the source.
        node: The machine, second part of the source.
        time: When it is written, in Unix seconds.

    Raises:
        MessageError: A value is not of its type, or a name is empty.
    """
    moment = datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds")
    kind, identifier, subject = _described(body, time)
    try:
        envelope = ENVELOPES[type(body)](
            specversion="1.0",
            id=identifier,
            source=f"streamvc://{escape(site)}/{escape(node)}",
            type=f"dev.streamvc.{kind}",
            subject=subject,
            time=moment.replace("+00:00", "Z"),
            datacontenttype="application/json",
            data=body,
        )
    except ValidationError as error:
        raise MessageError(f"a message about {subject!r} cannot be published: {_first_reason(error)}") from error
    try:
        return WRITERS[type(body)].dump_json(envelope)
    except PydanticSerializationError as error:  # half a character of UTF-16
        raise MessageError(f"a message about {subject!a} cannot be published: it is not valid Unicode text") from error


def decode(body: bytes) -> Body:
    """What was encoded as `body`; fields that are not known are ignored.

    Raises:
        PublishError: This is not one of our events.
    """
    return open_envelope(body).data


def open_envelope(body: bytes) -> CloudEvent:
    """The same with its envelope around it.

    Raises:
        PublishError: This is not one of our events.
    """
    try:
        return _validated(body)
    except PublishError:
        if (converted := from_version_1(body)) is None:
            raise
    return _validated(converted)


def _validated(body: bytes) -> CloudEvent:
    try:
        return ADAPTER.validate_json(body, strict=True)
    except ValidationError as error:
        raise PublishError(f"not an event: {_first_reason(error)}") from error


def _described(body: Body, time: float) -> tuple[str, str, str]:
    """What it is and in which version, its identifier, and what it is about."""
    match body:
        case Event():
            moment = f"update-{1000 * (body.duration_s or 0.0):.0f}" if body.phase == "update" else body.phase
            return f"activity.{body.phase}.v2", f"{body.event_id}-{moment}", body.camera
        case State():
            return "camera.state.v2", f"{body.camera}-state-{body.epoch}-{body.seq}", body.camera
        case Health():
            return "camera.health.v1", f"{body.camera}-health-{body.epoch}-{body.seq}", body.camera
        case Heartbeat():
            return "heartbeat.v1", f"{body.node}-heartbeat-{body.epoch}-{1000 * time:.0f}", body.node


def _first_reason(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return f"{'.'.join(str(step) for step in first['loc']) or 'body'}: {first['msg']}"
