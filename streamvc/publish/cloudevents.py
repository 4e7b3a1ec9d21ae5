"""Events as CloudEvents 1.0 in JSON: the same bytes on every sink.

The `id` is made of the event's content alone: `<event_id>-start`, `<event_id>-update-<ms since its start>`, `<event_id>-end`. So it is the same in a
replay and after a restart, and a reader that has seen it can skip it. Readers ignore fields they do not know; a breaking change gets a new `type`.
"""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from streamvc.errors import PublishError
from streamvc.events import Event
from streamvc.publish.wire import escape

Type = Literal["dev.streamvc.activity.start.v1", "dev.streamvc.activity.update.v1", "dev.streamvc.activity.end.v1"]
Name = Annotated[str, Field(min_length=1)]
UtcTime = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$", json_schema_extra={"format": "date-time"})]


# Without `revalidate_instances` an `Event` would be taken as it is, with a NaN or a NumPy number in it.
@dataclass(frozen=True, slots=True, config=ConfigDict(revalidate_instances="always", allow_inf_nan=False))
class CloudEvent:
    """The envelope of an event. `subject` is the camera; `time` is when the event was written, in UTC with milliseconds."""

    specversion: Literal["1.0"]
    id: Name
    source: Name
    type: Type
    subject: Name
    time: UtcTime
    datacontenttype: Literal["application/json"]
    data: Event


ADAPTER = TypeAdapter(CloudEvent)


def encode(event: Event, *, site: str, node: str, time: float) -> bytes:
    """The event as CloudEvents JSON, in UTF-8.

    Args:
        event: What to encode.
        site: The site, first part of the source.
        node: The machine, second part of the source.
        time: When the event is written, in Unix seconds.

    Raises:
        PublishError: A value of the event is not of its type, or a name is empty.
    """
    moment = datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds")
    try:
        envelope = CloudEvent(
            specversion="1.0",
            id=_identifier(event),
            source=f"streamvc://{escape(site)}/{escape(node)}",
            type=f"dev.streamvc.activity.{event.phase}.v1",  # type: ignore[arg-type]  # checked at run time
            subject=event.camera,
            time=moment.replace("+00:00", "Z"),
            datacontenttype="application/json",
            data=event,
        )
    except ValidationError as error:
        raise PublishError(f"an event of camera {event.camera!r} cannot be published: {_first_reason(error)}") from error
    return ADAPTER.dump_json(envelope)


def decode(body: bytes) -> Event:
    """The event that was encoded as `body`; fields that are not known are ignored.

    Raises:
        PublishError: This is not an event.
    """
    try:
        return ADAPTER.validate_json(body, strict=True).data
    except ValidationError as error:
        raise PublishError(f"not an event: {_first_reason(error)}") from error


def _identifier(event: Event) -> str:
    if event.phase == "update":
        return f"{event.event_id}-update-{1000 * (event.duration_s or 0.0):.0f}"
    return f"{event.event_id}-{event.phase}"


def _first_reason(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return f"{'.'.join(str(step) for step in first['loc']) or 'body'}: {first['msg']}"
