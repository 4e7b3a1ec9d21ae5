"""Draws solids into a picture of depths, normals and parts, seen by a camera or along the light.

Picture coordinates are pixels to the right and down, and towards the viewer. Each solid is drawn as if seen from far away at its own scale
(weak perspective), so that depth and normal of each pixel have a closed form.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from figure.geometry import Solid, across, unit
from streamvc.types import Array

SEAM_M = 0.018  # metres of depth within which two solids of one part run together
FAR = -1e9
NUM_SHARES = 17
ROUND = np.eye(3)


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A camera.

    Attributes:
        position: (3,) in metres.
        axes: (3, 3) its rows are the directions right, down and towards the viewer.
        focal_px: Focal length.
        centre: (2,) pixel that it looks at.
        scale: Pixels a metre where it sees no perspective (light); None for a camera.
    """

    position: Array
    axes: Array
    focal_px: float
    centre: Array
    scale: float | None = None

    def project(self, points: Array) -> tuple[Array, Array]:
        """Where (N, 3) points lie in the picture: (N, 3) pixels, and (N,) pixels a metre there."""
        seen = (points - self.position) @ self.axes.T
        scale = np.full(len(seen), self.scale) if self.scale else self.focal_px / np.maximum(-seen[:, 2], 0.05)
        pixels = seen * scale[:, None] if self.scale else np.column_stack((seen[:, :2] * scale[:, None], seen[:, 2] * scale.mean()))
        pixels[:, :2] += self.centre
        return pixels, scale


def look_at(position: Array, target: Array) -> Array:
    """The axes of a view from `position` to `target`, upright."""
    back = unit(position - target)
    down = across(np.array([0.0, -1.0, 0.0]), back)
    return np.array([np.cross(-down, back), down, back])


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """What a view sees in a window of its picture, per pixel: depth (pixels, `FAR` where nothing is), normal, part. `left`, `top`: its corner."""

    left: int
    top: int
    depth: Array
    normal: Array
    part: Array
    scale: float


def draw(solids: Sequence[Solid], view: View, window: tuple[int, int, int, int]) -> Surface:
    """Draw solids within a window (left, top, right, bottom) of the view's picture."""
    left, top, right, bottom = window
    ends = np.array([[solid.a, solid.b] for solid in solids]).reshape(-1, 3)
    pixels, scale = view.project(ends)
    pixels -= [left, top, 0.0]
    size = (max(bottom - top, 1), max(right - left, 1))
    surface = Surface(left, top, np.full(size, FAR, np.float32), np.zeros((*size, 3), np.float32), np.zeros(size, np.uint8), float(scale.mean()))
    for i, solid in enumerate(solids):
        radii = (solid.radius_a * scale[2 * i], solid.radius_b * scale[2 * i + 1])
        _draw(surface, pixels[2 * i], pixels[2 * i + 1], radii, _stretch(solid, view), solid)
    covered = surface.depth > FAR / 2
    surface.normal[covered] = _unit(surface.normal[covered])
    return surface


def extent(solids: Sequence[Solid], view: View) -> tuple[int, int, int, int]:
    """The window (left, top, right, bottom) that holds all solids."""
    pixels, scale = view.project(np.array([[solid.a, solid.b] for solid in solids]).reshape(-1, 3))
    radius = np.array([[solid.radius_a, solid.radius_b] for solid in solids]).reshape(-1, 1) * scale[:, None]
    low, high = np.floor((pixels[:, :2] - radius).min(axis=0)), np.ceil((pixels[:, :2] + radius).max(axis=0))
    return int(low[0]), int(low[1]), int(high[0]) + 1, int(high[1]) + 1


def _stretch(solid: Solid, view: View) -> Array:
    """The map that turns a flattened solid into a round one and keeps the line of sight a coordinate axis."""
    if solid.axis is None:
        return ROUND
    axis = view.axes @ solid.axis
    stretch = ROUND + (1.0 / solid.flat - 1.0) * np.outer(axis, axis)
    sight = unit(stretch[:, 2])
    first = across(np.array([1.0, 0.0, 0.0]) if abs(sight[0]) < 0.9 else np.array([0.0, 1.0, 0.0]), sight)
    return np.array([first, np.cross(sight, first), sight]) @ stretch


