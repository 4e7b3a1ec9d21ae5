"""The numbers of the optical flow, on pictures whose movement is known."""

import math

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from streamvc.inference.extractors import open_extractor
from streamvc.inference.flow import FEATURE_SIZE, NUM_SPREAD, SHORT_PX, FlowFeatures
from streamvc.types import Array

Image = NDArray[np.uint8]

# Where the numbers stand that are asked for here.
SPEED, ACCELERATION, LIGHTER = (slice(number * NUM_SPREAD, (number + 1) * NUM_SPREAD) for number in range(3))
CAMERA = LIGHTER.stop
SQUARE_SPEED = CAMERA + 2 + 2 * NUM_SPREAD
ONE_WAY = SQUARE_SPEED + 5
SHARE = FEATURE_SIZE - 1
ACROSS, UP_OR_DOWN, DROP = range(SHARE - 12, SHARE - 9)
FASTEST = SPEED.stop - 3  # of its percentiles


def texture(height: int, width: int, seed: int = 0) -> Image:
    """Large blotches: the quick flow falls short on fine ones."""
    noise = np.random.default_rng(seed).uniform(0, 255, (height // 32, width // 32, 3)).astype(np.uint8)
    blotches: Image = cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    return blotches


WALL, THING = texture(192, 256), texture(64, 64, seed=1)


def scene(x: int, y: int, wall: Image = WALL) -> Image:
    """A thing of a third of the frame's height before a wall. Two pixels are one of the picture in which movement is measured."""
    image = wall.copy()
    image[y : y + 64, x : x + 64] = THING
    return image


def numbers(images: list[Image], ticks: tuple[int, ...] = ()) -> Array:
    flow = FlowFeatures()
    return np.stack([flow.step(image, num_ticks) for image, num_ticks in zip(images, ticks or [1] * len(images), strict=True)])


def falling(num: int, step_px: int = 4) -> list[Image]:
    return [scene(96, 16 + step_px * number) for number in range(num)]


def test_what_stands_still_and_the_first_frame_are_zero() -> None:
    found = numbers([scene(96, 64)] * 3)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[0], np.zeros(FEATURE_SIZE))
    np.testing.assert_allclose(found, 0, atol=1e-3)


def test_a_thing_that_falls_moves_down_steadily_and_one_way() -> None:
    last = numbers(falling(8))[-1]
    assert math.expm1(last[FASTEST]) == pytest.approx(2, rel=0.25)  # pixels of 1/96 of the height
    assert math.expm1(last[DROP]) == pytest.approx(math.expm1(last[UP_OR_DOWN]), rel=0.1)
    assert last[ACROSS] < last[UP_OR_DOWN] / 3
    assert last[ONE_WAY] > 0.8
    assert last[SHARE] > 0.5
    assert numbers(falling(8)[::-1])[-1][DROP] < 0


def test_a_thing_that_shakes_is_jerky_where_one_that_slides_is_not() -> None:
    places = np.random.default_rng(0).integers(60, 80, (8, 2)).tolist()
    shakes, slides = numbers([scene(x, y) for x, y in places])[-4:], numbers(falling(8))[-4:]
    assert shakes[:, ACCELERATION.start + 4].min() > 2 * slides[:, ACCELERATION.start + 4].max()
    assert shakes[:, CAMERA + 1].min() > slides[:, CAMERA + 1].max()


def test_a_camera_that_turns_is_told_from_what_moves_before_it() -> None:
    wide = texture(192, 416)
    turning = numbers([np.ascontiguousarray(wide[:, 4 * number : 4 * number + 256]) for number in range(6)])[-1]
    assert math.expm1(turning[CAMERA]) == pytest.approx(2, rel=0.1)
    assert turning[SPEED].max() < 0.2


def test_the_size_of_the_frame_makes_no_difference() -> None:
    images = falling(8)
    larger = [cv2.resize(image, None, fx=2.5, fy=2.5, interpolation=cv2.INTER_CUBIC) for image in images]
    np.testing.assert_allclose(numbers(larger)[:, SPEED], numbers(images)[:, SPEED], atol=0.1)


def test_where_frames_are_missing_it_is_spread_over_their_ticks() -> None:
    every, second = numbers(falling(9)), numbers(falling(9)[::2], (1, 2, 2, 2, 2))
    assert second[-1, FASTEST] == pytest.approx(every[-1, FASTEST], abs=0.1)
    assert second[-1, SQUARE_SPEED] == pytest.approx(every[-1, SQUARE_SPEED], abs=0.1)


def test_the_square_stays_with_what_moved_of_late() -> None:
    other_wall = WALL.copy()
    other_wall[8:24, 8:24] = texture(32, 32, seed=2)[:16, :16]  # something small flickers once, far away
    images = [*falling(10), scene(96, 56, other_wall)]
    before, after = numbers(images)[-2:]
    assert before[SHARE] > 0.5
    assert after[SQUARE_SPEED] > before[SQUARE_SPEED] / 4


def test_reset_is_total() -> None:
    flow = FlowFeatures()
    for image in falling(5):
        flow.step(image)
    flow.reset()
    shaken = [scene(x, 40) for x in (20, 60, 30, 90)]
    np.testing.assert_array_equal(np.stack([flow.step(image) for image in shaken]), numbers(shaken))


@pytest.mark.parametrize("shape", [(1, 1), (9, 700), (480, 640), (1080, 1920)])
def test_frames_of_any_shape_have_finite_numbers(shape: tuple[int, int]) -> None:
    images = [np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8) for seed in range(3)]
    assert np.isfinite(numbers(images)).all()


def test_the_part_called_flow_is_these_numbers() -> None:
    extractor = open_extractor("flow")
    assert extractor.feature_size == FEATURE_SIZE
    found = [feature.values for image in falling(4) if (feature := extractor.step(image))]
    np.testing.assert_array_equal(np.stack(found), numbers(falling(4)))
    assert f"{SHORT_PX}" in extractor.identity


def test_what_slides_and_lightens_has_the_same_numbers_where_frames_are_missing() -> None:
    scenes = [cv2.convertScaleAbs(image, alpha=1, beta=4 * number) for number, image in enumerate(falling(13, step_px=2))]
    whole = numbers(scenes)[-1]
    half = numbers(scenes[::2], (1, 2, 2, 2, 2, 2, 2))[-1]
    mixed = numbers([scenes[0], *scenes[1::3], scenes[12]], (1, 1, 3, 3, 3, 2))[-1]
    for found in (half, mixed):
        np.testing.assert_allclose(np.expm1(found[SPEED]), np.expm1(whole[SPEED]), atol=0.5, rtol=0.3)
        assert np.expm1(found[LIGHTER.stop - 2]) == pytest.approx(np.expm1(whole[LIGHTER.stop - 2]), rel=0.3)  # the mean
        assert np.expm1(found[ACCELERATION]).max() < np.expm1(whole[ACCELERATION]).max() + 0.3


def test_after_a_gap_an_acceleration_does_not_know_what_was_before() -> None:
    images = falling(3)
    flow = FlowFeatures()
    for image in images:
        flow.step(image, 3)
    flow.reset()
    np.testing.assert_array_equal([flow.step(image) for image in images], numbers(images))
