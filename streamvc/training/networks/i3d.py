"""I3D: Inception-V1 inflated to three dimensions (Carreira and Zisserman, 2017: Quo Vadis, Action Recognition?, figure 3).

Shapes, sizes and names are those of the network published with its Kinetics weights (github.com/deepmind/kinetics-i3d): SAME padding, convolutions
without a bias, batch normalisation without a scale (epsilon 1e-3), ReLU; two of the published network's own deviations from Inception-V1 are kept,
3x3 convolutions in place of the 5x5 ones, and the name `Conv3d_0a_3x3` (where all others are `0b`) in branch 2 of Mixed_5b.

Layers have the published names with dots for slashes: `Mixed_3b.Branch_0.Conv3d_0a_1x1.conv_3d` holds the kernel and `... .batch_norm` the rest; the
outputs of the endpoints are layers too: `Conv3d_1a_7x7`, `MaxPool3d_2a_3x3`, `Mixed_3b`, `Logits` ...
"""

from dataclasses import dataclass
from typing import Any

from streamvc.training.networks.layers import MOMENTUM, normalised, scaled
from streamvc.training.tensorflow import keras

EPSILON = 1e-3
HEAD = (2, 7)  # frames and side that the last pooling takes the mean of


@dataclass(frozen=True, slots=True)
class InceptionModule:
    """An Inception module: filters of 1x1x1; of 1x1x1 and 3x3x3 behind it, twice; of 1x1x1 behind a pooling."""

    name: str
    direct: int
    first: tuple[int, int]
    second: tuple[int, int]
    pooled: int


@dataclass(frozen=True, slots=True)
class MaxPool:
    """A maximum over so many frames and a square of such a side, with strides of its own."""

    name: str
    size: tuple[int, int, int]
    strides: tuple[int, int, int]


TRUNK = (
    MaxPool("MaxPool3d_3a_3x3", (1, 3, 3), (1, 2, 2)),
    InceptionModule("Mixed_3b", 64, (96, 128), (16, 32), 32),
    InceptionModule("Mixed_3c", 128, (128, 192), (32, 96), 64),
    MaxPool("MaxPool3d_4a_3x3", (3, 3, 3), (2, 2, 2)),
    InceptionModule("Mixed_4b", 192, (96, 208), (16, 48), 64),
    InceptionModule("Mixed_4c", 160, (112, 224), (24, 64), 64),
    InceptionModule("Mixed_4d", 128, (128, 256), (24, 64), 64),
    InceptionModule("Mixed_4e", 112, (144, 288), (32, 64), 64),
    InceptionModule("Mixed_4f", 256, (160, 320), (32, 128), 128),
    MaxPool("MaxPool3d_5a_2x2", (2, 2, 2), (2, 2, 2)),
    InceptionModule("Mixed_5b", 256, (160, 320), (32, 128), 128),
    InceptionModule("Mixed_5c", 384, (192, 384), (48, 128), 128),
)
MISSPELT = {"Mixed_5b.Branch_2.Conv3d_0b_3x3": "Mixed_5b.Branch_2.Conv3d_0a_3x3"}


def i3d(shape: tuple[int, int, int, int], num_labels: int, width: float = 1.0, dropout: float = 0.5, *, logits: bool = True) -> Any:
    """I3D for clips of pictures.

    The published head takes means over 2 frames and 7 by 7 pixels, classifies each, and takes the mean over time; where less is left of a short or
    small clip, it takes the mean of that, and of the whole height and width where more is left.

    Args:
        shape: (T, S, S, C) of a clip, C = 3 (colour) or 2 (flow); published are T = 64 and S = 224.
        num_labels: L.
        width: All numbers of filters are multiplied by it.
        dropout: Share that is hidden from the classifier.
        logits: False for a network that ends before the classifier, at the features (B, 1024 * width).

    Returns:
        A Keras model from (B, T, S, S, C), 0 to 255, to (B, L) logits, or features.
    """
    build = _Builder(width)
    pictures = keras.Input(shape)
    x = build.unit(normalised(pictures), "Conv3d_1a_7x7", 64, 7, strides=2)
    x = build.pool(x, MaxPool("MaxPool3d_2a_3x3", (1, 3, 3), (1, 2, 2)))
    x = build.unit(x, "Conv3d_2b_1x1", 64, 1)
    x = build.unit(x, "Conv3d_2c_3x3", 192, 3)
    for part in TRUNK:
        x = build.pool(x, part) if isinstance(part, MaxPool) else build.mixed(x, part)
    num_frames, height, width_px = x.shape[1:4]
    x = keras.layers.AveragePooling3D((min(HEAD[0], num_frames), height, width_px), strides=1, name="AvgPool3d")(x)
    if logits:
        x = keras.layers.Dropout(dropout)(x)
        x = keras.layers.Conv3D(num_labels, 1, name="Logits.Conv3d_0c_1x1.conv_3d")(x)
    return keras.Model(pictures, keras.layers.GlobalAveragePooling3D(name="Logits")(x), name="i3d")


class _Builder:
    """Adds parts of a width to a graph."""

    def __init__(self, width: float) -> None:
        self._width = width

    def unit(self, x: Any, name: str, filters: int, size: int, strides: int = 1) -> Any:
        convolve = keras.layers.Conv3D(scaled(filters, self._width), size, strides, "same", use_bias=False, name=f"{name}.conv_3d")
        normalise = keras.layers.BatchNormalization(epsilon=EPSILON, momentum=MOMENTUM, scale=False, name=f"{name}.batch_norm")
        return keras.layers.ReLU(name=name)(normalise(convolve(x)))

    def pool(self, x: Any, part: MaxPool) -> Any:
        return keras.layers.MaxPooling3D(part.size, part.strides, "same", name=part.name)(x)

    def mixed(self, x: Any, part: InceptionModule) -> Any:
        branches = [self.unit(x, f"{part.name}.Branch_0.Conv3d_0a_1x1", part.direct, 1)]
        for number, (narrow, wide) in enumerate((part.first, part.second), start=1):
            prefix = f"{part.name}.Branch_{number}."
            y = self.unit(x, prefix + "Conv3d_0a_1x1", narrow, 1)
            name = prefix + "Conv3d_0b_3x3"
            branches.append(self.unit(y, MISSPELT.get(name, name), wide, 3))
        y = self.pool(x, MaxPool(f"{part.name}.Branch_3.MaxPool3d_0a_3x3", (3, 3, 3), (1, 1, 1)))
        branches.append(self.unit(y, f"{part.name}.Branch_3.Conv3d_0b_1x1", part.pooled, 1))
        return keras.layers.Concatenate(name=part.name)(branches)
