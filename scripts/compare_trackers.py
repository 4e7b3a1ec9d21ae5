"""Holds the tracker of people against a published one, norfair, on the same keypoints: how often does a track go over from one person to another?

    python -m venv other && other/bin/pip install . norfair==2.3.0
    PYTHONPATH=. other/bin/python scripts/compare_trackers.py FOLDER_OF_VIDEOS

Real people, as MultiPose finds them in videos in which one person is seen, are laid into one picture so that they cross: who is whom is known then.
Who stands behind another is not seen while they overlap, as the network itself finds one of the two only.
"""

import argparse
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from norfair import Detection, Tracker
from norfair.distances import create_keypoints_voting_distance

from streamvc.capture.source import open_source
from streamvc.inference.people.movenet import SAME, WITHIN, MultiPose, find_movenet
from streamvc.inference.people.skeletons import Skeleton, overlap
from streamvc.inference.people.tracking import MEMORY_S, PeopleTracker
from streamvc.sampling import Sampler

RATE_HZ = 5.0
SHORTEST_S = 4.0  # of what is seen of somebody
HEIGHT = 240  # of all pictures, to which people are scaled
SPEEDS = (0.15, 0.6)  # at which they cross, in heights of the picture a second
NUM_PEOPLE = (2, 3, 4)

People = list[Skeleton | None]  # of each person, in one frame
Follow = Callable[[Iterable[list[Skeleton]]], Iterator[dict[int, int]]]  # skeletons frame by frame to tracks, by the number of the skeleton


def seen_alone(video: Path, network: MultiPose) -> Iterator[list[Skeleton]]:
    """Stretches of a video in which one person is found in each frame that is due."""
    sampler, stretch = Sampler(RATE_HZ), list[Skeleton]()
    with open_source(video, policy="every") as source:
        for frame in source:
            if sampler.step(frame) is None:
                continue
            found = [_scaled(each, HEIGHT / frame.image.shape[0]) for each in network.step(frame.image)]
            if len(found) == 1:
                stretch.append(found[0])
            else:
                yield stretch
                stretch = []
    yield stretch


