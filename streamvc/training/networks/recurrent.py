"""Recurrent heads that run step by step: GRU and LSTM layers in a row, over features or over what a small CNN makes of each picture."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from streamvc.errors import DataError
from streamvc.training.inputs import Inputs
from streamvc.training.networks.frame_cnn import frame_cnn
from streamvc.training.networks.layers import PerFrame
from streamvc.training.networks.network import (
    DeltaState,
    HeadFiles,
    HeadSpec,
    LastRow,
    Network,
    apply_dense,
    convert,
    dense_weights,
    hide_inputs,
    join_row,
    keras_inputs,
    readout,
    split_row,
)
from streamvc.training.tensorflow import keras, tf

CELLS = {"gru": keras.layers.GRU, "lstm": keras.layers.LSTM}


def gru(spec: HeadSpec) -> Network:
    """GRU layers, as many as `units` has sizes (Cho et al., 2014; the loss on the last step: An et al., 2023, MiniROAD)."""
    return _recurrent(spec, "gru")


def lstm(spec: HeadSpec) -> Network:
    """LSTM layers, as many as `units` has sizes (Hochreiter and Schmidhuber, 1997; Donahue et al., 2015)."""
    return _recurrent(spec, "lstm")


def lrcn(spec: HeadSpec) -> Network:
    """A small CNN on each picture and an LSTM behind it, trained as one (Donahue et al., 2015). Live, the CNN sees each picture once."""
    shape, settings = spec.picture_shape(), spec.settings
    pictures, lengths = keras.Input((settings.window, *shape)), keras.Input((), dtype="int64")
    cnn = frame_cnn(shape[0], shape[2], settings.width)
    features = PerFrame(cnn)(pictures)
    states = _states(features, "lstm", settings.units)
    model = keras.Model([pictures, lengths], readout(LastRow()(states, lengths), spec))
    num_features = features.shape[-1]

    def export(_: Inputs) -> HeadFiles:
        def project(picture: Any) -> Any:
            return cnn(tf.reshape(picture, (1, *shape)), training=False)

        step = _Stepper(model, num_features, num_features)
        files = {"project.tflite": convert(project, spec.num_inputs), "step.tflite": convert(step, num_features + step.state_size)}
        return HeadFiles(files, num_features, step.state_size)

    return Network("step", model, export)


def _recurrent(spec: HeadSpec, cell: Literal["gru", "lstm"]) -> Network:
    settings = spec.settings
    windows, lengths = keras_inputs(spec)
    rows = hide_inputs(windows, spec)
    if settings.noise:
        rows = keras.layers.GaussianNoise(settings.noise)(rows)
    embedding = _embedding(spec)
    if embedding:
        rows = keras.layers.Dropout(settings.dropout)(embedding(rows))
    states = _states(rows, cell, settings.units)
    model = keras.Model([windows, lengths], readout(LastRow()(states, lengths), spec))

    def export(inputs: Inputs) -> HeadFiles:
        """What can be had of a feature alone is the projection: the coordinates, or what the embedding makes of them."""
        size, num_static = (embedding.units, embedding.units) if embedding else (spec.num_inputs, spec.num_static)
        step = _Stepper(model, size, num_static, num_before=1 if embedding else 0)
        project = convert(lambda features: embedding(inputs.apply(features)) if embedding else inputs.apply(features), inputs.feature_size)
        return HeadFiles({"project.tflite": project, "step.tflite": convert(step, size + step.state_size)}, size, step.state_size)

    return Network("step", model, export)


def _embedding(spec: HeadSpec) -> Any:
    """The dense layer before the recurrence; None where none is asked for.

    Raises:
        DataError: The inputs have deltas, which need the feature before.
    """
    if spec.settings.embedding is None:
        return None
    if spec.num_static < spec.num_inputs:
        raise DataError("embedding is for inputs without deltas: add --set inputs=standard, or parts")
    return keras.layers.Dense(spec.settings.embedding, activation="relu")


def _states(rows: Any, cell: Literal["gru", "lstm"], units: Sequence[int]) -> Any:
    for num in units:
        rows = CELLS[cell](num, return_sequences=True, unroll=True)(rows)
    return rows


@dataclass(frozen=True, slots=True, eq=False)
class _Cell:
    """One step of a recurrent layer: (input (1, K), state (1, S)) to (output (1, H), new state (1, S))."""

    advance: Callable[[Any, Any], tuple[Any, Any]]
    state_size: int


class _Stepper:
    """The recurrence of a model: a projection and the state in, the new state and the logits out."""

    def __init__(self, model: Any, num_inputs: int, num_static: int, num_before: int = 0) -> None:
        """Take the weights of a model, `num_before` of whose dense layers are before the recurrence."""
        self._cells = [_cell(layer) for layer in model.layers if isinstance(layer, tuple(CELLS.values()))]
        self._changes = DeltaState(num_inputs, num_static)
        self._dense = dense_weights(model)[num_before:]
        self._sizes = [num_inputs, *(cell.state_size for cell in self._cells), self._changes.state_size]
        self.state_size = sum(self._sizes[1:])

    def __call__(self, row: Any) -> Any:
        projection, *states, before = split_row(row, self._sizes)
        x, now = self._changes.step(projection, before)
        advanced = []
        for cell, state in zip(self._cells, states, strict=True):
            x, new = cell.advance(x, state)
            advanced.append(new)
        return join_row([*advanced, now, apply_dense(x, self._dense)])


def _cell(layer: Any) -> _Cell:
    return _gru_cell(*layer.get_weights()) if isinstance(layer, keras.layers.GRU) else _lstm_cell(*layer.get_weights())


def _gru_cell(kernel: Any, recurrent: Any, biases: Any) -> _Cell:
    def advance(x: Any, state: Any) -> tuple[Any, Any]:
        update_x, reset_x, new_x = tf.split(x @ kernel + biases[0], 3, axis=1)
        update_h, reset_h, new_h = tf.split(state @ recurrent + biases[1], 3, axis=1)
        update = tf.sigmoid(update_x + update_h)
        state = update * state + (1 - update) * tf.tanh(new_x + tf.sigmoid(reset_x + reset_h) * new_h)
        return state, state

    return _Cell(advance, len(recurrent))


def _lstm_cell(kernel: Any, recurrent: Any, bias: Any) -> _Cell:
    num_units = len(recurrent)

    def advance(x: Any, state: Any) -> tuple[Any, Any]:
        output, carry = tf.split(state, 2, axis=1)
        let_in, forget, new, let_out = tf.split(x @ kernel + output @ recurrent + bias, 4, axis=1)
        carry = tf.sigmoid(forget) * carry + tf.sigmoid(let_in) * tf.tanh(new)
        output = tf.sigmoid(let_out) * tf.tanh(carry)
        return output, tf.concat([output, carry], axis=1)

    return _Cell(advance, 2 * num_units)
