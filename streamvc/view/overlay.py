"""Draws what is recognised on a picture. Pure: a picture and a status in, a picture out."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]

WHITE: Colour = (255, 255, 255)
SOFT: Colour = (205, 205, 205)
GREY: Colour = (175, 160, 148)
GREEN: Colour = (153, 221, 72)
AMBER: Colour = (60, 195, 251)
TRACK: Colour = (48, 44, 42)
SHADE = 84  # of 255: what a panel leaves of the picture's brightness; white text is readable on white at that

# Sizes are for a picture 480 pixels high and grow with it, but text never gets smaller than at 360, so that 240 can still be read.
DESIGN_HEIGHT = 480
SMALLEST_SCALE = 0.75
MARGIN, PAD, RADIUS = 12, 12, 8
CARD_WIDTH, TITLE_HEIGHT, ROW_HEIGHT, STRIP_HEIGHT = 264, 40, 21, 28
BAR_LEFT, BAR_RIGHT, BAR_THICKNESS = 128, 208, 7
ROWS_END, ITEM_GAP = 6, 16
CAPITAL_HEIGHT = 21  # of every font of OpenCV at size 1


@dataclass(frozen=True, slots=True)
class Font:
    """A font's number in OpenCV and its size."""

    face: int
    size: float


# Both are in every OpenCV: as line fonts in 4, as two weights of a sans in 5.
TITLE = Font(cv2.FONT_HERSHEY_DUPLEX, 0.68)
TEXT = Font(cv2.FONT_HERSHEY_SIMPLEX, 0.45)


@dataclass(frozen=True, slots=True)
class OverlayStatus:
    """What the overlay shows.

    Attributes:
        top: The best labels with their smoothed scores, best first; three are shown.
        active: The label of the running event; None where nothing goes on.
        active_s: How long it has been running, in seconds.
        fps_in: Frames received per second; 0 for not known yet, as in the next two.
        rate_hz: Frames analysed per second.
        latency_s: From capture to decision, in seconds.
        dropped: Frames dropped so far.
        warming_up: There is no prediction yet, or none since the last gap.
    """

    top: Sequence[tuple[str, float]] = ()
    active: str | None = None
    active_s: float = 0.0
    fps_in: float = 0.0
    rate_hz: float = 0.0
    latency_s: float = 0.0
    dropped: int = 0
    warming_up: bool = False


def draw(image: Image, status: OverlayStatus, *, strip: bool = True) -> Image:
    """A copy of the picture with the status drawn on it.

    Args:
        image: (H, W, 3) uint8, BGR; it is not changed.
        status: What to show. What does not fit a small picture is left out.
        strip: Whether rates, latency and drops are shown too.

    Returns:
        (H, W, 3) uint8, BGR.
    """
    picture = np.array(image, order="C")
    height, width = picture.shape[:2]
    canvas = _Canvas(picture, max(SMALLEST_SCALE, min(height, 0.75 * width) / DESIGN_HEIGHT))
    if canvas.width >= CARD_WIDTH + 2 * MARGIN and canvas.height >= CARD_WIDTH:
        _draw_card(canvas, status)
        if strip:
            _draw_strip(canvas, status)
    return picture


class _Canvas:
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

    def bar(self, left: float, right: float, middle: float, colour: Colour) -> None:
        """A level bar; none where it would be less than a pixel long."""
        x0, x1, y0, y1 = (round(self._scale * value) for value in (left, right, middle - BAR_THICKNESS / 2, middle + BAR_THICKNESS / 2))
        if x1 > x0:
            cv2.rectangle(self._picture, (x0, y0), (x1 - 1, y1 - 1), colour, cv2.FILLED)

    def text(self, text: str, left: float, middle: float, colour: Colour, font: Font) -> None:
        """Text whose capital letters are centred on `middle`."""
        size = self._scale * font.size
        origin = (round(self._scale * left), round(self._scale * middle + CAPITAL_HEIGHT * size / 2))
        cv2.putText(self._picture, text, origin, font.face, size, colour, _thickness(size), cv2.LINE_AA)

    def text_width(self, text: str, font: Font) -> float:
        return _width_px(text, font.face, self._scale * font.size) / self._scale

    def shortened(self, text: str, room: float, font: Font) -> str:
        """The text, cut to fit `room`."""
        return _shortened(text, font.face, self._scale * font.size, self._scale * room)


