"""What the figure looks like: build, skin, hair and clothes, drawn at random."""

import colorsys
from dataclasses import dataclass

import numpy as np

from figure.body import Build, Part
from streamvc.types import Array

SKINS = ("f2d3bd", "e8b998", "d9a07c", "c68863", "a86b45", "8a5233", "6b3d26", "4f2c1c")
HAIRS = ("1b1512", "2c1e16", "4a2f1c", "6e4526", "a5743c", "c9a063", "8b3a1e", "8f8a86")
SHOES = ("f0f0ee", "26262a", "b0392f", "3357a5", "5d5f66", "d8b23a")
HAIRCUTS = ("short", "long", "bun", "curly", "shaved", "bald")
GLOSS = {Part.SKIN: 0.05, Part.HAIR: 0.06, Part.SHOES: 0.10, Part.EYE: 0.25, Part.DARK: 0.30}
SLEEVES = ("vest", "short", "short", "long")
LEGS = ("shorts", "long", "long", "tights")


def hexed(code: str) -> Array:
    """A colour such as "f2d3bd" as linear blue, green, red from 0 to 1."""
    red, green, blue = (int(code[i : i + 2], 16) / 255 for i in (0, 2, 4))
    return np.array([blue, green, red], np.float32) ** 2.2


def hued(hue: float, saturation: float, value: float) -> Array:
    """A colour by hue, saturation and value (0 to 1) as linear blue, green, red."""
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
    return np.array([blue, green, red], np.float32) ** 2.2


@dataclass(frozen=True, slots=True, eq=False)
class Palette:
    """What parts are made of: (N, 3) linear blue, green, red, and (N,) how much they shine."""

    colours: Array
    gloss: Array


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """A person: build, colours of its parts, and what they wear."""

    build: Build
    palette: Palette
    haircut: str
    beard: bool
    sleeves: str
    legs: str
    band: bool  # a stripe of the trim's colour across the chest


def random_look(rng: np.random.Generator) -> Look:
    """A person as `rng` has it."""
    haircut = str(rng.choice(HAIRCUTS, p=(0.32, 0.22, 0.14, 0.14, 0.11, 0.07)))
    return Look(
        build=_random_build(rng),
        palette=_random_palette(rng),
        haircut=haircut,
        beard=haircut in ("short", "bald", "shaved") and rng.random() < 0.3,
        sleeves=str(rng.choice(SLEEVES)),
        legs=str(rng.choice(LEGS)),
        band=rng.random() < 0.4,
    )


def _random_build(rng: np.random.Generator) -> Build:
    return Build(
        height=rng.uniform(1.58, 1.90),
        limbs=rng.uniform(0.88, 1.14),
        shoulders=rng.uniform(0.90, 1.10),
        hips=rng.uniform(0.92, 1.12),
        waist=rng.uniform(0.86, 1.15),
    )


def _cloth(rng: np.random.Generator) -> Array:
    return hued(rng.random(), rng.choice([0.05, 0.35, 0.6, 0.8]) + rng.uniform(0, 0.1), rng.uniform(0.25, 0.95))


def _random_palette(rng: np.random.Generator) -> Palette:
    tone = int(rng.integers(len(SKINS)))
    skin = hexed(SKINS[tone])
    hairs = HAIRS[: len(HAIRS) - tone] if tone > 3 else HAIRS
    colours = np.zeros((len(Part), 3), np.float32)
    colours[Part.SKIN] = skin
    colours[Part.HAIR] = hexed(str(rng.choice(hairs)))
    colours[Part.SHIRT] = max((_cloth(rng), _cloth(rng)), key=lambda cloth: float(np.abs(cloth - skin).max()))
    colours[Part.TRIM] = _cloth(rng)
    colours[Part.TROUSERS] = hued(float(rng.choice([0.60, 0.62, 0.08, 0.0, rng.random()])), rng.uniform(0.05, 0.6), rng.uniform(0.12, 0.6))
    colours[Part.SHOES] = hexed(str(rng.choice(SHOES)))
    colours[Part.SOLES] = hexed("e6e4de")
    colours[Part.EYE] = hexed("f4f1ec")
    colours[Part.DARK] = hexed("1d1512")
    colours[Part.LIPS] = skin * [0.62, 0.55, 0.85]
    return Palette(colours, np.array([GLOSS.get(part, 0.0) for part in Part], np.float32))
