"""How a person holds themselves and moves, in numbers that mean the same for any network that finds these keypoints, and at any rate."""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from streamvc.inference.people.skeletons import ANKLES, FACE, HIPS, KNEES, NUM_KEYPOINTS, SHOULDERS, FloatArray, Skeleton, joint_cosines

ELBOWS, WRISTS = (7, 8), (9, 10)
PARTNERS = np.array([0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15])  # the same keypoint of the other side
# Where the keypoints are around the hips of somebody who stands before the camera, in sizes, down from the head: for those that are not seen yet.
STANDING = np.array(
    [
        *[(0.0, -0.58), (0.03, -0.61), (-0.03, -0.61), (0.06, -0.59), (-0.06, -0.59)],
        *[(0.16, -0.38), (-0.16, -0.38), (0.2, -0.16), (-0.2, -0.16), (0.21, 0.05), (-0.21, 0.05)],
        *[(0.1, 0.0), (-0.1, 0.0), (0.1, 0.31), (-0.1, 0.31), (0.1, 0.63), (-0.1, 0.63)],
    ],
    np.float32,
)
TRUNK_SHARE, THIGH_SHARE, SHIN_SHARE = 0.38, 0.31, 0.31  # of a size: what trunk, thigh and shin of somebody who stands are together
BODY_SHARE = 1.25  # how tall somebody who stands is, in sizes
LEAST_SIZE = 0.03  # of the image's height
LEAST_SCORE = 0.2  # of a keypoint that is believed
SIZE_S, SIZE_PERCENTILE = 6.0, 80  # over which a size is taken: lines that point at the camera look short
HELD_S = 1.0  # for which a keypoint that is lost is thought to stay where it was on the body; then it is where its partner is
BACK_S = (0.4, 1.2)  # how far back changes of the whole body reach
STEP_S = 0.3  # and those of arms and legs
FARTHEST = 100.0  # from the image that anything is thought to be, in its heights
MOST = 5.0  # that any number can be, beside being below zero
IDENTITY = 1  # raise it when the same skeletons make other features

_BODY = ("head", "head_aside", "shoulders", "shoulders_aside", "cos_trunk", "trunk", "facing", "hips_facing", "tallness", "tall", "wide")
_LEGS = (
    *(f"{name}_{which}" for name in ("knee", "knee_aside", "ankle", "ankle_aside", "knee_cosine", "hip_cosine") for which in ("more", "less")),
    *("ankles_apart", "thigh", "shin"),
)
_ARMS = (
    *(
        f"{name}_{which}"
        for name in ("wrist", "wrist_aside", "to_head", "to_hips", "elbow", "elbow_cosine", "arm_cosine")
        for which in ("near", "far")
    ),
    "wrists_apart",
)
_CHANGING = ("hips_down", "shoulders_down", "head_down", "hips_aside", "cos_trunk", "tallness", "tall", "knees", "ankles_below_head")
_MOVING = ("wrist_near", "wrist_far", "ankle_more", "ankle_less", "knee_more", "knee_less", "head", "hips")
FEATURE_NAMES: tuple[str, ...] = (
    *_BODY,
    *_LEGS,
    *_ARMS,
    *(f"{name}_{back:g}" for back in BACK_S for name in _CHANGING),
    *(f"speed_{name}" for name in _MOVING),
)
FEATURE_SIZE = len(FEATURE_NAMES)


