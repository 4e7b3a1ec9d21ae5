"""The coordinates that features are brought into before a head learns from them: some for what is seen, some for how it changes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamvc.training.windows import Ticks

Floats = NDArray[np.float32]

NUM_ITERATIONS = 6
NUM_SPARE = 16  # directions that are iterated beside those asked for, which lets the last of these settle sooner
TINY = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Basis:
    """Coordinates c = features @ matrix + offset.

    The first `num_seen` are used as they are. Of the rest, whose offset is 0, what counts is how far they are from those of the tick before.

    Attributes:
        matrix: (D, K) float32.
        offset: (K,) float32.
        num_seen: How many of the K coordinates are of the first kind.
    """

    matrix: Floats
    offset: Floats
    num_seen: int

    def inputs(self, ticks: Ticks) -> Floats:
        """What a head is given at each tick, (M, K): what is seen, and the change since the tick before; no change at the start of a stretch."""
        coordinates = ticks.features @ self.matrix + self.offset
        moving = coordinates[:, self.num_seen :]
        moving[1:] = np.abs(np.diff(moving, axis=0))
        moving[ticks.starts] = 0
        return coordinates


def fit_basis(ticks: Ticks, num_seen: int, num_moving: int) -> Basis:
    """Principal components of features, each feature having been brought to unit variance, and principal components of their changes.

    Both kinds of coordinates are scaled by one number each, so that the mean square of a head's inputs is 1 and its gates start out in their linear
    range. They are not whitened: that would lift the weak components, which are noise, to the height of the strong ones.
    """
    features = ticks.features
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    weight = np.where(deviation > 1e-6, 1 / np.maximum(deviation, 1e-6), 0).astype(np.float32)  # a feature that never changes says nothing
    normal = (features - mean) * weight
    within = np.delete(np.diff(normal, axis=0), ticks.starts[1:] - 1, axis=0)
    seen, moving = _principal(normal, num_seen), _principal(within, num_moving)
    matrix = weight[:, None] * np.concatenate([seen, moving], axis=1)
    offset = np.concatenate([-mean @ matrix[:, : seen.shape[1]], np.zeros(moving.shape[1])])
    return Basis(matrix.astype(np.float32), offset.astype(np.float32), seen.shape[1])


def _principal(rows: Floats, num: int) -> Floats:
    """The first principal directions of rows (M, D) as columns, (D, num), scaled to make the mean square of a coordinate 1.

    Found by subspace iteration: of a thousand directions few are asked for, and a whole decomposition would take longer than the training.
    """
    covariance = rows.T @ rows / max(len(rows), 1)
    num_features = len(covariance)
    space = np.random.default_rng(0).normal(size=(num_features, min(num + NUM_SPARE, num_features))).astype(np.float32)
    for _ in range(NUM_ITERATIONS):
        space = np.linalg.qr(covariance @ space)[0]
    variances, turn = np.linalg.eigh(space.T @ covariance @ space)
    scale = np.sqrt(max(variances[::-1][:num].mean(), TINY))
    directions: Floats = (space @ turn)[:, ::-1][:, :num] / scale
    return directions
