"""What a camera of the torture kit sees: endless pictures, (H, W, 3) uint8, BGR."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np

from streamvc.types import Array

TILE_PX = 20
STEP_PX = 7  # from picture to picture


def moving_pattern() -> Iterator[Array]:
    """A bright block (80x40) that wanders over a coloured floor (320x240)."""
    tiles = np.random.default_rng(0).integers(40, 140, (12, 16, 3), dtype=np.uint8)
    floor = tiles.repeat(TILE_PX, axis=0).repeat(TILE_PX, axis=1)
    for number in itertools.count():
        image = floor.copy()
        left = STEP_PX * number % (320 - 40)
        image[80:160, left : left + 40] = 230
        yield image


def recording(path: str | Path) -> Iterator[Array]:
    """The pictures of a video file, again and again.

    Raises:
        av.FFmpegError: It cannot be read.
    """
    while True:
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                yield frame.to_ndarray(format="bgr24")
