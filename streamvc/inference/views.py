"""Where in a frame a network looks: at the person, or where it moves most, followed from frame to frame. Time counts in ticks."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from streamvc.inference.manifest import Crop
from streamvc.inference.pose.landmarks import BodyPose
from streamvc.types import Box

MARGIN = 1.4  # side of the square, by the larger side of the box around the landmarks
VISIBLE = 0.5  # from which a landmark counts
NUM_VISIBLE = 6  # landmarks that are needed to say where somebody is
SMOOTHING_TICKS = 2.0  # time constant of the exponential mean: 0.4 s at 5 Hz
HOLD_TICKS = 5  # for which a person who is lost is thought to be where he was: 1 s at 5 Hz

SHARE = 0.6  # side of the square where it moves, by the shorter side of the frame
GRID_PX = 80  # longer side of the picture in which movement is looked for
NOISE, MOST = 4.0, 40.0  # change of a pixel, of 255, that is none, beside what all of the picture changes by; and above which it counts no more
HEAT_TICKS = 4.0  # time constant of where it moves: 0.4 s at 10 Hz
# Whatever changes what is cut out belongs in here: features kept of other cuts are not used then.
IDENTITIES: dict[Crop, str] = {
    "person": f"person {MARGIN} {VISIBLE} {NUM_VISIBLE} {SMOOTHING_TICKS} {HOLD_TICKS}",
    "movement": f"movement {SHARE} {GRID_PX} {NOISE} {MOST} {HEAT_TICKS} {SMOOTHING_TICKS}",
}


@dataclass(frozen=True, slots=True)
class Square:
    """A square in an image, in pixels. It may reach beyond the image."""

    center_x: float
    center_y: float
    side: float

    def cut(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """What it shows of an image, (H, W, 3), as a view: moved into the image where it reaches beyond, and cut off where it is larger."""
        box = self.box(image.shape)
        return image[box.top : box.top + box.height, box.left : box.left + box.width]

    def box(self, shape: tuple[int, ...]) -> Box:
        """Where in an image of this shape that is."""
        rows, columns = _span(self.center_y, self.side, shape[0]), _span(self.center_x, self.side, shape[1])
        return Box(columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)


class PersonView:
    """A square around a person, which follows smoothly.

    A person who is lost is thought to be where he was for a while, then nobody is there;
    who comes after that is looked at without delay.
    """

    def __init__(self) -> None:
        self._square: Square | None = None
        self._age = 0

    def step(self, body: BodyPose | None, num_ticks: int = 1) -> Square | None:
        """Take what was found in the next frame, which is so many ticks behind the one before; returns where to look, None where nobody is."""
        self._age += num_ticks
        target = square_around(body) if body else None
        if target:
            self._square = towards(self._square, target, self._age) if self._square else target
            self._age = 0
        elif self._age > HOLD_TICKS:
            self._square = None
        return self._square

    def reset(self) -> None:
        """Forget the person."""
        self._square = None
        self._age = 0


class MovementView:
    """A square of one size around where it moves most, which follows smoothly; in the middle before anything moves, and left where it is after."""

    def __init__(self) -> None:
        self._before: NDArray[np.float32] | None = None
        self._heat: NDArray[np.float32] | None = None
        self._square: Square | None = None

    def step(self, image: NDArray[np.uint8], num_ticks: int = 1) -> Square:
        """Take the next frame, (H, W, 3) uint8 of the size of the one before, so many ticks behind it; returns where to look."""
        grey, before = _small(image), self._before
        self._before = grey
        height, width = image.shape[:2]
        middle = Square(width / 2, height / 2, SHARE * min(height, width))
        if before is None or self._heat is None:
            self._heat = np.zeros_like(grey)
            return middle
        weight = -math.expm1(-num_ticks / HEAT_TICKS)
        self._heat += np.float32(weight) * (_change(before, grey) - self._heat)
        target = _hottest(self._heat, middle)
        if target:
            self._square = towards(self._square, target, num_ticks) if self._square else target
        return self._square or middle

    def reset(self) -> None:
        """Forget what moved."""
        self._before = self._heat = self._square = None


def square_around(body: BodyPose) -> Square | None:
    """The square around a body's visible landmarks, with a margin; None where too few are visible."""
    points = body.landmarks[body.landmarks[:, 3] >= VISIBLE, :2]
    if len(points) < NUM_VISIBLE:
        return None
    (left, top), (right, bottom) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    return Square((left + right) / 2, (top + bottom) / 2, MARGIN * max(right - left, bottom - top))


def downscale(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A small picture, its longer side being `GRID_PX`, in which noise is averaged out."""
    scale = GRID_PX / max(image.shape[:2])
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    double = cv2.resize(image, (2 * width, 2 * height), interpolation=cv2.INTER_LINEAR)  # to average all of a large frame takes longer
    return np.asarray(cv2.resize(double, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _small(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    grey = cv2.cvtColor(downscale(image), cv2.COLOR_BGR2GRAY)
    small: NDArray[np.float32] = cv2.GaussianBlur(grey, (3, 3), 0).astype(np.float32)
    return small


def _change(before: NDArray[np.float32], now: NDArray[np.float32]) -> NDArray[np.float32]:
    """By how much each pixel changed more than the picture as a whole, as from noise or from the camera's own movement."""
    change = np.abs(now - before)
    more: NDArray[np.float32] = np.clip(change - np.median(change) - np.float32(NOISE), 0, np.float32(MOST))
    return more


def _hottest(heat: NDArray[np.float32], middle: Square) -> Square | None:
    """A square of the size of `middle` around the centre of the heat in the place that has most of it; None where there is none."""
    scale = heat.shape[1] / (2 * middle.center_x)
    reach = max(1, round(middle.side * scale / 2))
    sums = cv2.boxFilter(heat, -1, (2 * reach + 1, 2 * reach + 1), normalize=False, borderType=cv2.BORDER_CONSTANT)
    row, column = np.unravel_index(int(sums.argmax()), sums.shape)
    top, left = max(0, int(row) - reach), max(0, int(column) - reach)
    patch = heat[top : int(row) + reach + 1, left : int(column) + reach + 1]
    whole = float(patch.sum())
    if whole < 1:
        return None
    center_y = top + float(patch.sum(axis=1) @ np.arange(len(patch))) / whole + 0.5
    center_x = left + float(patch.sum(axis=0) @ np.arange(patch.shape[1])) / whole + 0.5
    return Square(center_x / scale, center_y / scale, middle.side)


def towards(old: Square, new: Square, num_ticks: int) -> Square:
    """The square so many ticks later, on its way from one to another."""
    weight = -math.expm1(-num_ticks / SMOOTHING_TICKS)
    return Square(
        old.center_x + weight * (new.center_x - old.center_x),
        old.center_y + weight * (new.center_y - old.center_y),
        old.side + weight * (new.side - old.side),
    )


def _span(center: float, side: float, limit: int) -> slice:
    length = min(max(round(side), 1), limit)
    start = min(max(round(center - length / 2), 0), limit - length)
    return slice(start, start + length)
