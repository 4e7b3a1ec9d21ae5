"""What stands out from the background: found where it is, not with the light, forgotten slowly, and the same at any size of the frame."""

from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamvc.inference.backbone import Backbone
from streamvc.inference.foreground import FEATURE_SIZE, HOLD_TICKS, LEARNING_TICKS, Foreground, ForegroundView
from streamvc.inference.views import Square
from tests.inference.figure import Image, joined
from tests.inference.settings import BACKBONE

PRESENT, SIZE, ACROSS, DOWN = range(4)


def room(left: int | None = None, top: int = 80, *, width: int = 60, height: int = 60, scale: int = 1, light: float = 1.0) -> Image:
    """A noisy room of 320 x 240 with a dark somebody in it, or nobody."""
    rng = np.random.default_rng(left or 0)
    image = np.full((240, 320, 3), 150.0)
    image[:, 160:] = 90
    if left is not None:
        image[top : top + height, left : left + width] = 20
    noisy = (image + rng.normal(0, 2, image.shape)) * light
    return np.asarray(cv2.resize(noisy.clip(0, 255).astype(np.uint8), None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST))


def used_to(*images: Image) -> ForegroundView:
    view = ForegroundView()
    for image in images or [room()] * LEARNING_TICKS:
        view.step(image)
    return view


def test_an_empty_room_has_no_numbers_and_is_looked_at_as_a_whole() -> None:
    view = ForegroundView()
    for _ in range(5):
        foreground = view.step(room())
    assert not foreground.features.any()
    assert foreground.square is None
    assert foreground.cut(room()).shape == (240, 320, 3)


@pytest.mark.parametrize(("left", "top"), [(20, 30), (230, 150)])
def test_somebody_is_where_he_is(left: int, top: int) -> None:
    foreground = used_to().step(room(left, top))
    assert foreground.features.shape == (FEATURE_SIZE,)
    assert foreground.features[PRESENT] == 1
    assert foreground.features[[SIZE, ACROSS, DOWN]] == pytest.approx([60 / np.sqrt(320 * 240), (left + 30) / 320, (top + 30) / 240], abs=0.05)
    assert foreground.square
    assert (foreground.square.center_x, foreground.square.center_y) == pytest.approx((left + 30, top + 30), abs=8)
    assert 60 < foreground.square.side < 140


def test_who_lies_is_longer_than_wide_and_in_which_direction() -> None:
    along, across = (used_to().step(room(100, 80, width=width, height=height)).features for width, height in ((120, 40), (40, 120)))
    length, width, cosine, sine = along[6:10]
    assert length > 2 * width
    assert cosine > 0.5
    assert across[8] < -0.5
    assert (sine, across[9]) == pytest.approx((0, 0), abs=0.05)


def test_the_size_of_the_frame_does_not_count() -> None:
    small, large = used_to(), used_to(*[room(scale=3)] * LEARNING_TICKS)
    one, other = small.step(room(100)), large.step(room(100, scale=3))
    np.testing.assert_allclose(one.features, other.features, atol=0.05)
    assert one.square
    assert other.square
    assert other.square.side == pytest.approx(3 * one.square.side, rel=0.05)


@pytest.mark.parametrize("light", [0.6, 1.5])
def test_a_camera_that_adapts_to_the_light_shows_nothing_new(light: float) -> None:
    view = used_to()
    assert view.step(room(light=light)).square is None
    assert view.step(room(100, light=light)).square is not None


def test_a_dark_room_is_cut_out_with_the_usual_contrast() -> None:
    view = used_to(*[room(light=0.2)] * LEARNING_TICKS)
    dark = room(100, light=0.2)
    cut = view.step(dark).cut(dark)
    assert np.ptp(dark) < 60
    assert np.ptp(cut) > 150


