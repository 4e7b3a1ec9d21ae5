"""What a decoder and the program say to each other. Between processes it is JSON, one message a datagram; pictures go through the `ring`.

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
Policy = Literal["latest", "every"]
Resize = Literal["linear", "area"]
Play = Literal["unpaced", "paced", "as_camera"]
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
class CaptureSettings:
    """What a decoder is to read, and which of its pictures are wanted.

    Attributes:
        name: What to call it in messages.
        source: As for `open_source`; it may hold a password.
        rates_hz: The rates at which pictures are due; the others are left out.
        fps: Images a second: of a folder, 25 if None; of a still image that is asked for over HTTP, 5.
        include: Polygons that are looked at, in shares of width and height; the whole picture where there is none.
        exclude: Polygons that are not.
        motion: What counts as motion.
        frozen_s: Seconds of bit-identical pictures after which the picture is frozen; 0 for never.
        decode: Which pictures of a video are decoded at all.
        open_timeout_s: Seconds after which a stream that does not answer is given up.
        read_timeout_s: Seconds after which a stream that falls silent is lost.
        staleness_s: Seconds after which a picture is of no use any more.
        play: How a recording is played: `unpaced`, as fast as its pictures are taken; `paced`, at its own speed; or `as_camera`, at its own speed and
            in wall-clock time, waiting for nobody.
        policy: Of pictures that wait, the `latest` is kept, or `every` one: the stream waits. None: the latest of what is live, every one of a
            recording that is not played as a camera.
        size_px: Side of the square that pictures are stretched to, as whoever looks at them would do so anyway; None to leave them as they are.
        resize: Interpolation for that.
        all_pictures: Hand on those that are not due, too, and those that are still: somebody wants to see them.
    """

    name: str
    source: str = field(repr=False)
    rates_hz: tuple[float, ...]
    fps: float | None = None
    include: tuple[Polygon, ...] = ()
    exclude: tuple[Polygon, ...] = ()
    motion: MotionSettings = MotionSettings()
    frozen_s: float = 30.0
    decode: Decode = "all"
    open_timeout_s: float = 10.0
    read_timeout_s: float = 5.0
    staleness_s: float = 0.5
    play: Play = "as_camera"
    policy: Policy | None = None
    size_px: int | None = None
    resize: Resize = "linear"
    all_pictures: bool = False


@dataclass(frozen=True, slots=True)
class Started:
    """Which process the decoder is, for the figures of the node. It does not say that itself, but what has started it."""

    pid: int


@dataclass(frozen=True, slots=True)
class Opened:
    """The first picture is there; said again where the size of the pictures changes, which is a gap.

    Attributes:
        size: Width and height of the camera's pictures, in pixels.
        handed_size: Those of the pictures that are handed on.
        fps: Pictures/s as announced; None where nothing is announced.
        codec: Short name of the codec, such as `h264`; None where there is none.
        is_live: It happens now; False for a recording.
        silence_s: Seconds after which a decoder that has said nothing hangs.
        policy: What becomes of pictures that wait.
        duration_s: Length of a recording in seconds, as announced; None where unknown.
        num_frames: How many pictures it holds, as announced or estimated; None where unknown.
    """

    size: tuple[int, int]
    handed_size: tuple[int, int]
    fps: float | None
    codec: str | None
    is_live: bool
    silence_s: float
    policy: Policy = "latest"
    duration_s: float | None = None
    num_frames: int | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """A picture was due, or another one has come that is wanted all the same.

    Attributes:
        slot: Where it is in the ring; None where it is not there.
        absence: Why it is not, or need not be looked at: it is still (nothing has moved), or all have been bit-identical for long, or it was read too
            late, or left out to catch up; or there is no new one (`same`), only the word that the camera answers.
        is_due: A model is to look at it.
        index: Position of the picture in the stream, from 0.
        timestamp: Seconds of stream time.
        segment: Another one than before where there is a gap, as the stream's time has jumped.
        clock: Where `timestamp` is from.
        captured: `time.monotonic()` when its encoded form arrived, in seconds.
        decoded: `time.monotonic()` when it was decoded and looked at.
        began: `time.monotonic()` of stream time 0, in seconds, as it is known by now; None for a recording that does not play as a camera.
        received: Pictures received so far, also those that were left undecoded.
        corrupt: Pictures so far that were damaged and left out.
        dropped: Pictures so far that were due, but found all slots of the ring in use.
    """

    slot: int | None
    absence: Absence | None
    is_due: bool
    index: int
    timestamp: float
    segment: int
    clock: Clock
    captured: float
    decoded: float
    began: float | None
    received: int
    corrupt: int
    dropped: int


@dataclass(frozen=True, slots=True, eq=False)
class Arrived:
    """A picture has come, as the program hears it.

    Attributes:
        due: What the decoder says of it.
        frame: The picture; None where it is not there. Its image lies in shared memory: read-only, and valid until `release` is called.
        release: Gives the frame's slot back; may be called from any thread, and more than once.
    """

    due: Due
    frame: Frame | None
    release: Callable[[], None]

    @property
    def is_still(self) -> bool:
        """It shows what the last one did."""
        return self.due.absence == "still"


@dataclass(frozen=True, slots=True)
class Finished:
    """The decoder's last word: its stream was lost or never reached, refused the login, was a recording that is over, or it has itself died."""

    reason: FinishReason
    detail: str


Message = Started | Opened | Due | Finished

KINDS = {kind.__name__.encode(): TypeAdapter[Message](kind) for kind in (Started, Opened, Due, Finished)}
SETTINGS = TypeAdapter(CaptureSettings)


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


def encode_settings(settings: CaptureSettings) -> bytes:
    """The settings as JSON."""
    return SETTINGS.dump_json(settings)


def decode_settings(data: bytes) -> CaptureSettings:
    """The settings of which `encode_settings` made these bytes."""
    return SETTINGS.validate_json(data)
