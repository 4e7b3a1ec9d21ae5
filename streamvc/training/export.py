"""Writes a trained head as the two `.tflite` files of a bundle, and holds them against Keras."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamvc.errors import InferenceError
from streamvc.inference.chatter import without_chatter
from streamvc.inference.head import Head
from streamvc.inference.manifest import BundleSettings
from streamvc.inference.runtime import open_model
from streamvc.metrics import softmax
from streamvc.training.tensorflow import tf

Floats = NDArray[np.float32]

TOLERANCE = 1e-4  # largest difference of a score


def export_gru(model: Any) -> dict[str, bytes]:
    """Cut a head, as `train_gru` makes it, in two.

    The change of coordinates and the GRU's input projection are linear and become one, in `project.tflite`. The rest of the GRU (Keras' own form,
    `reset_after`) and the dense layer are in `step.tflite`.

    Returns:
        The contents of `project.tflite`, (1, D) to (1, P), and `step.tflite`, (1, P + S) to (1, S + L), where P = 3 S.
    """
    basis, gru, dense = (layer.get_weights() for layer in model.layers)
    (matrix, offset), (kernel, recurrent, (bias, recurrent_bias)), (readout, readout_bias) = basis, gru, dense
    num_units = len(recurrent)
    whole_kernel, whole_bias = matrix @ kernel, offset @ kernel + bias

    def project(feature: Any) -> Any:
        return tf.matmul(feature, whole_kernel) + whole_bias

    def step(row: Any) -> Any:
        projection, state = tf.split(row, [3 * num_units, num_units], axis=1)
        update_x, reset_x, new_x = tf.split(projection, 3, axis=1)
        update_h, reset_h, new_h = tf.split(tf.matmul(state, recurrent) + recurrent_bias, 3, axis=1)
        update = tf.sigmoid(update_x + update_h)
        new = tf.tanh(new_x + tf.sigmoid(reset_x + reset_h) * new_h)
        state = update * state + (1 - update) * new
        return tf.concat([state, tf.matmul(state, readout) + readout_bias], axis=1)

    return {"project.tflite": _convert(project, len(matrix)), "step.tflite": _convert(step, 4 * num_units)}


def check_export(model: Any, files: dict[str, bytes], settings: BundleSettings, windows: Sequence[Floats]) -> float:
    """The largest difference between the scores of the exported head, run as it runs live, and those of Keras.

    Args:
        model: The Keras model: features (B, T, D) to logits at each tick (B, T, L).
        files: What was made of it.
        settings: The bundle's.
        windows: Real windows, each (T, D).

    Raises:
        InferenceError: It is above `TOLERANCE`.
    """
    head = open_head(files, settings)
    largest = max(float(np.abs(_scores(head, window) - _keras_scores(model, settings, window)).max()) for window in windows)
    if largest > TOLERANCE:
        raise InferenceError(f"the exported head's scores differ from Keras' by {largest:.2g}, more than {TOLERANCE:g}: it was not written")
    return largest


def open_head(files: dict[str, bytes], settings: BundleSettings) -> Head:
    """A head from the contents of its files."""
    with tempfile.TemporaryDirectory(prefix="streamvc-") as folder:
        models = []
        for name in ("project.tflite", "step.tflite"):
            path = Path(folder, name)
            path.write_bytes(files[name])
            models.append(open_model(path))
        return Head(settings, *models)


def _scores(head: Head, window: Floats) -> Floats:
    head.reset()
    for feature in window:
        head.push(feature)
    return head.scores()


def _keras_scores(model: Any, settings: BundleSettings, window: Floats) -> NDArray[np.float64]:
    seen = window if settings.mode == "stateful" else window[-settings.window :]
    return softmax(np.asarray(model(seen[None]))[0, -1] / settings.temperature)


def _convert(function: Callable[[Any], Any], num_inputs: int) -> bytes:
    module = tf.Module()
    module.call = tf.function(function, input_signature=[tf.TensorSpec((1, num_inputs), tf.float32)])
    with without_chatter():
        return bytes(tf.lite.TFLiteConverter.from_concrete_functions([module.call.get_concrete_function()], module).convert())
