"""Heads that look at each frame by itself, and vote over the window."""

from typing import Any

from streamvc.training.inputs import Inputs
from streamvc.training.networks.network import HeadFiles, HeadSpec, Network, apply_dense, convert, dense_weights, readout
from streamvc.training.tensorflow import keras, tf

FLOOR = 1e-4  # of a share: a label that no frame voted for is unlikely, not impossible


def vote(spec: HeadSpec) -> Network:
    """Dense layers on each frame. The window's scores are the mean of its frames', or the shares of frames that each label is the best of."""
    settings = spec.settings
    by_mode = settings.vote == "mode"
    windows, lengths = keras.Input((None, spec.num_inputs)), keras.Input((), dtype="int64")
    scores = keras.layers.Softmax()(readout(windows, spec))
    model = keras.Model([windows, lengths], _Vote(by_mode)(scores, lengths))

    def export(inputs: Inputs) -> HeadFiles:
        """Each frame's vote is its projection; the state holds the sum of the votes and their number."""
        dense, num_labels = dense_weights(model), spec.num_labels

        def project(feature: Any) -> Any:
            scores = tf.nn.softmax(apply_dense(inputs.apply(feature), dense))
            return tf.one_hot(tf.argmax(scores, axis=1), num_labels) if by_mode else scores

        def step(row: Any) -> Any:
            scores, total, number = tf.split(row, [num_labels, num_labels, 1], axis=1)
            total, number = total + scores, number + 1
            return tf.concat([total, number, tf.math.log(total / number * (1 - num_labels * FLOOR) + FLOOR)], axis=1)

        files = {"project.tflite": convert(project, inputs.feature_size), "step.tflite": convert(step, 2 * num_labels + 1)}
        return HeadFiles(files, num_labels, num_labels + 1)

    return Network("step", model, export)


class _Vote(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """Scores of frames (B, W, L) to the logarithm of their mean over those that are there; they learn by their scores, whatever they vote with."""

    def __init__(self, by_mode: bool) -> None:
        super().__init__()
        self._by_mode = by_mode

    def call(self, scores: Any, lengths: Any, training: bool = False) -> Any:
        """(B, L) logits."""
        if self._by_mode and not training:
            scores = tf.one_hot(tf.argmax(scores, axis=2), scores.shape[-1])
        weights = tf.sequence_mask(lengths, tf.shape(scores)[1], tf.float32)[..., None]
        mean = tf.reduce_sum(scores * weights, axis=1) / tf.reduce_sum(weights, axis=1)
        return tf.math.log(mean * (1 - scores.shape[-1] * FLOOR) + FLOOR)
