"""The keypoints of one person as numbers that do not depend on where in the picture they are, nor on how large: posture and movement."""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from streamvc.inference.people import single
from streamvc.inference.people.single import Look, PersonFollower
from streamvc.inference.people.skeletons import HIPS, JOINTS, NUM_KEYPOINTS, SEEN, SHOULDERS, FloatArray, joint_cosines

NUM_SIZES = 10  # looks at a person that their size is the mean of
WELL_SEEN = 6  # keypoints that must be seen for one of them
LEAST_PX, UNKNOWN_SHARE = 10.0, 0.7  # the smallest size, and the size of one not seen yet by the shorter side of the image
LEAST_SCORE, LEAST_MOVING = 0.05, 0.15  # that a hip or shoulder counts with; of a keypoint whose movement is believed
FARTHEST, FASTEST, MOST = 2.0, 1.0, 5.0  # sizes, sizes a tick; and what any number can be
IDENTITY = f"1 {single.VERSION}"  # raise its first number when the same looks make other features
NUM_POSTURE = 3 * NUM_KEYPOINTS + len(JOINTS) + 2 + 4
FEATURE_SIZE = NUM_POSTURE + 3 * NUM_KEYPOINTS + len(JOINTS) + 2


def mirrored(features: FloatArray) -> FloatArray:
    """What `KeypointFeatures` would make of the mirrored pictures, left for right: (..., FEATURE_SIZE) float32."""
    return np.asarray(features[..., MIRRORED_FROM] * MIRRORED_SIGN, np.float32)


def _mirror() -> tuple[NDArray[np.int64], FloatArray]:
    """(FEATURE_SIZE,) from which number each number of a mirrored feature comes, and its sign."""
    keypoints = np.array([0, *(other for left in range(1, NUM_KEYPOINTS, 2) for other in (left + 1, left))])  # left and right take turns
    points = (2 * keypoints[:, None] + [0, 1]).ravel()
    angles = np.arange(len(JOINTS)).reshape(-1, 2)[:, ::-1].ravel()
    across = np.tile([-1, 1], NUM_KEYPOINTS)
    blocks = [(points, across), (keypoints, 1), (angles, 1), (np.arange(6), 1)]  # posture
    blocks += [(points, across), (np.arange(2), [-1, 1]), (angles, 1), (keypoints, 1)]  # movement
    starts = np.cumsum([0, *(len(order) for order, _ in blocks)])
    order = np.concatenate([start + order for start, (order, _) in zip(starts[:-1], blocks, strict=True)])
    return order, np.concatenate([np.full(len(order), sign) for order, sign in blocks]).astype(np.float32)


MIRRORED_FROM, MIRRORED_SIGN = _mirror()


class KeypointFeatures:
    """Follows the person in one stream; features of `FEATURE_SIZE` numbers.

    Posture, 65 numbers: keypoints around the middle of the hips, in the person's size; their scores; cosines of the joints' angles; where the trunk
    points, whichever side it leans to; whether the picture was upended; the mean score; how much taller than wide the person is; their size by the
    height of the image. Movement since the tick before, 61: of the keypoints, of the hips in the picture, of the angles, and each keypoint's speed.
    """

    def __init__(self, follower: PersonFollower) -> None:
        self._follower = follower
        self._sizes: deque[float] = deque(maxlen=NUM_SIZES)
        self._before: _Posture | None = None

    def step(self, image: NDArray[np.uint8], num_ticks: int = 1) -> FloatArray:
        """(FEATURE_SIZE,) float32 of the next frame, (H, W, 3) uint8 BGR, which stands for so many ticks.

        Raises:
            InferenceError: That is not an image, or the runtime failed.
        """
        look = self._follower.step(image)
        posture, before = _Posture(look, self._size(look, image.shape[:2]), image.shape[0]), self._before
        self._before = posture
        moved = posture.since(before or posture, num_ticks)
        feature: FloatArray = np.clip(np.nan_to_num(np.concatenate([posture.numbers, moved])), -MOST, MOST).astype(np.float32)
        return feature

    def reset(self) -> None:
        """Forget the person, as after a gap."""
        self._follower.reset()
        self._sizes.clear()
        self._before = None

    def _size(self, look: Look, shape: tuple[int, ...]) -> float:
        points = look.keypoints[look.keypoints[:, 2] > SEEN, :2]
        if len(points) >= WELL_SEEN:
            self._sizes.append(float(np.hypot(*np.ptp(points, axis=0))))
        size = sum(self._sizes) / len(self._sizes) if self._sizes else UNKNOWN_SHARE * min(shape)
        return max(size, LEAST_PX)


class _Posture:
    """The posture at one look, and what its movement is told from."""

    def __init__(self, look: Look, size: float, height: int) -> None:
        points, self._scores = look.keypoints[:, :2], look.keypoints[:, 2]
        self._points, self._size = points, np.float32(size)
        self._hips = _mean(look.keypoints, HIPS)
        self._angles = joint_cosines(points)
        trunk = _mean(look.keypoints, SHOULDERS) - self._hips
        trunk /= max(float(np.hypot(*trunk)), 1e-3)
        seen = points[self._scores > SEEN]
        wide, tall = np.ptp(seen, axis=0).tolist() if len(seen) else (0.0, 0.0)
        around = np.clip((points - self._hips) / self._size, -FARTHEST, FARTHEST)
        rest = [abs(float(trunk[0])), trunk[1], look.upended, look.score, (tall - wide) / max(tall + wide, 1.0), size / height]
        self.numbers: FloatArray = np.concatenate([around.ravel(), self._scores, self._angles, np.array(rest, np.float32)])

    def since(self, before: "_Posture", num_ticks: int) -> FloatArray:
        """The movement since another posture, per tick."""
        rate = np.float32(1 / num_ticks)
        speeds = np.clip((self._points - before._points) / self._size * rate, -FASTEST, FASTEST)
        speeds[self._scores <= LEAST_MOVING] = 0
        hips = np.clip((self._hips - before._hips) / self._size * rate, -FASTEST, FASTEST)
        return np.concatenate([speeds.ravel(), hips, (self._angles - before._angles) * rate, np.hypot(*speeds.T)])


def _mean(keypoints: FloatArray, pair: tuple[int, int]) -> FloatArray:
    """(2,) the middle between two keypoints, nearer to the one that is seen better."""
    points = keypoints[list(pair)]
    weights = np.maximum(points[:, 2:], LEAST_SCORE)
    middle: FloatArray = (points[:, :2] * weights).sum(axis=0) / weights.sum()
    return middle
