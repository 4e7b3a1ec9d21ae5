"""The person and the landmarks that BlazePose finds: those of MediaPipe, wherever and however the person is in the picture."""

import numpy as np
import pytest
from numpy.typing import NDArray

from streamvc.errors import BundleError
from streamvc.inference.composite import find_pose
from streamvc.inference.pose.blazepose import LandmarkFinder, PersonDetector
from streamvc.inference.pose.landmarks import BodyPose, FloatArray, Region
from streamvc.inference.runtime import open_model
from tests.inference.pose.conftest import Seen
from tests.inference.settings import picture

# Left and right, by turns: what a mirror exchanges.
MIRRORED = [0, 4, 5, 6, 1, 2, 3, 8, 7, 10, 9, *(index + 1 if index % 2 else index - 1 for index in range(11, 33))]


def found(finder: LandmarkFinder, image: NDArray[np.uint8], region: Region) -> BodyPose:
    body_and_next = finder.step(np.ascontiguousarray(image), region)
    assert body_and_next is not None
    return body_and_next[0]


def distances(ours: FloatArray, theirs: NDArray[np.floating]) -> NDArray[np.floating]:
    lengths: NDArray[np.floating] = np.linalg.norm(ours - theirs, axis=1)
    return lengths


def test_a_person_is_detected_where_mediapipe_does(detector: PersonDetector, seen: Seen) -> None:
    region = detector.step(seen.image)
    assert region is not None
    off = np.hypot(region.center_x - seen.region.center_x, region.center_y - seen.region.center_y)
    assert off < 0.002 * seen.region.size
    assert region.size == pytest.approx(seen.region.size, rel=0.005)
    assert region.rotation == pytest.approx(seen.region.rotation, abs=0.005)


def test_landmarks_are_those_of_mediapipe(finder: LandmarkFinder, seen: Seen) -> None:
    body = found(finder, seen.image, seen.region)
    assert body.landmarks[:, 3] == pytest.approx(seen.landmarks[:, 3], abs=0.02)
    assert distances(body.world, seen.landmarks[:, 4:]).max() < 0.01  # metres
    # MediaPipe moves each to where its heat map says; that is left out.
    off = distances(body.landmarks[:, :2], seen.landmarks[:, :2]) / seen.region.size
    assert np.median(off) < 0.01
    assert off.max() < 0.03


def test_nobody_is_in_an_empty_room(detector: PersonDetector, finder: LandmarkFinder, room: NDArray[np.uint8]) -> None:
    assert detector.step(room) is None
    assert detector.step(picture()) is None
    assert finder.step(room, Region(320, 240, 400, 0)) is None


def test_the_next_region_is_around_the_same_person(detector: PersonDetector, finder: LandmarkFinder, squat: NDArray[np.uint8]) -> None:
    region = detector.step(squat[0])
    assert region is not None
    body_and_next = finder.step(squat[0], region)
    assert body_and_next is not None
    again = body_and_next[1]
    assert np.hypot(again.center_x - region.center_x, again.center_y - region.center_y) < 0.1 * region.size
    assert again.size == pytest.approx(region.size, rel=0.2)


def test_a_turned_picture_has_turned_landmarks(detector: PersonDetector, finder: LandmarkFinder, squat: NDArray[np.uint8]) -> None:
    upright = detector.step(squat[0])
    assert upright is not None
    expected = found(finder, squat[0], upright)
    height = len(squat[0])
    # A quarter to the right: what was at (x, y) is at (height - y, x).
    turned = Region(height - upright.center_y, upright.center_x, upright.size, upright.rotation + np.pi / 2)
    body = found(finder, np.rot90(squat[0], -1), turned)
    there = np.stack([height - expected.landmarks[:, 1], expected.landmarks[:, 0]], axis=1)
    assert np.median(distances(body.landmarks[:, :2], there)) < 0.01 * upright.size
    lying = np.stack([-expected.world[:, 1], expected.world[:, 0], expected.world[:, 2]], axis=1)
    assert np.median(distances(body.world, lying)) < 0.02


def test_somebody_who_lies_is_detected(detector: PersonDetector, squat: NDArray[np.uint8]) -> None:
    region = detector.step(np.ascontiguousarray(np.rot90(squat[0], -1)))
    assert region is not None
    assert region.rotation == pytest.approx(np.pi / 2, abs=0.3)


def test_a_mirrored_picture_has_mirrored_landmarks(finder: LandmarkFinder, detector: PersonDetector, squat: NDArray[np.uint8]) -> None:
    region = detector.step(squat[0])
    assert region is not None
    expected = found(finder, squat[0], region)
    width = squat.shape[2]
    other = Region(width - region.center_x, region.center_y, region.size, -region.rotation)
    body = found(finder, squat[0][:, ::-1], other)
    there = np.stack([width - expected.landmarks[MIRRORED, 0], expected.landmarks[MIRRORED, 1]], axis=1)
    assert np.median(distances(body.landmarks[:, :2], there)) < 0.02 * region.size


def test_the_size_of_the_picture_says_nothing(detector: PersonDetector, squat: NDArray[np.uint8]) -> None:
    small, large = detector.step(squat[0]), detector.step(np.repeat(np.repeat(squat[0], 2, axis=0), 2, axis=1))
    assert small is not None
    assert large is not None
    assert [large.center_x, large.center_y, large.size] == pytest.approx([2 * small.center_x, 2 * small.center_y, 2 * small.size], rel=0.03)


def test_networks_of_another_kind_are_refused() -> None:
    detect, landmark = (open_model(find_pose() / name) for name in ("detect.tflite", "landmark.tflite"))
    with pytest.raises(BundleError, match=r"detect\.tflite: its tensors are .*256.*, BlazePose's are"):
        PersonDetector(landmark)
    with pytest.raises(BundleError, match=r"landmark\.tflite: its tensors are"):
        LandmarkFinder(detect)
