"""What OpenCV does in a process, for as long as this package needs it."""

from collections.abc import Iterator
from contextlib import contextmanager

import cv2


@contextmanager
def one_opencv_thread() -> Iterator[None]:
    """OpenCV's own threads would take the cores from decoders and the runtime, for pictures that are small; they are let again thereafter."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
