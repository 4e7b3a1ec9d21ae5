"""A person as MoveNet sees one: seventeen keypoints and a box."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

NUM_KEYPOINTS = 17  # COCO's: nose, eyes, ears, shoulders, elbows, wrists, hips, knees, ankles; of each pair the person's left one first
NOSE, LEFT_WRIST, RIGHT_WRIST = 0, 9, 10
FACE, SHOULDERS, HIPS, KNEES, ANKLES = (0, 1, 2, 3, 4), (5, 6), (11, 12), (13, 14), (15, 16)
# Joints and what they lie between: elbows, shoulders, hips, knees.
JOINTS = np.array([(5, 7, 9), (6, 8, 10), (7, 5, 11), (8, 6, 12), (5, 11, 13), (6, 12, 14), (11, 13, 15), (12, 14, 16)])
SEEN = 0.2  # from which score on a keypoint counts


@dataclass(frozen=True, slots=True, eq=False)
class Skeleton:
    """One person in one frame.

    Attributes:
        keypoints: (17, 3) float32: x and y in pixels of the image, and score, 0 to 1.
        box: (4,) float32: left, top, right, bottom in pixels of the image. It may reach beyond the image.
        score: How sure it is that somebody is there, 0 to 1.
    """

    keypoints: FloatArray
    box: FloatArray
    score: float

    @property
    def seen(self) -> NDArray[np.bool_]:
        """(17,) which keypoints count."""
        seen: NDArray[np.bool_] = self.keypoints[:, 2] >= SEEN
        return seen


def overlap(one: FloatArray, others: FloatArray) -> FloatArray:
    """(N,) intersection over union of a box, (4,), with others, (N, 4)."""
    shared = np.clip(np.minimum(one[2:], others[:, 2:]) - np.maximum(one[:2], others[:, :2]), 0, None).prod(axis=1)
    areas = np.clip(others[:, 2:] - others[:, :2], 0, None).prod(axis=1) + np.clip(one[2:] - one[:2], 0, None).prod()
    ratio: FloatArray = (shared / np.maximum(areas - shared, 1e-6)).astype(np.float32)
    return ratio


def joint_cosines(points: FloatArray) -> FloatArray:
    """(8,) of the angles of the `JOINTS`, of (17, 2) points: -1 for a stretched limb."""
    first, joint, second = points[JOINTS.T]
    u, v = first - joint, second - joint
    lengths = np.hypot(*u.T) * np.hypot(*v.T)
    cosines: FloatArray = ((u * v).sum(axis=1) / np.maximum(lengths, 1e-3)).astype(np.float32)
    return cosines
