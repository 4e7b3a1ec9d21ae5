"""A convolutional LSTM over feature maps (Shi et al., 2015: Convolutional LSTM Network)."""

from typing import Any

from streamvc.training.networks.layers import scaled
from streamvc.training.tensorflow import keras

NUM_FILTERS = 32


def convlstm(shape: tuple[int, int, int, int], num_labels: int, width: float = 1.0, dropout: float = 0.5) -> Any:
    """A ConvLSTM with 3x3 kernels; the mean over the map of its last state is classified.

    Unlike in the paper, the gates do not look at the cell's memory (no peepholes), as in all common implementations.

    Args:
        shape: (T, H, W, C) of a clip's feature maps.
        num_labels: L.
        width: The number of filters is multiplied by it.
        dropout: Share that is hidden from the classifier.

    Returns:
        A Keras model from (B, T, H, W, C) to (B, L) logits.
    """
    maps = keras.Input(shape)
    # Feature maps have hundreds of channels, of any size: without the normalisation the gates would be shut from the start.
    x = keras.layers.LayerNormalization()(maps)
    x = keras.layers.ConvLSTM2D(scaled(NUM_FILTERS, width), 3, padding="same")(x)
    x = keras.layers.Dropout(dropout)(keras.layers.GlobalAveragePooling2D()(x))
    return keras.Model(maps, keras.layers.Dense(num_labels)(x), name="convlstm")
