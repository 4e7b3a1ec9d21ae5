"""Directions, places and solids."""

from dataclasses import dataclass

import numpy as np

from streamvc.types import Array


def turn(axis: int, degrees: float) -> Array:
    """Rotation about one of the axes left (0), up (1), forward (2)."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    i, j = (axis + 1) % 3, (axis + 2) % 3
    matrix = np.eye(3)
    matrix[i, i], matrix[i, j], matrix[j, i], matrix[j, j] = c, -s, s, c
    return matrix


def unit(vector: Array) -> Array:
    """The vector at length 1."""
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-9))


def across(vector: Array, axis: Array) -> Array:
    """The direction of `vector` at right angles to the unit vector `axis`."""
    return unit(vector - axis * (vector @ axis))


@dataclass(frozen=True, slots=True, eq=False)
class Joint:
    """A place in the body and its three directions (left, up, forward), as columns."""

    origin: Array
    axes: Array

    def at(self, local: Array) -> Array:
        """A local point in the outer frame."""
        return np.asarray(self.origin + self.axes @ local)

    def local(self, left: float, up: float, front: float) -> Array:
        """The same, by its three numbers."""
        return self.at(np.array([left, up, front]))


@dataclass(frozen=True, slots=True, eq=False)
class Solid:
    """A tapered rod with round ends at `a` and `b`; flattened to `flat` of its depth along `axis`, cut straight at `b` where it is a hem.

    `part` is an index into a palette.
    """

    part: int
    a: Array
    b: Array
    radius_a: float
    radius_b: float
    flat: float = 1.0
    axis: Array | None = None
    hem: bool = False
