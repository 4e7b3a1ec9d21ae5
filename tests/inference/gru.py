"""A GRU head in plain numpy: the models that tests run, and what they must compute."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamvc.inference.runtime import TensorSpec
from streamvc.types import Array

Floats = NDArray[np.float32]
FLOAT = np.dtype(np.float32)


class FunctionModel:
    """A model that is a function of one row."""

    def __init__(self, function: Callable[[Floats], Floats], num_inputs: int, num_outputs: int) -> None:
        self.input = TensorSpec((1, num_inputs), FLOAT)
        self.output = TensorSpec((1, num_outputs), FLOAT)
        self.num_runs = 0
        self._function = function
        self._buffer = np.zeros(self.input.shape, FLOAT)

    def run(self, fill: Callable[[Array], None]) -> Floats:
        self.num_runs += 1
        fill(self._buffer)
        return self._function(self._buffer[0])[None].astype(FLOAT)


@dataclass(frozen=True, eq=False)
class Gru:
    """Keras' GRU (reset_after) and a dense layer behind it. Weights as `GRU.get_weights()` and `Dense.get_weights()` have them."""

    kernel: Floats
    recurrent: Floats
    bias: Floats
    dense: Floats
    dense_bias: Floats

    @property
    def num_units(self) -> int:
        return len(self.recurrent)

    @property
    def num_labels(self) -> int:
        return len(self.dense_bias)

    def project(self, feature: Floats) -> Floats:
        projection: Floats = feature @ self.kernel + self.bias[0]
        return projection

    def step(self, row: Floats) -> Floats:
        """Projection and state -> new state and logits."""
        projection, state = np.split(row, [3 * self.num_units])
        update_x, reset_x, candidate_x = np.split(projection, 3)
        update_h, reset_h, candidate_h = np.split(state @ self.recurrent + self.bias[1], 3)
        update, reset = _sigmoid(update_x + update_h), _sigmoid(reset_x + reset_h)
        new = update * state + (1 - update) * np.tanh(candidate_x + reset * candidate_h)
        return np.concatenate([new, new @ self.dense + self.dense_bias])

    def logits(self, features: Floats) -> Floats:
        """A whole clip, (T, D) -> (L,), from a zero state."""
        state = np.zeros(self.num_units, FLOAT)
        for feature in features:
            state, logits = np.split(self.step(np.concatenate([self.project(feature), state])), [self.num_units])
        return logits

    def models(self) -> tuple[FunctionModel, FunctionModel]:
        """What stands in project.tflite and step.tflite."""
        gates, units = 3 * self.num_units, self.num_units
        return FunctionModel(self.project, len(self.kernel), gates), FunctionModel(self.step, gates + units, units + self.num_labels)


def random_gru(num_features: int, num_units: int, num_labels: int) -> Gru:
    rng = np.random.default_rng(7)

    def weights(*shape: int) -> Floats:
        return rng.normal(scale=shape[0] ** -0.5, size=shape).astype(FLOAT)

    gates = 3 * num_units
    return Gru(weights(num_features, gates), weights(num_units, gates), weights(2, gates), weights(num_units, num_labels), weights(num_labels))


def _sigmoid(x: Floats) -> Floats:
    y: Floats = (1 / (1 + np.exp(-x))).astype(FLOAT)
    return y
