"""MoveNet's networks, and frames to show them."""

from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from figure import render_clip
from streamvc.inference.people.movenet import LIGHTNING, MULTIPOSE, Lightning, MultiPose, find_movenet

Image = NDArray[np.uint8]


@pytest.fixture(scope="session")
def multipose() -> MultiPose:
    return MultiPose.open(find_movenet(MULTIPOSE))


@pytest.fixture(scope="session")
def lightning() -> Lightning:
    return Lightning.open(find_movenet(LIGHTNING))


@pytest.fixture(scope="session")
def squat() -> Image:
    """(480, 640, 3): somebody who stands."""
    return next(iter(render_clip("Squat", 3, 1.0, fps=4)))


def read_frames(video: Path, rate_hz: float, most: int) -> list[tuple[float, Image]]:
    """The time in seconds and the image, BGR, of a video's frames at a rate."""
    found: list[tuple[float, Image]] = []
    with av.open(str(video)) as container:
        for frame in container.decode(video=0):
            if len(found) == most:
                break
            if (time_s := frame.time or 0.0) >= len(found) / rate_hz:
                found.append((time_s, np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)))
    return found
