"""What stands out from the background, for a camera that stands still: its shape and movement as numbers, and where to look. Time counts in ticks.

The background is a small picture of the room without anybody. It is brought to each frame's exposure, so that a camera that adapts to the light does
not make all of the room stand out, and follows what changes slowly: next to not at all where somebody is, so that one who sits still is not lost for
some minutes. All numbers are shares of the frame, and differences are by the contrast of the room, so that neither the frame's size nor the light
counts.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from streamvc.inference.views import Square, downscale, towards

FloatArray = NDArray[np.float32]
Mask = NDArray[np.uint8]

MARGIN = 1.4  # side of the square, by the larger side of the box around what stands out
SMALLEST = 1 / 3  # of the shorter side of the frame, for the side of the square
HOLD_TICKS = 5  # for which what is lost is thought to be where it was: 2 s at 2.5 Hz

STANDS_OUT, NOISE = 0.10, 7.0  # difference from which a pixel stands out: of the contrast, and of 255, whichever is more
MOVES, FLICKER = 0.03, 3.0  # likewise for the change from which it moves
NUM_PX, NUM_SHARE = 20, 0.25  # pixels of a piece that counts, and by those of the largest piece
LEARNING_TICKS = 8  # in which the background is the mean of what was seen
FREE, HELD = 0.008, 0.001  # of the contrast, by which the background follows in a tick: where nobody is, and where somebody is
CONTRAST = (12.0, 150.0)  # least contrast that is reckoned with, and that from which levels are left as they are
EXPOSURE = (0.5, 2.0)  # most that the exposure changes by from frame to frame

EVERY = np.s_[::2, ::2]  # pixels that are enough for a median
GRID = (8, 6)  # columns and rows of the coarse pictures of what stands out, and of what moves
FASTEST = 1.0  # frames' longer sides per tick
NUM_SHAPE, NUM_PATH, NUM_MOVEMENT = 17, 3, 5
FEATURE_SIZE = NUM_SHAPE + NUM_PATH + NUM_MOVEMENT + 2 * GRID[0] * GRID[1]
VERSION = 2  # raise it when the same frames make other numbers or squares
# Whatever changes what is seen belongs in here: features kept of other ways to see are not used then.
IDENTITY = (
    f"foreground {VERSION} {MARGIN} {SMALLEST} {HOLD_TICKS} {STANDS_OUT} {NOISE} {MOVES} {FLICKER} {NUM_PX} {NUM_SHARE} "
    f"{LEARNING_TICKS} {FREE} {HELD} {CONTRAST} {EXPOSURE} {GRID} {FASTEST}"
)


@dataclass(frozen=True, slots=True, eq=False)
class Foreground:
    """What stands out from the background in a frame.

    Attributes:
        features: (FEATURE_SIZE,) float32. Of what stands out: whether anything does, its size, place, box, axes, direction, how compact it
            is, how much it stands out, how far it touches each side of the frame; its speed. Of what moves: how much of all and of it,
            and where. Then a coarse picture of what stands out, and one of what moves. Nothing is all zeros.
        square: Around it; None where nothing is.
        levels: (256,) uint8, what brings the values of a room with little contrast to the usual range.
    """

    features: FloatArray
    square: Square | None
    levels: NDArray[np.uint8]

    def cut(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The square out of a picture of the same camera, (H, W, 3) uint8, in the usual range; all of it where nothing stands out."""
        return np.asarray(cv2.LUT(self.square.cut(image) if self.square else image, self.levels), np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class _Levels:
    """The darkest and the brightest of the background, without outliers."""

    low: float
    contrast: float

    @classmethod
    def of(cls, background: FloatArray) -> "_Levels":
        low, high = np.percentile(_largest(background)[EVERY], (2, 98)).tolist()
        return cls(low, max(high - low, CONTRAST[0]))

    def threshold(self, share: float, least: float) -> float:
        """A difference, of 255, that is so much of the contrast, and at least so much."""
        return max(share * self.contrast, least)

    def table(self) -> NDArray[np.uint8]:
        values = np.arange(256.0)
        if self.contrast < CONTRAST[1]:
            values = (values - self.low) / self.contrast * 235 + 10
        return np.asarray(np.clip(values, 0, 255), np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class _Shape:
    """What stands out, as (H, W) of 0 and 1; its box, which is (left, top, width, height), and its middle, in pixels."""

    mask: Mask
    box: tuple[int, int, int, int]
    center_x: float
    center_y: float


class ForegroundView:
    """Follows what stands out in the frames of one camera, with a memory of the room."""

    def __init__(self) -> None:
        self._background: FloatArray | None = None
        self._before: FloatArray | None = None
        self._shape: _Shape | None = None
        self._square: Square | None = None
        self._num_seen = 0
        self._num_lost = 0

    def step(self, image: NDArray[np.uint8], num_ticks: int = 1) -> Foreground:
        """Take the next frame, (H, W, 3) uint8 of the size of the one before, so many ticks behind it."""
        small = downscale(image).astype(np.float32)
        background = small.copy() if self._background is None else self._background * _exposure(small, self._background)
        levels = _Levels.of(background)
        change = _largest(cv2.absdiff(small, background))
        shape = _shape(change, levels.threshold(STANDS_OUT, NOISE))
        movement = _movement(small, small if self._before is None else self._before, levels, num_ticks)
        path = _path(self._shape, shape, num_ticks)
        features = np.concatenate(
            [_shape_features(shape, change / levels.contrast), path, _movement_features(movement, shape), *_grids(movement, shape)]
        )
        self._background = self._learn(background, small, shape, levels, num_ticks)
        self._before, self._shape = small, shape
        self._follow(shape, max(image.shape[:2]) / max(small.shape[:2]), min(image.shape[:2]), num_ticks)
        return Foreground(features.astype(np.float32), self._square, levels.table())

    def reset(self) -> None:
        """Forget the room and who was in it."""
        self._background = self._before = self._shape = self._square = None
        self._num_seen = self._num_lost = 0

    def _learn(self, background: FloatArray, small: FloatArray, shape: _Shape | None, levels: _Levels, num_ticks: int) -> FloatArray:
        """The background after another frame: a running median, which nobody who walks through leaves a trace in."""
        self._num_seen += num_ticks
        if self._num_seen <= LEARNING_TICKS:
            return background + (small - background) * np.float32(min(num_ticks / self._num_seen, 1))
        pace = np.full(small.shape[:2], FREE, np.float32)
        if shape:
            pace[cv2.dilate(shape.mask, np.ones((3, 3), np.uint8)) > 0] = HELD
        most = (pace * np.float32(levels.contrast * num_ticks))[..., None]
        return np.asarray(background + np.clip(small - background, -most, most))

    def _follow(self, shape: _Shape | None, scale: float, shorter: int, num_ticks: int) -> None:
        self._num_lost += num_ticks
        if shape:
            target = _square(shape, scale, shorter)
            self._square = towards(self._square, target, self._num_lost) if self._square else target
            self._num_lost = 0
        elif self._num_lost > HOLD_TICKS:
            self._square = None


def _exposure(small: FloatArray, background: FloatArray) -> np.float32:
    """By how much the camera has made all of the picture brighter than the background is."""
    bright, before = (cv2.transform(picture, np.ones((1, 3)))[EVERY] for picture in (small, background))
    lit = before >= min(before.mean(), before.max())  # what is black stays black; a mean of equal numbers may be rounded up
    return np.float32(np.clip(np.median((bright[lit] + 6) / (before[lit] + 6)), *EXPOSURE))


def _largest(picture: FloatArray) -> FloatArray:
    """(H, W): of each pixel the largest of its three values."""
    blue, green, red = cv2.split(picture)
    return np.asarray(cv2.max(cv2.max(blue, green), red), np.float32)


def _shape(change: FloatArray, threshold: float) -> _Shape | None:
    """What differs from the background, without specks, and without what is much smaller than the largest piece; None where nothing is."""
    mask = (cv2.blur(change, (3, 3)) > threshold).astype(np.uint8)
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    num_pieces, pieces, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    sizes = stats[1:, cv2.CC_STAT_AREA]
    if num_pieces == 1 or sizes.max() < NUM_PX:
        return None
    kept = np.append(False, sizes >= max(NUM_PX, NUM_SHARE * sizes.max()))[pieces].astype(np.uint8)
    left, top, width, height = cv2.boundingRect(kept)
    moments = cv2.moments(kept, binaryImage=True)
    return _Shape(kept, (left, top, width, height), moments["m10"] / moments["m00"], moments["m01"] / moments["m00"])


def _square(shape: _Shape, scale: float, shorter: int) -> Square:
    left, top, width, height = shape.box
    side = max(MARGIN * scale * max(width, height), SMALLEST * shorter)
    return Square(scale * (left + width / 2), scale * (top + height / 2), side)


def _shape_features(shape: _Shape | None, change: FloatArray) -> FloatArray:
    if shape is None:
        return np.zeros(NUM_SHAPE, np.float32)
    mask, (_, _, box_width, box_height) = shape.mask, shape.box
    height, width = mask.shape
    longer = max(height, width)
    area = float(np.count_nonzero(mask))
    hull = cv2.contourArea(cv2.convexHull(cv2.findNonZero(mask)))
    sides = [side.mean() for side in (mask[:, :2], mask[:, -2:], mask[:2], mask[-2:])]
    place = [1.0, np.sqrt(area / mask.size), shape.center_x / width, shape.center_y / height, box_width / longer, box_height / longer]
    compact = [area / (box_width * box_height), area / max(hull, area), np.minimum(change[mask > 0], 1).mean()]
    return np.array([*place, *_axes(mask, longer), *compact, *sides], np.float32)


def _axes(mask: Mask, longer: int) -> list[float]:
    """Length and width of the ellipse with the same second moments, and its direction: cosine and sine of twice its angle, by how long it is."""
    moments = cv2.moments(mask, binaryImage=True)
    pixel = 1 / 12  # a pixel is not a point: its own moment
    xx, xy, yy = moments["mu20"] / moments["m00"] + pixel, moments["mu11"] / moments["m00"], moments["mu02"] / moments["m00"] + pixel
    spread = float(np.hypot(xx - yy, 2 * xy))
    lengths = [4 * float(np.sqrt((xx + yy + sign * spread) / 2)) / longer for sign in (1, -1)]
    return [*lengths, (xx - yy) / (xx + yy), 2 * xy / (xx + yy)]


def _path(before: _Shape | None, now: _Shape | None, num_ticks: int) -> FloatArray:
    """Velocity to the right and downwards, and speed."""
    if before is None or now is None:
        return np.zeros(NUM_PATH, np.float32)
    longer = max(now.mask.shape)
    x, y = ((there - here) / (longer * num_ticks) for here, there in ((before.center_x, now.center_x), (before.center_y, now.center_y)))
    return np.clip(np.array([x, y, np.hypot(x, y)], np.float32), -FASTEST, FASTEST)


def _movement(small: FloatArray, before: FloatArray, levels: _Levels, num_ticks: int) -> FloatArray:
    """By how much of the contrast each pixel changed per tick; 0 for what is but flicker."""
    change: FloatArray = cv2.blur(_largest(cv2.absdiff(small, before * _exposure(small, before))), (3, 3))
    return np.where(change < levels.threshold(MOVES, FLICKER), 0, change / np.float32(levels.contrast * num_ticks))


def _movement_features(movement: FloatArray, shape: _Shape | None) -> FloatArray:
    height, width = movement.shape
    whole = float(movement.sum())
    if not whole:
        return np.zeros(NUM_MOVEMENT, np.float32)
    place = [float(movement.sum(axis=0) @ np.arange(width)) / whole / width, float(movement.sum(axis=1) @ np.arange(height)) / whole / height]
    inside = movement[shape.mask > 0].mean() if shape else 0.0
    return np.array([np.sqrt(whole / movement.size), np.sqrt(inside), (movement > STANDS_OUT).mean(), *place], np.float32)


def _grids(movement: FloatArray, shape: _Shape | None) -> list[FloatArray]:
    seen = np.zeros(movement.shape, np.float32) if shape is None else shape.mask.astype(np.float32)
    return [cv2.resize(each, GRID, interpolation=cv2.INTER_AREA).ravel() for each in (seen, np.sqrt(movement))]
