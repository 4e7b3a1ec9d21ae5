"""Which parts of a camera's picture are looked at. Pure."""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float]  # x and y, as shares of the picture's width and height
Polygon = tuple[Point, ...]
Mask = NDArray[np.uint8]

GREY = (127, 127, 127)  # what stands where nothing is looked at: neutral to a network, and it never moves
SHIFT = 8  # binary digits behind the point in the corners given to OpenCV
NUM_CACHED = 64  # pictures come in one size or two


@dataclass(frozen=True, slots=True)
class Zones:
    """Polygons in the picture; their corners are shares of its width and height, so that they hold for a stream and its sub-stream alike.

    Attributes:
        include: What is looked at: the inside of any of these; everything where there are none.
        exclude: What is left out of that.
    """

    include: tuple[Polygon, ...] = ()
    exclude: tuple[Polygon, ...] = ()

    @property
    def are_all(self) -> bool:
        """The whole picture is looked at."""
        return not (self.include or self.exclude)

    def mask(self, height: int, width: int) -> Mask | None:
        """What is looked at in a picture of this size: (H, W) uint8, 255 there and 0 elsewhere, read-only; None where all of it is."""
        return None if self.are_all else _mask(self, height, width)

    def apply(self, image: NDArray[np.uint8]) -> None:
        """Make what is not looked at grey, in place; `image` is (H, W, 3) uint8."""
        if not self.are_all:
            height, width = image.shape[:2]
            cv2.copyTo(_grey(height, width), _outside(self, height, width), image)


@lru_cache(NUM_CACHED)
def _mask(zones: Zones, height: int, width: int) -> Mask:
    mask = np.zeros((height, width), np.uint8) if zones.include else np.full((height, width), 255, np.uint8)
    for polygons, value in ((zones.include, 255), (zones.exclude, 0)):
        for polygon in polygons:
            # One at a time: where polygons of one call overlap, OpenCV leaves holes. A pixel is at its middle, therefore the half.
            corners = (np.array(polygon) * (width, height) - 0.5) * 2**SHIFT
            cv2.fillPoly(mask, [corners.round().astype(np.int32)], value, shift=SHIFT)
    mask.flags.writeable = False
    return mask


@lru_cache(NUM_CACHED)
def _outside(zones: Zones, height: int, width: int) -> Mask:
    outside: Mask = cv2.bitwise_not(_mask(zones, height, width))
    return outside


@lru_cache(NUM_CACHED)
def _grey(height: int, width: int) -> NDArray[np.uint8]:
    return np.full((height, width, 3), GREY, np.uint8)