class PostureFeatures:
    """Turns the skeletons of one person into features of `FEATURE_SIZE` numbers, each from what has been seen so far.

    Lengths are in the person's size, which is what trunk, thigh and shin measure together, and time is told by the clock: movement is per second, and
    over a fixed time. So the numbers are the same for a person nearer by, at any rate but for noise, and in a mirror: of arms the one whose hand is
    nearer to the head comes first, of legs the one that has more of a thing. Scores say only whether a keypoint is there, since those of other
    networks mean something else; one that is not stays where it was on the body for a while. Who is lost is thought to stay as they were. All are
    finite, from -5 to 5.
    """

    def __init__(self) -> None:
        self._history: deque[tuple[float, FloatArray]] = deque()  # the keypoints at each time, in heights of the image
        self._lengths: deque[tuple[float, float]] = deque()  # what was measured of the size
        self._around = STANDING  # the keypoints around the hips, in sizes
        self._seen_s = np.full(NUM_KEYPOINTS, -np.inf)  # when each was seen last
        self._size = 0.0

    def step(self, skeleton: Skeleton | None, time_s: float, height_px: int) -> FloatArray:
        """(FEATURE_SIZE,) float32 of the next frame.

        Args:
            skeleton: The person; None where they are not seen.
            time_s: Of the frame; later than that of the one before.
            height_px: Of the image.
        """
        seen = None if skeleton is None else _believed(skeleton, height_px)
        if seen is not None and seen.any():
            assert skeleton is not None
            given = np.clip(skeleton.keypoints[:, :2] / np.float32(height_px), -FARTHEST, FARTHEST)
            self._measure(given, seen, time_s)
            points = self._fill(given, seen, time_s)
        elif self._history:
            points = self._history[-1][1]
        else:
            return np.zeros(FEATURE_SIZE, np.float32)
        self._history.append((time_s, points))
        while len(self._history) > 2 and self._history[1][0] <= time_s - max(BACK_S):
            self._history.popleft()
        now = _Posture(points, self._size)
        changes = [self._levels(now, time_s, back_s) for back_s in BACK_S]
        features = np.concatenate([now.numbers(), *changes, self._speeds(now, time_s)])
        finite: FloatArray = np.clip(np.nan_to_num(features), -MOST, MOST).astype(np.float32)
        return finite

    def reset(self) -> None:
        """Forget the person, as after a gap."""
        self.__init__()  # type: ignore[misc]

    def _measure(self, points: FloatArray, seen: NDArray[np.bool_], time_s: float) -> None:
        """Take the size that a person has in one frame into account."""
        length = _length(points, seen)
        if length is None and not self._lengths:
            tall, wide = np.ptp(points[seen, 1]), np.ptp(points[seen, 0])
            self._size = max(float(max(tall, wide)) / BODY_SHARE, LEAST_SIZE)
        if length is None:
            return
        self._lengths.append((time_s, length))
        while self._lengths[0][0] <= time_s - SIZE_S:
            self._lengths.popleft()
        self._size = max(float(np.percentile([each for _, each in self._lengths], SIZE_PERCENTILE)), LEAST_SIZE)

    def _fill(self, points: FloatArray, seen: NDArray[np.bool_], time_s: float) -> FloatArray:
        """(17, 2) the keypoints, those that are not seen being where they were on the body, or else where the other side's are."""
        size = np.float32(self._size)
        self._seen_s[seen] = time_s
        firm = seen & np.isin(np.arange(NUM_KEYPOINTS), (*SHOULDERS, *HIPS))
        anchors = firm if firm.any() else seen
        middle = (points[anchors] - self._around[anchors] * size).mean(axis=0)
        filled = np.where(seen[:, None], points, middle + self._around * size)
        mirrored = ~seen & seen[PARTNERS] & (self._seen_s < time_s - HELD_S)
        filled[mirrored] = points[PARTNERS[mirrored]]
        self._around = (filled - filled[list(HIPS)].mean(axis=0)) / size
        return filled.astype(np.float32)

    def _at(self, time_s: float) -> FloatArray:
        """(17, 2) the keypoints at a time: between those of two frames; the first ones before that."""
        after_s, after = self._history[-1]
        for then_s, then in reversed(self._history):
            if then_s <= time_s:
                share = 0.0 if after_s == then_s else (time_s - then_s) / (after_s - then_s)
                return then + np.float32(share) * (after - then)
            after_s, after = then_s, then
        return after

    def _levels(self, now: "_Posture", time_s: float, back_s: float) -> FloatArray:
        """Changes of the whole body per second."""
        change = (now.levels - _Posture(self._at(time_s - back_s), self._size).levels) / np.float32(back_s)
        change[3] = abs(change[3])
        return change

    def _speeds(self, now: "_Posture", time_s: float) -> FloatArray:
        """Speeds of hands, feet and knees around the body, and of head and hips in the picture, in sizes a second."""
        before = _Posture(self._at(time_s - STEP_S), self._size)
        around = np.hypot(*(now.around - before.around).T)
        arms = around[list(WRISTS)][now.nearer]
        legs = [np.sort(around[list(pair)])[::-1] for pair in (ANKLES, KNEES)]
        whole = [np.hypot(*(now.head - before.head)), np.hypot(*(now.hips - before.hips))]
        speeds: FloatArray = np.concatenate([arms, *legs, whole]).astype(np.float32) / np.float32(STEP_S)
        return speeds


