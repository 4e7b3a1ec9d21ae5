"""MoveNet finds people, each once, wherever they are in a picture of any size."""

import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from figure import render_clip
from streamvc.errors import BundleError, InferenceError
from streamvc.inference.people.movenet import LIGHTNING, MULTIPOSE, Lightning, MultiPose, distinct, find_movenet, fit
from streamvc.inference.people.skeletons import HIPS, SHOULDERS, Skeleton
from streamvc.inference.views import Square
from tests.inference.people.conftest import Image, read_frames

REFERENCE = json.loads(Path(__file__).with_name("tfjs.json").read_text())  # written by scripts/compare_movenet.py


@pytest.mark.parametrize("row", REFERENCE[:2], ids=lambda row: str(row["activity"]))
def test_the_rebuilt_graph_finds_what_tensorflow_js_finds(lightning: Lightning, row: dict[str, object]) -> None:
    picture = np.empty((192, 192, 3), np.uint8)
    fit(next(iter(render_clip(str(row["activity"]), int(str(row["seed"])), 1.0, fps=4))), picture)
    found, expected = lightning.look(picture, Square(96, 96, 192)), np.array(row["keypoints"])
    np.testing.assert_allclose(found[:, :2], expected[:, :2], atol=0.05)  # pixels; the older edge runtime rounds more
    np.testing.assert_allclose(found[:, 2], expected[:, 2], atol=0.01)


@pytest.mark.train
@pytest.mark.slow
@pytest.mark.skipif(find_spec("tensorflow") is None, reason="needs the train extra")
def test_tensorflow_finds_what_litert_finds(multipose: MultiPose, lightning: Lightning, squat: Image) -> None:
    (exact,), (other,) = multipose.step(squat), MultiPose.open(find_movenet(MULTIPOSE), runtime="tensorflow").step(squat)
    np.testing.assert_allclose(other.keypoints, exact.keypoints, atol=0.05)
    square = Square(320, 240, 640)
    single = Lightning.open(find_movenet(LIGHTNING), runtime="tensorflow").look(squat, square)
    np.testing.assert_allclose(single, lightning.look(squat, square), atol=0.05)


def test_two_people_are_found_where_they_are(multipose: MultiPose, squat: Image) -> None:
    both = np.concatenate([squat[:, 120:520], squat[:, 119:519]], axis=1)  # 800 x 480
    left, right = sorted(multipose.step(both), key=lambda each: float(each.box[0]))
    shift = right.keypoints[left.seen & right.seen, :2] - left.keypoints[left.seen & right.seen, :2]
    np.testing.assert_allclose(np.median(shift, axis=0), [401, 0], atol=4)


@pytest.mark.parametrize("size", [(240, 320), (1080, 1920), (640, 360)], ids=str)
def test_places_are_told_in_pixels_of_the_image(multipose: MultiPose, squat: Image, size: tuple[int, int]) -> None:
    import cv2

    height, width = size
    scale = min(height / 480, width / 640)
    image = np.zeros((height, width, 3), np.uint8)
    small = cv2.resize(squat, (round(640 * scale), round(480 * scale)), interpolation=cv2.INTER_AREA)
    image[: small.shape[0], : small.shape[1]] = small
    (exact,), (found,) = multipose.step(squat), multipose.step(image)
    off = np.abs(found.keypoints[5:, :2] / scale - exact.keypoints[5:, :2])
    assert np.median(off) < 0.02 * 480
    np.testing.assert_allclose(found.box / scale, exact.box, atol=25)


def test_an_upended_person_is_seen_by_an_upended_square(lightning: Lightning, squat: Image) -> None:
    square = Square(320, 240, 480)
    upright = lightning.look(squat, square)
    turned = np.ascontiguousarray(squat[::-1, ::-1])
    upended = lightning.look(turned, square, upended=True)
    assert np.median(np.abs(np.array([640, 480]) - upended[:, :2] - upright[:, :2])) < 4
    assert upended[list(SHOULDERS), 1].mean() > upended[list(HIPS), 1].mean()


def test_a_square_beyond_the_image_and_much_larger_than_the_picture(lightning: Lightning, squat: Image) -> None:
    large = np.repeat(np.repeat(squat, 3, axis=0), 3, axis=1)
    near, far = lightning.look(squat, Square(320, 240, 640)), lightning.look(large, Square(960, 720, 1920))
    assert np.median(np.abs(far[:, :2] / 3 - near[:, :2])) < 4


def test_nobody_is_found_where_nobody_is(multipose: MultiPose) -> None:
    assert multipose.step(np.zeros((480, 640, 3), np.uint8)) == []
    assert multipose.step(np.full((1, 1, 3), 90, np.uint8)) == []


def person(left: float, score: float, keypoint: float = 0.9) -> Skeleton:
    keypoints = np.full((17, 3), keypoint, np.float32)
    keypoints[:, 0] = left + 100 * np.linspace(0, 1, 17)
    keypoints[:, 1] = 200 * np.linspace(0, 1, 17)
    return Skeleton(keypoints, np.array([left, 0, left + 100, 200], np.float32), score)


def test_a_person_who_is_found_twice_is_one() -> None:
    first, again, other = person(0, 0.8), person(20, 0.6), person(80, 0.5)
    assert [each.score for each in distinct([other, again, first])] == [0.8, 0.5]


def test_who_is_hardly_seen_is_nobody() -> None:
    assert distinct([person(0, 0.05), person(300, 0.15, keypoint=0.1)]) == []


def test_networks_that_are_not_those_of_the_manifest_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="a MoveNet of the kind single, not several"):
        MultiPose.open(find_movenet(LIGHTNING))
    folder = shutil.copytree(find_movenet(LIGHTNING), tmp_path / LIGHTNING)
    (folder / "movenet.tflite").write_bytes(b"another network")
    with pytest.raises(BundleError, match=r"movenet\.tflite: its sha256 is not the manifest's"):
        Lightning.open(folder)


def test_what_is_no_image_is_refused(multipose: MultiPose) -> None:
    with pytest.raises(InferenceError, match=r"an image must be \(H, W, 3\) uint8"):
        multipose.step(np.zeros((4, 4), np.uint8))


def test_people_in_a_street_are_found_apart(multipose: MultiPose, shared_data: Path) -> None:
    frames = read_frames(shared_data / "streams/vtest.avi", 1, 20)
    counts = [len(multipose.step(image)) for _, image in frames]
    assert np.mean(counts) > 2.5


def test_who_has_fallen_is_found(multipose: MultiPose, shared_data: Path) -> None:
    """A person on the floor is what BlazePose loses."""
    import csv

    with (shared_data / "falls/segments.csv").open() as file:
        falls = [row for row in csv.DictReader(file) if row["label"] == "fall"][::30]
    found = []
    for row in falls:
        frames = read_frames(shared_data / "falls" / row["video"], 5, 400)
        found += [bool(multipose.step(image)) for time_s, image in frames if -0.1 <= time_s - float(row["end_s"]) < 0.1][:1]
    assert len(found) >= 3
    assert sum(found) >= 0.8 * len(found)
