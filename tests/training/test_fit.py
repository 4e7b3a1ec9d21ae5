"""Features that are made up: the label is which of two features rises. A GRU must learn it; for all else an MLP will do, which is built quicker."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the train extra")

from streamvc.errors import DataError
from streamvc.training.checkpoint import Checkpoint
from streamvc.training.fit import SplitData, Trainer, class_weights
from streamvc.training.history import TrainingHistory
from streamvc.training.inputs import fit_inputs
from streamvc.training.networks.network import HeadSpec
from streamvc.training.plan import HeadSettings
from streamvc.training.recipes import RECIPES
from streamvc.training.tensorflow import make_repeatable
from streamvc.training.windows import Windows, build_table

pytestmark = pytest.mark.train

SETTINGS = HeadSettings(window=8, warm_up=2, units=(12,), num_static=6, num_delta=4, windows_per_clip=6, max_epochs=25, feature_dropout=0.1)
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


class Lesson:
    """A trainer, what it learns from, and what it is asked behind that."""

    def __init__(self, settings: HeadSettings = SETTINGS, seed: int = 0, shares: tuple[float, float] = (0.5, 0.5), recipe: str = "mlp") -> None:
        segments, truth = made_up(60, seed=1, shares=shares)
        unseen, self.answers = made_up(100, seed=2)
        inputs = fit_inputs(build_table(segments[12:]), settings)
        make_repeatable(seed, threads=1)
        self.seed = seed
        self.trainer = Trainer(RECIPES[recipe].build(HeadSpec(inputs.size, inputs.num_static, None, 2, settings)), settings, 2)
        self.training, self.validation, self.asked = (
            SplitData(build_table(clips), labels, inputs, self.trainer.shape)
            for clips, labels in ((segments[12:], truth[12:]), (segments[:12], truth[:12]), (unseen, self.answers))
        )

    def train(self, checkpoint: Checkpoint | None = None) -> TrainingHistory:
        return self.trainer.fit(self.training, self.validation, seed=self.seed, checkpoint=checkpoint)

    def labels(self) -> np.ndarray:
        """The label given to each of a hundred clips at its end."""
        ends = np.arange(4, 12) + 12 * np.arange(100)[:, None]
        return np.asarray(self.trainer.logits(self.asked, Windows(ends, np.full(100, 8), np.arange(100))).argmax(axis=1))

    def weights(self) -> list[np.ndarray]:
        return [np.array(weights) for weights in self.trainer.network.model.get_weights()]


def same(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_it_learns_what_happens_in_time() -> None:
    lesson = Lesson(recipe="gru")
    fit = lesson.train()
    assert (lesson.labels() == lesson.answers).mean() > 0.85
    assert fit.history[fit.best_epoch].validation_loss == min(epoch.validation_loss for epoch in fit.history)
    assert fit.history[-1].loss < fit.history[0].loss
    assert fit.history[fit.best_epoch].validation_top1 > 0.8


def test_the_seed_decides_and_each_training_begins_anew() -> None:
    short = replace(SETTINGS, max_epochs=2)
    lesson, other = Lesson(short, seed=3), Lesson(short, seed=4)
    first, begun = lesson.train(), lesson.weights()
    assert lesson.train() == first
    assert same(lesson.weights(), begun)
    other.train()
    assert not same(other.weights(), begun)


def test_it_stops_when_it_gets_no_better() -> None:
    fit = Lesson(replace(SETTINGS, max_epochs=200, patience=3)).train()
    assert len(fit.history) == fit.best_epoch + 1 + 3


class KilledError(Exception):
    """Stands for a signal that cannot be caught: nothing runs behind it."""


class Mortal(Checkpoint):
    """Keeps what it is given, and kills who gave it the third time."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.num_saved = 0

    def save(self, arrays: dict[str, np.ndarray]) -> None:  # type: ignore[override]
        super().save(arrays)
        self.num_saved += 1
        if self.num_saved == 3:
            raise KilledError


def test_one_that_was_killed_ends_as_it_would_have_ended(tmp_path: Path) -> None:
    settings = replace(SETTINGS, max_epochs=8)
    whole = Lesson(settings)
    expected = whole.train()
    with pytest.raises(KilledError):
        Lesson(settings).train(Mortal(tmp_path / "kept.npz"))
    again = Lesson(settings)
    assert again.train(Checkpoint(tmp_path / "kept.npz")) == expected
    assert same(again.weights(), whole.weights())
    finished = Lesson(settings)  # there is nothing left to do for this one
    assert finished.train(Checkpoint(tmp_path / "kept.npz")) == expected
    assert same(finished.weights(), whole.weights())


def test_a_damaged_checkpoint_is_a_new_beginning(tmp_path: Path) -> None:
    settings = replace(SETTINGS, max_epochs=2)
    whole = Lesson(settings)
    expected = whole.train(Checkpoint(tmp_path / "kept.npz"))
    (tmp_path / "kept.npz").write_bytes((tmp_path / "kept.npz").read_bytes()[:1000])
    assert Lesson(settings).train(Checkpoint(tmp_path / "kept.npz")) == expected


def test_a_loss_that_is_no_number_is_an_error() -> None:
    lesson = Lesson(replace(SETTINGS, learning_rate=1e30, max_epochs=3))
    with pytest.raises(DataError, match="smaller learning_rate"):
        lesson.train()


def test_a_recipe_with_windows_of_one_length_learns_from_no_others() -> None:
    with pytest.raises(DataError, match="training_window"):
        Lesson(replace(SETTINGS, training_window=3))


def test_class_weights_make_labels_count_alike() -> None:
    truth = np.array([0] * 30 + [1] * 10)
    weights = class_weights(truth, 3)
    assert weights[0] * 30 == pytest.approx(weights[1] * 10)
    assert weights[truth].mean() == pytest.approx(1)
    assert weights[2] == 0


def test_a_rare_label_is_learned_too() -> None:
    lesson = Lesson(shares=(0.88, 0.12), recipe="gru")
    lesson.train()
    assert (lesson.labels()[lesson.answers == 1] == 1).mean() > 0.6
