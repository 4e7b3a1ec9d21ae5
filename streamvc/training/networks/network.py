"""What a recipe builds: a Keras model to train, and the way to write it as the files of a bundle's head."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streamvc.errors import DataError
from streamvc.inference.manifest import Form
from streamvc.inference.native_logs import hide_native_logs
from streamvc.training.inputs import Inputs
from streamvc.training.plan import HeadSettings
from streamvc.training.tensorflow import keras, tf


@dataclass(frozen=True, slots=True)
class HeadSpec:
    """What a head is built for.

    Attributes:
        num_inputs: K, numbers per feature after `Inputs`.
        num_static: How many of them are no deltas; see `Inputs`.
        feature_map: Their shape (H, W, C), where they are a picture or a map.
        num_labels: L.
        settings: How.
        background: Index of the label that stands for no activity; None where there is none.
    """

    num_inputs: int
    num_static: int
    feature_map: tuple[int, int, int] | None
    num_labels: int
    settings: HeadSettings
    background: int | None = None

    def picture_shape(self) -> tuple[int, int, int]:
        """(H, W, C).

        Raises:
            DataError: The features are neither pictures nor maps.
        """
        if self.feature_map is None:
            raise DataError("this recipe learns from pictures or maps; choose a --backbone such as colour:64 or efficientnet-lite0-map")
        return self.feature_map


@dataclass(frozen=True, slots=True)
class HeadFiles:
    """An exported head, as `streamvc.inference.head` runs it: its `.tflite` files by name, and the sizes P and S for the manifest."""

    files: dict[str, bytes]
    projection_size: int
    state_size: int


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """A head that learns.

    Attributes:
        form: How it runs live.
        model: A Keras model: windows (B, W, K), or (B, W, H, W', C) of pictures and maps, and their lengths (B,) to logits (B, L).
        export: Writes it as it is now, given what brings features to its inputs.
    """

    form: Form
    model: Any
    export: Callable[[Inputs], HeadFiles]


class LastRow(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """(B, W, H) and lengths (B,) to (B, H): the row of the last feature. The padding behind it in a short window has no influence."""

    def call(self, rows: Any, lengths: Any) -> Any:
        """The rows numbered `lengths` - 1."""
        return tf.gather(rows, lengths - 1, batch_dims=1)


class SequenceMask(keras.layers.Layer):  # type: ignore[misc]
    """Lengths (B,) to a mask (B, W) of which features are there."""

    def __init__(self, window: int) -> None:
        super().__init__()
        self._window = window

    def call(self, lengths: Any) -> Any:
        """True for the first `lengths` of each window."""
        return tf.sequence_mask(lengths, self._window)


def keras_inputs(spec: HeadSpec) -> tuple[Any, Any]:
    """Keras' inputs: windows (B, W, K) of features, and their lengths (B,)."""
    return keras.Input((spec.settings.window, spec.num_inputs)), keras.Input((), dtype="int64")


def readout(state: Any, spec: HeadSpec) -> Any:
    """Dense layers with ReLU and a dropout before each, then the logits; without other layers, these have a dropout before them."""
    for units in spec.settings.dense:
        state = keras.layers.Dense(units, activation="relu")(keras.layers.Dropout(spec.settings.dropout)(state))
    return keras.layers.Dense(spec.num_labels)(state if spec.settings.dense else keras.layers.Dropout(spec.settings.dropout)(state))


def hide_inputs(windows: Any, spec: HeadSpec) -> Any:
    """A dropout that hides the same inputs at all times of a window."""
    return keras.layers.Dropout(spec.settings.feature_dropout, noise_shape=(None, 1, None))(windows)


def dense_weights(model: Any) -> list[Any]:
    """Kernels and biases of the dense layers of a model, in order."""
    return [layer.get_weights() for layer in model.layers if isinstance(layer, keras.layers.Dense)]


def apply_dense(row: Any, layers: list[Any]) -> Any:
    """What `readout` does at inference, given the weights of its layers."""
    for kernel, bias in layers[:-1]:
        row = tf.nn.relu(row @ kernel + bias)
    kernel, bias = layers[-1]
    return row @ kernel + bias


class DeltaState:
    """The part of a step-by-step head's state that deltas need: the coordinates of the feature before, and a 1 once there was one."""

    def __init__(self, num_inputs: int, num_static: int) -> None:
        self._sizes = [num_static, num_inputs - num_static]
        self.state_size = self._sizes[1] + 1 if self._sizes[1] else 0

    def step(self, projection: Any, state: Any) -> tuple[Any, Any]:
        """(1, K) coordinates and the state to (1, K) inputs and the new state; there is no state without deltas."""
        if not self.state_size:
            return projection, state
        seen, moving = tf.split(projection, self._sizes, axis=1)
        before, begun = tf.split(state, [self._sizes[1], 1], axis=1)
        return tf.concat([seen, begun * tf.abs(moving - before)], axis=1), tf.concat([moving, tf.ones((1, 1))], axis=1)


def split_row(row: Any, sizes: list[int]) -> list[Any]:
    """Parts of a row (1, ...). Edge runtimes know no tensor of size 0, so None stands for such a part."""
    parts = iter(tf.split(row, [size for size in sizes if size], axis=1))
    return [next(parts) if size else None for size in sizes]


def join_row(parts: list[Any]) -> Any:
    """One row of the parts that are there."""
    return tf.concat([part for part in parts if part is not None], axis=1)


def convert(function: Callable[[Any], Any], *shape: int) -> bytes:
    """A function of a (1, ...) tensor as a `.tflite` file."""
    module = tf.Module()
    module.call = tf.function(function, input_signature=[tf.TensorSpec((1, *shape), tf.float32)], autograph=False)
    with hide_native_logs():
        return bytes(tf.lite.TFLiteConverter.from_concrete_functions([module.call.get_concrete_function()], module).convert())
