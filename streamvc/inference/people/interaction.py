"""How the people in a picture move against each other, in numbers of the scene as a whole: what tells a fight from people who pass."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from streamvc.inference.people.movenet import MultiPose
from streamvc.inference.people.skeletons import ANKLES, FACE, HIPS, SHOULDERS, FloatArray, Skeleton, overlap
from streamvc.inference.people.tracking import PeopleTracker, Track

WRISTS = (9, 10)
LEAST_SCORE = 0.15  # of a keypoint whose place is believed
FAR, FASTEST = 4.0, 2.0  # sizes, and sizes a tick: no number is larger
LEAST_SIZE_PX = 8.0
IDENTITY = 1  # raise it when the same people make other numbers

_OF_ALL = ("num_people", "num_near", "most_wrist_speed", "most_ankle_speed", "most_body_speed", "mean_body_speed", "least_tallness", "best_score")
_OF_PAIR = (
    *("distance", "overlap", "approach", "height_ratio", "wrist_to_face", "wrist_to_trunk", "ankle_to_trunk"),
    *("wrist_speed", "ankle_speed", "body_speed", "least_body_speed", "tallness", "lean", "together"),
)
FEATURE_NAMES = (*_OF_ALL, *(f"{place}_{name}" for place in ("nearest", "busiest") for name in _OF_PAIR))
FEATURE_SIZE = len(FEATURE_NAMES)
ALONE = np.array([FAR, 0, 0, 0, FAR, FAR, FAR, 0, 0, 0, 0, 1, 0, 0], np.float32)  # where there are no two


class Interaction:
    """Finds and follows the people of one stream; features of `FEATURE_SIZE` numbers.

    Of all people, and of two pairs of them: the two who are nearest to each other, and the two who are near and move most. Distances are in the mean
    diagonal of their boxes, speeds in it a tick. What is not seen is far away and at rest.
    """

    def __init__(self, network: MultiPose, rate_hz: float) -> None:
        self._network = network
        self._rate_hz = rate_hz
        self._tracker = PeopleTracker()
        self._before: dict[int, _Person] = {}
        self._num_ticks = 0

    def step(self, image: NDArray[np.uint8], num_ticks: int = 1) -> FloatArray:
        """(FEATURE_SIZE,) float32 of the next frame, (H, W, 3) uint8 BGR, which stands for so many ticks.

        Raises:
            InferenceError: That is not an image, or the runtime failed.
        """
        return self.numbers(self._network.step(image), num_ticks, image.shape[0])

    def numbers(self, skeletons: list[Skeleton], num_ticks: int, height_px: int) -> FloatArray:
        """As `step`, for the people who were found in the frame."""
        self._num_ticks += num_ticks
        tracks = self._tracker.step(skeletons, self._num_ticks / self._rate_hz, height_px)
        people = [_Person(track, self._before.get(track.number), self._num_ticks) for track in tracks]
        self._before = {number: before for number, before in self._before.items() if self._num_ticks - before.tick <= self._rate_hz}
        self._before |= {person.number: person for person in people}
        pairs = [_pair(one, other) for one, other in combinations(people, 2)]
        numbers: FloatArray = np.clip(np.concatenate([_all(people, pairs), *_chosen(pairs)]), -FAR, 2 * FAR).astype(np.float32)
        return numbers

    def reset(self) -> None:
        """Forget everybody, as after a gap."""
        self._tracker.reset()
        self._before = {}
        self._num_ticks = 0


class _Person:
    """Somebody in one frame: where they are, and how fast since they were seen before."""

    def __init__(self, track: Track, before: "_Person | None", tick: int) -> None:
        skeleton = track.skeleton
        self.number, self.tick, self.score = track.number, tick, skeleton.score
        self.box, self.points = skeleton.box, skeleton.keypoints
        width, height = (skeleton.box[2:] - skeleton.box[:2]).tolist()
        self.size = max(float(np.hypot(width, height)), LEAST_SIZE_PX)
        self.height = max(height, 1.0)
        self.tallness = (height - width) / max(height + width, 1.0)
        self.middle = (skeleton.box[:2] + skeleton.box[2:]) / 2
        self.trunk = _mean(self.points, (*SHOULDERS, *HIPS))
        self.face = _mean(self.points, FACE)
        self.lean = _lean(_mean(self.points, SHOULDERS), _mean(self.points, HIPS))
        speeds = np.zeros(len(self.points), np.float32)
        self.velocity = np.zeros(2, np.float32)
        if before:
            passed = tick - before.tick
            both = np.minimum(self.points[:, 2], before.points[:, 2]) >= LEAST_SCORE
            moved = np.hypot(*(self.points[:, :2] - before.points[:, :2]).T) / self.size / passed
            speeds = np.where(both, np.minimum(moved, FASTEST), 0).astype(np.float32)
            self.velocity = np.clip((self.middle - before.middle) / self.size / passed, -FASTEST, FASTEST)
        self.wrist_speed, self.ankle_speed = float(speeds[list(WRISTS)].max()), float(speeds[list(ANKLES)].max())
        self.body_speed = float(speeds[[*SHOULDERS, *HIPS]].mean())


def _all(people: Sequence[_Person], pairs: Sequence[FloatArray]) -> FloatArray:
    if not people:
        return np.array([0, 0, 0, 0, 0, 0, 1, 0], np.float32)
    bodies = [person.body_speed for person in people]
    return np.array(
        [
            len(people) / 2,
            sum(float(pair[0] < 1) for pair in pairs),
            max(person.wrist_speed for person in people),
            max(person.ankle_speed for person in people),
            max(bodies),
            sum(bodies) / len(bodies),
            min(person.tallness for person in people),
            max(person.score for person in people),
        ],
        np.float32,
    )


def _chosen(pairs: Sequence[FloatArray]) -> tuple[FloatArray, FloatArray]:
    """The nearest pair, and of those near each other the busiest."""
    if not pairs:
        return ALONE, ALONE
    place = {name: number for number, name in enumerate(_OF_PAIR)}
    nearest = min(pairs, key=lambda pair: float(pair[place["distance"]]))
    moving = [place[name] for name in ("wrist_speed", "ankle_speed", "body_speed")]
    return nearest, max(pairs, key=lambda pair: float(pair[moving].sum() / (0.5 + pair[place["distance"]])))


def _pair(one: _Person, other: _Person) -> FloatArray:
    size = (one.size + other.size) / 2
    between = other.middle - one.middle
    away = between / max(float(np.hypot(*between)), 1.0)
    speeds = [(person.wrist_speed, person.ankle_speed, person.body_speed) for person in (one, other)]
    wrists, ankles, bodies = zip(*speeds, strict=True)
    distance = min(float(np.hypot(*between)) / size, FAR)
    return np.array(
        [
            distance,
            overlap(one.box, other.box[None])[0],
            float((one.velocity - other.velocity) @ away),
            min(one.height, other.height) / max(one.height, other.height),
            min(_reach(one, WRISTS, other.face, size), _reach(other, WRISTS, one.face, size)),
            min(_reach(one, WRISTS, other.trunk, size), _reach(other, WRISTS, one.trunk, size)),
            min(_reach(one, ANKLES, other.trunk, size), _reach(other, ANKLES, one.trunk, size)),
            max(wrists),
            max(ankles),
            max(bodies),
            min(bodies),
            min(one.tallness, other.tallness),
            max(one.lean, other.lean),
            (sum(wrists) + sum(ankles)) / (0.5 + distance),
        ],
        np.float32,
    )


def _reach(person: _Person, keypoints: tuple[int, ...], goal: FloatArray | None, size: float) -> float:
    """How near one of somebody's keypoints is to a place, in sizes."""
    seen = person.points[[number for number in keypoints if person.points[number, 2] >= LEAST_SCORE], :2]
    if goal is None or not len(seen):
        return FAR
    return min(float(np.hypot(*(seen - goal).T).min()) / size, FAR)


def _mean(points: FloatArray, keypoints: tuple[int, ...]) -> FloatArray | None:
    seen = points[[number for number in keypoints if points[number, 2] >= LEAST_SCORE], :2]
    if not len(seen):
        return None
    middle: FloatArray = seen.mean(axis=0)
    return middle


def _lean(shoulders: FloatArray | None, hips: FloatArray | None) -> float:
    """The sine of how far the trunk leans; 0 where it is not seen."""
    if shoulders is None or hips is None:
        return 0.0
    trunk = shoulders - hips
    return float(abs(trunk[0]) / max(np.hypot(*trunk), 1.0))
