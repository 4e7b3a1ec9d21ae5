"""Furniture, as boxes, and plants."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from figure.geometry import Solid
from figure.look import Palette, hued
from figure.paint import PX_PER_M, fill
from streamvc.types import Array


@dataclass(frozen=True, slots=True, eq=False)
class Box:
    """A piece of furniture: opposite corners in metres, and its colour (linear); `front` is painted on the side that faces the camera."""

    low: Array
    high: Array
    colour: Array
    front: Array | None = None


def _box(low: Sequence[float], size: Sequence[float], colour: Array, front: Array | None = None) -> Box:
    return Box(np.array(low, np.float64), np.array(low, np.float64) + size, colour, front)


def furnish(rng: np.random.Generator, left: float, right: float, back: float) -> list[Box | Solid]:
    """Zero to three pieces along the back wall, each in a place of its own."""
    makers = (_shelf, _sofa, _sideboard, _table, _plant, _rug)
    chosen = [makers[k] for k in rng.permutation(len(makers))[: rng.integers(1, 4)]]
    spots = rng.permutation(np.linspace(left + 0.8, right - 0.8, 3))
    things: list[Box | Solid] = []
    for maker, spot in zip(chosen, spots, strict=False):
        things += maker(rng, spot + rng.uniform(-0.2, 0.2), back)
    return things


def _wood(rng: np.random.Generator) -> Array:
    return hued(rng.uniform(0.04, 0.11), rng.uniform(0.0, 0.6), rng.uniform(0.2, 0.9))


def _shelf(rng: np.random.Generator, x: float, back: float) -> list[Box]:
    width, height = rng.uniform(0.7, 1.1), rng.uniform(1.2, 2.0)
    front = np.empty((int(height * PX_PER_M), int(width * PX_PER_M), 3), np.float32)
    wood = _wood(rng)
    front[:] = wood * 0.35
    for shelf in np.arange(0.05, height - 0.2, 0.32):
        at = 0.05
        while at < width - 0.1:
            book = rng.uniform(0.02, 0.06)
            if rng.random() < 0.85:
                fill(
                    front, (at, shelf), (at + book, shelf + rng.uniform(0.17, 0.26)), hued(rng.random(), rng.uniform(0.1, 0.7), rng.uniform(0.2, 0.9))
                )
            at += book + 0.004
        fill(front, (0, shelf - 0.04), (width, shelf), wood)
    for low, high in (((0, 0), (0.03, height)), ((width - 0.03, 0), (width, height)), ((0, height - 0.03), (width, height))):
        fill(front, low, high, wood)
    return [_box((x - width / 2, 0, back), (width, height, 0.3), wood, front)]


def _sofa(rng: np.random.Generator, x: float, back: float) -> list[Box]:
    cloth, width = hued(rng.random(), rng.uniform(0.05, 0.6), rng.uniform(0.25, 0.8)), rng.uniform(1.3, 1.9)
    seat = [
        _box((x - width / 2 + 0.15 + i * (width - 0.3) / 2, 0.1, back + 0.2), ((width - 0.3) / 2 - 0.01, 0.33, 0.62), cloth * 1.05) for i in (0, 1)
    ]
    arms = [_box((x + side * (width / 2 - 0.07) - 0.09, 0.05, back + 0.05), (0.18, 0.52, 0.78), cloth * 0.95) for side in (-1, 1)]
    pillow = _box((x - width / 4, 0.43, back + 0.28), (0.4, 0.34, 0.12), hued(rng.random(), 0.5, 0.8))
    return [_box((x - width / 2, 0.05, back + 0.02), (width, 0.75, 0.25), cloth), *seat, *arms, pillow]


def _sideboard(rng: np.random.Generator, x: float, back: float) -> list[Box]:
    wood, width = _wood(rng), rng.uniform(1.0, 1.5)
    screen = _box((x - 0.42, 0.62, back + 0.12), (0.84, 0.5, 0.05), hued(0.6, 0.2, 0.06))
    vase = _box((x + width / 2 - 0.3, 0.55, back + 0.15), (0.12, 0.28, 0.12), hued(rng.random(), 0.5, 0.7))
    return [_box((x - width / 2, 0.08, back + 0.02), (width, 0.47, 0.4), wood), screen if rng.random() < 0.5 else vase]


def _table(rng: np.random.Generator, x: float, back: float) -> list[Box]:
    wood = _wood(rng)
    legs = [_box((x + dx, 0, back + 0.1 + dz), (0.05, 0.72, 0.05), wood * 0.8) for dx in (-0.5, 0.45) for dz in (0.0, 0.45)]
    return [
        *legs,
        _box((x - 0.55, 0.72, back + 0.05), (1.1, 0.04, 0.6), wood),
        _box((x - 0.3, 0.76, back + 0.2), (0.25, 0.18, 0.2), hued(rng.random(), 0.4, 0.6)),
    ]


def _plant(rng: np.random.Generator, x: float, back: float) -> list[Box | Solid]:
    pot = hued(rng.uniform(0, 0.1), rng.uniform(0.1, 0.6), rng.uniform(0.4, 0.9))
    root, tall, wide = np.array([x, 0.30, back + 0.40]), rng.uniform(0.5, 0.9), rng.uniform(0.15, 0.35)
    plant: list[Box | Solid] = [_box((x - 0.15, 0, back + 0.25), (0.3, 0.32, 0.3), pot)]
    for k in range(22):
        angle, height = 2.39996 * k, tall * (0.25 + 0.75 * k / 21)
        out = np.array([np.cos(angle), 0.0, 0.6 * np.sin(angle)]) * wide * (1.2 - 0.7 * k / 21)
        stem = root + 0.45 * out + [0.0, 0.8 * height, 0.0]
        tip = root + out * rng.uniform(0.9, 1.2) + [0.0, height * rng.uniform(0.85, 1.1), 0.0]
        plant += [Solid(0, root, stem, 0.010, 0.006), Solid(1 + k % 3, stem, tip, 0.055, 0.012, 0.35, np.array([0.0, 0.6, 0.8]))]
    return plant


def greens(rng: np.random.Generator) -> Palette:
    """Stem and three shades of leaf."""
    hue, saturation, value = rng.uniform(0.24, 0.38), rng.uniform(0.35, 0.7), rng.uniform(0.3, 0.6)
    shades = [hued(hue + 0.015 * k, saturation, value * (0.8 + 0.2 * k)) for k in range(4)]
    return Palette(np.array(shades), np.full(4, 0.04, np.float32))


def _rug(rng: np.random.Generator, x: float, back: float) -> list[Box]:
    colour = hued(rng.random(), rng.uniform(0.1, 0.6), rng.uniform(0.3, 0.8))
    width, depth = rng.uniform(1.4, 2.6), rng.uniform(0.9, 1.6)
    return [
        _box((x / 3 - width / 2, 0.0, -depth / 2), (width, 0.012, depth), colour * 0.7),
        _box((x / 3 - width / 2 + 0.08, 0.0, 0.08 - depth / 2), (width - 0.16, 0.013, depth - 0.16), colour),
    ]
