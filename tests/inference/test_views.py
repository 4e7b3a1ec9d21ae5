"""The square around a person, or around what moves: where it is, how it follows, and what it does when nobody is there."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamvc.inference.pose.landmarks import BodyPose, Region
from streamvc.inference.views import HOLD_TICKS, MARGIN, SHARE, MovementView, PersonView, Square, square_around

NUM_TICKS = st.integers(1, 3)


def body(left: float, top: float, right: float, bottom: float, num_visible: int = 33) -> BodyPose:
    """A body whose visible landmarks lie in a box, from corner to corner; the others are far away."""
    landmarks = np.full((33, 4), [9000, 9000, 0, 0.1], np.float32)
    landmarks[:num_visible, 0] = np.linspace(left, right, num_visible)
    landmarks[:num_visible, 1] = np.linspace(top, bottom, num_visible)
    landmarks[:num_visible, 3] = 0.9
    return BodyPose(landmarks, np.zeros((33, 3), np.float32), 1.0, Region(0, 0, 1, 0))


def test_the_square_lies_around_the_visible_landmarks_with_a_margin() -> None:
    assert square_around(body(100, 50, 160, 250, num_visible=20)) == Square(130, 150, MARGIN * 200)
    assert square_around(body(100, 50, 160, 250, num_visible=3)) is None


@given(center_x=st.floats(-500, 900), center_y=st.floats(-500, 900), side=st.floats(0, 900), width=st.integers(1, 400), height=st.integers(1, 300))
def test_what_is_cut_out_lies_in_the_image_and_is_square_where_that_fits(
    center_x: float, center_y: float, side: float, width: int, height: int
) -> None:
    image = np.arange(width * height * 3).reshape(height, width, 3).astype(np.uint8)
    cut = Square(center_x, center_y, side).cut(image)
    wanted = max(round(side), 1)
    assert cut.shape == (min(wanted, height), min(wanted, width), 3)
    assert np.shares_memory(cut, image)


def test_a_square_at_the_border_is_moved_inside_and_one_within_stays() -> None:
    image = np.zeros((100, 200, 3), np.uint8)
    image[:40, 160:] = 1
    image[30:50, 90:110] = 2
    assert (Square(199, -5, 40).cut(image) == 1).all()
    assert (Square(100, 40, 20).cut(image) == 2).all()
    assert Square(100, 50, 5000).cut(image).shape == image.shape


def test_it_follows_smoothly_and_comes_to_rest_at_the_person() -> None:
    view, here, there = PersonView(), body(0, 0, 50, 100), body(100, 0, 150, 100)
    assert view.step(here) == square_around(here)
    seen = [view.step(there) for _ in range(40)]
    centers = [square.center_x for square in seen if square]
    assert len(centers) == 40
    assert 25 < centers[0] < 125
    assert centers == sorted(centers)
    assert centers[-1] == pytest.approx(125)


@given(ticks=st.lists(NUM_TICKS, min_size=1, max_size=6))
def test_missing_frames_do_not_delay_it(ticks: list[int]) -> None:
    every, some, there = PersonView(), PersonView(), body(100, 30, 150, 200)
    for view in (every, some):
        view.step(body(0, 0, 50, 100))
    expected = [every.step(there) for _ in range(sum(ticks))][-1]
    found = [some.step(there, num_ticks) for num_ticks in ticks][-1]
    assert expected
    assert found
    assert (found.center_x, found.center_y, found.side) == pytest.approx((expected.center_x, expected.center_y, expected.side))


@pytest.mark.parametrize("lost", [None, body(0, 0, 10, 10, num_visible=2)])
def test_a_person_who_is_lost_is_held_for_a_second_and_then_gone(lost: BodyPose | None) -> None:
    view, somebody, other = PersonView(), body(0, 0, 50, 100), body(300, 0, 350, 100)
    here = view.step(somebody)
    assert [view.step(lost) for _ in range(HOLD_TICKS + 2)] == [here] * HOLD_TICKS + [None] * 2
    assert view.step(other) == square_around(other)
    assert view.step(lost, HOLD_TICKS + 1) is None


def test_who_was_lost_for_a_while_is_caught_up_with() -> None:
    steady, lost, there = PersonView(), PersonView(), body(100, 30, 150, 200)
    for view in (steady, lost):
        view.step(body(0, 0, 50, 100))
    expected = [steady.step(there) for _ in range(3)][-1]
    found = [lost.step(None), lost.step(None), lost.step(there)][-1]
    assert expected
    assert found
    assert found.center_x == pytest.approx(expected.center_x)


def test_reset_is_total() -> None:
    view, other = PersonView(), body(300, 0, 350, 100)
    view.step(body(0, 0, 50, 100))
    view.reset()
    assert view.step(None) is None
    assert view.step(other) == square_around(other)


def scene(left: int, top: int, shade: int = 200, noise: int = 0) -> np.ndarray:
    """A noisy picture of 320 x 240 with a bright block of 40 px."""
    image = np.random.default_rng(noise).integers(60, 66, (240, 320, 3), dtype=np.uint8)
    image[top : top + 40, left : left + 40] = shade
    return image


def test_movement_is_looked_for_in_the_middle_until_something_moves() -> None:
    view = MovementView()
    squares = {view.step(scene(20, 30, noise=number)) for number in range(5)}
    assert squares == {Square(160, 120, SHARE * 240)}


@pytest.mark.parametrize(("left", "top"), [(30, 40), (240, 150)])
def test_it_looks_where_something_moves_and_stays_there(left: int, top: int) -> None:
    view = MovementView()
    for number in range(12):
        square = view.step(scene(left + 10 * (number % 2), top, noise=number))
    assert (square.center_x, square.center_y) == pytest.approx((left + 25, top + 20), abs=8)
    assert square.side == SHARE * 240
    assert [view.step(scene(left, top, noise=number)) for number in range(3)][-1].center_x == pytest.approx(left + 25, abs=8)


def test_it_follows_what_moves_through_the_picture_and_missing_frames_do_not_delay_it() -> None:
    every, some = MovementView(), MovementView()
    for number in range(20):
        slow = every.step(scene(10 * number, 100))
        if number % 2:
            quick = some.step(scene(10 * number, 100), num_ticks=2)
    assert slow.center_x > 150
    assert quick.center_x == pytest.approx(slow.center_x, abs=25)


def test_a_change_of_all_of_the_picture_is_no_movement() -> None:
    view = MovementView()
    view.step(np.full((240, 320, 3), 60, np.uint8))
    assert view.step(np.full((240, 320, 3), 160, np.uint8)) == Square(160, 120, SHARE * 240)


@pytest.mark.parametrize("shape", [(1, 1, 3), (5, 900, 3), (700, 2, 3), (1080, 1920, 3)])
def test_pictures_of_any_shape_are_looked_at(shape: tuple[int, int, int]) -> None:
    view, rng = MovementView(), np.random.default_rng(0)
    for _ in range(3):
        image = rng.integers(0, 256, shape, dtype=np.uint8)
        assert view.step(image).cut(image).size > 0


def test_forgotten_movement_is_forgotten() -> None:
    used, images = MovementView(), [scene(30 + 20 * number, 40) for number in range(6)]
    for image in images[::-1]:
        used.step(image)
    used.reset()
    fresh = MovementView()
    assert [used.step(image) for image in images] == [fresh.step(image) for image in images]
