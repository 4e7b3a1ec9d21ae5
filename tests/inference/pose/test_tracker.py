"""One person, from frame to frame."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from streamvc.errors import BundleError, InferenceError
from streamvc.inference.composite import find_pose
from streamvc.inference.pose.tracker import PAUSE_TICKS, PoseTracker

Frames = NDArray[np.uint8]


def shifted(image: Frames, by: int) -> Frames:
    return np.roll(image, by, axis=1)


def test_a_person_is_followed(tracker: PoseTracker, squat: Frames) -> None:
    bodies = [tracker.step(frame) for frame in squat]
    fresh = PoseTracker.open(find_pose()).step(squat[-1])
    last = bodies[-1]
    assert all(bodies)
    assert last is not None
    assert fresh is not None
    assert last.region != fresh.region  # not detected again, but looked for where it was
    off = np.linalg.norm(last.landmarks[:, :2] - fresh.landmarks[:, :2], axis=1)
    assert np.median(off) < 0.02 * fresh.region.size


def test_a_person_who_jumps_out_of_the_region_is_found_again_at_once(tracker: PoseTracker, squat: Frames) -> None:
    before, after = tracker.step(squat[0]), tracker.step(shifted(squat[0], 260))
    assert before is not None
    assert after is not None
    assert abs(after.region.center_x - before.region.center_x) > 200


def test_an_empty_picture_is_not_searched_at_each_tick(tracker: PoseTracker, squat: Frames, room: Frames) -> None:
    assert PAUSE_TICKS == 2
    assert tracker.step(room) is None
    assert tracker.step(squat[0]) is None
    assert tracker.step(squat[0]) is not None


def test_a_pause_is_counted_in_ticks(tracker: PoseTracker, squat: Frames, room: Frames) -> None:
    assert tracker.step(room) is None
    assert tracker.step(squat[0], num_ticks=PAUSE_TICKS) is not None


def test_after_a_reset_nothing_is_left(tracker: PoseTracker, squat: Frames, room: Frames) -> None:
    fresh = PoseTracker.open(find_pose()).step(squat[1])
    assert fresh is not None
    for before in (room, squat[0]):
        tracker.step(before)
        tracker.reset()
        again = tracker.step(squat[1])
        assert again is not None
        assert again.region == fresh.region
        assert np.array_equal(again.landmarks, fresh.landmarks)


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)], ids=["grey", "floats", "empty"]
)
def test_what_is_no_image_is_refused(tracker: PoseTracker, image: Frames) -> None:
    with pytest.raises(InferenceError, match=r"an image must be \(H, W, 3\) uint8"):
        tracker.step(image)


def test_networks_that_are_not_those_of_the_manifest_are_refused(tmp_path: Path) -> None:
    folder = shutil.copytree(find_pose(), tmp_path / "blazepose")
    (folder / "landmark.tflite").write_bytes(b"another network")
    with pytest.raises(BundleError, match=r"landmark\.tflite: its sha256 is not the manifest's"):
        PoseTracker.open(folder)


def test_a_picture_of_a_single_pixel_shows_nobody(tracker: PoseTracker) -> None:
    assert tracker.step(np.zeros((1, 1, 3), np.uint8)) is None


def test_people_in_real_videos_are_found(tracker: PoseTracker, shared_data: Path) -> None:
    import av

    videos = sorted((shared_data / "exercise").rglob("*.mp4"))[::66]
    bodies = []
    for video in videos:
        tracker.reset()
        with av.open(str(video)) as container:
            frame = next(container.decode(video=0))
            bodies.append(tracker.step(np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)))
    assert sum(body is not None for body in bodies) >= 0.75 * len(videos)
