"""Values that pass between the stages."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Clock = Literal["pts", "arrival", "index"]


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


@dataclass(frozen=True, slots=True, eq=False)
class Feature:
    """What was made of a frame, or of several in a row.

    Attributes:
        values: (D,) float32, float16 or uint8, a fresh array.
        num_ticks: For how many features in a row it stands: 1, or more where frames are missing.
    """

    values: Array
    num_ticks: int


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
