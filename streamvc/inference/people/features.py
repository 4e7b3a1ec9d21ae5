"""How a person stands, falls and lies, in numbers that do not depend on where in the picture they are: what tells a fall from sitting down."""

from collections import deque
from collections.abc import Sequence

import numpy as np

from streamvc.inference.people.skeletons import ANKLES, FACE, HIPS, KNEES, SHOULDERS, FloatArray, Skeleton

BACK_S = (0.4, 0.8, 1.6)  # how far back changes reach
SIZE_S = 6.0  # over which a person's size is taken: the larger they were, as who lies down grows no smaller
LEAST_SIZE = 0.05  # of the image's height
LEAST_SCORE = 0.12  # of a keypoint that says where a part of the body is
FEW_SHARED, SHARED_SCORE = 4, 0.2  # keypoints in two frames, and their score, to tell how fast a person moves
STEP_S = 0.2  # movement is told for so long
LOW, TALL = 0.5, 0.75  # height of the head above the feet, in sizes, of who is down and of who stands
MOST_AGE_S, MOST_LOW_S = 5.0, 4.0
FARTHEST = 100.0  # from the image that anything is thought to be, in its heights
MOST = 10.0  # that any number can be, beside being below zero
HEIGHTS = (0.0, 0.2, 0.5, 0.75, 1.0)  # where in the box head, shoulders, hips, knees and ankles are thought to be when they are not seen
IDENTITY = 1  # raise it when the same skeletons make other features

_NOW = ("cos_trunk", "cos_body", "tallness", "height", "width", "head", "hips", "shoulders", "trunk", "thighs")
_SEEN = ("confidence", "share_seen", "legs", "arms", "score", "bottom", "top", "size", "lost_s", "age_s")
_CHANGING = ("cos_trunk", "cos_body", "tallness", "head_y", "shoulders_y", "hips_y", "middle_y", "top_y", "height", "middle_x")
_DROPS = ("head_y", "shoulders_y", "middle_y", "top_y")
_PAST = ("since_drop_s", "least_cos_trunk", "lost_cos_trunk", "lost_tallness", "shoulders_drop", "hips_drop", "most_height", "most_score")
_STILL = ("movement_0.6", "movement_1.2", "most_movement", "low_s", "stood")
FEATURE_NAMES: tuple[str, ...] = (
    *_NOW,
    *_SEEN,
    *(f"{name}_{back:g}" for back in BACK_S for name in _CHANGING),
    *(f"most_{name}_0.4" for name in _DROPS),
    *(f"most_{name}_0.8" for name in _DROPS[:2]),
    *_PAST,
    *_STILL,
)
FEATURE_SIZE = len(FEATURE_NAMES)
# What is remembered of each frame: the levels that change, in heights of the image, then sizes and scores, then drops and movement.
_KEPT = (*_CHANGING, "diagonal", "height_now", "score", "movement", *(f"{name}_0.4" for name in _DROPS), "head_y_0.8", "shoulders_y_0.8", "head")
_COLUMN = {name: number for number, name in enumerate(_KEPT)}


