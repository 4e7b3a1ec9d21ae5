"""Draws whom a model judges: the skeleton of a person, or the corners of the part of the picture that it looked at."""

from collections.abc import Sequence

from streamvc.types import Box, Focus
from streamvc.view.canvas import Canvas, Colour, Point

VISIBLE = 0.5  # from which a landmark is drawn
CORNER = 0.16  # length of a corner's sides, by those of the box
# MediaPipe's landmarks: shoulders 11 and 12, elbows, wrists, hips 23 and 24, knees, ankles, heels 29 and 30, toes.
BONES = (
    *((11, 12), (12, 24), (24, 23), (23, 11)),
    *((11, 13), (13, 15), (12, 14), (14, 16)),
    *((23, 25), (25, 27), (27, 31), (24, 26), (26, 28), (28, 32)),
)
JOINTS = (0, *range(11, 17), *range(23, 29))


def draw_focus(canvas: Canvas, focus: Focus, scale: float, colour: Colour) -> None:
    """The skeleton where a person was found, else the corners of the boxes; `scale` brings pixels of the image to those of the picture."""
    if focus.landmarks is not None:
        points = {number: (scale * x, scale * y) for number, (x, y, _, visible) in enumerate(focus.landmarks.tolist()) if visible >= VISIBLE}
        neck = [_middle(points[11], points[12])] if {0, 11, 12} <= points.keys() else []
        bones = [(points[start], points[end]) for start, end in BONES if start in points and end in points]
        canvas.lines([*bones, *((points[0], end) for end in neck)], colour)
        canvas.dots([points[number] for number in JOINTS if number in points], colour)
        return
    canvas.lines([line for box in focus.boxes for line in _corners(box, scale)], colour)


def _middle(start: Point, end: Point) -> Point:
    return (start[0] + end[0]) / 2, (start[1] + end[1]) / 2


def _corners(box: Box, scale: float) -> Sequence[tuple[Point, Point]]:
    inset = 2.0  # pixels; a line on the picture's edge would be cut in half
    left, top = scale * box.left + inset, scale * box.top + inset
    right, bottom = scale * (box.left + box.width) - inset - 1, scale * (box.top + box.height) - inset - 1
    length = CORNER * min(right - left, bottom - top)
    return [
        line
        for x, inward in ((left, length), (right, -length))
        for y, down in ((top, length), (bottom, -length))
        for line in (((x, y), (x + inward, y)), ((x, y), (x, y + down)))
    ]
