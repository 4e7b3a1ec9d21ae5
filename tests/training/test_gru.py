"""A GRU on features that are made up: the label is which of two features rises."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the train extra")

from streamvc.training.gru import TrainedGru, class_weights, train_gru
from streamvc.training.plan import GruSettings

pytestmark = pytest.mark.train

SETTINGS = GruSettings(window=8, warm_up=2, num_units=12, num_seen=6, num_moving=4, windows_per_clip=6, max_epochs=25, feature_dropout=0.1)
NUM_FEATURES = 6


def made_up(num_clips: int, seed: int, shares: tuple[float, float] = (0.5, 0.5)) -> tuple[list[list[np.ndarray]], np.ndarray]:
    """Clips of 12 ticks, and their labels; what tells them apart is only how they go on, not where they start."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(2, num_clips, p=shares)
    segments = []
    for label in truth:
        features = rng.normal(scale=0.3, size=(12, NUM_FEATURES)) + rng.normal(size=NUM_FEATURES)
        features[:, label] += np.linspace(0, 4, 12)
        segments.append([features.astype(np.float32)])
    return segments, truth


def trained(settings: GruSettings = SETTINGS, seed: int = 0, shares: tuple[float, float] = (0.5, 0.5)) -> TrainedGru:
    segments, truth = made_up(60, seed=1, shares=shares)
    return train_gru(segments, truth, 2, np.arange(60) % 5 == 0, settings, seed=seed)


def predicted(head: TrainedGru) -> tuple[np.ndarray, np.ndarray]:
    """The label given to each of a hundred clips, and the right one."""
    segments, truth = made_up(100, seed=2)
    logits = head.keras_model()(np.stack([stretch[-SETTINGS.window :] for (stretch,) in segments]))
    return np.asarray(logits)[:, -1].argmax(axis=1), truth


def test_it_learns_what_happens_in_time() -> None:
    head = trained()
    labels, truth = predicted(head)
    assert (labels == truth).mean() > 0.85
    assert head.history[head.best_epoch].watched_loss == min(epoch.watched_loss for epoch in head.history)
    assert head.history[-1].loss < head.history[0].loss


def test_the_seed_decides() -> None:
    short = replace(SETTINGS, max_epochs=2)
    first, again, other = trained(short, seed=3), trained(short, seed=3), trained(short, seed=4)
    np.testing.assert_array_equal(first.gru[0], again.gru[0])
    assert first.history == again.history
    assert not np.array_equal(first.gru[0], other.gru[0])


def test_it_stops_when_it_gets_no_better() -> None:
    head = trained(replace(SETTINGS, max_epochs=200, patience=3))
    assert len(head.history) == head.best_epoch + 1 + 3


def test_class_weights_make_labels_count_alike() -> None:
    truth = np.array([0] * 30 + [1] * 10)
    weights = class_weights(truth, 3)
    assert weights[0] * 30 == pytest.approx(weights[1] * 10)
    assert weights[truth].mean() == pytest.approx(1)
    assert weights[2] == 0


def test_a_rare_label_is_learned_too() -> None:
    labels, truth = predicted(trained(shares=(0.88, 0.12)))
    assert (labels[truth == 1] == 1).mean() > 0.6
