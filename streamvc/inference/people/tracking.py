"""Follows several people from frame to frame: who in this frame is whom of the frames before."""

from dataclasses import dataclass, replace

import numpy as np

from streamvc.inference.people.skeletons import NUM_KEYPOINTS, FloatArray, Skeleton, overlap

MEMORY_S = 1.6  # for which one who is lost may be found again
FIRST_SCORE = 0.2  # of somebody who has not been seen before
REACH, REACH_PER_S, MOST_REACH = (
    0.55,
    0.75,
    1.3,
)  # how far somebody may have moved, in diagonals of their box, how much more for a second, and at most
LEAST_SIZE = 0.08  # of a box's diagonal, by the height of the image: those far away jitter by more than their size
MOST_TRACKS = 12  # that are followed at a time: of more, those who have been lost for longest are forgotten
NUM_SHARED = 4  # keypoints that must be seen in both frames, for these to tell people apart
SIZE_S = 1.0  # time constant of the diagonal
VELOCITY_S, STALE_S = 0.4, 0.8  # time constant of the velocity, and for how long it is believed of one who is lost
VERSION = 1  # raise it when the same skeletons make other tracks


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """A person who is followed.

    Attributes:
        number: Counts up from 1 in each stream, and is never given to somebody else.
        skeleton: As they were seen last.
        time_s: When that was.
        first_s: When they were first seen.
        num_seen: In how many frames.
        num_frames: Of how many since the first.
    """

    number: int
    skeleton: Skeleton
    time_s: float
    first_s: float
    num_seen: int
    num_frames: int

    @property
    def share(self) -> float:
        """Of the frames since the first, in how many they were seen."""
        return self.num_seen / self.num_frames


@dataclass(slots=True, eq=False)
class _Followed:
    track: Track
    size: float  # diagonal of the box, in pixels
    velocity: FloatArray  # of the box's middle, (2,), pixels a second

    def expected(self, time_s: float) -> FloatArray:
        """(2,) by how much they have moved since they were seen, if they go on as they did."""
        return self.velocity * np.float32(min(time_s - self.track.time_s, STALE_S))


class PeopleTracker:
    """Follows the people of one stream by where their keypoints, or else their boxes, are.

    The nearest pairs are matched first. Distances are told in diagonals of a person's box, and reckoned from where they would be if they went on as
    they did: so two who cross go on past each other.
    """

    def __init__(self) -> None:
        self._followed: list[_Followed] = []
        self._num_tracks = 0

    def step(self, skeletons: list[Skeleton], time_s: float, height_px: int) -> list[Track]:
        """The tracks of the people in the next frame.

        Args:
            skeletons: Those who were found in it.
            time_s: Its time; later than that of the frame before.
            height_px: Of the image.

        Returns:
            One track for each of them but those whom nobody knows and who are hardly seen, in the order of their numbers.
        """
        self._followed = [each for each in self._followed if time_s - each.track.time_s <= MEMORY_S]
        for each in self._followed:
            each.track = replace(each.track, num_frames=each.track.num_frames + 1)
        known = self._match(skeletons, time_s, height_px)
        for number, skeleton in enumerate(skeletons):
            if number in known:
                _see(known[number], skeleton, time_s)
            elif skeleton.score >= FIRST_SCORE:
                self._num_tracks += 1
                track = Track(self._num_tracks, skeleton, time_s, time_s, 1, 1)
                self._followed.append(_Followed(track, _diagonal(skeleton), np.zeros(2, np.float32)))
        if len(self._followed) > MOST_TRACKS:
            latest = sorted(self._followed, key=lambda each: (-each.track.time_s, each.track.number))[:MOST_TRACKS]
            self._followed = sorted(latest, key=lambda each: each.track.number)
        return [each.track for each in self._followed if each.track.time_s == time_s]

    @property
    def tracks(self) -> list[Track]:
        """All who are followed, those who are not seen just now among them, in the order of their numbers."""
        return [each.track for each in self._followed]

    def reset(self) -> None:
        """Forget everybody, as after a gap. Numbers go on."""
        self._followed = []

    def _match(self, skeletons: list[Skeleton], time_s: float, height_px: int) -> dict[int, _Followed]:
        """Who is who, by the number of the skeleton."""
        pairs = sorted(
            (distance, number, place)
            for place, each in enumerate(self._followed)
            for number, skeleton in enumerate(skeletons)
            if (distance := _distance(each, skeleton, time_s, height_px)) is not None
        )
        found: dict[int, _Followed] = {}
        taken: set[int] = set()
        for _, number, place in pairs:
            if number not in found and place not in taken:
                found[number] = self._followed[place]
                taken.add(place)
        return found


def _distance(followed: _Followed, skeleton: Skeleton, time_s: float, height_px: int) -> float | None:
    """How unlike somebody who is followed a skeleton is; None where it cannot be them."""
    before, size = followed.track.skeleton, max(followed.size, LEAST_SIZE * height_px)
    lost_s = time_s - followed.track.time_s
    offset = _middle(skeleton) - _middle(before)
    expected = followed.expected(time_s)
    if min(np.hypot(*offset), np.hypot(*(offset - expected))) > min(REACH + REACH_PER_S * lost_s, MOST_REACH) * size:
        return None
    both = before.seen & skeleton.seen
    if both.sum() < NUM_SHARED:
        return float(np.hypot(*(offset - expected))) / size + float(1 - overlap(skeleton.box, before.box[None])[0])
    moved = skeleton.keypoints[both, :2] - before.keypoints[both, :2] - expected
    return float(np.hypot(*moved.T).mean()) / size + 0.3 * (1 - float(both.sum()) / NUM_KEYPOINTS)


def _see(followed: _Followed, skeleton: Skeleton, time_s: float) -> None:
    track = followed.track
    passed_s = time_s - track.time_s
    if passed_s > 0:
        velocity = (_middle(skeleton) - _middle(track.skeleton)) / np.float32(passed_s)
        followed.velocity += np.float32(1 - np.exp(-passed_s / VELOCITY_S)) * (velocity - followed.velocity)
    followed.size += float(1 - np.exp(-passed_s / SIZE_S)) * (_diagonal(skeleton) - followed.size)
    followed.track = replace(track, skeleton=skeleton, time_s=time_s, num_seen=track.num_seen + 1)


def _middle(skeleton: Skeleton) -> FloatArray:
    middle: FloatArray = (skeleton.box[:2] + skeleton.box[2:]) / np.float32(2)
    return middle


def _diagonal(skeleton: Skeleton) -> float:
    return float(np.hypot(*(skeleton.box[2:] - skeleton.box[:2])))