def _draw_card(canvas: _Canvas, status: OverlayStatus) -> None:
    """What goes on, and the best three labels below it."""
    rows = () if status.warming_up else status.top[:3]
    canvas.panel(MARGIN, MARGIN, CARD_WIDTH, TITLE_HEIGHT + (len(rows) * ROW_HEIGHT + ROWS_END if rows else 0))
    left, right, middle = MARGIN + PAD, MARGIN + CARD_WIDTH - PAD, MARGIN + TITLE_HEIGHT / 2
    title, colour = _title(status)
    duration = "" if status.active is None else _duration(status.active_s)
    duration_left = right - canvas.text_width(duration, TEXT)
    canvas.text(canvas.shortened(title, duration_left - PAD - left, TITLE), left, middle, colour, TITLE)
    canvas.text(duration, duration_left, middle, SOFT, TEXT)
    for number, (label, score) in enumerate(rows):
        row_colours = (WHITE, GREEN) if label == status.active else (SOFT, GREY)
        _draw_row(canvas, label, score, MARGIN + TITLE_HEIGHT + (number + 0.5) * ROW_HEIGHT, row_colours)


def _title(status: OverlayStatus) -> tuple[str, Colour]:
    if status.active is not None:
        return status.active, GREEN
    return ("warming up", AMBER) if status.warming_up else ("no activity", SOFT)


def _draw_row(canvas: _Canvas, label: str, score: float, middle: float, colours: tuple[Colour, Colour]) -> None:
    """A label, its bar and its score."""
    text_colour, bar_colour = colours
    left, right = MARGIN + PAD, MARGIN + CARD_WIDTH - PAD
    bar_left, bar_right = MARGIN + BAR_LEFT, MARGIN + BAR_RIGHT
    canvas.text(canvas.shortened(label, bar_left - PAD - left, TEXT), left, middle, text_colour, TEXT)
    canvas.bar(bar_left, bar_right, middle, TRACK)
    canvas.bar(bar_left, bar_left + score * (bar_right - bar_left), middle, bar_colour)
    percentage = f"{100 * score:.0f}%"
    canvas.text(percentage, right - canvas.text_width(percentage, TEXT), middle, text_colour, TEXT)


def _draw_strip(canvas: _Canvas, status: OverlayStatus) -> None:
    """Rates, latency and drops in the lower left corner, as many as there is room for."""
    items = [
        (f"in {_shown(status.fps_in, '.1f')} fps", SOFT),
        (f"analysed {_shown(status.rate_hz, '.1f')} Hz", SOFT),
        (f"latency {_shown(1000 * status.latency_s, '.0f')} ms", SOFT),
        (f"dropped {status.dropped}", AMBER if status.dropped else SOFT),
    ]
    ends = list(accumulate(canvas.text_width(text, TEXT) + ITEM_GAP for text, _ in items))
    num_fitting = sum(end - ITEM_GAP <= canvas.width - 2 * (MARGIN + PAD) for end in ends)
    top = canvas.height - MARGIN - STRIP_HEIGHT
    canvas.panel(MARGIN, top, ends[num_fitting - 1] - ITEM_GAP + 2 * PAD, STRIP_HEIGHT)
    for (text, colour), start in zip(items[:num_fitting], [0.0, *ends], strict=False):
        canvas.text(text, MARGIN + PAD + start, top + STRIP_HEIGHT / 2, colour, TEXT)


def _shown(value: float, form: str) -> str:
    return format(value, form) if value else "-"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


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