def scene(rng: np.random.Generator, stretches: Sequence[list[Skeleton]], num_people: int) -> Iterator[People]:
    """People who all come through the middle of the picture at about the same time, from left and from right."""
    chosen = [stretches[number] for number in rng.choice(len(stretches), num_people, replace=False)]
    length = min(map(len, chosen))
    speeds = rng.uniform(*SPEEDS, num_people) * rng.choice([-1, 1], num_people) * HEIGHT
    meets_s = (length / 2 + rng.normal(0, 2, num_people)) / RATE_HZ
    for number in range(length):
        people = []
        for stretch, speed, meet_s in zip(chosen, speeds, meets_s, strict=True):
            drift = speed * (number / RATE_HZ - meet_s) - stretch[length // 2].box[[0, 2]].mean()
            people.append(_moved(stretch[number], drift))
        yield _uncovered(people)


def _scaled(skeleton: Skeleton, scale: float) -> Skeleton:
    return Skeleton(skeleton.keypoints * np.array([scale, scale, 1], np.float32), skeleton.box * np.float32(scale), skeleton.score)


def _moved(skeleton: Skeleton, x: float) -> Skeleton:
    return Skeleton(skeleton.keypoints + np.array([x, 0, 0], np.float32), skeleton.box + np.array([x, 0, x, 0], np.float32), skeleton.score)


def _uncovered(people: Sequence[Skeleton]) -> People:
    """None for who stands behind somebody: whose feet are lower in the picture is in front."""
    return [None if any(_covers(front, each) for front in people if front is not each) else each for each in people]


def _covers(front: Skeleton, behind: Skeleton) -> bool:
    if front.box[3] < behind.box[3]:
        return False
    shared = np.clip(np.minimum(front.box[2:], behind.box[2:]) - np.maximum(front.box[:2], behind.box[:2]), 0, None).prod()
    return bool(overlap(front.box, behind.box[None])[0] > SAME or shared > WITHIN * np.prod(behind.box[2:] - behind.box[:2]))


def ours(frames: Iterable[list[Skeleton]]) -> Iterator[dict[int, int]]:
    """The tracker that ships."""
    tracker = PeopleTracker()
    for index, skeletons in enumerate(frames):
        tracks = tracker.step(skeletons, index / RATE_HZ, HEIGHT)
        yield {number: track.number for track in tracks for number, each in enumerate(skeletons) if each is track.skeleton}


def norfair_votes(frames: Iterable[list[Skeleton]]) -> Iterator[dict[int, int]]:
    """norfair, with the distance that it has for keypoints: how many of them are near those of before."""
    near = create_keypoints_voting_distance(keypoint_distance_threshold=HEIGHT / 8, detection_threshold=0.2)
    return _norfair(frames, near, 0.8, lambda each: Detection(each.keypoints[:, :2], each.keypoints[:, 2], data=each))


def norfair_boxes(frames: Iterable[list[Skeleton]]) -> Iterator[dict[int, int]]:
    """norfair, by the overlap of boxes."""
    return _norfair(frames, "iou", 0.9, lambda each: Detection(each.box.reshape(2, 2), data=each))


def _norfair(frames: Iterable[list[Skeleton]], distance: object, most: float, told: Callable[[Skeleton], Detection]) -> Iterator[dict[int, int]]:
    memory = round(MEMORY_S * RATE_HZ)  # frames, as ours
    tracker = Tracker(distance_function=distance, distance_threshold=most, hit_counter_max=memory, initialization_delay=0)
    for skeletons in frames:
        found = tracker.update([told(each) for each in skeletons])
        kept = {id(each.last_detection.data): each.id for each in found}
        yield {number: kept[id(each)] for number, each in enumerate(skeletons) if id(each) in kept}


def count(frames: Sequence[People], follow: Follow) -> tuple[int, int]:
    """How often a track goes over to another person, and how often a person who had a track has another one."""
    seen = [[each for each in people if each] for people in frames]
    owner, has = dict[int, int](), dict[int, int]()
    swaps = changes = 0
    for people, tracks in zip(frames, follow(seen), strict=True):
        present = [person for person, each in enumerate(people) if each]
        for number, track in tracks.items():
            person = present[number]
            swaps += owner.get(track, person) != person
            changes += has.get(person, track) != track
            owner[track], has[person] = person, track
    return swaps, changes


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--videos", type=int, default=60)
    parser.add_argument("--scenes", type=int, default=200, help="of each number of people")
    options = parser.parse_args()
    logging.disable(logging.WARNING)  # of norfair: that its distance is told pair by pair
    videos = sorted(path for path in options.folder.rglob("*") if path.suffix in (".mp4", ".avi"))
    network = MultiPose.open(find_movenet("movenet-multipose-int8"))
    chosen = videos[:: max(1, len(videos) // options.videos)]
    stretches = [stretch for video in chosen for stretch in seen_alone(video, network) if len(stretch) >= SHORTEST_S * RATE_HZ]
    print(f"{len(stretches)} stretches of {len(chosen)} videos, {sum(map(len, stretches)) / RATE_HZ:.0f} s; {RATE_HZ:g} frames a second")
    print("people  scenes  tracker          swaps  a scene  new tracks  a scene")
    for num_people in NUM_PEOPLE:
        rng = np.random.default_rng(num_people)
        scenes = [list(scene(rng, stretches, num_people)) for _ in range(options.scenes)]
        for name, follow in (("streamvc", ours), ("norfair, votes", norfair_votes), ("norfair, boxes", norfair_boxes)):
            swaps, changes = np.sum([count(frames, follow) for frames in scenes], axis=0)
            print(f"{num_people:6}  {len(scenes):6}  {name:15} {swaps:6} {swaps / len(scenes):8.2f} {changes:11} {changes / len(scenes):8.2f}")


if __name__ == "__main__":
    main()
