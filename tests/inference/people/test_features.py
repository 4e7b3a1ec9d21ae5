"""What the numbers of a person say: standing, falling, lying still; the same at any rate, and finite whatever is seen."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamvc.inference.people.features import FEATURE_NAMES, FEATURE_SIZE, MOST, FallFeatures
from streamvc.inference.people.skeletons import FloatArray, Skeleton
from tests.inference.people.walkers import fallen, standing, walking

HEIGHT = 480
FALL_S = 3.0  # when it begins


def faller(time_s: float) -> Skeleton:
    """Stands for three seconds, falls in 0.8 s, lies still."""
    return fallen(200, float(np.clip((time_s - FALL_S) / 0.8, 0, 1)))


def watch(person: Callable[[float], Skeleton | None], until_s: float, rate_hz: float = 5, scale: float = 1) -> dict[str, float]:
    """The features at the end, by name."""
    features = FallFeatures()
    found: FloatArray = np.zeros(0, np.float32)
    for tick in range(round(until_s * rate_hz) + 1):
        seen = person(tick / rate_hz)
        if seen and scale != 1:
            keypoints = seen.keypoints * np.array([scale, scale, 1], np.float32)
            seen = Skeleton(keypoints, seen.box * np.float32(scale), seen.score)
        found = features.step(seen, tick / rate_hz, round(HEIGHT * scale))
    return dict(zip(FEATURE_NAMES, found.tolist(), strict=True))


def test_there_are_69_numbers_and_each_has_its_name() -> None:
    assert len(set(FEATURE_NAMES)) == FEATURE_SIZE == 69


def test_who_falls_drops_turns_and_lies_still() -> None:
    before, during, after = (watch(faller, until_s) for until_s in (2.8, 3.8, 8.0))
    assert before["cos_trunk"] > 0.99
    assert (before["stood"], before["low_s"], before["movement_0.6"]) == (1, 0, 0)
    assert during["cos_trunk"] < 0.1
    assert during["shoulders_y_0.8"] > 0.5  # sizes downwards
    assert during["hips_y_0.8"] > 0.3
    assert during["most_movement"] > 0.1
    assert after["low_s"] == pytest.approx(4.0)  # the most that is told
    assert after["movement_1.2"] == 0
    assert after["tallness"] < -0.5 < 0.3 < before["tallness"]


def test_who_walks_does_none_of_that() -> None:
    found = watch(lambda time_s: walking(100 + 60 * time_s, time_s), 6.0)
    assert found["cos_trunk"] > 0.95
    assert (found["low_s"], found["stood"]) == (0, 1)
    assert abs(found["most_shoulders_y_0.4"]) < 0.02
    assert found["movement_1.2"] > 0.03
    assert found["middle_x_0.8"] > 0.1


def test_time_is_told_by_the_clock() -> None:
    slow, fast = (watch(faller, 4.8, rate_hz) for rate_hz in (5, 20))
    for name, value in slow.items():
        assert fast[name] == pytest.approx(value, abs=0.21), name  # a fall of 0.8 s is seen in steps of 0.2 s
    assert fast["low_s"] == pytest.approx(slow["low_s"], abs=0.2)


def test_a_larger_picture_changes_nothing() -> None:
    one, other = watch(faller, 4.0), watch(faller, 4.0, scale=2.25)
    for name, value in one.items():
        assert other[name] == pytest.approx(value, abs=1e-4), name


def test_who_is_lost_stays_as_they_were() -> None:
    found = watch(lambda time_s: faller(time_s) if time_s < 5 else None, 6.0)
    before = watch(faller, 4.8)
    assert found["lost_s"] == pytest.approx(1.2)
    assert (found["score"], found["confidence"]) == (0, 0)
    assert found["cos_trunk"] == before["cos_trunk"]
    assert found["low_s"] > before["low_s"]


def test_nobody_is_all_zeros_and_a_reset_forgets() -> None:
    features = FallFeatures()
    assert not features.step(None, 0.0, HEIGHT).any()
    first = features.step(standing(100), 1.0, HEIGHT)
    features.step(standing(100, lying=True), 1.2, HEIGHT)
    features.reset()
    np.testing.assert_array_equal(features.step(standing(100), 9.0, HEIGHT), first)


numbers = st.floats(width=32, allow_nan=True, allow_infinity=True)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.none(), st.lists(numbers, min_size=56, max_size=56)), min_size=1, max_size=8), st.floats(0.001, 3), st.integers(1, 5000))
def test_all_numbers_are_finite_whatever_is_seen(rows: list[list[float] | None], step_s: float, height_px: int) -> None:
    features = FallFeatures()
    for tick, row in enumerate(rows):
        values = np.array(row, np.float32) if row else None
        skeleton = None if values is None else Skeleton(values[:51].reshape(17, 3), values[51:55], float(values[55]))
        found = features.step(skeleton, tick * step_s, height_px)
        assert np.isfinite(found).all()
        assert np.abs(found).max() <= MOST
