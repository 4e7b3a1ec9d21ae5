"""The networks in the operations that edge runtimes have and run fast: converted models stand on these graphs.

TFLite has no pooling over three dimensions, and its CONV_3D is not among the operations that XNNPACK speeds up. But frames are pictures: with the
frames as the batch, a convolution over space and time is a sum of convolutions over space on shifted frames, and a pooling over both is one over
space and then one over time, exactly. The weights are the very same; the results agree to rounding. Measured on one core: I3D of 16 frames of 112 px
225 ms in place of 300, C3D of half the width 249 ms in place of 397.
"""

import logging
from collections.abc import Callable
from functools import reduce
from typing import Any

from streamvc.inference.native_logs import hide_native_logs
from streamvc.training.tensorflow import keras, tf

# Up to this many channels (colours, flow) shifted frames are stacked along the channels, for one convolution: sums would cost more than the products.
FEW_CHANNELS = 8


def edge_graph(model: Any) -> Any:
    """A Keras model of batch 1 that computes what `model` does at inference, with its weights as they are now.

    Args:
        model: A functional Keras model with one input, of a known shape.
    """
    pictures = keras.Input(model.input_shape[1:], batch_size=1)
    return keras.models.clone_model(model, input_tensors=pictures, clone_function=_edge_layer)


def tflite(model: Any, *, float16: bool = False) -> bytes:
    """Convert a functional Keras model to a `.tflite` file of batch 1 with builtin operations only.

    Args:
        model: With one input, of a known shape, and one output.
        float16: Keep the weights as float16, at half the size; it computes in float32 all the same.
    """
    return _converted(edge_converter(model), float16)


def tflite_of(call: Callable[[Any], Any], shape: tuple[int, ...], *, float16: bool = False) -> bytes:
    """As `tflite`, of a function of one tensor of a shape."""
    return _converted(function_converter(call, shape), float16)


def edge_converter(model: Any) -> Any:
    """TensorFlow's converter of the edge graph of a model, for who wants to set more of it than `tflite` does."""
    graph = edge_graph(model)
    return function_converter(lambda x: graph(x, training=False), graph.input_shape)


def _converted(converter: Any, float16: bool) -> bytes:
    if float16:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    with hide_native_logs():
        return bytes(converter.convert())


def function_converter(call: Callable[[Any], Any], shape: tuple[int, ...]) -> Any:
    """TensorFlow's converter of a function of one tensor of a shape."""
    function = tf.function(call, input_signature=[tf.TensorSpec(shape, tf.float32)], autograph=False)
    advice = logging.getLogger("absl")
    advice.disabled, before = True, advice.disabled
    try:
        # Against its advice the converter is not told what the weights belong to: by way of a saved model it takes four times as long.
        return tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()])
    finally:
        advice.disabled = before


def _edge_layer(layer: Any) -> Any:
    match layer:
        case keras.layers.Conv3D():
            return _ConvolveFrames(layer)
        case keras.layers.MaxPooling3D():
            return _PoolFrames(layer, "MAX")
        case keras.layers.AveragePooling3D():
            return _PoolFrames(layer, "AVG")
        case keras.layers.ConvLSTM2D():
            return _UnrolledConvLstm(layer)
    return layer


