from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the train extra")

from streamvc.errors import InferenceError
from streamvc.inference.backbone import Backbone
from streamvc.inference.bundle import Bundle, write_bundle
from streamvc.inference.manifest import BackboneReference, BundleSettings, LabelThresholds
from streamvc.inference.recognizer import Recognizer
from streamvc.metrics import softmax
from streamvc.training.export import check_export
from streamvc.training.features import Extraction
from streamvc.training.fit import SplitData, Trainer
from streamvc.training.inputs import Inputs, fit_inputs
from streamvc.training.networks.network import HeadSpec
from streamvc.training.plan import HeadSettings
from streamvc.training.prediction_trace import predict
from streamvc.training.recipes import RECIPES
from streamvc.training.windows import all_windows, build_table
from tests.training.clips import ACTIONS
from tests.training.conftest import BACKBONE

pytestmark = pytest.mark.train

Mode = Literal["window", "stateful"]
SETTINGS = HeadSettings(window=6, warm_up=3, units=(8, 6), dense=(5,), num_static=10, num_delta=7)
TEMPERATURE = 1.7


class Untrained:
    """The network of a recipe with random weights, biases and all."""

    def __init__(self, recipe: str, extraction: Extraction, settings: HeadSettings = SETTINGS) -> None:
        self.recipe, self.settings = recipe, settings
        self.inputs: Inputs = fit_inputs(build_table([sequence.stretches() for sequence in extraction.sequences]), settings)
        self.trainer = Trainer(RECIPES[recipe].build(HeadSpec(self.inputs.size, self.inputs.num_static, None, 2, settings)), settings, 2)
        rng = np.random.default_rng(1)
        for variable in self.trainer.network.model.trainable_variables:
            variable.assign(variable.numpy() + rng.normal(scale=0.1, size=variable.shape))

    def bundle(self, folder: Path, mode: Mode = "window") -> Bundle:
        head, manifest = self.trainer.network.export(self.inputs), Backbone.load(BACKBONE).manifest
        settings = BundleSettings(
            name="small",
            version="1",
            recipe=self.recipe,
            labels=ACTIONS,
            background=None,
            form=self.trainer.network.form,
            backbone=BackboneReference(name=manifest.name, sha256=manifest.sha256),
            input=manifest.input,
            feature_size=manifest.feature_size,
            rate_hz=5.0,
            window=self.settings.window,
            stride=1,
            warm_up=self.settings.warm_up,
            mode=mode,
            projection_size=head.projection_size,
            state_size=head.state_size,
            temperature=TEMPERATURE,
            smoothing_s=0.6,
            thresholds=LabelThresholds(),
        )
        return write_bundle(folder / "small", settings, {**head.files, "CARD.md": b""})

    def scores(self, table: np.ndarray, window: int) -> np.ndarray:
        """Of each prediction along a clip, by Keras."""
        side = SplitData(build_table([[table]]), np.zeros(1, np.int64), self.inputs, self.trainer.shape)
        return softmax(self.trainer.logits(side, all_windows(side.table, window, self.settings.warm_up)) / TEMPERATURE)


@pytest.mark.parametrize(
    ("recipe", "changes"),
    [
        ("gru", {}),
        ("gru", {"inputs": "standard"}),
        ("gru", {"inputs": "standard", "embedding": 5, "noise": 0.1}),
        ("stacked-lstm", {}),
        ("bilstm", {}),
        ("cnn-lstm", {"part": 4}),
        ("conv1d", {}),
        ("conv1d", {"causal": False}),
        ("maxmin", {"inputs": "standard"}),
        ("frame-vote", {"inputs": "unit"}),
    ],
)
def test_a_recogniser_gives_the_scores_of_keras_all_along_a_clip(
    recipe: str, changes: dict[str, Any], extraction: Extraction, tmp_path: Path
) -> None:
    head = Untrained(recipe, extraction, replace(SETTINGS, **changes))
    sequence = extraction.sequences[0]
    (table,) = sequence.stretches()
    predictions = list(predict(Recognizer.load(head.bundle(tmp_path).path), sequence))
    assert len(predictions) == len(table) - SETTINGS.warm_up + 1
    np.testing.assert_allclose([each.scores for each in predictions], head.scores(table, SETTINGS.window), atol=1e-5)
    assert any(not np.array_equal(one.scores, other.scores) for one, other in pairwise(predictions))


def test_a_carried_state_is_that_of_the_whole_clip(extraction: Extraction, tmp_path: Path) -> None:
    (table,) = extraction.sequences[0].stretches()
    head = Untrained("gru", extraction, replace(SETTINGS, window=len(table)))
    predictions = list(predict(Recognizer.load(head.bundle(tmp_path, "stateful").path), extraction.sequences[0]))
    np.testing.assert_allclose([each.scores for each in predictions], head.scores(table, len(table)), atol=1e-5)


def test_an_export_that_does_not_agree_with_keras_is_refused(extraction: Extraction, tmp_path: Path) -> None:
    head = Untrained("gru", extraction)
    stretches = [sequence.stretches()[0][:length] for sequence, length in zip(extraction.sequences, (6, 3) * 4, strict=True)]
    bundle = head.bundle(tmp_path)
    assert check_export(head.trainer, head.inputs, bundle, stretches) < 1e-5
    kernel = head.trainer.network.model.trainable_variables[-2]
    kernel.assign(-kernel.numpy())
    with pytest.raises(InferenceError, match="differ from Keras'"):
        check_export(head.trainer, head.inputs, bundle, stretches)
