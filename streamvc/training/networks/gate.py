"""What stands before and behind the one layer of a linear head: numbers brought to one size, and a gate: whether there is an activity at all."""

from typing import Any

import numpy as np

from streamvc.training.tensorflow import keras, tf

MOST = 4.0  # deviations from the mean: what is farther off, as in scenes unlike those of the training, counts as no more
FAR = 1e9  # stands for infinity: what is not there is never the largest


class Standard(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """Brings each number, (B, D), to mean 0 and one size, by what `fit` was given, and no farther than `MOST` deviations."""

    def build(self, shape: tuple[int | None, int]) -> None:
        """Make room for (D,) means and deviations, and for the size."""
        self._mean, self._deviation = (self.add_weight(shape=shape[-1:], initializer=kind, trainable=False) for kind in ("zeros", "ones"))
        self._size = self.add_weight(shape=(), initializer="ones", trainable=False)

    def fit(self, mean: Any, deviation: Any, size: float) -> None:
        """Take the (D,) means and deviations, and the deviation that all numbers are to have."""
        self.set_weights([mean, deviation, np.float32(size)])

    def call(self, numbers: Any) -> Any:
        """(B, D) to (B, D)."""
        return tf.clip_by_value((numbers - self._mean) / self._deviation, -MOST, MOST) * self._size


class Gate(keras.layers.Layer):  # type: ignore[misc]
    """Numbers of all labels, (B, L), to logits, (B, L), whose softmax is exactly this.

    The background label has the probability sigmoid(g), where g is its number. Each other label has the rest, 1 - sigmoid(g), times the softmax of
    its number among those of the activities. So what could be either of two activities is no less of an activity.
    """

    def __init__(self, background: int) -> None:
        super().__init__()
        self._background = background

    def call(self, numbers: Any) -> Any:
        """(B, L) to (B, L)."""
        is_background = np.eye(numbers.shape[-1], dtype=np.float32)[self._background]
        gate = numbers[:, self._background : self._background + 1]
        active = numbers - FAR * is_background
        largest = tf.reduce_max(active, axis=1, keepdims=True)
        sizes = largest + tf.math.log(tf.reduce_sum(tf.exp(active - largest), axis=1, keepdims=True))
        return is_background * log_sigmoid(gate) + (1 - is_background) * (numbers - sizes + log_sigmoid(-gate))


def log_sigmoid(numbers: Any) -> Any:
    """log(sigmoid), of operations that all edge runtimes have."""
    return tf.minimum(numbers, 0) - tf.math.log(1 + tf.exp(-tf.abs(numbers)))
