"""What decoders say, made here: of pictures in memory, without a process."""

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from streamvc.capture.messages import Arrived, Due
from streamvc.types import Frame

PICTURE: NDArray[np.uint8] = np.zeros((4, 6, 3), np.uint8)


def arrived(frame: Frame, *, still: bool = False, release: Callable[[], None] = lambda: None) -> Arrived:
    """The frame, as a decoder tells of it; without its picture where it is still."""
    moments = (frame.index, frame.timestamp, frame.segment, frame.clock, frame.captured, frame.decoded, frame.began)
    due = Due(None if still else 0, "still" if still else None, True, *moments, frame.index + 1, 0, 0)
    return Arrived(due, None if still else frame, release)


def arrival(
    number: int = 0, *, age_s: float = 0.0, still: bool = False, period_s: float = 0.2, release: Callable[[], None] = lambda: None
) -> Arrived:
    """The picture of this number, captured so many seconds ago and decoded now."""
    now = time.monotonic()
    frame = Frame(number, number * period_s, PICTURE, "pts", now - age_s, now)
    return arrived(frame, still=still, release=release)
