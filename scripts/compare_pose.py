"""Holds the poses that streamvc finds against MediaPipe's, on the same frames, and what they cost against EfficientNet-Lite0.

    python scripts/compare_pose.py [FOLDER_OF_VIDEOS] --mediapipe PYTHON [--write tests/inference/pose/mediapipe.json]

PYTHON is that of an environment with mediapipe 0.10 in it, which cannot share one with streamvc's OpenCV. Without a folder the frames are those of
the figure that streamvc renders; what MediaPipe finds on these can be written for the tests.
"""

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from figure import render_clip
from streamvc.inference.backbone import Backbone
from streamvc.inference.composite import find_pose
from streamvc.inference.pose.blazepose import PersonDetector
from streamvc.inference.pose.tracker import PoseTracker
from streamvc.inference.runtime import open_model

SCRIPT = Path(__file__).with_name("mediapipe_landmarks.py")
FIGURES = {"Squat": 3, "JumpingJack": 7, "Lunge": 11, "Boxing": 5, "Wave": 2}
NUM_CLIPS, NUM_FRAMES = 12, 25
NUM_TIMED = 200
Clips = Mapping[str, NDArray[np.uint8]]
Answers = Mapping[str, NDArray[np.float64]]


def figures() -> Clips:
    return {activity: np.stack(list(render_clip(activity, seed, 1.0, fps=4))) for activity, seed in FIGURES.items()}


def videos(folder: Path) -> Clips:
    paths = sorted(path for path in folder.rglob("*") if path.suffix in {".mp4", ".avi"})
    chosen = paths[:: max(1, len(paths) // NUM_CLIPS)][:NUM_CLIPS]
    return {str(number): np.stack(list(islice(frames(path), NUM_FRAMES))) for number, path in enumerate(chosen)}


def frames(path: Path) -> Iterator[NDArray[np.uint8]]:
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)


def mediapipe(python: str, clips: Clips) -> Answers:
    with tempfile.TemporaryDirectory() as folder:
        source, sink = Path(folder, "frames.npz"), Path(folder, "answers.npz")
        np.savez(source, allow_pickle=False, **clips)
        subprocess.run([python, SCRIPT, source, sink], check=True, stderr=subprocess.DEVNULL)
        return dict(np.load(sink))


def write(path: Path, answers: Answers) -> None:
    """Write MediaPipe's answers on the first frame of each figure."""
    found = {activity: answers[f"{activity}-alone"][0] for activity in FIGURES}
    rows = [
        {"activity": activity, "seed": seed, "region": found[activity][33, :4].round(4).tolist(), "landmarks": found[activity][:33].round(4).tolist()}
        for activity, seed in FIGURES.items()
    ]
    path.write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n")


def compare(tracker: PoseTracker, clips: Clips, answers: Answers, mode: str) -> None:
    differences, visibility, world, disagreed, total = [], [], [], 0, 0
    for name, clip in clips.items():
        tracker.reset()
        for frame, theirs in zip(clip, answers[f"{name}-{mode}"], strict=True):
            if mode == "alone":
                tracker.reset()
            ours, total = tracker.step(frame), total + 1
            if ours is None or np.isnan(theirs[0, 0]):
                disagreed += (ours is None) != np.isnan(theirs[0, 0])
                continue
            differences.append(np.linalg.norm(ours.landmarks[:, :2] - theirs[:33, :2], axis=1) / ours.region.size)
            visibility.append(np.abs(ours.landmarks[:, 3] - theirs[:33, 3]))
            world.append(np.linalg.norm(ours.world - theirs[:33, 4:], axis=1))
    print(f"{mode}: somebody is there for one alone in {disagreed} of {total} frames; median and 95th percentile of the differences of")
    for what, values in (("landmarks, in sides of the region", differences), ("visibility", visibility), ("landmarks, in metres", world)):
        print(f"    {what:36}{np.median(values):8.4f}{np.percentile(values, 95):8.4f}")


def compare_regions(detector: PersonDetector, clips: Clips, answers: Answers) -> None:
    differences = []
    for name, clip in clips.items():
        for frame, (x, y, size, *_) in zip(clip, answers[f"{name}-alone"][:, 33], strict=True):
            if (region := detector.step(frame)) and not np.isnan(x):
                differences.append(np.hypot(region.center_x - x, region.center_y - y) / size)
    print(f"detected regions, in their sides, {len(differences)} frames: {np.median(differences):.4f} {np.percentile(differences, 95):.4f}")


def times(clips: Clips, detector: PersonDetector, tracker: PoseTracker) -> None:
    """What a frame takes of the processor, in turn, since other programs may run."""
    shown = [frame for clip in clips.values() for frame in clip][:NUM_TIMED]
    backbone = Backbone.load("efficientnet-lite0-f16")
    steps: dict[str, Callable[[NDArray[np.uint8]], object]] = {
        "tracking": tracker.step,
        "detection": detector.step,
        "EfficientNet-Lite0": backbone.features,
    }
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for frame in shown:
        for name, step in steps.items():
            start = time.thread_time()
            step(frame)
            taken[name].append(time.thread_time() - start)
    for name, seconds in taken.items():
        print(f"{name:20}{1e3 * float(np.median(seconds)):6.1f} ms of one core, median of {len(seconds)} frames")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="videos; rendered figures without it")
    parser.add_argument("--mediapipe", metavar="PYTHON", help="a Python with mediapipe; without it only times are measured")
    parser.add_argument("--write", type=Path, metavar="FILE", help="where to write what MediaPipe finds on the figures")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    folder = find_pose()
    tracker, detector = PoseTracker.open(folder), PersonDetector(open_model(folder / "detect.tflite"))
    clips = videos(arguments.folder) if arguments.folder else figures()
    if arguments.mediapipe:
        answers = mediapipe(arguments.mediapipe, clips)
        compare_regions(detector, clips, answers)
        compare(tracker, clips, answers, "alone")
        compare(tracker, clips, answers, "tracked")
        if arguments.write and not arguments.folder:
            write(arguments.write, answers)
    times(clips, detector, tracker)


if __name__ == "__main__":
    main()
