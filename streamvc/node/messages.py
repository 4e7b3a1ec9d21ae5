"""What a decoder and the node say to each other. Between the processes it is JSON, one message a datagram; pictures go through the `ring`.

A decoder reads what strangers send, and may be broken by it: JSON cannot do more than say something wrong.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from pydantic import TypeAdapter

from streamvc.capture.rest import Unseen
from streamvc.capture.stream import Decode
from streamvc.types import Clock, Frame

Absence = Literal[Unseen, "frozen"]
FinishReason = Literal["lost", "refused", "end_of_stream", "died"]
Polygon = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class MotionSettings:
    """When a picture counts as still, so that it need not be analysed.

    Attributes:
        gate: Whether still pictures are left out at all.
        sensitivity: From 0, only large changes count as motion, to 1, nearly all do.
        settle_s: Seconds without motion after which the pictures are still.
        keep_alive_s: Seconds after which one is sent all the same.
        rest: While the pictures are still, decode keyframes alone, and the others when there is more in them than usual.
    """

    gate: bool = True
    sensitivity: float = 0.5
    settle_s: float = 1.0
    keep_alive_s: float = 2.0
    rest: bool = False


@dataclass(frozen=True, slots=True)
class DecoderSettings:
    """What a decoder is to read, and which of its pictures are wanted.

    Attributes:
        name: The camera.
        source: As for `open_source`; it may hold a password.
        rates_hz: The rates at which pictures are due.
        include: Polygons that are looked at, in shares of width and height; the whole picture where there is none.
        exclude: Polygons that are not.
        motion: What counts as motion.
        frozen_s: Seconds of bit-identical pictures after which the picture is frozen; 0 for never.
        decode: Which pictures of a video are decoded at all.
        open_timeout_s: Seconds after which a stream that does not answer is given up.
        read_timeout_s: Seconds after which a stream that falls silent is lost.
        staleness_s: Seconds after which a picture is of no use any more.
        pace: Play a recording at its own speed, as a camera would, in wall-clock time; otherwise it is read as fast as its pictures are given back.
    """

    name: str
    source: str = field(repr=False)
    rates_hz: tuple[float, ...]
    include: tuple[Polygon, ...] = ()
    exclude: tuple[Polygon, ...] = ()
    motion: MotionSettings = MotionSettings()
    frozen_s: float = 30.0
    decode: Decode = "all"
    open_timeout_s: float = 10.0
    read_timeout_s: float = 5.0
    staleness_s: float = 0.5
    pace: bool = True


@dataclass(frozen=True, slots=True)
class Started:
    """The decoder's first word: its process, for the figures of the node."""

    pid: int


@dataclass(frozen=True, slots=True)
class Opened:
    """The first picture is there; said again where the size of the pictures changes, which is a gap.

    Attributes:
        size: Width and height of the pictures, in pixels.
        fps: Pictures/s as announced; None where nothing is announced.
        codec: Short name of the codec, such as `h264`; None where there is none.
        is_live: It happens now; False for a recording.
        silence_s: Seconds after which a decoder that has said nothing hangs.
    """

    size: tuple[int, int]
    fps: float | None
    codec: str | None
    is_live: bool
    silence_s: float


@dataclass(frozen=True, slots=True)
class Due:
    """A picture was due.

    Attributes:
        slot: Where it is in the ring; None where it is not there.
        absence: Why it is not: it is still (nothing has moved), or all have been bit-identical for long, or it was read too
            late, or left out to catch up.
        index: Position of the picture in the stream, from 0.
        timestamp: Seconds of stream time.
        clock: Where `timestamp` is from.
        captured: `time.monotonic()` when its encoded form arrived, in seconds.
        decoded: `time.monotonic()` when it was decoded and looked at.
        epoch_s: Unix time of stream time 0; 0.0 for a recording that is not paced. It may move within the first second, and at a gap.
        received: Pictures received so far, also those that were left undecoded.
        corrupt: Pictures so far that were damaged and left out.
        dropped: Pictures so far that were due, but found all slots of the ring in use.
    """

    slot: int | None
    absence: Absence | None
    index: int
    timestamp: float
    clock: Clock
    captured: float
    decoded: float
    epoch_s: float
    received: int
    corrupt: int
    dropped: int


@dataclass(frozen=True, slots=True, eq=False)
class Arrived:
    """A picture was due, as the node hears it.

    Attributes:
        due: What the decoder says of it.
        frame: The picture; None where it is absent. Its image lies in shared memory: read-only, and valid until `release` is called.
        release: Gives the frame's slot back; may be called from any thread, and more than once.
    """

    due: Due
    frame: Frame | None
    release: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Finished:
    """The decoder's last word: its stream was lost or never reached, refused the login, was a recording that is over, or it has itself died."""

    reason: FinishReason
    detail: str


Message = Started | Opened | Due | Finished

KINDS = {kind.__name__.encode(): TypeAdapter[Message](kind) for kind in (Started, Opened, Due, Finished)}
SETTINGS = TypeAdapter(DecoderSettings)


def encode(message: Message) -> bytes:
    """The name of the message's kind, a space, and its fields as JSON."""
    kind = type(message).__name__.encode()
    return kind + b" " + KINDS[kind].dump_json(message)


def decode(data: bytes) -> Message:
    """The message of which `encode` made these bytes.

    Raises:
        ValueError: They are none.
    """
    kind, _, fields = data.partition(b" ")
    try:
        return KINDS[kind].validate_json(fields)
    except (ValueError, KeyError) as error:
        raise ValueError(f"this is no message of a decoder: {data[:80]!r}") from error


def encode_settings(settings: DecoderSettings) -> bytes:
    """The settings as JSON."""
    return SETTINGS.dump_json(settings)


def decode_settings(data: bytes) -> DecoderSettings:
    """The settings of which `encode_settings` made these bytes."""
    return SETTINGS.validate_json(data)
