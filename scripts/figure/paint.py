"""Paints the walls and the floor of a room: patterns, windows, doors, pictures. A metre is `PX_PER_M` pixels; colours are linear."""

from collections.abc import Sequence

import cv2
import numpy as np

from figure.look import hued
from streamvc.types import Array

PX_PER_M = 160


def fill(image: Array, low: Sequence[float], high: Sequence[float], colour: Array) -> None:
    """Fill a rectangle given in metres from the lower left corner of a painted surface."""
    rows = image.shape[0]
    x0, x1 = (int(v * PX_PER_M) for v in (low[0], high[0]))
    y0, y1 = (rows - int(v * PX_PER_M) for v in (high[1], low[1]))
    image[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)] = colour


def wall_colour(rng: np.random.Generator) -> Array:
    """A colour for walls, mostly pale."""
    return hued(rng.random(), float(rng.choice([0.04, 0.12, 0.25, 0.40], p=(0.4, 0.3, 0.2, 0.1))), rng.uniform(0.55, 0.95))


def paint_wall(rng: np.random.Generator, width: float, height: float, colour: Array) -> Array:
    """A wall (H, W, 3) with a pattern and what hangs on it, seen from the room; `width` and `height` in metres."""
    wall = np.empty((int(height * PX_PER_M), int(width * PX_PER_M), 3), np.float32)
    wall[:] = colour
    _pattern(rng, wall)
    spots = rng.permutation(np.linspace(0.12, 0.88, 5)) * width
    if rng.random() < 0.6:
        _window(rng, wall, spots[0])
    if rng.random() < 0.4:
        _door(rng, wall, spots[1])
    for spot in spots[2 : 2 + rng.integers(0, 4)]:
        _picture(rng, wall, spot)
    fill(wall, (0, 0), (width, rng.uniform(0.06, 0.12)), np.float32(1.2) * colour.max() * np.ones(3, np.float32).clip(0, 0.9))
    return wall


