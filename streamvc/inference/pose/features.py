"""A person as numbers that do not depend on where in the picture they are, nor on how large: posture and movement."""

import numpy as np
from numpy.typing import NDArray

from streamvc.inference.pose.landmarks import BodyPose, FloatArray

# MediaPipe's landmarks: the nose, then shoulders, elbows, wrists, hands, hips, knees, ankles, heels and toes. Eyes, ears and mouth say nothing more.
USED = (0, *range(11, 33))
SHOULDERS, HIPS = (11, 12), (23, 24)
# Joints and what they lie between: elbows, shoulders, hips, knees, ankles, and the trunk against the line of the shoulders.
ANGLES = np.array(
    [
        (11, 13, 15),
        (12, 14, 16),
        (13, 11, 23),
        (14, 12, 24),
        (11, 23, 25),
        (12, 24, 26),
        (23, 25, 27),
        (24, 26, 28),
        (25, 27, 31),
        (26, 28, 32),
        (23, 11, 12),
        (11, 12, 24),
    ]
)
REGION_SCALE = 2.5  # sides of a region to the radius of the circle around a person
FASTEST = 2.0  # radii per tick; landmarks that jump further have been mistaken
HELD_TICKS = 5  # for so long one who is lost is thought to stand still
NUM_POSTURE = 5 * len(USED) + len(ANGLES) + 3 + 2 + len(USED) + 1
IDENTITY = 2  # raise it when the same bodies make other features
FEATURE_SIZE = NUM_POSTURE + 2 * len(USED) + len(ANGLES) + 2 + len(USED)


class PoseFeatures:
    """Turns the bodies of one stream into features of `FEATURE_SIZE` numbers.

    Posture, 156 numbers: landmarks around the middle of the hips, in radii of the person's circle; landmarks in metres; cosines of the joints'
    angles; where the trunk points; how the person is turned in the picture; visibility; and whether anybody is seen. Movement since the tick before,
    83 numbers: of the landmarks, angles and hips in the picture, and each landmark's mean speed along both axes. A person who is lost is held for
    a second at most; nobody is all zeros.
    """

    def __init__(self) -> None:
        self._before: _Pose | None = None
        self._num_lost = 0

    def step(self, body: BodyPose | None, num_ticks: int = 1) -> FloatArray:
        """(FEATURE_SIZE,) float32 of the next frame, which stands for so many ticks."""
        if body is None:
            return self._lost(num_ticks)
        pose, before, num_ticks = _Pose(body), self._before, num_ticks + self._num_lost
        self._before, self._num_lost = pose, 0
        moved = pose.since(before, num_ticks) if before else np.zeros(FEATURE_SIZE - NUM_POSTURE, np.float32)
        return np.concatenate([pose.posture, [np.float32(1)], moved])

    def reset(self) -> None:
        """Forget the stream, as after a gap."""
        self._before = None
        self._num_lost = 0

    def _lost(self, num_ticks: int) -> FloatArray:
        self._num_lost += num_ticks
        if self._num_lost > HELD_TICKS:
            self._before = None
        feature = np.zeros(FEATURE_SIZE, np.float32)
        if self._before:
            feature[: NUM_POSTURE - 1] = self._before.posture
        return feature


class _Pose:
    """The posture of a body, and what its movement is told from."""

    def __init__(self, body: BodyPose) -> None:
        self._scale = np.float32(max(body.region.size / REGION_SCALE, 1.0))
        self._points = body.landmarks[list(USED), :2]
        self._hips = body.landmarks[list(HIPS), :2].mean(axis=0)
        self._angles = _cosines(body.world)
        trunk = body.world[list(SHOULDERS)].mean(axis=0)
        turned = body.region.rotation
        self.posture: FloatArray = np.concatenate(
            [
                ((self._points - self._hips) / self._scale).ravel(),
                body.world[list(USED)].ravel(),
                self._angles,
                trunk / max(float(np.linalg.norm(trunk)), 1e-6),
                np.array([np.cos(turned), np.sin(turned)]),
                body.landmarks[list(USED), 3],
            ]
        ).astype(np.float32)

    def since(self, before: "_Pose", num_ticks: int) -> FloatArray:
        """The movement since another pose, per tick."""
        rate = np.float32(1 / num_ticks)
        speeds = np.clip((self._points - before._points) / self._scale * rate, -FASTEST, FASTEST)
        hips = np.clip((self._hips - before._hips) / self._scale * rate, -FASTEST, FASTEST)
        return np.concatenate([speeds.ravel(), (self._angles - before._angles) * rate, hips, np.abs(speeds).mean(axis=1)])


def _cosines(world: FloatArray) -> NDArray[np.float32]:
    """(12,) of the joints' angles."""
    first, joint, second = world[ANGLES.T]
    u, v = first - joint, second - joint
    lengths = np.linalg.norm(u, axis=1) * np.linalg.norm(v, axis=1)
    cosines: NDArray[np.float32] = (u * v).sum(axis=1) / np.maximum(lengths, 1e-6)
    return cosines
