"""Exported = trained, and LiteRT = TensorFlow: on the shipped backbone and on a head converted by TensorFlow."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from streamvc.errors import InferenceError
from streamvc.inference.backbone import Backbone
from streamvc.inference.bundle import Bundle
from streamvc.inference.recognizer import Recognizer
from streamvc.inference.runtime import open_model
from streamvc.types import Frame
from tests.inference.gru import Floats, Gru
from tests.inference.settings import BACKBONE, picture

pytestmark = [pytest.mark.train, pytest.mark.skipif(find_spec("tensorflow") is None, reason="needs the train extra")]


def clip(length: int) -> Floats:
    return np.random.default_rng(1).uniform(0, 2, (length, 1280)).astype(np.float32)


def test_features_agree() -> None:
    exact, other = (Backbone.load(BACKBONE, runtime=runtime).features(picture()) for runtime in ("litert", "tensorflow"))
    assert np.abs(exact - other).max() < 1e-4


@pytest.mark.parametrize("file", ["project.tflite", "step.tflite"])
def test_head_models_agree(small_bundle: Bundle, file: str) -> None:
    exact, other = (open_model(small_bundle.path / file, runtime) for runtime in ("litert", "tensorflow"))
    values = np.random.default_rng(2).normal(size=exact.input.shape).astype(np.float32)
    results = [model.run(lambda tensor: np.copyto(tensor, values)) for model in (exact, other)]
    assert results[0] == pytest.approx(results[1], abs=1e-5)


def test_a_quantised_file_is_refused_by_tensorflow() -> None:
    with pytest.raises(InferenceError, match="runs float models alone, and this one is quantised; use litert"):
        Backbone.load("efficientnet-lite0-int8", runtime="tensorflow")


def test_an_operator_that_is_not_known_is_refused_by_tensorflow(tmp_path: Path) -> None:
    import tensorflow as tf

    from tests.inference.exporting import convert

    path = tmp_path / "cosine.tflite"
    path.write_bytes(convert(tf.cos, 4))
    with pytest.raises(InferenceError, match=r"cosine\.tflite: the TensorFlow runtime does not know its operator \d+; use litert"):
        open_model(path, "tensorflow")


@pytest.mark.parametrize("runtime", ["litert", "tensorflow"])
def test_the_exported_head_step_by_step_is_the_keras_model_on_the_window(small_bundle: Bundle, small_gru: Gru, runtime: str) -> None:
    from tests.inference.exporting import keras_model

    model, head = keras_model(small_gru), small_bundle.open_head(runtime)
    features = clip(12)
    for end, feature in enumerate(features, start=1):
        head.push(feature)
        expected = np.asarray(model(features[None, max(0, end - 6) : end]))[0]
        assert head.logits() == pytest.approx(expected, abs=1e-4)


def test_a_recognizer_gives_the_same_scores_on_both(small_bundle: Bundle) -> None:
    frames = [Frame(index, index / 5, np.roll(picture(), 9 * index, axis=1)) for index in range(8)]
    recognizers = [Recognizer.load(small_bundle.path, runtime=runtime) for runtime in ("litert", "tensorflow")]
    for frame in frames:
        exact, other = (recognizer.step(frame) for recognizer in recognizers)
        assert (exact is None) == (other is None) == (frame.index < 2)
        if exact and other:
            assert exact.scores == pytest.approx(other.scores, abs=1e-3)
