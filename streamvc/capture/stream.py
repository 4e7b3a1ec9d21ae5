"""What the openers (video, camera, images) give to the capture thread: a stream of decoded pictures."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from streamvc.capture.rest import Rest, Unseen
from streamvc.errors import SourceError
from streamvc.types import Array, Clock, size_problem

Decode = Literal["all", "reference", "keyframes"]  # which pictures: not those that no other is made from; those alone that are made from no other


@dataclass(slots=True, eq=False)
class Picture:
    """A decoded picture, not yet converted: `write` puts it straight into the slot it is meant for, so that nothing is copied twice.

    It is handed from stage to stage, and `captured` and `read` are set to what each knows: there are too many pictures for a new one each time.

    Attributes:
        timestamp: Seconds of stream time since the first picture.
        clock: Where `timestamp` is from.
        captured: `time.monotonic()` when its encoded form arrived, in seconds.
        read: `time.monotonic()` when the last of what it was made from had been read; later, where others are decoded before it.
        shape: (H, W, 3) of the array that `write` fills.
        write: Fills a uint8 array of `shape` with the picture in BGR. Valid until the next picture is taken.
        luma: Gives the picture's brightness, (H, W) uint8, which for most sources costs nothing. Valid until then, too, and not to be written to.
        unseen: Why it was not decoded: all is still and the stream rests, it skips what is too late, or there is no new one. The other two cannot be
            called then.
        segment: Another one than before where the stream's time has jumped.
    """

    timestamp: float
    clock: Clock
    captured: float
    read: float
    shape: tuple[int, int, int]
    write: Callable[[Array], None]
    luma: Callable[[], Array]
    unseen: Unseen | None = None
    segment: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """An open source.

    Attributes:
        pictures: The pictures in the order of their time; None stands for one that is damaged.
        is_live: It happens now and cannot be made to wait.
        fps: Pictures/s as announced; None where nothing is announced.
        duration_s: Length in seconds; None where it is unknown or endless.
        num_frames: How many pictures it holds, as announced or estimated; None where unknown.
        codec: Short name of its codec, such as `h264`; None where there is none.
        in_bursts: Pictures come faster than they are to be shown, several at once (HLS, DASH), and must be spread by their time.
        poll_s: Seconds from one question for the next picture to another; None where pictures come by themselves.
        rest: Lets it leave pictures undecoded while nobody wants to see them; None where it cannot.
    """

    pictures: Iterator[Picture | None]
    is_live: bool
    fps: float | None = None
    duration_s: float | None = None
    num_frames: int | None = None
    codec: str | None = None
    in_bursts: bool = False
    poll_s: float | None = None
    rest: Rest | None = None


def check_size(name: str, width: int, height: int) -> None:
    """Refuse pictures that cannot be watched, as they are too large or too thin.

    Raises:
        SourceError: These are.
    """
    if problem := size_problem(width, height):
        raise SourceError(f"{name}: {problem}")
