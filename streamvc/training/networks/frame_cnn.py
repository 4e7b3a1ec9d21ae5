"""A small 2D CNN for single pictures, for networks that are trained end to end on little data."""

from typing import Any

from streamvc.training.networks.layers import MOMENTUM, normalised, scaled
from streamvc.training.tensorflow import keras

FILTERS = (32, 64, 128, 256)  # each convolution halves the sides


def frame_cnn(size_px: int, channels: int = 3, width: float = 1.0) -> Any:
    """Four convolutions with batch normalisation and a mean over the picture.

    Args:
        size_px: S, side of the square pictures.
        channels: C: 3 for colour, 2 for each flow that is stacked.
        width: All numbers of filters are multiplied by it.

    Returns:
        A Keras model from (B, S, S, C), 0 to 255, to (B, P) features, P = 256 * width.
    """
    picture = keras.Input((size_px, size_px, channels))
    x = normalised(picture)
    for filters in FILTERS:
        x = keras.layers.Conv2D(scaled(filters, width), 3, strides=2, padding="same", use_bias=False, kernel_initializer="he_normal")(x)
        x = keras.layers.BatchNormalization(momentum=MOMENTUM)(x)
        x = keras.layers.ReLU()(x)
    return keras.Model(picture, keras.layers.GlobalAveragePooling2D()(x), name=f"frame_cnn_{channels}")
