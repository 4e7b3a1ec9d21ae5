"""Writes a trained head as the two `.tflite` files of a bundle, and holds them against Keras."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamvc.errors import InferenceError
from streamvc.inference.bundle import Bundle
from streamvc.inference.chatter import without_chatter
from streamvc.inference.head import Head
from streamvc.metrics import softmax
from streamvc.training.gru import TrainedGru
from streamvc.training.tensorflow import tf

Floats = NDArray[np.float32]

TOLERANCE = 1e-4  # largest difference of a score


@dataclass(frozen=True, slots=True)
class HeadFiles:
    """An exported head: `project`, (1, D) to (1, P), and `step`, (1, P + S) to (1, S + L), as `streamvc.inference.head.Head` runs them."""

    project: bytes
    step: bytes
    projection_size: int
    state_size: int


def export_gru(trained: TrainedGru) -> HeadFiles:
    """Cut a head in two.

    The features' coordinates are all that can be had of a feature alone, and are the projection. The state holds the GRU's (H), the coordinates
    whose change counts as they were at the tick before, and a 1 once there was one.
    """
    basis, (kernel, recurrent, (bias, recurrent_bias)), (readout, readout_bias) = trained.basis, trained.gru, trained.dense
    num_features, num_coordinates = basis.matrix.shape
    num_units, num_moving = len(recurrent), num_coordinates - basis.num_seen

    def project(feature: Any) -> Any:
        return tf.matmul(feature, basis.matrix) + basis.offset

    def step(row: Any) -> Any:
        seen, moving, state, before, begun = tf.split(row, [basis.num_seen, num_moving, num_units, num_moving, 1], axis=1)
        inputs = tf.concat([seen, begun * tf.abs(moving - before)], axis=1)
        update_x, reset_x, new_x = tf.split(tf.matmul(inputs, kernel) + bias, 3, axis=1)
        update_h, reset_h, new_h = tf.split(tf.matmul(state, recurrent) + recurrent_bias, 3, axis=1)
        update = tf.sigmoid(update_x + update_h)
        new = tf.tanh(new_x + tf.sigmoid(reset_x + reset_h) * new_h)
        state = update * state + (1 - update) * new
        return tf.concat([state, moving, tf.ones((1, 1)), tf.matmul(state, readout) + readout_bias], axis=1)

    state_size = num_units + num_moving + 1
    return HeadFiles(_convert(project, num_features), _convert(step, num_coordinates + state_size), num_coordinates, state_size)


def check_export(trained: TrainedGru, bundle: Bundle, batches: Sequence[Floats]) -> float:
    """The largest difference between the scores of an exported head, run as it runs live, and those of Keras.

    Args:
        trained: The head in Keras.
        bundle: What was made of it.
        batches: Real features, each (B, T, D), T at most the bundle's window.

    Raises:
        InferenceError: It is above `TOLERANCE`.
    """
    head, model = bundle.open_head(), trained.keras_model()
    largest = 0.0
    for batch in batches:
        expected = softmax(np.asarray(model(batch))[:, -1] / bundle.manifest.temperature)
        scores = np.stack([_scores(head, window) for window in batch])
        largest = max(largest, float(np.abs(scores - expected).max()))
    if largest > TOLERANCE:
        raise InferenceError(f"the exported head's scores differ from Keras' by {largest:.2g}, more than {TOLERANCE:g}; the bundle was not written")
    return largest


def _scores(head: Head, window: Floats) -> Floats:
    head.reset()
    for feature in window:
        head.push(feature)
    return head.scores()


def _convert(function: Callable[[Any], Any], num_inputs: int) -> bytes:
    module = tf.Module()
    module.call = tf.function(function, input_signature=[tf.TensorSpec((1, num_inputs), tf.float32)])
    with without_chatter():
        return bytes(tf.lite.TFLiteConverter.from_concrete_functions([module.call.get_concrete_function()], module).convert())
