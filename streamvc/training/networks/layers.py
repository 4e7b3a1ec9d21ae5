"""What the networks here are built of. Pictures are (B, T, S, S, C) float32, 0 to 255: red, green, blue, or flow with 127.5 for no motion."""

from typing import Any

from streamvc.training.tensorflow import keras

# Means of batches are followed faster than Keras' default of 0.99 does: a training on a few hundred clips has few batches.
MOMENTUM = 0.9


def scaled(filters: int, width: float) -> int:
    """A number of filters times `width`, at least 1."""
    return max(1, round(filters * width))


def normalised(pictures: Any) -> Any:
    """0..255 to -1..1."""
    return keras.layers.Rescaling(1 / 127.5, offset=-1.0)(pictures)


class PerFrame(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """Applies a network to each frame by itself, as Keras' TimeDistributed does, but to the frames of all clips at once."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def call(self, frames: Any, training: bool = False) -> Any:
        """(B, T, ...) to (B, T, ...)."""
        num_frames = frames.shape[1]
        outputs = self.network(keras.ops.reshape(frames, (-1, *frames.shape[2:])), training=training)
        return keras.ops.reshape(outputs, (-1, num_frames, *outputs.shape[1:]))
