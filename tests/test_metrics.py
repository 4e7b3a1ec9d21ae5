import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix as sklearn_confusion_matrix
from sklearn.metrics import log_loss as sklearn_log_loss
from sklearn.metrics import precision_recall_fscore_support, top_k_accuracy_score

from streamvc.metrics import calibration_error, confusion_matrix, fit_temperature, label_figures, log_loss, softmax, top_k

NUM_LABELS = 5


def predictions(seed: int, num: int = 200, sharpness: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=sharpness, size=(num, NUM_LABELS))
    return logits, rng.integers(0, NUM_LABELS, num)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_top_k_agrees_with_scikit_learn(k: int) -> None:
    logits, truth = predictions(seed=k)
    assert top_k(softmax(logits), truth, k) == pytest.approx(top_k_accuracy_score(truth, logits, k=k))


def test_top_k_with_all_labels_is_always_right() -> None:
    logits, truth = predictions(seed=4)
    assert top_k(logits, truth, NUM_LABELS) == 1.0


def test_confusion_and_label_figures_agree_with_scikit_learn() -> None:
    logits, truth = predictions(seed=5)
    truth[truth == 3] = 2  # label 3 is given but never right
    logits[:, 4] = -99  # label 4 is right but never given
    predicted = logits.argmax(axis=1)
    counts = confusion_matrix(truth, predicted, NUM_LABELS)
    np.testing.assert_array_equal(counts, sklearn_confusion_matrix(truth, predicted, labels=range(NUM_LABELS)))
    precision, recall, f1, num = precision_recall_fscore_support(truth, predicted, zero_division=0.0)
    figures = label_figures(counts)
    np.testing.assert_allclose([(one.precision, one.recall, one.f1, one.num) for one in figures], np.transpose([precision, recall, f1, num]))


def test_a_label_that_is_not_there_has_figures_of_zero() -> None:
    figures = label_figures(confusion_matrix(np.array([0, 0]), np.array([0, 0]), 2))
    assert (figures[0].f1, figures[1].f1, figures[1].num) == (1.0, 0.0, 0)


def test_log_loss_agrees_with_scikit_learn() -> None:
    logits, truth = predictions(seed=6)
    scores = softmax(logits)
    assert log_loss(scores, truth) == pytest.approx(sklearn_log_loss(truth, scores, labels=range(NUM_LABELS)))


def test_log_loss_of_a_score_of_zero_is_large_but_finite() -> None:
    assert 100 < log_loss(np.array([[1.0, 0.0]]), np.array([1])) < 1000


def test_calibration_error_is_the_gap_between_score_and_success() -> None:
    scores = np.tile([0.8, 0.2], (100, 1))
    truth = np.array([0] * 80 + [1] * 20)
    assert calibration_error(scores, truth) == pytest.approx(0.0)
    assert calibration_error(scores, np.ones(100, np.int64)) == pytest.approx(0.8)


@given(st.floats(0.2, 5.0), st.integers(0, 1000))
def test_the_temperature_that_logits_were_made_with_is_found_again(temperature: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=2.0, size=(4000, NUM_LABELS))
    truth = np.array([rng.choice(NUM_LABELS, p=scores) for scores in softmax(logits)])
    assert fit_temperature(logits * temperature, truth) == pytest.approx(temperature, rel=0.15)


def test_softmax_survives_large_logits() -> None:
    np.testing.assert_allclose(softmax(np.array([1000.0, 1000.0, -1000.0])), [0.5, 0.5, 0.0])
