"""What features are brought to before a head learns from them.

`Basis`: some coordinates for what is seen, some for how it changes. `Scaling`: the features themselves, shifted and scaled. `Joint`: each part of the
features in the one way or the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from streamvc.training.plan import HeadSettings
from streamvc.training.tensorflow import keras
from streamvc.training.windows import Ticks
from streamvc.types import Array

Floats = NDArray[np.float32]

NUM_ITERATIONS = 6
NUM_SPARE = 16  # directions that are iterated beside those asked for, which lets the last of these settle sooner
TINY = 1e-12
FEW = 512  # of a part with at most so many numbers each counts by itself
STEADY = 1e-6  # a feature with a smaller deviation never changes, and says nothing


class Inputs(Protocol):
    """A linear map of features, (..., D) to (..., K). The last coordinates, from `num_seen` on, count by how much they change."""

    @property
    def feature_size(self) -> int:
        """D."""

    @property
    def size(self) -> int:
        """K."""

    @property
    def num_seen(self) -> int:
        """How many of the K coordinates count as they are."""

    def apply(self, features: Any) -> Any:
        """The coordinates of features: of arrays, and of TensorFlow's tensors."""


@dataclass(frozen=True, slots=True, eq=False)
class Basis:
    """Coordinates c = features @ matrix + offset.

    Attributes:
        matrix: (D, K) float32.
        offset: (K,) float32, 0 from `num_seen` on.
        num_seen: How many of the K coordinates count as they are; of the others what counts is how far they are from those of the tick before.
    """

    matrix: Floats
    offset: Floats
    num_seen: int

    @property
    def feature_size(self) -> int:
        """D."""
        return len(self.matrix)

    @property
    def size(self) -> int:
        """K."""
        return len(self.offset)

    def apply(self, features: Any) -> Any:
        """See `Inputs.apply`."""
        return features @ self.matrix + self.offset


@dataclass(frozen=True, slots=True, eq=False)
class Scaling:
    """Coordinates c = features * weight + offset, all of them counting as they are; both (D,) float32."""

    weight: Floats
    offset: Floats

    @property
    def feature_size(self) -> int:
        """D."""
        return len(self.weight)

    @property
    def size(self) -> int:
        """D."""
        return len(self.weight)

    @property
    def num_seen(self) -> int:
        """D."""
        return len(self.weight)

    def apply(self, features: Any) -> Any:
        """See `Inputs.apply`."""
        return features * self.weight + self.offset


@dataclass(frozen=True, slots=True, eq=False)
class Joint:
    """The parts of features, one after the other, each in its own way; all coordinates count as they are."""

    parts: tuple[Basis | Scaling, ...]

    @property
    def feature_size(self) -> int:
        """D."""
        return sum(part.feature_size for part in self.parts)

    @property
    def size(self) -> int:
        """K."""
        return sum(part.size for part in self.parts)

    @property
    def num_seen(self) -> int:
        """K."""
        return self.size

    def apply(self, features: Any) -> Any:
        """See `Inputs.apply`."""
        ends = np.cumsum([part.feature_size for part in self.parts]).tolist()
        cut = [part.apply(features[..., end - part.feature_size : end]) for part, end in zip(self.parts, ends, strict=True)]
        return np.concatenate(cut, axis=-1) if isinstance(features, np.ndarray) else keras.ops.concatenate(cut, axis=-1)


@dataclass(frozen=True, slots=True)
class Untouched:
    """Pictures and maps, which networks take as they are; `size` is D."""

    size: int

    @property
    def feature_size(self) -> int:
        """D."""
        return self.size

    @property
    def num_seen(self) -> int:
        """D."""
        return self.size

    def apply(self, features: Any) -> Any:
        """The features."""
        return features


def input_sizes(part_sizes: Sequence[int], settings: HeadSettings) -> tuple[int, int]:
    """How many inputs `fit_inputs` makes, and how many of them count as they are."""
    size = sum(part_sizes)
    match settings.inputs:
        case "basis":
            num_seen = min(settings.num_seen, size)
            return num_seen + min(settings.num_moving, size), num_seen
        case "parts":
            size = sum(part if part <= FEW else min(settings.num_seen, part) for part in part_sizes)
    return size, size


