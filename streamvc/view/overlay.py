"""Draws what is recognised on a picture. Pure: a picture and a status in, a picture out.

On a picture with room, a card in a corner says what goes on, with a bar for each of the best labels and a tick on it for the score that it needs;
what went on before stands in another corner, rates and latency in a third. On a small one, all there is room for stands in one band at the bottom,
where no heads are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import cv2
import numpy as np

from streamvc.detection import Candidate
from streamvc.types import Focus
from streamvc.view.canvas import GREEN, WHITE, Canvas, Colour, Font, Image
from streamvc.view.person import draw_focus, draw_person

SOFT: Colour = (205, 205, 205)
GREY: Colour = (175, 160, 148)
AMBER: Colour = (60, 195, 251)
TRACK: Colour = (48, 44, 42)

# Sizes are for a picture 480 pixels high and grow with it, but text never gets smaller than at 360, so that 240 can still be read.
DESIGN_HEIGHT = 480
SMALLEST_SCALE = 0.75
ROOMY_WIDTH, ROOMY_HEIGHT = 560, 440  # from which there is room for cards
MARGIN, PAD = 12, 12
CARD_WIDTH, TITLE_HEIGHT, ROW_HEIGHT, STRIP_HEIGHT = 280, 40, 21, 28
BAR_LEFT, BAR_RIGHT, BAR_THICKNESS = 142, 222, 7
TICK_WIDTH, TICK_REACH = 2, 3  # how far a tick stands out above and below its bar
ROWS_END, ITEM_GAP = 6, 16
PAST_WIDTH, WHEN_WIDTH = 260, 72
NUM_ROWS = 3
BAND_TITLE, BAND_BAR, BAND_ITEMS = 24, 12, 20  # heights of the band's lines

# Both are in every OpenCV: as line fonts in 4, as two weights of a sans in 5.
TITLE = Font(cv2.FONT_HERSHEY_DUPLEX, 0.68)
TEXT = Font(cv2.FONT_HERSHEY_SIMPLEX, 0.45)

Words = tuple[str, Colour]


@dataclass(frozen=True, slots=True)
class PastActivity:
    """An activity that was: its label, how long it went on and how long ago it ended, in seconds; `ago_s` is None where it goes on."""

    label: str
    duration_s: float
    ago_s: float | None


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
        thresholds: The score that a label needs to start, or to go on; labels without one need none.
        candidate: What is nearest to a start, where nothing goes on.
        past: The last activities beside the active one, the newest first.
        focus: Where models looked.
        doing: What people do now, by their tracks.
    """

    top: Sequence[tuple[str, float]] = ()
    active: str | None = None
    active_s: float = 0.0
    fps_in: float = 0.0
    rate_hz: float = 0.0
    latency_s: float = 0.0
    dropped: int = 0
    warming_up: bool = False
    thresholds: Mapping[str, float] = field(default_factory=dict)
    candidate: Candidate | None = None
    past: Sequence[PastActivity] = ()
    focus: Sequence[Focus] = ()
    doing: Mapping[int, Sequence[str]] = field(default_factory=dict)


def draw(image: Image, status: OverlayStatus, *, strip: bool = True, enlarged: float = 1.0) -> Image:
    """A copy of the picture with the status drawn on it.

    Args:
        image: (H, W, 3) uint8, BGR; it is not changed.
        status: What to show. What does not fit a small picture is left out.
        strip: Whether rates, latency and drops are shown too.
        enlarged: By which the copy is larger.

    Returns:
        (H, W, 3) uint8, BGR.
    """
    if enlarged == 1.0:
        picture = np.array(image, order="C")
    else:
        picture = np.asarray(cv2.resize(image, None, fx=enlarged, fy=enlarged, interpolation=cv2.INTER_CUBIC), np.uint8)
    height, width = picture.shape[:2]
    canvas = Canvas(picture, max(SMALLEST_SCALE, min(height, 0.75 * width) / DESIGN_HEIGHT))
    for focus in status.focus:
        draw_focus(canvas, focus, enlarged, WHITE if status.active is None else GREEN)
        for person in focus.people:
            draw_person(canvas, person, enlarged, status.doing.get(person.track, ()), TEXT)
    if canvas.width >= ROOMY_WIDTH and canvas.height >= ROOMY_HEIGHT:
        _draw_card(canvas, status)
        strip_right = _draw_strip(canvas, status) if strip else 0.0
        _draw_past(canvas, status.past, strip_right)
    elif canvas.width >= CARD_WIDTH and canvas.height >= CARD_WIDTH:
        _draw_band(canvas, status, strip=strip)
    return picture


