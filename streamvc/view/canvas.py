"""A picture that is drawn on in units which grow with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]

WHITE: Colour = (255, 255, 255)
GREEN: Colour = (153, 221, 72)
Point = tuple[float, float]

DARK: Colour = (28, 24, 22)
SHADE = 84  # of 255: what a panel leaves of the picture's brightness; white text is readable on white at that
RADIUS = 8
CAPITAL_HEIGHT = 21  # of every font of OpenCV at size 1


@dataclass(frozen=True, slots=True)
class Font:
    """A font's number in OpenCV and its size."""

    face: int
    size: float


class Canvas:
    """A picture that is drawn on in design units, from the upper left corner."""

    def __init__(self, picture: Image, scale: float) -> None:
        self._picture = picture
        self._scale = scale
        self.height = picture.shape[0] / scale
        self.width = picture.shape[1] / scale

    def panel(self, left: float, top: float, width: float, height: float) -> None:
        """Darken a rectangle with round corners."""
        x, y, w, h, radius = (round(self._scale * value) for value in (left, top, width, height, RADIUS))
        region = self._picture[y : y + h, x : x + w]
        cv2.multiply(region, _shade(region.shape[1], region.shape[0], radius), dst=region, scale=1 / 255)

    def place(self, left: float, bottom: float, width: float, height: float) -> Point:
        """The upper left corner of what is to stand on a point in pixels of the picture, moved so that all of it can be seen."""
        x, y = left / self._scale, bottom / self._scale - height
        return max(0.0, min(x, self.width - width)), max(0.0, min(y, self.height - height))

    def block(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        """A rectangle; none where it would be less than a pixel wide."""
        x0, y0, x1, y1 = (round(self._scale * value) for value in (left, top, right, bottom))
        if x1 > x0:
            cv2.rectangle(self._picture, (x0, y0), (x1 - 1, max(y0, y1 - 1)), colour, cv2.FILLED)

    def lines(self, lines: Sequence[tuple[Point, Point]], colour: Colour, width: float = 1.5) -> None:
        """Lines between points in pixels of the picture, with a dark rim, so that they are seen on whatever is behind them."""
        for paint, thickness in ((DARK, width + 1.3), (colour, width)):
            for start, end in lines:
                ends = ((round(start[0]), round(start[1])), (round(end[0]), round(end[1])))
                cv2.line(self._picture, *ends, paint, max(1, round(self._scale * thickness)), cv2.LINE_AA)

    def dots(self, points: Sequence[Point], colour: Colour, radius: float = 2.0) -> None:
        """Dots at points in pixels of the picture, likewise."""
        for paint, size in ((DARK, radius + 1), (colour, radius)):
            for x, y in points:
                cv2.circle(self._picture, (round(x), round(y)), max(1, round(self._scale * size)), paint, cv2.FILLED, cv2.LINE_AA)

    def text(self, text: str, left: float, middle: float, colour: Colour, font: Font) -> None:
        """Text whose capital letters are centred on `middle`."""
        size = self._scale * font.size
        origin = (round(self._scale * left), round(self._scale * middle + CAPITAL_HEIGHT * size / 2))
        cv2.putText(self._picture, text, origin, font.face, size, colour, _thickness(size), cv2.LINE_AA)

    def text_width(self, text: str, font: Font) -> float:
        """In design units."""
        return _width_px(text, font.face, self._scale * font.size) / self._scale

    def shortened(self, text: str, room: float, font: Font) -> str:
        """The text, cut to fit `room`."""
        return _shortened(text, font.face, self._scale * font.size, self._scale * room)


@lru_cache(maxsize=16)
def _shade(width: int, height: int, radius: int) -> Image:
    """What a picture is multiplied with (255 is 1) to darken a rectangle with round corners: (H, W, 3) uint8."""
    shade = np.full((height, width, 3), 255, np.uint8)
    inside = (SHADE, SHADE, SHADE)
    cv2.rectangle(shade, (radius, 0), (width - radius - 1, height - 1), inside, cv2.FILLED)
    cv2.rectangle(shade, (0, radius), (width - 1, height - radius - 1), inside, cv2.FILLED)
    for x in (radius, width - radius - 1):
        for y in (radius, height - radius - 1):
            cv2.circle(shade, (x, y), radius, inside, cv2.FILLED, cv2.LINE_AA)
    return shade


def _thickness(size: float) -> int:
    return max(1, round(size))


@lru_cache(maxsize=512)
def _width_px(text: str, face: int, size: float) -> int:
    (width, _), _ = cv2.getTextSize(text, face, size, _thickness(size))
    return int(width)


@lru_cache(maxsize=512)
def _shortened(text: str, face: int, size: float, room_px: float) -> str:
    if _width_px(text, face, size) <= room_px:
        return text
    for length in range(len(text) - 1, 0, -1):
        shorter = text[:length].rstrip() + "..."
        if _width_px(shorter, face, size) <= room_px:
            return shorter
    return ""
