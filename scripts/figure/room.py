"""The room that the figure is in, drawn at random."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from figure.furniture import Box, furnish, greens
from figure.geometry import Solid
from figure.look import Palette
from figure.paint import paint_floor, paint_wall, wall_colour
from streamvc.types import Array


@dataclass(frozen=True, slots=True, eq=False)
class Room:
    """Walls at x = `left`, `right` and z = `back`, floor at y = 0, in metres. Painted surfaces are (H, W, 3) linear blue, green, red."""

    left: float
    right: float
    back: float
    height: float
    wall: Array
    side_wall: Array
    floor: Array
    boxes: Sequence[Box]
    plants: Sequence[Solid]
    greens: Palette
    light: Array  # (3,) towards the light
    lamp: Array  # (3,) where the room is brightest
    warmth: Array  # (3,) colour of the light
    exposure: float


def random_room(rng: np.random.Generator) -> Room:
    """A room as `rng` has it. The figure's spot is around (0, 0, 0); what stands on the floor stays behind it."""
    left, right, back, height = -rng.uniform(2.6, 3.6), rng.uniform(2.6, 3.6), -rng.uniform(1.3, 2.6), rng.uniform(2.5, 2.9)
    colour = wall_colour(rng)
    from_left = rng.choice([-1.0, 1.0])
    light = np.array([from_left * rng.uniform(0.3, 0.9), rng.uniform(0.9, 1.4), rng.uniform(0.5, 1.0)])
    things = furnish(rng, left, right, back)
    return Room(
        left=left,
        right=right,
        back=back,
        height=height,
        wall=paint_wall(rng, right - left, height, colour),
        side_wall=colour * np.float32(rng.uniform(0.8, 1.0)),
        floor=paint_floor(rng, right - left, 5.0 - back),
        boxes=[thing for thing in things if isinstance(thing, Box)],
        plants=[thing for thing in things if isinstance(thing, Solid)],
        greens=greens(rng),
        light=light / np.linalg.norm(light),
        lamp=np.array([rng.uniform(-1.5, 1.5), height - 0.2, rng.uniform(-1.0, 1.0)]),
        warmth=np.array([rng.uniform(0.80, 1.04), 1.0, rng.uniform(0.96, 1.10)], np.float32),
        exposure=rng.uniform(0.85, 1.25),
    )
