"""The structure of MoViNet-A0-Stream (Kondratyuk et al., 2021), to be timed beside ours. Its weights are random: it recognises nothing.

One frame of 172 x 172 pixels and 43 states go in, 600 logits and 43 states come out: the last frames of each of eleven convolutions over time, and
the running sums and counts of fifteen squeeze-and-excitation layers and of the pool at the end. Sizes are those of the paper's table of A0.
"""

from itertools import repeat
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from streamvc.training.tensorflow import keras, tf

SIDE_PX, NUM_LABELS = 172, 600
# Of each block its layers: how many frames and pixels a kernel spans, the channels, and those within.
BLOCKS = (
    ((1, 5, 8, 40),),
    ((5, 3, 32, 80), (3, 3, 32, 80), (3, 3, 32, 80)),
    ((5, 3, 56, 184), (3, 3, 56, 112), (3, 3, 56, 184)),
    ((5, 3, 56, 184), (3, 3, 56, 184), (3, 3, 56, 184), (3, 3, 56, 184)),
    ((5, 3, 104, 384), (1, 5, 104, 280), (1, 5, 104, 280), (1, 5, 104, 344)),
)
STRIDES = (2, 2, 2, 1, 2)  # of the first layer of each block
STEM, HEAD, HIDDEN = 8, 480, 2048


class _States:
    """The states that the graph is given and those that it hands on."""

    def __init__(self) -> None:
        self.given: list[Any] = []
        self.made: list[Any] = []

    def take(self, *shape: int) -> Any:
        self.given.append(keras.Input(shape, batch_size=1))
        return self.given[-1]

    def mean(self, x: Any) -> Any:
        """The mean over the picture and over all frames so far: (1, 1, 1, C)."""
        total, count = self.take(1, 1, x.shape[-1]), self.take(1, 1, 1)
        total, count = total + keras.ops.mean(x, axis=(1, 2), keepdims=True), count + 1.0
        self.made += [total, count]
        return total / count

    def over_time(self, x: Any, num_frames: int) -> Any:
        """A depthwise convolution over this frame and those before it."""
        _, height, width, channels = x.shape
        now = keras.layers.Reshape((1, height * width, channels))(x)
        frames = keras.ops.concatenate([self.take(num_frames - 1, height * width, channels), now], axis=1)
        self.made.append(frames[:, 1:])
        return keras.layers.Reshape((height, width, channels))(keras.layers.DepthwiseConv2D((num_frames, 1))(frames))


def convert(path: Path) -> None:
    """Write the network as a `.tflite` file, float32."""
    keras.utils.set_random_seed(0)
    image, states = keras.Input((SIDE_PX, SIDE_PX, 3), batch_size=1), _States()
    x = _active(keras.layers.Conv2D(STEM, 3, 2, "same")(image))
    for layers, stride in zip(BLOCKS, STRIDES, strict=True):
        for layer, step in zip(layers, (stride, *repeat(1, len(layers) - 1)), strict=True):
            x = _bottleneck(x, *layer, step, states)
    x = _active(keras.layers.Conv2D(HEAD, 1)(x))
    x = _active(keras.layers.Dense(HIDDEN)(keras.layers.Flatten()(states.mean(x))))
    model = keras.Model([image, *states.given], [keras.layers.Dense(NUM_LABELS)(x), *states.made])
    function = tf.function(lambda *inputs: model(list(inputs), training=False))
    concrete = function.get_concrete_function(*(tf.TensorSpec(each.shape, tf.float32) for each in model.inputs))
    path.write_bytes(tf.lite.TFLiteConverter.from_concrete_functions([concrete]).convert())


class MoViNet:
    """Runs it frame by frame, with LiteRT."""

    def __init__(self, path: Path, threads: int) -> None:
        """Load the file."""
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(str(path), num_threads=threads)
        self._interpreter.allocate_tensors()
        given, made = self._interpreter.get_input_details(), self._interpreter.get_output_details()  # each in the order of the model
        self._inputs, self._outputs = ([each["index"] for each in details] for details in (given, made))
        self._states = [np.zeros(each["shape"], np.float32) for each in given[1:]]

    def step(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(600,) logits of the next frame, (H, W, 3) uint8 BGR."""
        small = cv2.cvtColor(cv2.resize(image, (SIDE_PX, SIDE_PX)), cv2.COLOR_BGR2RGB)
        picture = np.multiply(small, np.float32(1 / 255), dtype=np.float32)[None]
        for index, tensor in zip(self._inputs, (picture, *self._states), strict=True):
            self._interpreter.set_tensor(index, tensor)
        self._interpreter.invoke()
        logits, *self._states = (self._interpreter.get_tensor(index) for index in self._outputs)
        return np.asarray(logits[0], np.float32)


def _bottleneck(x: Any, num_frames: int, kernel: int, channels: int, within: int, stride: int, states: _States) -> Any:
    y = _active(keras.layers.Conv2D(within, 1)(x))
    y = keras.layers.DepthwiseConv2D(kernel, stride, "same")(y)
    if num_frames > 1:
        y = states.over_time(_active(y), num_frames)
    y = _active(y)
    weights = keras.layers.Conv2D(_eighths(within // 4), 1, activation="relu")(states.mean(y))
    y = keras.layers.Conv2D(channels, 1)(y * keras.layers.Conv2D(within, 1, activation="sigmoid")(weights))
    return x + y if x.shape == y.shape else y


def _eighths(channels: int) -> int:
    return max(8, 8 * round(channels / 8))


def _active(x: Any) -> Any:
    return keras.layers.Activation("hard_swish")(x)
