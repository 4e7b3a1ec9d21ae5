"""A camera of this machine, read by OpenCV."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from streamvc.capture.stream import Picture, Stream
from streamvc.errors import SourceError

MAX_FAILED_READS = 10  # in a row; some cameras fail a few times while they start


@contextmanager
def open_camera(number: int, read_timeout_s: float) -> Iterator[Stream]:
    """Open camera `number`; it is lost when it has given no picture for `read_timeout_s` seconds.

    Raises:
        SourceError: There is no such camera, or it may not be used, or another program has it.
    """
    with _quiet():
        camera = cv2.VideoCapture(number)
    try:
        if not camera.isOpened():
            raise SourceError(_why_not(number))
        yield Stream(_pictures(camera, number, read_timeout_s), is_live=True, fps=camera.get(cv2.CAP_PROP_FPS) or None)
    finally:
        camera.release()


def _pictures(camera: cv2.VideoCapture, number: int, read_timeout_s: float) -> Iterator[Picture]:
    start: float | None = None
    last = time.monotonic()
    num_failed = 0
    while num_failed < MAX_FAILED_READS and time.monotonic() - last < read_timeout_s:
        taken = camera.grab()
        arrived = time.monotonic()
        image = camera.retrieve()[1] if taken else None
        if image is None:
            num_failed += 1
            continue
        start = arrived if start is None else start
        luma = partial(cv2.cvtColor, image, cv2.COLOR_BGR2GRAY)
        yield Picture(arrived - start, "arrival", arrived, arrived, image.shape, partial(np.copyto, src=image), luma)
        last, num_failed = time.monotonic(), 0
    raise SourceError(f"camera {number}: lost, it gives no more pictures; was it unplugged, or taken by another program?")


def _why_not(number: int) -> str:
    if not sys.platform.startswith("linux"):
        return f"camera {number}: it cannot be opened; is it plugged in, and may this program use the camera?"
    device = Path(f"/dev/video{number}")
    if not device.exists():
        found = sorted(int(path.name[5:]) for path in Path("/dev").glob("video*") if path.name[5:].isdecimal())
        return f"camera {number}: there is none" + (f"; there are {', '.join(map(str, found))}" if found else " on this machine")
    if not os.access(device, os.R_OK | os.W_OK):
        return f"camera {number}: you may not use {device}; add yourself to its group (usually `video`) and log in again"
    return f"camera {number}: {device} gives no pictures; is it used by another program?"


@contextmanager
def _quiet() -> Iterator[None]:
    """OpenCV reports a camera that is not there in several lines on stderr: the error that is raised says it in one."""
    log = getattr(cv2.utils, "logging", cv2)  # there in OpenCV 5, at the top in OpenCV 4
    level = log.setLogLevel(0)  # silent
    try:
        yield
    finally:
        log.setLogLevel(level)
