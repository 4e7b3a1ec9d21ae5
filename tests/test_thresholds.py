"""What a user puts in place of a model's thresholds."""

import pytest

from streamvc.events import Decision
from streamvc.thresholds import Thresholds, with_odds

OWN = Decision(0.8, 0.4, 0.5, 2.0, 0.6)


@pytest.mark.parametrize(
    ("sensitivity", "enter", "leave"), [("low", 12 / 13, 2 / 3), ("normal", 0.8, 0.4), (None, 0.8, 0.4), ("high", 4 / 7, 2 / 11)]
)
def test_sensitivity_moves_both_thresholds_by_their_odds(sensitivity: str | None, enter: float, leave: float) -> None:
    moved = Thresholds(sensitivity=sensitivity).apply(OWN)  # type: ignore[arg-type]

    assert (moved.enter, moved.leave) == pytest.approx((enter, leave))
    assert (moved.min_s, moved.cooldown_s, moved.smoothing_s) == (0.5, 2.0, 0.6)


@pytest.mark.parametrize("share", [0.0, 1e-6, 0.5, 0.99, 1.0])
@pytest.mark.parametrize("odds", [1e-3, 1 / 3, 1.0, 3.0, 1e3])
def test_thresholds_stay_shares_in_their_order(share: float, odds: float) -> None:
    moved = with_odds(Decision(1.0, share, 0, 0, 0), odds)

    assert 0 <= moved.leave <= moved.enter <= 1
    assert (moved.leave == share) == (odds == 1 or share in (0, 1))


def test_what_is_said_of_a_threshold_itself_stands_over_the_sensitivity() -> None:
    moved = Thresholds(enter=0.9, sensitivity="high").apply(OWN)

    assert (moved.enter, moved.leave) == (0.9, pytest.approx(2 / 11))


def test_a_sensitivity_stands_over_another_one() -> None:
    assert Thresholds(sensitivity="low").over(Thresholds(enter=0.7, sensitivity="high")) == Thresholds(enter=0.7, sensitivity="low")
    assert Thresholds(leave=0.1).over(Thresholds(sensitivity="high")) == Thresholds(leave=0.1, sensitivity="high")


def test_a_word_that_is_no_sensitivity_is_told() -> None:
    with pytest.raises(ValueError, match="sensitivity is loud; it must be low, normal, high"):
        Thresholds(sensitivity="loud")  # type: ignore[arg-type]
