"""What the numbers of a posture say, and that they mean the same for other networks, sizes and rates, and in a mirror."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from figure import render_clip
from streamvc.inference.extractors import open_extractor
from streamvc.inference.people.movenet import MultiPose, find_movenet
from streamvc.inference.people.posture import FEATURE_NAMES, FEATURE_SIZE, MOST, PARTNERS, PostureFeatures
from streamvc.inference.people.skeletons import FloatArray, Skeleton
from tests.inference.people.walkers import UPRIGHT, fallen, skeleton, standing, walking

HEIGHT, WIDTH = 480, 640
# Of BlazePose's 33 landmarks, those that COCO's 17 keypoints are.
BLAZEPOSE = (0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)


def sitting_down(time_s: float) -> Skeleton:
    """Stands for two seconds, sits down in one: the hips sink by two fifths of the legs, and the knees come forward."""
    share = float(np.clip(time_s - 2, 0, 1))
    points = UPRIGHT.copy()
    points[:13, 1] -= 40 * share
    points[13:15, 0] += 35 * share
    return skeleton(np.stack([300 + points[:, 0], 440 - points[:, 1]], axis=1), 0.9)


def walker(time_s: float) -> Skeleton:
    return walking(100 + 80 * time_s, time_s)


def watch(person: Callable[[float], Skeleton | None], until_s: float, rate_hz: float = 5, scale: float = 1) -> dict[str, float]:
    """The features at the end, by name."""
    features = PostureFeatures()
    found: FloatArray = np.zeros(0, np.float32)
    for tick in range(round(until_s * rate_hz) + 1):
        seen = person(tick / rate_hz)
        if seen and scale != 1:
            seen = Skeleton(seen.keypoints * np.array([scale, scale, 1], np.float32), seen.box * np.float32(scale), seen.score)
        found = features.step(seen, tick / rate_hz, HEIGHT)
    return dict(zip(FEATURE_NAMES, found.tolist(), strict=True))


def mirrored(seen: Skeleton) -> Skeleton:
    """As a camera with a mirror has it: the left hand is on the other side, and a network takes it for the right one."""
    keypoints = seen.keypoints[PARTNERS] * np.array([-1, 1, 1], np.float32) + np.array([WIDTH, 0, 0], np.float32)
    left, top, right, bottom = seen.box
    return Skeleton(keypoints, np.array([WIDTH - right, top, WIDTH - left, bottom], np.float32), seen.score)


def test_there_are_67_numbers_and_each_has_its_name() -> None:
    assert len(set(FEATURE_NAMES)) == FEATURE_SIZE == 67


def test_who_stands_holds_still() -> None:
    found = watch(lambda _: standing(300), 3.0)
    assert found["cos_trunk"] == pytest.approx(1, abs=0.01)
    assert found["knee_cosine_more"] == pytest.approx(-1, abs=0.05)  # stretched
    assert found["tall"] > 2.5 * found["wide"] > 0
    assert all(abs(value) < 1e-4 for name, value in found.items() if name.startswith("speed") or name[-1].isdigit())


def test_who_sits_down_sinks_and_bends_the_knees() -> None:
    during, after = watch(sitting_down, 3.0), watch(sitting_down, 6.0)
    assert during["hips_down_0.4"] > 0.15  # sizes a second
    assert during["hips_down_1.2"] > 0.1
    assert during["knee_cosine_more"] > -0.95
    assert after["hips_down_1.2"] == 0
    assert after["cos_trunk"] == pytest.approx(1, abs=0.01)


def test_who_gets_up_does_the_reverse() -> None:
    found = watch(lambda time_s: sitting_down(max(6 - time_s, 0)), 4.0)
    assert found["hips_down_0.4"] < -0.15


def test_who_walks_moves_arms_and_legs() -> None:
    found = watch(walker, 3.9)
    assert found["hips_aside_1.2"] > 0.3
    assert found["speed_ankle_more"] > 0.1
    assert abs(found["hips_down_1.2"]) < 0.02


def test_who_lies_is_wider_than_tall() -> None:
    found = watch(lambda _: fallen(200, 1.0), 2.0)
    assert found["tallness"] < -0.5
    assert found["cos_trunk"] == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("person", [sitting_down, walker])
def test_a_nearer_person_and_one_in_a_mirror_are_the_same(person: Callable[[float], Skeleton]) -> None:
    one, nearer = watch(person, 2.8), watch(person, 2.8, scale=1.5)
    turned = watch(lambda time_s: mirrored(person(time_s)), 2.8)
    for name, value in one.items():
        assert nearer[name] == pytest.approx(value, abs=2e-3), name
        assert turned[name] == pytest.approx(value, abs=2e-3), name


def test_time_is_told_by_the_clock() -> None:
    slow, fast, half = (watch(sitting_down, 2.8, rate_hz) for rate_hz in (5, 20, 2.5))
    for name, value in slow.items():
        assert fast[name] == pytest.approx(value, abs=0.02), name  # it moves evenly
    assert half["hips_down_1.2"] == pytest.approx(slow["hips_down_1.2"], abs=0.03)


def test_scores_of_another_network_change_nothing_nor_do_a_few_keypoints_that_are_not_seen() -> None:
    def sure(time_s: float) -> Skeleton:
        seen = walker(time_s)
        return Skeleton(np.concatenate([seen.keypoints[:, :2], np.full((17, 1), 0.3, np.float32)], axis=1), seen.box, seen.score)

    def partly(time_s: float) -> Skeleton:
        seen = walker(time_s)
        seen.keypoints[[1, 3, 9], 2] = 0  # an eye, an ear and a wrist, after a second
        return seen if time_s > 1 else walker(time_s)

    one = watch(walker, 1.8)
    assert watch(sure, 1.8) == one
    hidden = watch(partly, 1.8)
    legs = [name for name in FEATURE_NAMES if name.startswith(("ankle", "knee", "hip", "shoulders", "cos_trunk", "speed_ankle", "thigh", "shin"))]
    assert max(abs(hidden[name] - one[name]) for name in legs) < 1e-3
    assert hidden["head"] == pytest.approx(one["head"], abs=0.02)


def test_who_is_lost_stays_as_they_were() -> None:
    found = watch(lambda time_s: walker(time_s) if time_s <= 2 else None, 3.6)
    assert all(abs(value) < 1e-4 for name, value in found.items() if name.startswith("speed") or name[-1].isdigit())
    assert found["shoulders"] == pytest.approx(watch(walker, 2.0)["shoulders"])


def test_nobody_is_zeros_and_a_reset_forgets() -> None:
    features = PostureFeatures()
    assert not features.step(None, 0.0, HEIGHT).any()
    first = features.step(standing(300), 0.2, HEIGHT)
    features.step(standing(400), 0.4, HEIGHT)
    features.reset()
    np.testing.assert_array_equal(features.step(standing(300), 0.6, HEIGHT), first)


numbers = st.one_of(st.floats(-1e6, 1e6, width=32), st.sampled_from([np.nan, np.inf, -np.inf]))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(numbers, min_size=51, max_size=51), min_size=1, max_size=4))
def test_all_numbers_are_bounded_whatever_is_seen(rows: list[list[float]]) -> None:
    features = PostureFeatures()
    for tick, row in enumerate(rows):
        seen = Skeleton(np.array(row, np.float32).reshape(17, 3), np.zeros(4, np.float32), 1.0)
        found = features.step(seen, tick / 5, HEIGHT)
        assert found.dtype == np.float32
        assert np.isfinite(found).all()
        assert np.abs(found).max() <= MOST


def test_two_networks_agree_on_the_same_pictures() -> None:
    """MoveNet and BlazePose look at somebody who waves."""
    multipose, blazepose = MultiPose.open(find_movenet("movenet-multipose-int8")), open_extractor("pose")
    one, other = PostureFeatures(), PostureFeatures()
    differences: list[FloatArray] = []
    for number, image in enumerate(pictures()):
        blazepose.step(image)
        assert blazepose.focus is not None
        landmarks = blazepose.focus.landmarks
        people = multipose.step(image)
        if landmarks is None or not people:
            continue
        keypoints = landmarks[list(BLAZEPOSE)][:, [0, 1, 3]].astype(np.float32)
        taken = Skeleton(keypoints, people[0].box, 1.0)
        differences.append(np.abs(one.step(people[0], number / 5, HEIGHT) - other.step(taken, number / 5, HEIGHT)))
    assert len(differences) >= 10
    assert np.median(np.stack(differences)) < 0.08
    posture = [FEATURE_NAMES.index(name) for name in ("cos_trunk", "shoulders", "tallness", "to_head_near", "ankle_less", "knee_cosine_less")]
    assert np.stack(differences)[5:, posture].mean(axis=0).max() < 0.25


def pictures() -> Iterator[np.ndarray]:
    return iter(render_clip("Wave", 4, 3.0, fps=5))
