"""C3D: eight convolutions over space and time (Tran et al., 2015: Learning Spatiotemporal Features with 3D Convolutional Networks)."""

from typing import Any

from streamvc.training.networks.layers import normalised, scaled
from streamvc.training.tensorflow import keras

# Filters of the convolutions before each pooling; the first pooling keeps all frames.
GROUPS = ((64,), (128,), (256, 256), (512, 512), (512, 512))
NUM_HIDDEN = 4096


def c3d(shape: tuple[int, int, int, int], num_labels: int, width: float = 1.0, dropout: float = 0.5) -> Any:
    """C3D for clips of pictures.

    The poolings pad at the end where a size is odd, which for the published 16x112x112 is the published network: the last of them takes 2x7x7 to
    1x4x4. So clips may be of any size: what has come down to 1 stays 1.

    Args:
        shape: (T, S, S, C) of a clip.
        num_labels: L.
        width: All numbers of filters and hidden units are multiplied by it.
        dropout: Share that is hidden from each of the last two dense layers.

    Returns:
        A Keras model from (B, T, S, S, C), 0 to 255, to (B, L) logits.
    """
    pictures = keras.Input(shape)
    x = normalised(pictures)
    for number, group in enumerate(GROUPS, start=1):
        for letter, filters in zip("ab", group, strict=False):
            name = f"conv{number}{letter if len(group) > 1 else ''}"
            x = keras.layers.Conv3D(scaled(filters, width), 3, padding="same", activation="relu", kernel_initializer="he_normal", name=name)(x)
        x = keras.layers.MaxPooling3D((1 if number == 1 else 2, 2, 2), padding="same", name=f"pool{number}")(x)
    x = keras.layers.Flatten()(x)
    for name in ("fc6", "fc7"):
        x = keras.layers.Dense(scaled(NUM_HIDDEN, width), activation="relu", kernel_initializer="he_normal", name=name)(x)
        x = keras.layers.Dropout(dropout)(x)
    return keras.Model(pictures, keras.layers.Dense(num_labels, name="fc8")(x), name="c3d")
