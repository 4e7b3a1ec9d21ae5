"""Heads over the whole window of features: two directions, sub-sequences, all features at once, extremes, scales of time, temporal convolutions."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamvc.training.inputs import Inputs
from streamvc.training.networks.gate import FAR, Gate, Standard
from streamvc.training.networks.network import (
    DeltaState,
    HeadFiles,
    HeadSpec,
    Network,
    SequenceMask,
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

TINY = 1e-6  # a root is steep at 0


def bilstm(spec: HeadSpec) -> Network:
    """LSTM layers that read the window forwards and backwards (Schuster and Paliwal, 1997)."""

    def body(windows: Any, present: Any) -> Any:
        *inner, last = spec.settings.units
        for units in inner:
            windows = keras.layers.Bidirectional(keras.layers.LSTM(units, return_sequences=True, unroll=True))(windows, mask=present)
        return keras.layers.Bidirectional(keras.layers.LSTM(last, unroll=True))(windows, mask=present)

    return _over_windows(spec, body)


def cnn_lstm(spec: HeadSpec) -> Network:
    """A temporal convolution and a maximum over each sub-sequence of the window, and an LSTM over these."""
    settings = spec.settings
    part, num_parts = settings.part, -(-settings.window // settings.part)

    def body(windows: Any, present: Any) -> Any:
        padded = keras.layers.ZeroPadding1D((0, num_parts * part - settings.window))(_Shown()(windows, present))
        parts = keras.layers.Reshape((num_parts * part, spec.num_inputs))(padded)
        seen = _PerPart(part, settings.units[0], settings.kernel)(parts)
        begun = _Begun(part)(present)
        return keras.layers.LSTM(settings.units[-1], unroll=True)(seen, mask=begun)

    return _over_windows(spec, body)


def mlp(spec: HeadSpec) -> Network:
    """Dense layers on all features of the window in a row, zeros standing for those that are not there."""

    def body(windows: Any, present: Any) -> Any:
        state = keras.layers.Flatten()(_Shown()(windows, present))
        for units in spec.settings.units:
            state = keras.layers.Dense(units, activation="relu")(state)
        return state

    return _over_windows(spec, body)


def maxmin(spec: HeadSpec) -> Network:
    """The largest and the smallest value of each feature over the window, and a classifier on both."""
    return _over_windows(spec, lambda windows, present: keras.layers.Concatenate()([_Largest(1)(windows, present), _Largest(-1)(windows, present)]))


def pooled(spec: HeadSpec) -> Network:
    """What each input is on average over the window, how much it varies, its extremes and how much it changes; and beside it a GRU that reads them.

    The two look at the same inputs and add their logits: the one learns from few clips, the other sees the order of things.
    """

    def body(windows: Any, present: Any) -> Any:
        pooled = keras.layers.BatchNormalization()(_Pooled()(windows, present))
        states = keras.layers.GRU(spec.settings.units[-1], unroll=True)(windows, mask=present)
        return keras.layers.Concatenate()([pooled, states])

    return _over_windows(spec, body)


def statistics(spec: HeadSpec) -> Network:
    """The same statistics without the GRU, and one linear layer on them: for few clips.

    They are not brought to one size each: that would lift the weak components of what is seen, which are noise, to the height of the strong ones.
    """
    return _over_windows(spec, lambda windows, present: _Pooled()(windows, present))


def linear(spec: HeadSpec) -> Network:
    """The same statistics and one linear layer: which activity it would be, and apart from that whether there is one at all; see `Gate`.

    It has one minimum, which is found exactly; see `streamvc.training.fit.Trainer.solve`.
    """
    return _over_windows(spec, lambda windows, present: Standard()(_Pooled()(windows, present)), gated=True)


def scales(spec: HeadSpec) -> Network:
    """Dense layers on what each input was on average over spans of the past that double in length, and how much it varied: see `_Scales`.

    What happens in untrimmed video is told by what came before it, and the longer ago that is, the less it matters when exactly.
    """

    def body(windows: Any, present: Any) -> Any:
        state = _Scales(spec.settings.window)(windows, present)
        for units in spec.settings.units:
            state = keras.layers.Dense(units, activation="relu")(state)
        return state

    return _over_windows(spec, body)


def conv1d(spec: HeadSpec) -> Network:
    """Temporal convolutions, and the largest value of each channel over the window. Where they see the past alone they run step by step."""
    settings = spec.settings

    def body(windows: Any, present: Any) -> Any:
        rows = _Shown()(windows, present)
        for filters in settings.units:
            padding = "causal" if settings.causal else "same"
            rows = keras.layers.Conv1D(filters, settings.kernel, padding=padding, activation="relu")(rows)
            rows = _Shown()(rows, present)
        return _Largest(1)(rows, present)

    network = _over_windows(spec, body)
    if not settings.causal:
        return network

    def export(inputs: Inputs) -> HeadFiles:
        step = _ConvStepper(network.model, spec)
        files = {"project.tflite": convert(inputs.apply, inputs.feature_size), "step.tflite": convert(step, spec.num_inputs + step.state_size)}
        return HeadFiles(files, spec.num_inputs, step.state_size)

    return Network("step", network.model, export)


def _over_windows(spec: HeadSpec, body: Callable[[Any, Any], Any], *, gated: bool = False) -> Network:
    """A network over (B, W, K) windows and a mask (B, W) of the features that are there; with a `Gate` where there is a background label."""
    window = spec.settings.window
    windows, lengths = keras_inputs(spec)
    logits = readout(body(hide_inputs(windows, spec), SequenceMask(window)(lengths)), spec)
    model = keras.Model([windows, lengths], logits if spec.background is None or not gated else Gate(spec.background)(logits))

    def export(inputs: Inputs) -> HeadFiles:
        def network(rows: Any) -> Any:
            coordinates, present = rows[..., :-1], rows[..., -1:]
            seen, moving = coordinates[..., : spec.num_static], coordinates[..., spec.num_static :]
            if moving.shape[-1]:
                change = tf.concat([tf.zeros_like(moving[:, :1]), tf.abs(moving[:, 1:] - moving[:, :-1])], axis=1)
                coordinates = tf.concat([seen, change], axis=2)
            lengths = tf.cast(tf.reduce_sum(present, axis=(1, 2)), tf.int64)
            return model([coordinates, lengths], training=False)

        files = {"project.tflite": convert(inputs.apply, inputs.feature_size), "network.tflite": convert(network, window, spec.num_inputs + 1)}
        return HeadFiles(files, spec.num_inputs, 0)

    return Network("window", model, export)


class _Shown(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """Zeros in place of features that are not there."""

    def call(self, rows: Any, present: Any) -> Any:
        """(B, W, K) and (B, W) to (B, W, K)."""
        return rows * tf.cast(present, tf.float32)[..., None]


class _Largest(keras.layers.Layer):  # type: ignore[misc]
    """The largest value over what is there, of each channel; with `sign` -1 the smallest."""

    def __init__(self, sign: int) -> None:
        super().__init__()
        self._sign = sign

    def call(self, rows: Any, present: Any) -> Any:
        """(B, W, K) and (B, W) to (B, K)."""
        absent = (1 - tf.cast(present, tf.float32)[..., None]) * FAR
        return self._sign * tf.reduce_max(self._sign * rows - absent, axis=1)


class _Pooled(keras.layers.Layer):  # type: ignore[misc]
    """Mean, standard deviation, largest, smallest value and mean absolute change of each input over what is there: (B, W, K) to (B, 5 K)."""

    def call(self, rows: Any, present: Any) -> Any:
        """(B, W, K) and (B, W)."""
        there = tf.cast(present, tf.float32)[..., None]
        num = tf.maximum(tf.reduce_sum(there, axis=1), 1)
        mean = tf.reduce_sum(rows * there, axis=1) / num
        variance = tf.reduce_sum(tf.square(rows - mean[:, None]) * there, axis=1) / num
        changes = tf.abs(rows[:, 1:] - rows[:, :-1]) * there[:, 1:]
        change = tf.reduce_sum(changes, axis=1) / tf.maximum(num - 1, 1)
        far = (1 - there) * FAR
        extremes = [tf.reduce_max(rows - far, axis=1), tf.reduce_min(rows + far, axis=1)]
        return tf.concat([mean, tf.sqrt(variance + TINY), *extremes, change], axis=1)


class _Scales(keras.layers.Layer):  # type: ignore[misc]
    """Means over the newest feature, the one before it, the 2 before, the 4, ... and deviations over the last 4, 16, 64, ...: (B, W, K) to (B, N K).

    Where the past does not reach so far, the oldest feature stands for what came before.
    """

    def __init__(self, window: int) -> None:
        super().__init__()
        self._window = window
        ends = [0, *(2**power for power in range(window.bit_length()) if 2**power < window), window]
        self._means = _averages(window, list(pairwise(ends)))
        self._deviations = _averages(window, [(0, end) for end in ends[3::2] or ends[-1:]])

    def call(self, rows: Any, present: Any) -> Any:
        """(B, W, K) and (B, W)."""
        lengths = tf.reduce_sum(tf.cast(present, tf.int32), axis=1)
        index = tf.maximum(lengths[:, None] - self._window + tf.range(self._window), 0)
        rows = tf.gather(rows, index, batch_dims=1)  # the newest is the last now
        mean = self._deviations @ rows
        variance = tf.maximum(self._deviations @ tf.square(rows) - tf.square(mean), 0)
        spans = tf.concat([self._means @ rows, tf.sqrt(variance + TINY)], axis=1)
        return tf.reshape(spans, (-1, spans.shape[1] * rows.shape[2]))


def _averages(window: int, spans: Sequence[tuple[int, int]]) -> NDArray[np.float32]:
    """(N, W): each row takes the mean from so many features ago to so many features ago, the newest being the last."""
    ago = window - 1 - np.arange(window)
    inside = np.stack([(begin <= ago) & (ago < end) for begin, end in spans]).astype(np.float32)
    averages: NDArray[np.float32] = inside / inside.sum(axis=1, keepdims=True)
    return averages


class _PerPart(keras.layers.Layer):  # type: ignore[misc]
    """A convolution within each sub-sequence, and the maximum over it: (B, N * part, K) to (B, N, F)."""

    def __init__(self, part: int, filters: int, kernel: int) -> None:
        super().__init__()
        self._part = part
        self._conv = keras.layers.Conv1D(filters, kernel, padding="same", activation="relu")

    def call(self, rows: Any) -> Any:
        """The sub-sequences are the batch of the convolution."""
        num_parts, num_inputs = rows.shape[1] // self._part, rows.shape[2]
        parts = self._conv(tf.reshape(rows, (-1, self._part, num_inputs)))
        return tf.reshape(tf.reduce_max(parts, axis=1), (-1, num_parts, parts.shape[2]))


class _Begun(keras.layers.Layer):  # type: ignore[misc]
    """Which sub-sequences have a feature: (B, W) to (B, N)."""

    def __init__(self, part: int) -> None:
        super().__init__()
        self._part = part

    def call(self, present: Any) -> Any:
        """Those whose first is there."""
        return present[:, :: self._part]


class _ConvStepper:
    """Causal convolutions step by step. The state holds the last inputs of each convolution, and the largest value of each channel so far."""

    def __init__(self, model: Any, spec: HeadSpec) -> None:
        self._layers = [layer.get_weights() for layer in model.layers if isinstance(layer, keras.layers.Conv1D)]
        self._changes = DeltaState(spec.num_inputs, spec.num_static)
        self._dense = dense_weights(model)
        before = [(len(kernel) - 1) * kernel.shape[1] for kernel, _ in self._layers]
        self._sizes = [spec.num_inputs, *before, len(self._layers[-1][1]), self._changes.state_size]
        self.state_size = sum(self._sizes[1:])

    def __call__(self, row: Any) -> Any:
        projection, *states, largest, before = split_row(row, self._sizes)
        x, now = self._changes.step(projection, before)
        remembered = []
        for (kernel, bias), state in zip(self._layers, states, strict=True):
            inputs = join_row([state, x])  # the oldest first, as in the rows of the kernel
            remembered.append(inputs[:, kernel.shape[1] :])
            x = tf.nn.relu(inputs @ kernel.reshape(-1, kernel.shape[2]) + bias)
        largest = tf.maximum(largest, x)  # after a ReLU nothing is below the 0 that it begins with
        return join_row([*remembered, largest, now, apply_dense(largest, self._dense)])