def _draw_card(canvas: Canvas, status: OverlayStatus) -> None:
    """What goes on, and the best three labels below it."""
    rows = () if status.warming_up else status.top[:NUM_ROWS]
    canvas.panel(MARGIN, MARGIN, CARD_WIDTH, TITLE_HEIGHT + (len(rows) * ROW_HEIGHT + ROWS_END if rows else 0))
    _draw_title(canvas, status, MARGIN + PAD, MARGIN + CARD_WIDTH - PAD, MARGIN + TITLE_HEIGHT / 2, TITLE)
    for number, (label, score) in enumerate(rows):
        _draw_row(canvas, status, label, score, MARGIN + TITLE_HEIGHT + (number + 0.5) * ROW_HEIGHT)


def _draw_title(canvas: Canvas, status: OverlayStatus, left: float, right: float, middle: float, font: Font) -> None:
    """What goes on and for how long; else what might, and what it lacks."""
    if status.active is None and status.candidate and not status.warming_up:
        _draw_candidate(canvas, status.candidate, left, right, middle)
        return
    title, colour = (status.active, GREEN) if status.active is not None else ("warming up", AMBER) if status.warming_up else ("no activity", SOFT)
    duration = "" if status.active is None else _duration(status.active_s)
    duration_left = right - canvas.text_width(duration, TEXT)
    canvas.text(canvas.shortened(title, duration_left - PAD - left, font), left, middle, colour, font)
    canvas.text(duration, duration_left, middle, SOFT, TEXT)


def _draw_candidate(canvas: Canvas, candidate: Candidate, left: float, right: float, middle: float) -> None:
    """`BodyWeightSquats 93 %, needs 95 %`."""
    if candidate.score < candidate.enter:
        lack = f"needs {100 * candidate.enter:.4g} %"
    else:
        lack = f"if it lasts {candidate.min_s:g} s" if candidate.min_s else "just ended"
    score = f" {_percent(candidate.score)}, "
    label = canvas.shortened(candidate.label, right - left - canvas.text_width(score + lack, TEXT), TEXT)
    for text, colour in ((label, WHITE), (score, WHITE), (lack, AMBER)):
        canvas.text(text, left, middle, colour, TEXT)
        left += canvas.text_width(text, TEXT)


def _draw_row(canvas: Canvas, status: OverlayStatus, label: str, score: float, middle: float) -> None:
    """A label, its bar and its score."""
    text_colour = WHITE if label == status.active else SOFT
    left, right = MARGIN + PAD, MARGIN + CARD_WIDTH - PAD
    canvas.text(canvas.shortened(label, MARGIN + BAR_LEFT - PAD - left, TEXT), left, middle, text_colour, TEXT)
    _draw_bar(canvas, status, label, score, MARGIN + BAR_LEFT, MARGIN + BAR_RIGHT, middle)
    percentage = _percent(score)
    canvas.text(percentage, right - canvas.text_width(percentage, TEXT), middle, text_colour, TEXT)


def _draw_bar(canvas: Canvas, status: OverlayStatus, label: str, score: float, left: float, right: float, middle: float) -> None:
    """A bar of a label's score, and a tick where its threshold is."""
    is_candidate = status.active is None and status.candidate is not None and status.candidate.label == label
    colour = GREEN if label == status.active else AMBER if is_candidate else GREY
    top, bottom = middle - BAR_THICKNESS / 2, middle + BAR_THICKNESS / 2
    canvas.block(left, top, right, bottom, TRACK)
    canvas.block(left, top, left + score * (right - left), bottom, colour)
    threshold = status.thresholds.get(label)
    if threshold is not None:
        tick = left + threshold * (right - left) - TICK_WIDTH / 2
        canvas.block(tick, top - TICK_REACH, tick + TICK_WIDTH, bottom + TICK_REACH, WHITE)


def _draw_strip(canvas: Canvas, status: OverlayStatus) -> float:
    """Rates, latency and drops in the lower left corner, as many as there is room for; returns where they end."""
    items = _items(status)
    room = canvas.width - 2 * (MARGIN + PAD)
    top = canvas.height - MARGIN - STRIP_HEIGHT
    width = _items_width(canvas, items, room) + 2 * PAD
    canvas.panel(MARGIN, top, width, STRIP_HEIGHT)
    _draw_items(canvas, items, MARGIN + PAD, room, top + STRIP_HEIGHT / 2)
    return MARGIN + width


