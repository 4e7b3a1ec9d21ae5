"""The inputs of a head: linear maps of features.

`PrincipalComponents`: of the features, and of their changes. `Scaling`: the features, shifted and scaled. `CompositeInputs`: each part of the
features in the one way or the other. Of the K coordinates, `num_static` are given to the head as they are; the others, the deltas, as their absolute
difference to those of the feature before.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from streamvc.training.plan import HeadSettings
from streamvc.training.tensorflow import keras
from streamvc.training.windows import FeatureTable
from streamvc.types import Array

Floats = NDArray[np.float32]

NUM_ITERATIONS = 6
NUM_SPARE = 16  # directions that are iterated beside those asked for, which lets the last of these settle sooner
TINY = 1e-12
FEW = 512  # of a part with at most so many numbers each counts by itself
STEADY = 1e-6  # a feature with a smaller deviation never changes, and says nothing


class Inputs(Protocol):
    """A linear map of features, (..., D) to (..., K). The last coordinates, from `num_static` on, are deltas."""

    @property
    def feature_size(self) -> int:
        """D."""

    @property
    def size(self) -> int:
        """K."""

    @property
    def num_static(self) -> int:
        """How many of the K coordinates are given as they are."""

    def apply(self, features: Any) -> Any:
        """The coordinates of features: of arrays, and of TensorFlow's tensors."""


@dataclass(frozen=True, slots=True, eq=False)
class PrincipalComponents:
    """Coordinates c = features @ matrix + offset.

    Attributes:
        matrix: (D, K) float32.
        offset: (K,) float32, 0 from `num_static` on.
        num_static: How many of the K coordinates are given as they are; the others are deltas.
    """

    matrix: Floats
    offset: Floats
    num_static: int

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
    """Coordinates c = features * weight + offset, without deltas; both (D,) float32."""

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
    def num_static(self) -> int:
        """D."""
        return len(self.weight)

    def apply(self, features: Any) -> Any:
        """See `Inputs.apply`."""
        return features * self.weight + self.offset


@dataclass(frozen=True, slots=True, eq=False)
class CompositeInputs:
    """The parts of features, one after the other, each by its own map; without deltas."""

    parts: tuple[PrincipalComponents | Scaling, ...]

    @property
    def feature_size(self) -> int:
        """D."""
        return sum(part.feature_size for part in self.parts)

    @property
    def size(self) -> int:
        """K."""
        return sum(part.size for part in self.parts)

    @property
    def num_static(self) -> int:
        """K."""
        return self.size

    def apply(self, features: Any) -> Any:
        """See `Inputs.apply`."""
        ends = np.cumsum([part.feature_size for part in self.parts]).tolist()
        cut = [part.apply(features[..., end - part.feature_size : end]) for part, end in zip(self.parts, ends, strict=True)]
        return np.concatenate(cut, axis=-1) if isinstance(features, np.ndarray) else keras.ops.concatenate(cut, axis=-1)


@dataclass(frozen=True, slots=True)
class IdentityInputs:
    """Pictures and maps, which networks take as they are; `size` is D."""

    size: int

    @property
    def feature_size(self) -> int:
        """D."""
        return self.size

    @property
    def num_static(self) -> int:
        """D."""
        return self.size

    def apply(self, features: Any) -> Any:
        """The features."""
        return features


def input_sizes(part_sizes: Sequence[int], settings: HeadSettings) -> tuple[int, int]:
    """How many inputs `fit_inputs` makes, and how many of them are given as they are."""
    size = sum(part_sizes)
    match settings.inputs:
        case "basis":
            num_static = min(settings.num_static, size)
            return num_static + min(settings.num_delta, size), num_static
        case "parts":
            size = sum(part if part <= FEW else min(settings.num_static, part) for part in part_sizes)
    return size, size


def fit_inputs(table: FeatureTable, settings: HeadSettings, part_sizes: Sequence[int] = ()) -> Inputs:
    """The inputs that the settings ask for, fitted to the training features.

    Args:
        table: The features.
        settings: Of the head.
        part_sizes: How many numbers of a feature each of its parts has; it has one part if not given.
    """
    if settings.inputs == "basis":
        return fit_components(table, settings.num_static, settings.num_delta)
    if settings.inputs == "parts":
        starts = np.cumsum([0, *(part_sizes or table.features.shape[1:])])
        parts = [replace(table, features=table.features[:, start:end]) for start, end in pairwise(starts.tolist())]
        return CompositeInputs(tuple(_fit_part(part, settings.num_static) for part in parts))
    num = table.features.shape[1]
    if settings.inputs == "unit":
        low, high = table.features.min().astype(np.float32), table.features.max().astype(np.float32)
        weight = 1 / max(high - low, np.float32(STEADY))
        return Scaling(np.full(num, weight, np.float32), np.full(num, -low * weight, np.float32))
    if settings.inputs == "standard":
        return _standard(table.features)
    return Scaling(np.ones(num, np.float32), np.zeros(num, np.float32))


def _fit_part(part: FeatureTable, num_static: int) -> PrincipalComponents | Scaling:
    return _standard(part.features) if part.features.shape[1] <= FEW else fit_components(part, num_static, 0)


def _standard(features: Array) -> Scaling:
    mean, weight = _normal(features)
    return Scaling(weight, -mean * weight)


def take_deltas(windows: Floats, num_static: int) -> Floats:
    """Replace the coordinates of windows (B, W, K) from `num_static` on by their absolute change since the feature before; 0 for the first."""
    moving = windows[..., num_static:]
    if not moving.shape[-1]:
        return windows
    moving[:, 1:] = np.abs(np.diff(moving, axis=1))
    moving[:, :1] = 0
    return windows


def fit_components(table: FeatureTable, num_static: int, num_delta: int) -> PrincipalComponents:
    """Principal components of features, each feature having been brought to unit variance, and principal components of their changes.

    Both kinds of coordinates are scaled by one number each, so that the mean square of a head's inputs is 1 and its gates start out in their linear
    range. They are not whitened: that would lift the weak components, which are noise, to the height of the strong ones.
    """
    features = table.features.astype(np.float32, copy=False)
    mean, weight = _normal(features)
    normal = (features - mean) * weight
    within = np.delete(np.diff(normal, axis=0), (table.starts - table.before)[1:] - 1, axis=0)
    seen, moving = _principal(normal, num_static), _principal(within, num_delta)
    matrix = weight[:, None] * np.concatenate([seen, moving], axis=1)
    offset = np.concatenate([-mean @ matrix[:, : seen.shape[1]], np.zeros(moving.shape[1])])
    return PrincipalComponents(matrix.astype(np.float32), offset.astype(np.float32), seen.shape[1])


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
