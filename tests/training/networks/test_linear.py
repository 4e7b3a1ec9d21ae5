"""The linear head: its gate, and the weights that are found exactly."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the train extra")

from streamvc.errors import DataError
from streamvc.metrics import softmax
from streamvc.training.fit import SplitData, Trainer
from streamvc.training.inputs import fit_inputs
from streamvc.training.networks.gate import Gate
from streamvc.training.networks.network import HeadSpec
from streamvc.training.plan import HeadSettings
from streamvc.training.recipes import RECIPES, plan_for
from streamvc.training.tensorflow import make_repeatable
from streamvc.training.windows import all_windows, build_table

pytestmark = pytest.mark.train

NUM_LABELS, NOTHING = 4, 1
SETTINGS = replace(plan_for("linear").head, window=6, warm_up=3, l2=1e-2)


def test_the_softmax_is_the_gate_times_the_softmax_of_activities() -> None:
    numbers = np.random.default_rng(0).normal(0, 4, (50, NUM_LABELS)).astype(np.float32)
    scores = softmax(Gate(NOTHING)(numbers).numpy())
    active = np.delete(numbers, NOTHING, axis=1)
    nothing = 1 / (1 + np.exp(-numbers[:, NOTHING]))
    assert np.allclose(scores[:, NOTHING], nothing, atol=1e-6)
    assert np.allclose(np.delete(scores, NOTHING, axis=1), softmax(active) * (1 - nothing)[:, None], atol=1e-6)


def test_a_gate_that_is_sure_leaves_finite_logits() -> None:
    numbers = np.array([[0, 500, 0, 0], [0, -500, 300, 0]], np.float32)
    logits = Gate(NOTHING)(numbers).numpy()
    assert np.isfinite(logits).all()
    assert softmax(logits).argmax(axis=1).tolist() == [NOTHING, 2]


def lesson(settings: HeadSettings = SETTINGS, recipe: str = "linear", background: int | None = NOTHING) -> tuple[Trainer, SplitData]:
    """Clips of four labels: each has a feature that is higher, and one that moves more."""
    rng = np.random.default_rng(0)
    truth = np.repeat(np.arange(NUM_LABELS), 8)
    clips = [[_clip(rng, label)] for label in truth.tolist()]
    inputs = fit_inputs(build_table(clips), settings, (12,))
    make_repeatable(0, threads=1)
    trainer = Trainer(RECIPES[recipe].build(HeadSpec(inputs.size, inputs.num_static, None, NUM_LABELS, settings, background)), settings, NUM_LABELS)
    return trainer, SplitData(build_table(clips), truth, inputs, trainer.shape)


def _clip(rng: np.random.Generator, label: int) -> np.ndarray:
    features = rng.normal(size=(12, 12))
    features[:, label] += 1.5
    features[:, 4 + label] *= 3
    return features.astype(np.float32)


def test_it_finds_the_minimum_whatever_it_began_with() -> None:
    trainer, training = lesson()
    first = trainer.solve(training, NOTHING)
    kernel, bias = trainer.network.model.layers[-2].get_weights()
    trainer.network.model.layers[-2].set_weights([kernel + 1, bias - 1])
    assert trainer.solve(training, NOTHING) == first
    assert 0 < first.num_steps <= 100
    windows = all_windows(training.table, 6, 3)
    right = trainer.logits(training, windows).argmax(axis=1) == training.truth[windows.clips]
    assert right.mean() > 0.9


def test_a_higher_penalty_makes_it_less_sure() -> None:
    def confidence(l2: float) -> float:
        trainer, training = lesson(replace(SETTINGS, l2=l2))
        trainer.solve(training, NOTHING)
        return float(softmax(trainer.logits(training, all_windows(training.table, 6, 3))).max(axis=1).mean())

    assert confidence(1e-3) > confidence(1e-1) > confidence(10)


def test_the_weight_of_the_background_moves_the_gate() -> None:
    def nothing(weight: float) -> float:
        trainer, training = lesson(replace(SETTINGS, l2=0.1, background_weight=weight))
        trainer.solve(training, NOTHING)
        return float(softmax(trainer.logits(training, all_windows(training.table, 6, 3)))[:, NOTHING].mean())

    assert nothing(9.0) > nothing(3.0) > nothing(1.0)


def test_without_a_background_label_there_is_no_gate() -> None:
    trainer, training = lesson(background=None)
    assert not any(isinstance(layer, Gate) for layer in trainer.network.model.layers)
    assert trainer.solve(training).num_steps > 0


def test_a_network_of_several_layers_has_no_exact_minimum() -> None:
    settings = replace(plan_for("mlp").head, l2=0.1, window=6, warm_up=3, inputs="standard")
    trainer, training = lesson(settings, "mlp")
    with pytest.raises(DataError, match="one linear layer"):
        trainer.solve(training, NOTHING)
