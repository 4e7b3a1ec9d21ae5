"""The numbers that a pose becomes."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from streamvc.inference.pose.features import FEATURE_SIZE, HELD_TICKS, NUM_POSTURE, USED, PoseFeatures
from streamvc.inference.pose.landmarks import NUM_LANDMARKS, BodyPose, FloatArray, Region

NUM_USED = len(USED)
SPEEDS = slice(NUM_POSTURE, None)
SEEN = NUM_POSTURE - 1

coordinates = st.floats(-10_000, 10_000, width=32)
bodies = st.builds(
    lambda points, world, size, rotation: BodyPose(points, world, 1.0, Region(0, 0, size, rotation)),
    arrays(np.float32, (NUM_LANDMARKS, 4), elements=coordinates),
    arrays(np.float32, (NUM_LANDMARKS, 3), elements=st.floats(-3, 3, width=32)),
    st.floats(0, 10_000),
    st.floats(-10, 10),
)


def someone(seed: int = 0, shift: float = 0.0) -> BodyPose:
    """A person of 200 pixels at (320, 240), somewhere else in the picture by `shift`."""
    rng = np.random.default_rng(seed)
    landmarks = rng.uniform((220 + shift, 140, -50, 0), (420 + shift, 340, 50, 1), (NUM_LANDMARKS, 4)).astype(np.float32)
    world = rng.uniform(-1, 1, (NUM_LANDMARKS, 3)).astype(np.float32)
    return BodyPose(landmarks, world, 1.0, Region(320 + shift, 240, 250, 0.1))


def moved(body: BodyPose, scale: float, shift: tuple[float, float]) -> BodyPose:
    """The same person elsewhere, and in another size."""
    landmarks = body.landmarks.copy()
    landmarks[:, :2] = landmarks[:, :2] * scale + shift
    region = body.region
    return replace(body, landmarks=landmarks, region=replace(region, size=region.size * scale))


def mirrored(body: BodyPose) -> BodyPose:
    swap = [0, 4, 5, 6, 1, 2, 3, 8, 7, 10, 9, *(index + 1 if index % 2 else index - 1 for index in range(11, NUM_LANDMARKS))]
    flip = np.array([-1, 1, 1], np.float32)
    landmarks = body.landmarks[swap] * np.append(flip, np.float32(1))
    return replace(body, landmarks=landmarks, world=body.world[swap] * flip, region=replace(body.region, rotation=-body.region.rotation))


def stream(*seen: BodyPose | None, num_ticks: int = 1) -> list[FloatArray]:
    features = PoseFeatures()
    return [features.step(body, num_ticks) for body in seen]


@given(st.floats(0.1, 10), st.floats(-2000, 2000), st.floats(-2000, 2000))
def test_where_and_how_large_a_person_is_says_nothing(scale: float, x: float, y: float) -> None:
    here = stream(someone(1), someone(2))
    there = stream(*(moved(someone(seed), scale, (x, y)) for seed in (1, 2)))
    assert np.stack(there) == pytest.approx(np.stack(here), abs=0.02)  # float32 keeps a hundredth of a pixel that far off


def test_a_mirrored_person_has_mirrored_features() -> None:
    swap = [0, *(index + 1 if index % 2 else index - 1 for index in range(1, NUM_USED))]

    def points(feature: FloatArray, start: int, axes: int) -> NDArray[np.float32]:
        return feature[start : start + NUM_USED * axes].reshape(NUM_USED, axes)

    here, there = stream(someone(1), someone(2)), stream(mirrored(someone(1)), mirrored(someone(2)))
    for one, other in zip(here, there, strict=True):
        assert points(other, 0, 2) == pytest.approx(points(one, 0, 2)[swap] * (-1, 1), abs=1e-4)
        assert points(other, 2 * NUM_USED, 3) == pytest.approx(points(one, 2 * NUM_USED, 3)[swap] * (-1, 1, 1), abs=1e-4)
        assert points(other, NUM_POSTURE, 2) == pytest.approx(points(one, NUM_POSTURE, 2)[swap] * (-1, 1), abs=1e-4)
        joints = slice(5 * NUM_USED, 5 * NUM_USED + 12)
        assert other[joints].reshape(6, 2) == pytest.approx(one[joints].reshape(6, 2)[:, ::-1], abs=1e-4)


def test_who_is_found_again_has_moved_since_he_was_lost() -> None:
    seen, lost = stream(someone(1), someone(2), num_ticks=4), stream(someone(1), None, None, None, someone(2))
    assert lost[-1] == pytest.approx(seen[-1], abs=1e-6)


def test_a_straight_arm_and_a_bent_one() -> None:
    body = someone()
    body.world[[11, 13, 15]] = [(0, 0, 0), (1, 0, 0), (2, 0, 0)]
    body.world[[12, 14, 16]] = [(0, 0, 0), (1, 0, 0), (1, 1, 0)]
    (feature,) = stream(body)
    assert feature[5 * NUM_USED : 5 * NUM_USED + 2] == pytest.approx([-1, 0], abs=1e-6)


def test_who_stands_still_does_not_move() -> None:
    first, second = stream(someone(), someone())
    assert np.array_equal(first, second)
    assert not second[SPEEDS].any()


def test_movement_is_told_per_tick() -> None:
    _, each = stream(someone(), someone(shift=10))
    _, third = stream(someone(), someone(shift=30), num_ticks=3)
    assert third[SPEEDS] == pytest.approx(each[SPEEDS], abs=1e-5)
    across = each[NUM_POSTURE : NUM_POSTURE + 2 * NUM_USED : 2]
    assert across == pytest.approx(np.full(NUM_USED, 0.1), abs=1e-5)  # 10 pixels of a radius of 100


def test_who_is_lost_is_held_and_then_forgotten() -> None:
    found, *lost = stream(someone(), *[None] * (HELD_TICKS + 1))
    for feature in lost[:HELD_TICKS]:
        assert np.array_equal(feature[:SEEN], found[:SEEN])
        assert feature[SEEN] == 0
        assert not feature[SPEEDS].any()
    assert not lost[HELD_TICKS].any()


def test_missing_ticks_count_as_lost() -> None:
    features = PoseFeatures()
    features.step(someone())
    assert features.step(None, HELD_TICKS).any()
    assert not features.step(None, 1).any()


def test_who_comes_after_somebody_was_forgotten_has_not_moved() -> None:
    *_, feature = stream(someone(1), *[None] * (HELD_TICKS + 1), someone(2))
    assert np.array_equal(feature, stream(someone(2))[0])


def test_after_a_reset_nothing_is_left() -> None:
    features = PoseFeatures()
    features.step(someone(1))
    features.reset()
    assert not features.step(None).any()
    features.reset()
    assert np.array_equal(features.step(someone(2)), stream(someone(2))[0])


@given(st.lists(st.none() | bodies, min_size=1, max_size=8), st.integers(1, 10))
def test_features_are_always_finite_and_of_one_size(seen: list[BodyPose | None], num_ticks: int) -> None:
    for body, feature in zip(seen, stream(*seen, num_ticks=num_ticks), strict=True):
        assert feature.shape == (FEATURE_SIZE,)
        assert feature.dtype == np.float32
        assert np.isfinite(feature).all()
        assert feature[SEEN] == (body is not None)