class FallFeatures:
    """Turns the skeletons of one person into features of `FEATURE_SIZE` numbers, each from what has been seen so far.

    Time is told by the clock and not by frames, so that they are the same at any rate, but for noise. Lengths are in the person's size, which is the
    diagonal of their box as it was in the last seconds. A part of the body that is not seen is thought to be where it is when somebody stands in the
    box. Who is lost is thought to stay as they were. All are finite, from -10 to 10.
    """

    def __init__(self) -> None:
        self._history: deque[tuple[float, FloatArray]] = deque()
        self._keypoints: FloatArray | None = None
        self._first_s = self._seen_s = 0.0
        self._low_since_s: float | None = None
        self._box = np.zeros(4, np.float32)
        self._points = [np.zeros(2, np.float32)] * 5

    def step(self, skeleton: Skeleton | None, time_s: float, height_px: int) -> FloatArray:
        """(FEATURE_SIZE,) float32 of the next frame.

        Args:
            skeleton: The person; None where they are not seen.
            time_s: Of the frame; later than that of the one before.
            height_px: Of the image.
        """
        if not self._history:
            if skeleton is None:
                return np.zeros(FEATURE_SIZE, np.float32)
            self._first_s = time_s
        before_s = self._history[-1][0] if self._history else time_s
        keypoints, score = None, 0.0
        if skeleton is not None:
            keypoints, box, score = _by_height(skeleton, height_px)
            self._points, self._box, self._seen_s = _parts(keypoints, box), box, time_s
        (head, shoulders, hips, knees, ankles), box = self._points, self._box
        left, top, right, bottom = box.tolist()
        width, height = right - left, bottom - top
        row = np.zeros(len(_KEPT), np.float32)
        row[_COLUMN["diagonal"]] = np.hypot(width, height)
        size = self._size(time_s, float(row[_COLUMN["diagonal"]]))
        trunk, body = hips - shoulders, ankles - shoulders
        cos_trunk, cos_body = _cosine(trunk), _cosine(body)
        tallness = (height - width) / max(height + width, 1e-6)
        middle_x, middle_y = (left + right) / 2, (top + bottom) / 2
        row[: len(_CHANGING)] = cos_trunk, cos_body, tallness, head[1], shoulders[1], hips[1], middle_y, top, height, middle_x
        row[_COLUMN["height_now"]], row[_COLUMN["score"]] = height / size, score
        row[_COLUMN["movement"]] = self._movement(keypoints, size, time_s - before_s)
        changes = [self._change(row, time_s, back_s, size) for back_s in BACK_S]
        row[_COLUMN["head_y_0.4"] : _COLUMN["head_y_0.4"] + 4] = changes[0][[3, 4, 6, 7]]
        row[_COLUMN["head_y_0.8"] : _COLUMN["head_y_0.8"] + 2] = changes[1][[3, 4]]
        above = (bottom - head[1]) / size
        row[_COLUMN["head"]] = above
        self._remember(time_s, row)
        if above >= LOW:
            self._low_since_s = None
        elif self._low_since_s is None:
            self._low_since_s = before_s
        scores = np.zeros(17, np.float32) if keypoints is None else keypoints[:, 2]
        now = (
            *(cos_trunk, cos_body, tallness, height / size, width / size, above, (bottom - hips[1]) / size, body[1] / size),
            *(np.hypot(*trunk) / size, (knees[1] - hips[1]) / size),
            *(scores.mean(), (scores > SHARED_SCORE).mean(), scores[11:].mean(), scores[:11].mean(), score),
            *(bottom, top, size, time_s - self._seen_s, min(time_s - self._first_s, MOST_AGE_S)),
        )
        features = np.concatenate([now, *changes, self._past(time_s, size), self._still(time_s)])
        finite: FloatArray = np.clip(np.nan_to_num(features), -MOST, MOST).astype(np.float32)
        return finite

    def reset(self) -> None:
        """Forget the person, as after a gap."""
        self.__init__()  # type: ignore[misc]

    def _size(self, time_s: float, diagonal: float) -> float:
        diagonals = [row[_COLUMN["diagonal"]] for then_s, row in self._history if then_s > time_s - SIZE_S]
        return max(float(np.percentile([*diagonals, diagonal], 90)), LEAST_SIZE)

    def _movement(self, keypoints: FloatArray | None, size: float, passed_s: float) -> float:
        """By how much the keypoints move in `STEP_S`, in sizes; 0 where that cannot be told."""
        before, self._keypoints = self._keypoints, keypoints
        if before is None or keypoints is None or passed_s <= 0:
            return 0.0
        both = np.minimum(before[:, 2], keypoints[:, 2]) > SHARED_SCORE
        if both.sum() < FEW_SHARED:
            return 0.0
        return float(np.hypot(*(keypoints - before)[both, :2].T).mean()) / size * STEP_S / passed_s

    def _change(self, row: FloatArray, time_s: float, back_s: float, size: float) -> FloatArray:
        """(10,) of what changes, since so long ago; since the first frame where that is later."""
        changed = row[: len(_CHANGING)] - self._at(time_s - back_s, row)
        changed[3:] /= size
        changed[9] = abs(changed[9])
        return changed

    def _at(self, time_s: float, row: FloatArray) -> FloatArray:
        """(10,) of what changes, at a time: between those of two frames."""
        after = row
        after_s = np.inf
        for then_s, then in reversed(self._history):
            if then_s <= time_s:
                share = 0.0 if np.isinf(after_s) else (time_s - then_s) / (after_s - then_s)
                return (then + np.float32(share) * (after - then))[: len(_CHANGING)]
            after, after_s = then, then_s
        return after[: len(_CHANGING)].copy()

    def _remember(self, time_s: float, row: FloatArray) -> None:
        self._history.append((time_s, row))
        while self._history[0][0] <= time_s - SIZE_S:
            self._history.popleft()

    def _last(self, name: str, time_s: float, span_s: float) -> FloatArray:
        """What was remembered in a span of time that ends now."""
        column = _COLUMN[name]
        return np.array([row[column] for then_s, row in self._history if then_s > time_s - span_s + 1e-6], np.float32)

    def _past(self, time_s: float, size: float) -> Sequence[float]:
        """The deepest drops, and what has become of the posture."""
        drops = [self._last(f"{name}_0.4", time_s, 2.0).max() for name in _DROPS]
        longer = [self._last(f"{name}_0.8", time_s, 2.4).max() for name in _DROPS[:2]]
        deepest = self._last("shoulders_y_0.4", time_s, 2.4)
        times = [then_s for then_s, _ in self._history][-len(deepest) :]
        since_s = time_s - times[int(deepest.argmax())]
        cosines, tallness = (self._last(name, time_s, 3.0) for name in ("cos_trunk", "tallness"))
        shoulders, hips = (self._last(name, time_s, 3.0) for name in ("shoulders_y", "hips_y"))
        names = ("cos_trunk", "tallness", "shoulders_y", "hips_y")
        cos_now, tall_now, shoulders_now, hips_now = (self._last(name, time_s, 0.6).mean() for name in names)
        return (
            *drops,
            *longer,
            since_s,
            self._last("cos_trunk", time_s, 1.0).min(),
            cosines.max() - cos_now,
            tallness.max() - tall_now,
            (shoulders_now - shoulders.min()) / size,
            (hips_now - hips.min()) / size,
            self._last("height_now", time_s, 3.0).max(),
            self._last("score", time_s, 2.0).max(),
        )

    def _still(self, time_s: float) -> Sequence[float]:
        """How much they move, for how long they have been down, and whether they stood before."""
        low_s = 0.0 if self._low_since_s is None else min(time_s - self._low_since_s, MOST_LOW_S)
        short, longer, most = (self._last("movement", time_s, span_s) for span_s in (0.6, 1.2, 2.0))
        return short.mean(), longer.mean(), most.max(), low_s, float((self._last("head", time_s, 4.0) > TALL).any())


