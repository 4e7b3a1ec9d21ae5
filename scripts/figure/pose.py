"""Postures of the figure, and how one turns into another.

Lengths are in body heights and angles in degrees, so that a posture fits any body. Pairs are (left, right): the figure's own left.
"""

from dataclasses import dataclass, field, fields
from itertools import pairwise
from typing import Any

import numpy as np

from streamvc.types import Array

HIPS_Y = 0.522  # body heights; legs a little less than straight
STANCE = 0.052  # body heights from the middle to each foot


def pair(left: float, right: float | None = None) -> Array:
    """The same number for both sides, or one for each."""
    return np.array([left, left if right is None else right], np.float64)


def sides(left: tuple[float, float, float], right: tuple[float, float, float] | None = None) -> Array:
    """A vector for each side; without `right`, the mirror image of `left`."""
    mirrored = (-left[0], left[1], left[2])
    return np.array([left, mirrored if right is None else right], np.float64)


def standing_feet(width: float = STANCE) -> Array:
    """Both feet flat on the floor, side by side."""
    return sides((width, 0.0, 0.0))


def hanging_elbows() -> Array:
    """Elbows that bend forward and slightly inward, as in arms at rest."""
    return sides((-0.25, 0.0, 1.0))


@dataclass(frozen=True, slots=True, eq=False)
class Arms:
    """What the arms do. Their default hangs.

    Attributes:
        raised: (2,) upper arms: 0 down, 90 level, 180 up.
        ahead: (2,) where they are raised to: 0 sideways, 90 forward.
        elbow: (2,) bend of the elbows.
        bends_to: (2, 3) left, up, forward: where the forearm goes as the elbow bends.
        spread: (2,) how far the fingers are spread, 0 to 1.
    """

    raised: Array = field(default_factory=lambda: pair(9.0))
    ahead: Array = field(default_factory=lambda: pair(20.0))
    elbow: Array = field(default_factory=lambda: pair(14.0))
    bends_to: Array = field(default_factory=hanging_elbows)
    spread: Array = field(default_factory=lambda: pair(0.15))


@dataclass(frozen=True, slots=True, eq=False)
class Pose:
    """One posture. Its default is a person who stands upright, arms down.

    Attributes:
        place: (2,) metres on the floor, right and towards the camera.
        yaw: Heading; 0 looks at the camera, 90 to the figure's own left.
        hips: (3,) left, up, forward of `place`.
        lean: (2,) of the trunk, forward and to the left.
        spine: (2,) bend forward and twist to the left, between hips and shoulders.
        head: (3,) nod forward, turn left, tilt left.
        feet: (2, 3) left, up, forward of `place`.
        toes: (2, 2) heel up, and toes out.
    """

    place: Array = field(default_factory=lambda: pair(0.0))
    yaw: float = 0.0
    hips: Array = field(default_factory=lambda: np.array([0.0, HIPS_Y, 0.0]))
    lean: Array = field(default_factory=lambda: pair(0.0))
    spine: Array = field(default_factory=lambda: pair(0.0))
    head: Array = field(default_factory=lambda: np.zeros(3))
    arms: Arms = field(default_factory=Arms)
    feet: Array = field(default_factory=standing_feet)
    toes: Array = field(default_factory=lambda: np.array([[0.0, 12.0], [0.0, 12.0]]))


HANDS_ON_HIPS = Arms(raised=pair(46.0), ahead=pair(-22.0), elbow=pair(98.0), bends_to=sides((-0.9, -0.1, 0.55)))


def mix(one: Pose, other: Pose, weight: float) -> Pose:
    """The posture on the way from `one` (weight 0) to `other` (weight 1)."""
    mixed: Pose = _mixed(one, other, weight)
    return mixed


def _mixed(one: Any, other: Any, weight: float) -> Any:
    if isinstance(one, (Pose, Arms)):
        return type(one)(*(_mixed(getattr(one, f.name), getattr(other, f.name), weight) for f in fields(one)))
    return one * (1.0 - weight) + other * weight


def ease(x: float) -> float:
    """From 0 at 0 to 1 at 1, starting and ending at rest."""
    x = min(max(x, 0.0), 1.0)
    return x * x * (3.0 - 2.0 * x)


def keyed(phase: float, keys: tuple[tuple[float, Pose], ...]) -> Pose:
    """The posture at `phase` (0 to 1) of a cycle given by key postures in order of their phase, eased from one to the next."""
    keys = (*keys, (keys[0][0] + 1.0, keys[0][1]))
    phase = keys[0][0] + (phase - keys[0][0]) % 1.0
    for (start, one), (end, other) in pairwise(keys):
        if phase <= end:
            return mix(one, other, ease((phase - start) / (end - start)))
    return keys[-1][1]