class _Posture:
    """The posture at one time; lengths in sizes, y upwards."""

    def __init__(self, points: FloatArray, size: float) -> None:
        points = points / np.float32(size) * np.array([1, -1], np.float32)
        self.hips, self._shoulders = points[list(HIPS)].mean(axis=0), points[list(SHOULDERS)].mean(axis=0)
        self.around = points - self.hips
        self.head = points[list(FACE)].mean(axis=0)
        self.to_head = np.hypot(*(points[list(WRISTS)] - self.head).T)
        self._wide, self._tall = np.ptp(points, axis=0).tolist()
        self._tallness = (self._tall - self._wide) / max(self._tall + self._wide, 1e-3)
        trunk = self._shoulders - self.hips
        self._trunk = float(np.hypot(*trunk))
        self._cos_trunk = float(trunk[1]) / max(self._trunk, 1e-3)

    @property
    def nearer(self) -> NDArray[np.intp]:
        """(2,) the arms, the one whose hand is nearer to the head first."""
        return np.argsort(self.to_head, kind="stable")

    @property
    def levels(self) -> FloatArray:
        """(9,) of what changes; see `_CHANGING`."""
        knees, ankles = self.around[list(KNEES), 1].mean(), self.around[list(ANKLES), 1].mean()
        down = (-self.hips[1], -self._shoulders[1], -self.head[1])
        return np.array([*down, self.hips[0], self._cos_trunk, self._tallness, self._tall, knees, self.head[1] - self.hips[1] - ankles], np.float32)

    def numbers(self) -> FloatArray:
        """(42,) that say how the body is held; see `_BODY`, `_LEGS` and `_ARMS`."""
        head, trunk = self.head - self.hips, self._shoulders - self.hips
        cosines = joint_cosines(self.around)
        facing, hips_facing = (float(self.around[left, 0] - self.around[right, 0]) for left, right in (SHOULDERS, HIPS))
        body = (head[1], abs(head[0] - trunk[0]), trunk[1], abs(trunk[0]), self._cos_trunk, self._trunk, facing, hips_facing)
        whole = (self._tallness, self._tall, self._wide)
        return np.array([*body, *whole, *self._legs(cosines), *self._arms(cosines, trunk)], np.float32)

    def _legs(self, cosines: FloatArray) -> list[float]:
        knees, ankles = self.around[list(KNEES)], self.around[list(ANKLES)]
        pairs = np.array([knees[:, 1], abs(knees[:, 0]), ankles[:, 1], abs(ankles[:, 0]), cosines[6:8], cosines[4:6]])
        thighs, shins = np.hypot(*(knees - self.around[list(HIPS)]).T), np.hypot(*(ankles - knees).T)
        return [*np.sort(pairs, axis=1)[:, ::-1].ravel(), np.hypot(*(ankles[0] - ankles[1])), thighs.mean(), shins.mean()]

    def _arms(self, cosines: FloatArray, shoulders: FloatArray) -> list[float]:
        wrists, elbows = self.around[list(WRISTS)], self.around[list(ELBOWS)]
        up, elbows_up = wrists[:, 1] - shoulders[1], elbows[:, 1] - shoulders[1]
        pairs = np.array([up, abs(wrists[:, 0] - shoulders[0]), self.to_head, np.hypot(*wrists.T), elbows_up, cosines[:2], cosines[2:4]])
        return [*pairs[:, self.nearer].ravel(), np.hypot(*(wrists[0] - wrists[1]))]


def _believed(skeleton: Skeleton, height_px: int) -> NDArray[np.bool_]:
    """(17,) which keypoints are there."""
    believed: NDArray[np.bool_] = np.logical_and(np.isfinite(skeleton.keypoints).all(axis=1), skeleton.keypoints[:, 2] >= LEAST_SCORE)
    return believed


def _length(points: FloatArray, seen: NDArray[np.bool_]) -> float | None:
    """What trunk, thigh and shin measure together, as far as they are seen; None where too little is."""
    pairs = [((5, 11), (6, 12)), ((11, 13), (12, 14)), ((13, 15), (14, 16))]
    measured = share = 0.0
    for sides, its_share in zip(pairs, (TRUNK_SHARE, THIGH_SHARE, SHIN_SHARE), strict=True):
        lengths = [float(np.hypot(*(points[first] - points[last]))) for first, last in sides if seen[first] and seen[last]]
        if lengths:
            measured, share = measured + max(lengths), share + its_share
    return measured / share if share > TRUNK_SHARE / 2 else None
