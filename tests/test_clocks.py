import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamvc.clocks import SLACK_S, SteadyClock

DAY_S = 86400.0
HOLD_S = 3600.0


def test_a_clock_that_is_weeks_ahead_for_a_minute_is_not_believed() -> None:
    clock = SteadyClock(HOLD_S)
    assert clock.step(1e9, 0.0) == 1e9
    for second in range(60):
        assert clock.step(1e9 + second + 45 * DAY_S, float(second)) == 1e9 + second
    assert clock.step(1e9 + 61, 61.0) == 1e9 + 61


def test_one_that_stays_ahead_is_believed_after_a_while() -> None:
    clock = SteadyClock(HOLD_S)
    clock.step(0.0, 0.0)  # a machine without a battery
    assert clock.step(1e9, 10.0) == 10.0
    assert clock.step(1e9 + HOLD_S, 10.0 + HOLD_S) == 1e9 + HOLD_S


def test_one_that_is_set_back_or_a_little_ahead_is_followed_at_once() -> None:
    clock = SteadyClock(HOLD_S)
    clock.step(1e9, 0.0)
    assert clock.step(1e9 - 5000, 1.0) == 1e9 - 5000
    assert clock.step(1e9 - 5000 + SLACK_S, 2.0) == pytest.approx(1e9 - 5000 + SLACK_S)


def test_one_that_starts_far_ahead_of_what_is_known_is_not_believed_at_first() -> None:
    clock = SteadyClock(HOLD_S, last_known=1e9)
    assert clock.step(1e9 + 45 * DAY_S, 7.0) == pytest.approx(1e9)
    assert clock.step(1e9 + 120, 8.0) == pytest.approx(1e9 + 1)
    assert clock.step(1e9 + 120 + HOLD_S, 8.0 + HOLD_S) == pytest.approx(1e9 + 120 + HOLD_S)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
def test_it_is_never_far_ahead_of_the_machines_clock(jumps: list[float]) -> None:
    clock = SteadyClock(HOLD_S)
    wall = 1e9
    for number, jump in enumerate(jumps):
        wall += jump + 1.0
        assert clock.step(wall, float(number)) <= wall + 1e-3
