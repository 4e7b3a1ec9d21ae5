"""One person is followed, upright and upside down, and is told in numbers that a head can learn from."""

from pathlib import Path

import numpy as np
import pytest

from figure import render_clip
from streamvc.errors import BundleError
from streamvc.inference.composite import CompositeExtractor
from streamvc.inference.extractors import open_extractor
from streamvc.inference.people.keypoint_features import FEATURE_SIZE, KeypointFeatures, mirrored
from streamvc.inference.people.movenet import LIGHTNING, LIGHTNING_INT8, find_movenet
from streamvc.inference.people.single import Look, PersonFollower
from streamvc.inference.people.skeletons import HIPS, SHOULDERS
from tests.inference.people.conftest import Image, read_frames


@pytest.fixture
def follower() -> PersonFollower:
    return PersonFollower.open(find_movenet(LIGHTNING))


@pytest.fixture(scope="module")
def jumps() -> list[Image]:
    return list(render_clip("JumpingJack", 7, 1.6, fps=5))


def test_a_person_is_looked_at_more_closely_once_they_are_found(follower: PersonFollower, squat: Image) -> None:
    small = np.full((1080, 1920, 3), 160, np.uint8)
    small[500:980, 1200:1840] = squat
    looks = [follower.step(small) for _ in range(4)]
    assert looks[-1].score > 0.6
    whole = PersonFollower.open(find_movenet(LIGHTNING)).step(squat)
    off = np.hypot(*(looks[-1].keypoints[:, :2] - [1200, 500] - whole.keypoints[:, :2]).T)
    assert np.median(off) < 12  # pixels of 480
    far = np.hypot(*(looks[0].keypoints[:, :2] - [1200, 500] - whole.keypoints[:, :2]).T)
    assert np.median(off) <= np.median(far)


class Played(PersonFollower):
    """Gives looks that are known."""

    def __init__(self, looks: list[Look]) -> None:
        self._looks = iter(looks)

    def step(self, image: Image) -> Look:
        return next(self._looks)


def test_the_features_of_mirrored_pictures_are_told_from_those_of_the_pictures() -> None:
    keypoints = np.random.default_rng(0).uniform(0.2, 1, (3, 17, 3)).astype(np.float32)
    swapped = keypoints[:, [0, *(other for left in range(1, 17, 2) for other in (left + 1, left))]] * [-1, 1, 1] + [1, 0, 0]
    seen, otherwise = ([Look(each, 0.6, False) for each in looks] for looks in (keypoints * [200, 100, 1], swapped * [200, 100, 1]))
    features = [KeypointFeatures(Played(looks)) for looks in (seen, otherwise)]
    for _ in seen:
        one, other = (each.step(np.zeros((100, 200, 3), np.uint8)) for each in features)
        assert np.allclose(mirrored(one), other, atol=1e-5)
        assert np.array_equal(mirrored(mirrored(one)), one)
        assert not np.allclose(one, other, atol=1e-2)


def test_who_stands_on_their_hands_is_seen_by_turning_the_picture(follower: PersonFollower, shared_data: Path) -> None:
    videos = sorted((shared_data / "exercise").glob("Handstand*/*.mp4"))[::25]
    looks = []
    for video in videos:
        follower.reset()
        looks += [follower.step(image) for _, image in read_frames(video, 5, 12)][4:]
    assert len(looks) > 20
    head_down = [look.keypoints[list(HIPS), 1].mean() < look.keypoints[list(SHOULDERS), 1].mean() for look in looks]
    assert np.mean(head_down) > 0.75
    assert np.mean([look.upended for look in looks]) > 0.2


def test_who_stands_on_their_feet_is_not_turned(follower: PersonFollower, jumps: list[Image]) -> None:
    assert not any(follower.step(image).upended for image in jumps)


def test_a_reset_forgets_the_person(follower: PersonFollower, squat: Image) -> None:
    first = follower.step(squat)
    second = follower.step(squat)
    assert not np.array_equal(first.keypoints, second.keypoints)  # it is looked at more closely
    follower.reset()
    np.testing.assert_array_equal(follower.step(squat).keypoints, first.keypoints)


def test_the_numbers_do_not_depend_on_the_size_of_the_picture(follower: PersonFollower, jumps: list[Image]) -> None:
    features = KeypointFeatures(follower)
    exact = [features.step(image) for image in jumps[:4]]
    features.reset()
    twice = [features.step(np.repeat(np.repeat(image, 2, axis=0), 2, axis=1)) for image in jumps[:4]]
    for one, other in zip(exact[1:], twice[1:], strict=True):
        assert np.median(np.abs(one - other)) < 0.02


def test_movement_is_told_by_the_tick(jumps: list[Image]) -> None:
    each, other = (KeypointFeatures(PersonFollower.open(find_movenet(LIGHTNING))) for _ in range(2))
    for features in (each, other):
        features.step(jumps[0])
    one, half = each.step(jumps[1])[65:], other.step(jumps[1], num_ticks=2)[65:]
    assert np.abs(one).max() > 0.02
    np.testing.assert_allclose(half, one / 2, atol=1e-6)


def test_nobody_gives_finite_numbers_with_low_scores(follower: PersonFollower) -> None:
    features = KeypointFeatures(follower)
    for _ in range(3):
        found = features.step(np.full((240, 320, 3), 90, np.uint8))
        assert np.isfinite(found).all()
        assert found[34:51].max() < 0.3


def test_the_numbers_are_a_part_of_an_extractor(jumps: list[Image]) -> None:
    extractor = open_extractor("movenet+flow")
    assert isinstance(extractor, CompositeExtractor)
    assert [part.name for part in extractor.parts] == [LIGHTNING_INT8, "flow"]
    features = KeypointFeatures(PersonFollower.open(find_movenet(LIGHTNING_INT8)))
    found = []
    for image in jumps[:3]:
        feature = extractor.step(image)
        assert feature is not None
        np.testing.assert_array_equal(feature.values[:FEATURE_SIZE], features.step(image))
        found.append(feature.values)
    extractor.reset()
    again = extractor.step(jumps[0])
    assert again is not None
    np.testing.assert_array_equal(again.values, found[0])
    assert open_extractor("movenet-lightning+flow").identity != extractor.identity
    assert open_extractor(str(find_movenet(LIGHTNING_INT8))).identity.split(" + ")[0] == extractor.identity.split(" + ")[0]


def test_the_network_of_several_is_no_part() -> None:
    with pytest.raises(BundleError, match="a MoveNet of the kind several, not single"):
        open_extractor("movenet-multipose")
