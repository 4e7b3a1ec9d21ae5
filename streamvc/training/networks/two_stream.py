"""Two streams, one for what is seen and one for how it moves (Simonyan and Zisserman, 2014: Two-Stream Convolutional Networks), in the small.

As there: one 2D CNN for colours and one for a stack of optical flow, which meet only in their scores. Otherwise than there: small networks without
ImageNet weights in place of two CNN-M-2048; colours of all frames of the clip in place of a single one; the streams are trained together, on the
loss of the fused scores, and not by themselves; both see the whole picture, no crops; fused by the mean of the scores, not by an SVM.
"""

from typing import Any

from streamvc.training.networks.frame_cnn import frame_cnn
from streamvc.training.networks.layers import PerFrame
from streamvc.training.tensorflow import keras

NUM_COLOURS = 3
LEAST = 1e-7  # score, so that there is a logarithm


def two_stream(shape: tuple[int, int, int, int], num_labels: int, width: float = 1.0, dropout: float = 0.5) -> Any:
    """Two CNNs, fused late.

    Args:
        shape: (T, S, S, 5) of a clip: red, green, blue, and the flow to the right and downwards.
        num_labels: L.
        width: All numbers of filters are multiplied by it.
        dropout: Share that is hidden from each classifier.

    Returns:
        A Keras model from (B, T, S, S, 5), 0 to 255, to (B, L) logits: the logarithms of the mean of both streams' scores.
    """
    num_frames, size_px, _, channels = shape
    pictures = keras.Input(shape)
    colours = PerFrame(frame_cnn(size_px, NUM_COLOURS, width))(pictures[..., :NUM_COLOURS])
    flows = keras.layers.Permute((2, 3, 1, 4))(pictures[..., NUM_COLOURS:])
    stacked = keras.layers.Reshape((size_px, size_px, num_frames * (channels - NUM_COLOURS)))(flows)
    motion = frame_cnn(size_px, stacked.shape[-1], width)(stacked)
    scores = [_scores(features, num_labels, dropout) for features in (keras.layers.GlobalAveragePooling1D()(colours), motion)]
    return keras.Model(pictures, keras.ops.log(keras.ops.maximum(keras.layers.Average()(scores), LEAST)), name="two_stream")


def _scores(features: Any, num_labels: int, dropout: float) -> Any:
    return keras.layers.Dense(num_labels, activation="softmax")(keras.layers.Dropout(dropout)(features))
