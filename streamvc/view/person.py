"""Draws whom a model judges: the skeletons of people, or the corners of the part of the picture that it looked at."""

from collections.abc import Mapping, Sequence

from streamvc.types import Box, Focus, SeenPerson
from streamvc.view.canvas import GREEN, WHITE, Canvas, Colour, Font, Point

VISIBLE = 0.5  # from which a landmark is drawn
CORNER = 0.16  # length of a corner's sides, by those of the box
# MediaPipe's landmarks: shoulders 11 and 12, elbows, wrists, hips 23 and 24, knees, ankles, heels 29 and 30, toes.
BONES = (
    *((11, 12), (12, 24), (24, 23), (23, 11)),
    *((11, 13), (13, 15), (12, 14), (14, 16)),
    *((23, 25), (25, 27), (27, 31), (24, 26), (26, 28), (28, 32)),
)
JOINTS = (0, *range(11, 17), *range(23, 29))

SEEN = 0.3  # the score from which a keypoint is drawn
# COCO's keypoints: nose 0, shoulders 5 and 6, elbows, wrists, hips 11 and 12, knees, ankles.
LIMBS = (
    *((5, 6), (6, 12), (12, 11), (11, 5)),
    *((5, 7), (7, 9), (6, 8), (8, 10)),
    *((11, 13), (13, 15), (12, 14), (14, 16)),
)
KEYPOINTS = (0, *range(5, 17))
TAG_HEIGHT, TAG_PAD = 20, 6  # of what somebody does, above their box; in design units


def draw_person(canvas: Canvas, person: SeenPerson, scale: float, labels: Sequence[str], font: Font) -> None:
    """Somebody's skeleton and the corners of their box, and above it what they do; green where that is something."""
    colour = GREEN if labels else WHITE
    points = {number: (scale * x, scale * y) for number, (x, y, score) in enumerate(person.keypoints.tolist()) if score >= SEEN}
    _draw_skeleton(canvas, points, LIMBS, KEYPOINTS, (0, 5, 6), colour)
    left, top, right, bottom = (round(side) for side in person.box.tolist())
    canvas.lines(list(_corners(Box(left, top, right - left, bottom - top), scale)), colour)
    if labels:
        text = ", ".join(labels)
        width = canvas.text_width(text, font) + 2 * TAG_PAD
        x, y = canvas.place(scale * left, scale * top, width, TAG_HEIGHT)
        canvas.panel(x, y, width, TAG_HEIGHT)
        canvas.text(text, x + TAG_PAD, y + TAG_HEIGHT / 2, colour, font)


def draw_focus(canvas: Canvas, focus: Focus, scale: float, colour: Colour) -> None:
    """The skeleton where a person was found, else the corners of the boxes; `scale` brings pixels of the image to those of the picture."""
    if focus.landmarks is not None:
        points = {number: (scale * x, scale * y) for number, (x, y, _, visible) in enumerate(focus.landmarks.tolist()) if visible >= VISIBLE}
        _draw_skeleton(canvas, points, BONES, JOINTS, (0, 11, 12), colour)
        return
    canvas.lines([line for box in focus.boxes for line in _corners(box, scale)], colour)


def _draw_skeleton(
    canvas: Canvas,
    points: Mapping[int, Point],
    bones: Sequence[tuple[int, int]],
    joints: Sequence[int],
    neck: tuple[int, int, int],
    colour: Colour,
) -> None:
    """As much of it as is seen; `neck` are the nose and the shoulders, which a line joins."""
    nose, left, right = neck
    lines = [(points[start], points[end]) for start, end in bones if start in points and end in points]
    if set(neck) <= points.keys():
        lines.append((points[nose], _middle(points[left], points[right])))
    canvas.lines(lines, colour)
    canvas.dots([points[number] for number in joints if number in points], colour)


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