def test_who_sits_still_is_not_lost_for_a_while_and_who_leaves_is_no_trace() -> None:
    view = used_to()
    still = [view.step(room(100)).features[SIZE] for _ in range(100)]
    assert min(still) > 0.9 * still[0]
    after = [view.step(room()) for _ in range(HOLD_TICKS + 2)]
    assert not after[-1].features.any()
    assert [foreground.square is None for foreground in after] == [False] * HOLD_TICKS + [True] * 2


def test_what_changes_slowly_becomes_background() -> None:
    view = used_to()
    shades = [room() + np.uint8(number // 3) * (np.arange(320) > 250)[None, :, None].astype(np.uint8) for number in range(90)]
    assert all(view.step(shade).square is None for shade in shades)


def test_speed_is_per_tick() -> None:
    every, some = used_to(), used_to()
    slow = [every.step(room(40 + 10 * number)).features for number in range(6)]
    quick = [some.step(room(40 + 20 * number), num_ticks=2).features for number in range(3)]
    assert slow[-1][17] == pytest.approx(10 / 320, abs=0.01)
    assert quick[-1][17] == pytest.approx(10 / 320, abs=0.01)


def test_what_moves_is_told_from_what_stands_out() -> None:
    view = used_to()
    moving, still = (view.step(room(left)).features for left in (100, 100))
    assert moving[20] > 0
    assert not still[20:25].any()
    assert moving[25:].any()
    np.testing.assert_array_equal(still[25:73] > 0, moving[25:73] > 0)


def test_a_view_follows_smoothly() -> None:
    view = used_to()
    view.step(room(20))
    centers = [square.center_x for _ in range(12) if (square := view.step(room(220)).square)]
    assert all(before < after for before, after in pairwise(centers))
    assert centers[0] < 230 < centers[-1]


def test_reset_is_total() -> None:
    images = [room(), *(room(30 + 20 * number) for number in range(6))]
    used = used_to(*images[::-1])
    used.reset()
    fresh = ForegroundView()
    for image in images:
        one, other = used.step(image), fresh.step(image)
        np.testing.assert_array_equal(one.features, other.features)
        np.testing.assert_array_equal(one.levels, other.levels)
        assert one.square == other.square


@settings(max_examples=25, deadline=None)
@given(height=st.integers(1, 90), width=st.integers(1, 90), seed=st.integers(0, 9))
def test_frames_of_any_shape_make_finite_numbers(height: int, width: int, seed: int) -> None:
    view, rng = ForegroundView(), np.random.default_rng(seed)
    for shade in (0, 255, 20, 90):
        image = rng.integers(0, shade + 1, (height, width, 3), dtype=np.uint8)
        foreground = view.step(image)
        assert np.isfinite(foreground.features).all()
        assert foreground.cut(image).size


def test_the_part_and_the_crop_share_one_look() -> None:
    extractor = joined(f"foreground+{BACKBONE}:foreground+{BACKBONE}:foreground:difference")
    assert extractor.pose is None
    assert extractor.part_sizes == (FEATURE_SIZE, 1280, 1280)
    view, backbone = ForegroundView(), Backbone.load(BACKBONE)
    images = [*[room()] * 3, room(40), room(50)]
    before: Image | None = None
    for image in images:
        found, values = view.step(image), extractor.step(image).values
        np.testing.assert_array_equal(values[:FEATURE_SIZE], found.features)
        np.testing.assert_array_equal(values[FEATURE_SIZE:-1280], backbone.features(found.cut(image)))
        np.testing.assert_array_equal(values[-1280:], backbone.difference(found.cut(image), before if before is None else found.cut(before)))
        before = image
    extractor.reset()
    assert not extractor.step(images[-1]).values[:FEATURE_SIZE].any()


def test_a_scene_cuts_any_picture_of_its_camera_alike() -> None:
    levels = np.arange(256).astype(np.uint8)[::-1].copy()
    foreground = Foreground(np.zeros(FEATURE_SIZE, np.float32), Square(50, 60, 20), levels)
    image = room()
    np.testing.assert_array_equal(foreground.cut(image), 255 - image[50:70, 40:60])