def _draw(surface: Surface, a: Array, b: Array, radii: tuple[float, float], stretch: Array, solid: Solid) -> None:
    rows, columns = (_span(a[i], b[i], radii, surface.depth.shape[1 - i]) for i in (1, 0))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    dx = np.arange(columns.start, columns.stop, dtype=np.float32)[None, :] + np.float32(0.5 - a[0])
    dy = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] + np.float32(0.5 - a[1])
    m = stretch.astype(np.float32)
    x, y, lift = (m[i, 0] * dx + m[i, 1] * dy for i in range(3))
    hit, z, normal = _round_cone(x, y, stretch @ (b - a), radii)
    depth = np.float32(a[2]) + (z - lift) / m[2, 2]
    if solid.hem:
        beyond = (b - a).astype(np.float32)
        hit &= dx * beyond[0] + dy * beyond[1] + (depth - np.float32(a[2])) * beyond[2] < beyond @ beyond
    if solid.axis is not None:
        normal = _unit(normal @ m)
    _merge(surface, (rows, columns), hit, depth, normal, solid.part)


def _unit(normals: Array) -> Array:
    length = np.sqrt(np.einsum("...c,...c->...", normals, normals))
    return np.asarray(normals / np.maximum(length, 1e-6)[..., None])


def _span(a: float, b: float, radii: tuple[float, float], size: int) -> slice:
    low, high = min(a - radii[0], b - radii[1]), max(a + radii[0], b + radii[1])
    return slice(max(int(low) - 1, 0), min(int(high) + 2, size))


def _round_cone(x: Array, y: Array, d: Array, radii: tuple[float, float]) -> tuple[Array, Array, Array]:
    """Height above the picture, and normal, of the hull of a ball at 0 and one at `d`.

    A point of the hull belongs to the ball at share t of the way. Its height is t * d_z + sqrt(q(t)), where q(t) = a t^2 + b t + c is that ball's
    radius squared less the distance of its centre squared. That is concave in t, so the highest t is known and clipping it to 0..1 is exact.
    """
    dr = radii[1] - radii[0]
    dx, dy, dz = (np.float32(v) for v in d)
    a = float(dr * dr - dx * dx - dy * dy)
    b = 2.0 * (np.float32(radii[0] * dr) + x * dx + y * dy)
    c = np.float32(radii[0] ** 2) - x * x - y * y
    if a < -1e-3:
        e = np.maximum(c - b * b / np.float32(4 * a), 0.0)
        t = -b / np.float32(2 * a) + dz * np.sqrt(e) / np.float32(np.sqrt(a * (a - dz * dz)))
        t = np.minimum(np.maximum(t, np.float32(0.0)), np.float32(1.0))
    else:  # seen end-on, one ball before the other: not concave, so try some
        shares = np.linspace(0.0, 1.0, NUM_SHARES, dtype=np.float32)[:, None, None]
        q = (np.float32(a) * shares + b) * shares + c
        t = shares[np.where(q > 0.0, shares * dz + np.sqrt(np.maximum(q, 0.0)), np.float32(FAR)).argmax(axis=0), 0, 0]
    q = (np.float32(a) * t + b) * t + c
    rise = np.sqrt(np.maximum(q, 0.0))
    radius = np.maximum(np.float32(radii[0]) + t * np.float32(dr), np.float32(1e-3))
    normal = np.empty((*rise.shape, 3), np.float32)
    for i, component in enumerate((x - t * dx, y - t * dy, rise)):
        np.divide(component, radius, out=normal[..., i])
    return q > 0.0, t * dz + rise, normal


def _merge(surface: Surface, at: tuple[slice, slice], hit: Array, depth: Array, normal: Array, part: int) -> None:
    """Keep what is nearer; where two solids of one part nearly touch, blend their normals, which hides the seam."""
    old, old_normal, old_part = surface.depth[at], surface.normal[at], surface.part[at]
    nearer = hit & (depth > old)
    same = hit & (old_part == part) & (old > np.float32(FAR / 2))
    if same.any():
        weight = np.where(same, np.clip(0.5 + (depth - old) / np.float32(2.0 * SEAM_M * surface.scale), 0.0, 1.0), nearer).astype(np.float32)
        old_normal += weight[..., None] * (normal - old_normal)
    else:
        np.copyto(old_normal, normal, where=nearer[..., None])
    np.copyto(old, depth, where=nearer)
    np.copyto(old_part, np.uint8(part), where=nearer)
