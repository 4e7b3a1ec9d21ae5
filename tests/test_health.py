import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamvc.events import Health
from streamvc.health import RATE_SPAN_S, REPEAT_S, HealthReporter, Rate


def film(checkup: HealthReporter, begin_s: float, end_s: float, fps: float, rate_hz: float = 5.0) -> list[Health]:
    """What is reported of a camera that sends so many frames a second."""
    moments = [begin_s + index / fps for index in range(round((end_s - begin_s) * fps))]
    return [health for moment in moments if (health := checkup.up(moment, fps, rate_hz, 0))]


def test_a_camera_that_comes_up_says_so_and_then_its_rate_and_then_nothing() -> None:
    first, second = film(HealthReporter("cam"), 0.0, 10 * REPEAT_S, fps=25.0)
    assert (first.camera, first.status, first.fps_in, first.rate_hz) == ("cam", "up", None, None)
    assert (second.status, second.fps_in, second.rate_hz) == ("up", 25.0, 5.0)


def test_a_rate_that_has_changed_is_said_but_not_more_than_once_a_minute() -> None:
    checkup = HealthReporter("cam")
    told = film(checkup, 0.0, 10.0, fps=25.0)
    for begin_s in range(10, 200, 2):
        told += film(checkup, begin_s, begin_s + 2, fps=10.0 if begin_s % 4 else 20.0)
    assert [health.fps_in for health in told[:2]] == [None, 25.0]
    assert len(told) == 2 + 3


def test_a_small_change_is_not_worth_a_word() -> None:
    checkup = HealthReporter("cam")
    film(checkup, 0.0, 10.0, fps=25.0)
    assert film(checkup, 100.0, 110.0, fps=22.0) == []
    assert [health.rate_hz for health in film(checkup, 110.0, 120.0, fps=22.0, rate_hz=3.0)] == [3.0]


def test_silence_is_said_once_and_its_end_too() -> None:
    checkup = HealthReporter("cam")
    film(checkup, 0.0, 10.0, fps=25.0)
    told = [checkup.not_up("stalled", 7), checkup.not_up("stalled", 7), checkup.up(20.0, 25.0, 5.0, 7), checkup.not_up("down", 8, "lost", "cable")]
    assert [health and (health.status, health.dropped, health.reason, health.detail) for health in told] == [
        ("stalled", 7, None, None),
        None,
        ("up", 7, None, None),
        ("down", 8, "lost", "cable"),
    ]


@given(st.floats(1.0, 120.0), st.integers(0, 1000))
def test_a_rate_is_measured_over_the_last_seconds(fps: float, begin: int) -> None:
    rate = Rate()
    for count, moment in enumerate((1.0, 5.0, 5.1)):
        rate.step(moment, count)
    for index in range(round(3 * RATE_SPAN_S * fps)):
        rate.step(begin + index / fps, index)
    assert rate.value == pytest.approx(fps, rel=1e-6)


def test_one_frame_has_no_rate() -> None:
    rate = Rate()
    assert rate.value == 0.0
    rate.step(3.0, 7)
    assert rate.value == 0.0