def _by_height(skeleton: Skeleton, height_px: int) -> tuple[FloatArray, FloatArray, float]:
    """Keypoints and box in heights of the image, and the score; all finite."""
    scale = np.array([height_px, height_px, 1], np.float32)
    keypoints, box, score = (
        np.clip(np.nan_to_num(each), -FARTHEST, FARTHEST).astype(np.float32)
        for each in (skeleton.keypoints / scale, skeleton.box / np.float32(height_px), skeleton.score)
    )
    return keypoints, box, float(score)


def _parts(keypoints: FloatArray, box: FloatArray) -> list[FloatArray]:
    """(2,) each: where head, shoulders, hips, knees and ankles are."""
    left, top, right, bottom = box
    found = []
    for indices, height in zip((FACE, SHOULDERS, HIPS, KNEES, ANKLES), HEIGHTS, strict=True):
        points = keypoints[list(indices)]
        weights = np.where(points[:, 2] > LEAST_SCORE, points[:, 2], 0)
        known = float(weights.sum())
        there = (points[:, :2] * weights[:, None]).sum(axis=0) / known if known else np.array([(left + right) / 2, top + height * (bottom - top)])
        found.append(there.astype(np.float32))
    return found


def _cosine(line: FloatArray) -> float:
    """Of the angle between a line and straight down; 0 for no line."""
    return float(line[1]) / max(float(np.hypot(*line)), 1e-3)