def fit_inputs(ticks: Ticks, settings: HeadSettings, part_sizes: Sequence[int] = ()) -> Inputs:
    """The inputs that the settings ask for, by the features that are learned from.

    Args:
        ticks: The features.
        settings: Of the head.
        part_sizes: How many numbers of a feature each of its parts has; it has one part if not given.
    """
    if settings.inputs == "basis":
        return fit_basis(ticks, settings.num_seen, settings.num_moving)
    if settings.inputs == "parts":
        starts = np.cumsum([0, *(part_sizes or ticks.features.shape[1:])])
        parts = [replace(ticks, features=ticks.features[:, start:end]) for start, end in pairwise(starts.tolist())]
        return Joint(tuple(_fit_part(part, settings.num_seen) for part in parts))
    num = ticks.features.shape[1]
    if settings.inputs == "unit":
        low, high = ticks.features.min().astype(np.float32), ticks.features.max().astype(np.float32)
        weight = 1 / max(high - low, np.float32(STEADY))
        return Scaling(np.full(num, weight, np.float32), np.full(num, -low * weight, np.float32))
    if settings.inputs == "standard":
        return _standard(ticks.features)
    return Scaling(np.ones(num, np.float32), np.zeros(num, np.float32))


def _fit_part(part: Ticks, num_seen: int) -> Basis | Scaling:
    return _standard(part.features) if part.features.shape[1] <= FEW else fit_basis(part, num_seen, 0)


def _standard(features: Array) -> Scaling:
    mean, weight = _normal(features)
    return Scaling(weight, -mean * weight)


def see_change(windows: Floats, num_seen: int) -> Floats:
    """Puts in place of the coordinates from `num_seen` on, (B, W, K), by how much they changed since the feature before; 0 for the first."""
    moving = windows[..., num_seen:]
    if not moving.shape[-1]:
        return windows
    moving[:, 1:] = np.abs(np.diff(moving, axis=1))
    moving[:, :1] = 0
    return windows


def fit_basis(ticks: Ticks, num_seen: int, num_moving: int) -> Basis:
    """Principal components of features, each feature having been brought to unit variance, and principal components of their changes.

    Both kinds of coordinates are scaled by one number each, so that the mean square of a head's inputs is 1 and its gates start out in their linear
    range. They are not whitened: that would lift the weak components, which are noise, to the height of the strong ones.
    """
    features = ticks.features.astype(np.float32, copy=False)
    mean, weight = _normal(features)
    normal = (features - mean) * weight
    within = np.delete(np.diff(normal, axis=0), (ticks.starts - ticks.before)[1:] - 1, axis=0)
    seen, moving = _principal(normal, num_seen), _principal(within, num_moving)
    matrix = weight[:, None] * np.concatenate([seen, moving], axis=1)
    offset = np.concatenate([-mean @ matrix[:, : seen.shape[1]], np.zeros(moving.shape[1])])
    return Basis(matrix.astype(np.float32), offset.astype(np.float32), seen.shape[1])


def _normal(features: Array) -> tuple[Floats, Floats]:
    """The mean of each feature, and what brings it to unit variance: 0 for one that never changes."""
    mean, deviation = features.mean(axis=0, dtype=np.float32), features.std(axis=0, dtype=np.float32)
    weight = np.where(deviation > STEADY, 1 / np.maximum(deviation, STEADY), 0).astype(np.float32)
    return mean, weight


def _principal(rows: Floats, num: int) -> Floats:
    """The first principal directions of rows (M, D) as columns, (D, num), scaled to make the mean square of a coordinate 1.

    Found by subspace iteration: of a thousand directions few are asked for, and a whole decomposition would take longer than the training.
    """
    if not num:
        return np.zeros((rows.shape[1], 0), np.float32)
    covariance = rows.T @ rows / max(len(rows), 1)
    num_features = len(covariance)
    space = np.random.default_rng(0).normal(size=(num_features, min(num + NUM_SPARE, num_features))).astype(np.float32)
    for _ in range(NUM_ITERATIONS):
        space = _orthonormal(covariance @ space)
    variances, turn = np.linalg.eigh(space.T @ covariance @ space)
    scale = np.sqrt(max(variances[::-1][:num].mean(), TINY))
    directions: Floats = (space @ turn)[:, ::-1][:, :num] / scale
    return directions


def _orthonormal(columns: Array) -> Floats:
    """Orthonormal columns that span the same, by way of their small Gram matrix: a QR decomposition takes a hundred times as long."""
    variances, turn = np.linalg.eigh(columns.T.astype(np.float64) @ columns)
    orthonormal: Floats = (columns @ (turn / np.sqrt(np.maximum(variances, variances[-1] * TINY)))).astype(np.float32)
    return orthonormal
