"""Values that pass between the stages."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Clock = Literal["pts", "arrival", "index"]

MOST_SIDE_PX = 16384  # of pictures that are watched
MOST_PX = 1 << 26  # of a picture: twice of what 8K has
MOST_ASPECT = 32  # longer side by shorter side


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """An image and its time.

    Attributes:
        index: Position in the source, from 0; dropped frames keep their number, and so do those that were the same again.
        timestamp: Seconds of stream time since the source's first frame.
        image: (H, W, 3) uint8, BGR. A source lends it: it is valid until the next frame is taken, copy it to keep it.
        clock: Where `timestamp` is from: the stream's presentation times ("pts"), the moment of arrival ("arrival"),
            or the number of the image in a folder ("index").
        captured: `time.monotonic()` when the encoded frame arrived, in seconds.
        decoded: `time.monotonic()` when `image` was ready, in seconds.
        segment: Number of the uninterrupted part of the stream that it is in. Another one than before is a gap, whatever the timestamps say.
        began: `time.monotonic()` of stream time 0, in seconds, as it is known by now; None for a recording, whose time is not that of a clock.
    """

    index: int
    timestamp: float
    image: NDArray[np.uint8]
    clock: Clock = "arrival"
    captured: float = 0.0
    decoded: float = 0.0
    segment: int = 0
    began: float | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """One of the people in a picture.

    Attributes:
        track: Their number, which counts up from 1 in each stream and is never given to somebody else.
        box: Left, top, right and bottom of where they are, as shares of the picture's width and height.
        seen: In what share of the frames since the first they were seen.
    """

    track: int
    box: tuple[float, float, float, float]
    seen: float


@dataclass(frozen=True, slots=True, eq=False)
class Feature:
    """What was made of a frame, or of several in a row.

    Attributes:
        values: (D,) float32, float16 or uint8, a fresh array; (K, D) where there is a row for each of K people.
        num_ticks: For how many features in a row it stands: 1, or more where frames are missing.
        subjects: The K people whose rows they are, those who are followed but not seen just now among them; None where it is of the whole picture.
    """

    values: Array
    num_ticks: int
    subjects: tuple[Subject, ...] | None = None


@dataclass(frozen=True, slots=True)
class Box:
    """A part of an image, in pixels."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True, slots=True, eq=False)
class SeenPerson:
    """Somebody in an image.

    Attributes:
        track: Their number; see `Subject`.
        box: (4,) float32: left, top, right, bottom in pixels. It may reach beyond the image.
        keypoints: (17, 3) float32 in COCO's order: x and y in pixels, and score, 0 to 1.
    """

    track: int
    box: NDArray[np.float32]
    keypoints: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Focus:
    """Where in an image a model looked.

    Attributes:
        boxes: The parts of the image that it saw, where those were not all of it.
        landmarks: (33, 4) float32 of the person whom it judged: x and y in pixels, z, and visibility, 0 to 1, in MediaPipe's order. None where it
            looked for nobody, or found nobody.
        people: Those whom it judged, where it judges each by themselves.
    """

    boxes: tuple[Box, ...]
    landmarks: NDArray[np.float32] | None
    people: tuple[SeenPerson, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """The scores of all labels at one moment.

    Attributes:
        index: Index of the frame that completed the window.
        timestamp: Stream time of the tick that this frame stands for, in seconds.
        scores: (L,) float32, after softmax.
    """

    index: int
    timestamp: float
    scores: NDArray[np.float32]


def size_problem(width: int, height: int) -> str | None:
    """Why pictures of so many pixels cannot be watched; None where they can. What makes no sense as a picture would cost others their memory."""
    shorter, longer = sorted((width, height))
    if shorter >= 1 and longer <= MOST_SIDE_PX and width * height <= MOST_PX and longer <= MOST_ASPECT * shorter:
        return None
    allowed = f"up to {MOST_SIDE_PX} pixels a side, {MOST_PX / 1e6:.0f} million in all, and {MOST_ASPECT}:1"
    return f"its pictures of {width}x{height} pixels cannot be watched, only those of {allowed}; set another resolution"
