"""EfficientNet-Lite: EfficientNet (Tan and Le, 2019) without squeeze-and-excitation, with ReLU6, and with a stem and head of fixed size."""

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from math import ceil
from typing import Any

from streamvc.training.backbones.state_dict import Tensors, read_state_dict
from streamvc.training.backbones.weights import Weights
from streamvc.training.tensorflow import keras

EPSILON = 1e-3  # of the batch normalisation
NUM_STEM, NUM_HEAD = 32, 1280  # filters, whatever the width
DIVISOR = 8  # numbers of filters are multiples of it


@dataclass(frozen=True, slots=True)
class BlockStage:
    """Blocks of one size: `repeats` inverted bottlenecks, of which the first has the stride."""

    repeats: int
    kernel: int
    stride: int
    expand: int
    filters: int


@dataclass(frozen=True, slots=True)
class CompoundScale:
    """How much wider and deeper than Lite0 a network is."""

    width: float = 1.0
    depth: float = 1.0

    def filters(self, filters: int) -> int:
        """A multiple of 8, at most a tenth below what was asked for."""
        wanted = filters * self.width
        rounded = max(DIVISOR, int(wanted + DIVISOR / 2) // DIVISOR * DIVISOR)
        return rounded + DIVISOR if rounded < 0.9 * wanted else rounded

    def stages(self) -> Iterator[BlockStage]:
        """The stages at this scale: the first and the last are not made deeper."""
        for index, stage in enumerate(STAGES):
            inner = 0 < index < len(STAGES) - 1
            repeats = ceil(stage.repeats * self.depth) if inner else stage.repeats
            yield BlockStage(repeats, stage.kernel, stage.stride, stage.expand, self.filters(stage.filters))


# Table 1 of the paper.
STAGES = (
    BlockStage(1, 3, 1, 1, 16),
    BlockStage(2, 3, 2, 6, 24),
    BlockStage(2, 5, 2, 6, 40),
    BlockStage(3, 3, 2, 6, 80),
    BlockStage(3, 5, 1, 6, 112),
    BlockStage(4, 5, 2, 6, 192),
    BlockStage(1, 3, 1, 6, 320),
)


def lite0(shape: tuple[int, ...], weights: Weights) -> Any:
    """(B, S, S, 3) to (B, 1280)."""
    return _network(shape, weights, CompoundScale())


def lite0_map(shape: tuple[int, ...], weights: Weights) -> Any:
    """(B, S, S, 3) to (B, S / 32, S / 32, 320), what stands before the last convolution."""
    return _network(shape, weights, CompoundScale(), mapped=True)


def lite1(shape: tuple[int, ...], weights: Weights) -> Any:
    """(B, S, S, 3) to (B, 1280)."""
    return _network(shape, weights, CompoundScale(1.0, 1.1))


def lite2(shape: tuple[int, ...], weights: Weights) -> Any:
    """(B, S, S, 3) to (B, 1280)."""
    return _network(shape, weights, CompoundScale(1.1, 1.2))


def _network(shape: tuple[int, ...], weights: Weights, scale: CompoundScale, *, mapped: bool = False) -> Any:
    build = _Builder(read_state_dict(BytesIO(weights.content)) if weights.content else None)
    image = keras.Input(shape)
    x = build.convolve(image, "_conv_stem", "_bn0", NUM_STEM, kernel=3, stride=2)
    number = 0
    for stage in scale.stages():
        for repeat in range(stage.repeats):
            x = build.block(x, f"_blocks.{number}", stage, stage.stride if repeat == 0 else 1)
            number += 1
    if not mapped:
        x = keras.layers.GlobalAveragePooling2D()(build.convolve(x, "_conv_head", "_bn1", NUM_HEAD))
    return keras.Model(image, x)


class _Builder:
    """Adds parts to a graph, with the tensors of a PyTorch state dict where there is one."""

    def __init__(self, tensors: Tensors | None) -> None:
        self._tensors = tensors

    def convolve(self, x: Any, conv: str, norm: str, filters: int | None = None, kernel: int = 1, stride: int = 1, relu: bool = True) -> Any:
        """Convolution (of each channel by itself without `filters`), batch normalisation and ReLU6, padded as in TensorFlow, which trained it."""
        if filters is None:
            layer, order = keras.layers.DepthwiseConv2D(kernel, stride, "same", use_bias=False), (2, 3, 0, 1)
        else:
            layer, order = keras.layers.Conv2D(filters, kernel, stride, "same", use_bias=False), (2, 3, 1, 0)
        normalize = keras.layers.BatchNormalization(epsilon=EPSILON)
        x = normalize(layer(x))
        if self._tensors is not None:
            layer.set_weights([self._tensors[f"{conv}.weight"].transpose(order)])
            normalize.set_weights([self._tensors[f"{norm}.{name}"] for name in ("weight", "bias", "running_mean", "running_var")])
        return keras.layers.ReLU(6.0)(x) if relu else x

    def block(self, x: Any, prefix: str, stage: BlockStage, stride: int) -> Any:
        """An inverted bottleneck: widen, filter each channel, narrow, and add the input where the shapes agree."""
        y = x
        if stage.expand > 1:
            y = self.convolve(y, f"{prefix}._expand_conv", f"{prefix}._bn0", stage.expand * x.shape[-1])
        y = self.convolve(y, f"{prefix}._depthwise_conv", f"{prefix}._bn1", kernel=stage.kernel, stride=stride)
        y = self.convolve(y, f"{prefix}._project_conv", f"{prefix}._bn2", stage.filters, relu=False)
        return keras.layers.Add()([x, y]) if x.shape == y.shape else y