def _items(status: OverlayStatus) -> list[Words]:
    return [
        (f"in {_shown(status.fps_in, '.1f')} fps", SOFT),
        (f"analysed {_shown(status.rate_hz, '.1f')} Hz", SOFT),
        (f"latency {_shown(1000 * status.latency_s, '.0f')} ms", SOFT),
        (f"dropped {status.dropped}", AMBER if status.dropped else SOFT),
    ]


def _items_width(canvas: Canvas, items: Sequence[Words], room: float) -> float:
    """The width of as many of them as there is room for."""
    ends = accumulate(canvas.text_width(text, TEXT) + ITEM_GAP for text, _ in items)
    return max((end - ITEM_GAP for end in ends if end - ITEM_GAP <= room), default=0.0)


def _draw_items(canvas: Canvas, items: Sequence[Words], left: float, room: float, middle: float) -> None:
    end = left + _items_width(canvas, items, room)
    for text, colour in items:
        width = canvas.text_width(text, TEXT)
        if left + width > end + 0.5:
            return
        canvas.text(text, left, middle, colour, TEXT)
        left += width + ITEM_GAP


def _draw_past(canvas: Canvas, past: Sequence[PastActivity], strip_right: float) -> None:
    """The last activities in the lower right corner; above the strip where that reaches so far."""
    if not past:
        return
    rows, height = past[:NUM_ROWS], min(len(past), NUM_ROWS) * ROW_HEIGHT + 2 * ROWS_END
    left, right = canvas.width - MARGIN - PAST_WIDTH, canvas.width - MARGIN - PAD
    top = canvas.height - MARGIN - height - (MARGIN + STRIP_HEIGHT if strip_right > left - MARGIN else 0)
    canvas.panel(left, top, PAST_WIDTH, height)
    for number, activity in enumerate(rows):
        middle = top + ROWS_END + (number + 0.5) * ROW_HEIGHT
        when = "now" if activity.ago_s is None else f"{_duration(activity.ago_s, '.0f')} ago"
        duration = _duration(activity.duration_s)
        canvas.text(when, right - canvas.text_width(when, TEXT), middle, GREEN if activity.ago_s is None else GREY, TEXT)
        duration_left = right - WHEN_WIDTH - canvas.text_width(duration, TEXT)
        canvas.text(duration, duration_left, middle, SOFT, TEXT)
        canvas.text(canvas.shortened(activity.label, duration_left - 2 * PAD - left, TEXT), left + PAD, middle, WHITE, TEXT)


def _draw_band(canvas: Canvas, status: OverlayStatus, *, strip: bool) -> None:
    """All that there is room for on a small picture, at its bottom: what goes on, the bar of the best label, and rates or else the other labels."""
    rows = () if status.warming_up else status.top[:NUM_ROWS]
    items = _items(status) if strip else [(f"{label} {_percent(score)}", SOFT) for label, score in rows]
    height = BAND_TITLE + (BAND_BAR if rows else 0) + (BAND_ITEMS if items else 0)
    margin = MARGIN / 2
    top, left, right = canvas.height - margin - height, margin + PAD, canvas.width - margin - PAD
    canvas.panel(margin, top, canvas.width - 2 * margin, height)
    _draw_title(canvas, status, left, right, top + BAND_TITLE / 2 + 1, Font(TITLE.face, 0.55))
    if rows:
        label, score = min(rows, key=lambda row: (row[0] != status.active, row[0] not in status.thresholds))
        _draw_bar(canvas, status, label, score, left, right, top + BAND_TITLE + BAND_BAR / 2 - 1)
        if status.active is None and not status.candidate:
            named = f"{label} {_percent(score)}"
            canvas.text(named, right - canvas.text_width(named, TEXT), top + BAND_TITLE / 2 + 1, SOFT, TEXT)
    _draw_items(canvas, items, left, right - left, top + height - BAND_ITEMS / 2 - 1)


def _percent(score: float) -> str:
    """Rounded down: what is below a threshold is never shown as if it were there."""
    return f"{int(100 * score + 1e-4)} %"


def _shown(value: float, form: str) -> str:
    return format(value, form) if value else "-"


def _duration(seconds: float, form: str = ".1f") -> str:
    if seconds < 60:
        return f"{seconds:{form}} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