def _pattern(rng: np.random.Generator, wall: Array) -> None:
    kind = rng.choice(["plain", "stripes", "panel", "bricks"], p=(0.6, 0.15, 0.15, 0.10))
    rows, columns = np.ogrid[: wall.shape[0], : wall.shape[1]]
    if kind == "stripes":
        wall *= np.where((columns // int(rng.uniform(10, 40))) % 2, 1.0, rng.uniform(0.8, 0.95))[..., None]
    if kind == "panel":
        wall[int(wall.shape[0] * rng.uniform(0.55, 0.7)) :] *= rng.uniform(0.45, 0.8)
    if kind == "bricks":
        row = rows // 12
        mortar = (rows % 12 < 2) | ((columns + 17 * (row % 2)) % 34 < 2)
        wall *= np.where(mortar, 1.1, 0.8 + 0.15 * np.sin(row * 7.1 + (columns + 17 * (row % 2)) // 34 * 3.7))[..., None]
    wall *= _speckle(rng, wall.shape[:2], 0.02)


def _speckle(rng: np.random.Generator, shape: tuple[int, ...], strength: float) -> Array:
    """Soft blotches around 1, as (H, W, 1)."""
    coarse = rng.normal(1.0, strength, (shape[0] // 16 + 2, shape[1] // 16 + 2)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC))[..., None]


def _window(rng: np.random.Generator, wall: Array, x: float) -> None:
    width, low, high = rng.uniform(0.8, 1.5), rng.uniform(0.8, 1.1), rng.uniform(1.9, 2.3)
    x = min(max(x - width / 2, 0.1), wall.shape[1] / PX_PER_M - width - 0.1)
    fill(wall, (x - 0.07, low - 0.07), (x + width + 0.07, high + 0.07), np.full(3, 0.85, np.float32))
    fill(wall, (x - 0.12, low - 0.10), (x + width + 0.12, low - 0.05), np.full(3, 0.75, np.float32))
    sky, bright, steps = hued(rng.uniform(0.52, 0.62), rng.uniform(0.05, 0.4), 1.0), rng.uniform(0.7, 1.4), 24
    for step in range(steps):
        level = low + (high - low) * step / steps
        fill(wall, (x, level), (x + width, level + (high - low) / steps + 0.01), bright * (sky + (1 - sky) * (1 - step / steps) * 0.6))
    fill(wall, (x, low), (x + width, low + rng.uniform(0.1, 0.4)), hued(rng.uniform(0.25, 0.4), 0.4, rng.uniform(0.35, 0.6)))
    fill(wall, (x + width / 2 - 0.025, low), (x + width / 2 + 0.025, high), np.full(3, 0.85, np.float32))
    if rng.random() < 0.5:
        cloth = hued(rng.random(), rng.uniform(0, 0.6), rng.uniform(0.4, 0.9))
        for start in (x - 0.25, x + width - 0.05):
            for fold in range(6):
                fill(wall, (start + fold * 0.05, 0.2), (start + fold * 0.05 + 0.06, high + 0.15), cloth * (0.8 + 0.2 * (fold % 2)))


def _door(rng: np.random.Generator, wall: Array, x: float) -> None:
    colour = hued(rng.uniform(0.05, 0.12), rng.uniform(0, 0.6), rng.uniform(0.3, 0.95))
    fill(wall, (x - 0.50, 0), (x + 0.50, 2.10), colour * 0.75)
    fill(wall, (x - 0.43, 0), (x + 0.43, 2.04), colour)
    for low, high in ((0.2, 0.9), (1.1, 1.85)):
        fill(wall, (x - 0.28, low), (x + 0.28, high), colour * 0.88)
    fill(wall, (x + 0.32, 0.98), (x + 0.40, 1.02), np.full(3, 0.6, np.float32))


def _picture(rng: np.random.Generator, wall: Array, x: float) -> None:
    width, height, y = rng.uniform(0.3, 0.8), rng.uniform(0.35, 0.9), rng.uniform(1.15, 1.5)
    size = (max(int(width * PX_PER_M), 8), max(int(height * PX_PER_M), 8))
    canvas = np.empty((size[1], size[0], 3), np.float32)
    canvas[:] = hued(rng.random(), rng.uniform(0, 0.6), rng.uniform(0.3, 1.0))
    for _ in range(rng.integers(2, 8)):
        colour = [float(v) for v in hued(rng.random(), rng.uniform(0.1, 0.8), rng.uniform(0.2, 1.0))]
        centre = (int(rng.uniform(0, size[0])), int(rng.uniform(0, size[1])))
        if rng.random() < 0.5:
            cv2.circle(canvas, centre, int(rng.uniform(0.08, 0.4) * size[0]), colour, -1, cv2.LINE_AA)
        else:
            cv2.rectangle(canvas, centre, (int(rng.uniform(0, size[0])), int(rng.uniform(0, size[1]))), colour, -1)
    frame = hued(0.08, rng.uniform(0, 0.5), float(rng.choice([0.15, 0.5, 0.95])))
    fill(wall, (x - width / 2 - 0.03, y - 0.03), (x + width / 2 + 0.03, y + height + 0.03), frame)
    left, low = int((x - width / 2) * PX_PER_M), wall.shape[0] - int(y * PX_PER_M)
    at = wall[max(low - size[1], 0) : low, max(left, 0) : left + size[0]]
    at[:] = canvas[: at.shape[0], : at.shape[1]]


def paint_floor(rng: np.random.Generator, width: float, depth: float) -> Array:
    """A floor (H, W, 3) of planks, tiles or carpet, its first row at the back wall; `width` and `depth` in metres."""
    floor = np.empty((int(depth * PX_PER_M), int(width * PX_PER_M), 3), np.float32)
    rows, columns = np.ogrid[: floor.shape[0], : floor.shape[1]]
    kind = rng.choice(["planks", "tiles", "carpet"], p=(0.55, 0.2, 0.25))
    if kind == "planks":
        floor[:] = hued(rng.uniform(0.05, 0.11), rng.uniform(0.25, 0.6), rng.uniform(0.35, 0.85))
        plank = columns // 22
        board = (rows + plank * 131) // 210
        tone = rng.uniform(0.75, 1.1, 4096).astype(np.float32)[(plank * 37 + board * 101) % 4096]
        seam = (columns % 22 < 1) | ((rows + plank * 131) % 210 < 1)
        floor *= (tone * np.where(seam, 0.6, 1.0))[..., None]
    elif kind == "tiles":
        floor[:] = hued(rng.random(), rng.uniform(0, 0.2), rng.uniform(0.4, 0.9))
        floor *= np.where(((rows // 64) + (columns // 64)) % 2, 1.0, rng.uniform(0.7, 1.0))[..., None]
        floor[(rows % 64 < 2) | (columns % 64 < 2)] *= 0.7
    else:
        floor[:] = hued(rng.random(), rng.uniform(0.05, 0.5), rng.uniform(0.3, 0.75))
        floor *= rng.normal(1.0, 0.05, (*floor.shape[:2], 1)).astype(np.float32)
    return floor * _speckle(rng, floor.shape[:2], 0.03)
