import numpy as np
import pytest

from streamvc.smoothing import Smoother
from streamvc.types import Prediction


def prediction(timestamp: float, *scores: float) -> Prediction:
    return Prediction(0, timestamp, np.array(scores, np.float32))


def test_the_first_prediction_passes_unchanged() -> None:
    assert Smoother(0.6).step(prediction(3.0, 0.2, 0.8)).scores.tolist() == pytest.approx([0.2, 0.8])


def test_after_one_time_constant_63_percent_of_a_step_is_there() -> None:
    smoother = Smoother(0.6)
    smoother.step(prediction(0.0, 0.0, 1.0))
    assert smoother.step(prediction(0.6, 1.0, 0.0)).scores.tolist() == pytest.approx([1 - np.exp(-1), np.exp(-1)])


@pytest.mark.parametrize("rate_hz", [2, 5, 50])
def test_the_rate_of_predictions_does_not_matter(rate_hz: int) -> None:
    smoother = Smoother(0.6)
    smoother.step(prediction(0.0, 0.0))
    for tick in range(1, 3 * rate_hz + 1):
        smoothed = smoother.step(prediction(tick / rate_hz, 1.0))
    assert smoothed.scores[0] == pytest.approx(1 - np.exp(-3 / 0.6), abs=1e-6)


def test_scores_still_sum_to_one() -> None:
    smoother = Smoother(0.6)
    smoother.step(prediction(0.0, 0.9, 0.1))
    assert smoother.step(prediction(0.2, 0.3, 0.7)).scores.sum() == pytest.approx(1.0)


def test_reset_forgets_and_zero_does_not_smooth() -> None:
    smoother = Smoother(0.6)
    smoother.step(prediction(0.0, 1.0))
    smoother.reset()
    assert smoother.step(prediction(0.2, 0.0)).scores[0] == 0.0
    sharp = Smoother(0.0)
    sharp.step(prediction(0.0, 1.0))
    assert sharp.step(prediction(0.2, 0.25)).scores[0] == 0.25


def test_a_negative_time_constant_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        Smoother(-0.1)
