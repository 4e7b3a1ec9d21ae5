"""The linear change of coordinates that features go through before a head is trained on them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Basis:
    """Coordinates c = features @ matrix + offset: of zero mean, as uncorrelated as the fitted features were, and of mean square 1 in all.

    Attributes:
        matrix: (D, K) float32.
        offset: (K,) float32.
    """

    matrix: Floats
    offset: Floats

    def coordinates(self, features: Floats) -> Floats:
        """Features (M, D) to coordinates (M, K)."""
        return features @ self.matrix + self.offset


def fit_basis(features: Floats, num_components: int) -> Basis:
    """The first principal components of features (M, D), each feature having been brought to zero mean and unit variance.

    All are divided by one number, so that the mean square of a coordinate is 1 and a layer starts out in its linear range. They are not whitened:
    that would lift the weak components, which are noise, to the height of the strong ones.
    """
    mean, deviation = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=np.float64)
    weight = np.where(deviation > 1e-6, 1 / np.maximum(deviation, 1e-6), 0.0)  # a feature that never changes says nothing
    normal = (features - mean) * weight
    variances, components = np.linalg.eigh(normal.T @ normal / len(normal))
    kept = components[:, ::-1][:, :num_components]
    scale = np.sqrt(max(float(variances[::-1][:num_components].mean()), 1e-12))
    matrix = weight[:, None] * kept / scale
    return Basis(matrix.astype(np.float32), (-mean @ matrix).astype(np.float32))
