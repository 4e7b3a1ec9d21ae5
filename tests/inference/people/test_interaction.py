"""How people move against each other, from skeletons that are drawn by hand, and from pictures."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamvc.inference.extractors import open_extractor
from streamvc.inference.people.interaction import ALONE, FAR, FEATURE_NAMES, FEATURE_SIZE, Interaction
from streamvc.inference.people.movenet import MultiPose
from streamvc.inference.people.skeletons import LEFT_WRIST, Skeleton
from tests.inference.people.conftest import Image
from tests.inference.people.walkers import skeleton, standing, walking

RATE_HZ = 10.0
HEIGHT_PX = 480


def watch(multipose: MultiPose, people: Callable[[float], Iterable[Skeleton]], rate_hz: float = RATE_HZ, until_s: float = 1.0) -> dict[str, float]:
    """The numbers at the end; a tick is a tenth of a second, whatever the rate of the frames."""
    interaction = Interaction(multipose, RATE_HZ)
    num_ticks = round(RATE_HZ / rate_hz)
    times_s = np.arange(0, until_s + 1e-6, num_ticks / RATE_HZ)
    numbers = [interaction.numbers(list(people(time_s)), num_ticks, HEIGHT_PX) for time_s in times_s]
    assert all(each.shape == (FEATURE_SIZE,) and np.isfinite(each).all() for each in numbers)
    return dict(zip(FEATURE_NAMES, numbers[-1].tolist(), strict=True))


def punching(x: float, time_s: float, goal: float) -> Skeleton:
    """Somebody whose left wrist goes to another one's face and back, twice a second."""
    person = standing(x)
    points = person.keypoints[:, :2].copy()
    share = 0.5 - 0.5 * np.cos(4 * np.pi * time_s)
    points[LEFT_WRIST] += share * (np.array([goal, 250]) - points[LEFT_WRIST])
    return skeleton(points, 0.9)


def test_a_punch_is_fast_and_near_and_standing_together_is_not(multipose: MultiPose) -> None:
    fight = watch(multipose, lambda time_s: [punching(250, time_s, 330), standing(330)], until_s=0.2)
    peace = watch(multipose, lambda _: [standing(250), standing(330)], until_s=0.2)

    assert fight["nearest_wrist_speed"] > 0.1
    assert fight["nearest_wrist_to_face"] < peace["nearest_wrist_to_face"]
    assert peace["nearest_wrist_speed"] == 0
    assert fight["nearest_distance"] == pytest.approx(peace["nearest_distance"], abs=0.2)
    assert fight["busiest_together"] > 3 * peace["busiest_together"] + 0.1


def test_who_comes_nearer_approaches_and_who_leaves_does_not(multipose: MultiPose) -> None:
    towards = watch(multipose, lambda time_s: [walking(150 + 60 * time_s, time_s), standing(400)])
    away = watch(multipose, lambda time_s: [walking(210 - 60 * time_s, time_s), standing(400)])

    assert towards["nearest_approach"] > 0.01
    assert away["nearest_approach"] < -0.01


def test_the_nearest_two_are_told_apart_from_the_busiest(multipose: MultiPose) -> None:
    numbers = watch(multipose, lambda time_s: [standing(80), standing(140), punching(380, time_s, 470), standing(470)], until_s=0.2)

    assert numbers["num_people"] == 2.0
    assert numbers["nearest_wrist_speed"] == 0.0
    assert numbers["busiest_wrist_speed"] > 0.1


def test_speeds_are_by_the_tick_at_any_rate(multipose: MultiPose) -> None:
    def people(time_s: float) -> list[Skeleton]:
        return [walking(150 + 60 * time_s, 0.0), standing(400)]

    full, half = watch(multipose, people), watch(multipose, people, rate_hz=RATE_HZ / 2)
    assert half["nearest_approach"] == pytest.approx(full["nearest_approach"], rel=0.05)
    assert half["most_body_speed"] == pytest.approx(full["most_body_speed"], rel=0.1)


def test_one_alone_and_nobody_have_no_pair(multipose: MultiPose) -> None:
    for people in ([standing(200)], []):
        numbers = watch(multipose, lambda _, people=people: people)  # type: ignore[misc]
        assert [numbers[f"nearest_{name}"] for name in ("distance", "overlap", "wrist_to_face")] == [FAR, 0, FAR]
        assert numbers["num_people"] == len(people) / 2


def test_a_reset_forgets_how_people_stood(multipose: MultiPose) -> None:
    interaction = Interaction(multipose, RATE_HZ)
    interaction.numbers([standing(100), standing(300)], 1, HEIGHT_PX)
    interaction.reset()
    numbers = interaction.numbers([standing(140), standing(300)], 1, HEIGHT_PX)

    assert dict(zip(FEATURE_NAMES, numbers.tolist(), strict=True))["most_body_speed"] == 0


people = st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(0, 1), st.booleans()), max_size=6)


@given(st.lists(people, min_size=1, max_size=4))
def test_all_numbers_are_finite_and_bounded_whatever_is_found(multipose: MultiPose, frames: list[list[tuple[float, float, bool]]]) -> None:
    interaction = Interaction(multipose, RATE_HZ)
    for frame in frames:
        found = [replace(standing(x, lying=lying), score=score) for x, score, lying in frame]
        numbers = interaction.numbers(found, 1, HEIGHT_PX)
        assert np.isfinite(numbers).all()
        assert np.abs(numbers).max() <= 2 * FAR


def test_it_is_a_part_of_an_extractor_with_two_people_in_the_picture(squat: Image) -> None:
    extractor = open_extractor("movenet-multipose-int8:interaction+flow", RATE_HZ)
    both = np.ascontiguousarray(np.hstack([squat[:, 160:480], squat[:, 160:480]]))
    features = [extractor.step(image) for image in (both, both)]

    assert extractor.part_sizes[0] == FEATURE_SIZE
    numbers = dict(zip(FEATURE_NAMES, features[-1].values[:FEATURE_SIZE].tolist(), strict=True))  # type: ignore[union-attr]
    assert numbers["num_people"] == 1.0
    assert numbers["nearest_height_ratio"] > 0.8
    assert not np.allclose([numbers[f"nearest_{name}"] for name in ("distance", "lean")], ALONE[[0, 12]])
    assert open_extractor("movenet-multipose-int8:interaction+flow", 5.0).identity != extractor.identity
    with pytest.raises(ValueError, match="needs a rate_hz"):
        open_extractor("movenet-multipose-int8:interaction")