class _ConvolveFrames(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """A Conv3D, computed by convolutions over space. Its weights become constants: slices of variables would be cut again in each run."""

    def __init__(self, layer: Any) -> None:
        super().__init__(name=layer.name)
        self._padding = layer.padding.upper()
        self._strides = layer.strides
        self._activation = layer.activation
        self._kernel = layer.kernel.numpy()
        self._bias = layer.bias.numpy() if layer.use_bias else None

    def call(self, x: Any) -> Any:
        """(1, T, H, W, C) to (1, T', H', W', F)."""
        shifted = self._shifted(x)
        if len(shifted) > 1 and x.shape[-1] <= FEW_CHANNELS:
            shifted, kernels = [tf.concat(shifted, axis=-1)], [self._kernel.transpose(1, 2, 0, 3, 4).reshape(*self._stacked)]
        else:
            kernels = list(self._kernel)
        y = reduce(tf.add, (tf.nn.conv2d(frames, kernel, self._strides[1:], self._padding) for frames, kernel in zip(shifted, kernels, strict=True)))
        y = y if self._bias is None else y + self._bias
        return self._activation(y)[None]

    @property
    def _stacked(self) -> tuple[int, int, int, int]:
        num_frames, height, width, channels, filters = self._kernel.shape
        return height, width, num_frames * channels, filters

    def _shifted(self, x: Any) -> list[Any]:
        """The frames (T', H, W, C) that each frame of the kernel meets."""
        size, stride = len(self._kernel), self._strides[0]
        frames = tf.reshape(x, x.shape[1:])
        if size == stride == 1:
            return [frames]
        if self._padding == "SAME":
            frames = tf.pad(frames, (_padding(frames.shape[0], size, stride), (0, 0), (0, 0), (0, 0)))
        last = frames.shape[0] - size
        return [frames[first : first + last + 1 : stride] for first in range(size)]


class _PoolFrames(keras.layers.Layer):  # type: ignore[misc]
    """A pooling over space and time, computed one after the other."""

    def __init__(self, layer: Any, kind: str) -> None:
        super().__init__(name=layer.name)
        self._kind = kind
        self._padding = layer.padding.upper()
        self._size, self._strides = layer.pool_size, layer.strides

    def call(self, x: Any) -> Any:
        """(1, T, H, W, C) to (1, T', H', W', C)."""
        frames = self._pool(tf.reshape(x, x.shape[1:]), self._size[1:], self._strides[1:])
        num_frames, height, width, channels = frames.shape
        if self._size[0] > 1 or self._strides[0] > 1:
            columns = tf.reshape(frames, (1, num_frames, height * width, channels))
            columns = self._pool(columns, (self._size[0], 1), (self._strides[0], 1))
            num_frames = columns.shape[1]
            frames = columns
        return tf.reshape(frames, (1, num_frames, height, width, channels))

    def _pool(self, x: Any, size: tuple[int, int], strides: tuple[int, int]) -> Any:
        # A mean with padding would have to count what it is a mean of, over time too: it is not used.
        return tf.nn.pool(x, size, self._kind, strides, self._padding)


class _UnrolledConvLstm(keras.layers.Layer):  # type: ignore[misc]
    """A ConvLSTM2D that gives its last state, step after step; what it makes of its inputs is computed for all frames at once."""

    def __init__(self, layer: Any) -> None:
        super().__init__(name=layer.name)
        cell = layer.cell
        self._padding = cell.padding.upper()
        self._kernel, self._recurrent, self._bias = (each.numpy() for each in (cell.kernel, cell.recurrent_kernel, cell.bias))

    def call(self, sequences: Any, initial_state: None = None, mask: None = None, training: bool = False) -> Any:
        """(1, T, H, W, C) to (1, H', W', F); the other arguments are those of the layer that it stands for."""
        inputs = tf.nn.conv2d(tf.reshape(sequences, sequences.shape[1:]), self._kernel, 1, self._padding) + self._bias
        state = carry = tf.zeros((1, *inputs.shape[1:3], self._recurrent.shape[2]))
        for gates in tf.split(inputs, inputs.shape[0]):
            let_in, forget, new, let_out = tf.split(gates + tf.nn.conv2d(state, self._recurrent, 1, "SAME"), 4, axis=-1)
            carry = tf.sigmoid(forget) * carry + tf.sigmoid(let_in) * tf.tanh(new)
            state = tf.sigmoid(let_out) * tf.tanh(carry)
        return state


def _padding(length: int, size: int, stride: int) -> tuple[int, int]:
    """What TensorFlow's SAME padding puts before and behind."""
    missing = max((-(-length // stride) - 1) * stride + size - length, 0)
    return missing // 2, missing - missing // 2
