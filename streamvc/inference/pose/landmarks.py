"""A person as the pose network sees one: landmarks, and the region of the picture that they were found in."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

NUM_LANDMARKS = 33
FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Region:
    """A square around a person, turned so that the person stands upright in it.

    Attributes:
        center_x: Its middle, in pixels of the image ...
        center_y: ... from the left and from the top.
        size: Its side, in pixels.
        rotation: Radians, clockwise as the picture is seen; 0 for a person who stands upright.
    """

    center_x: float
    center_y: float
    size: float
    rotation: float

    @classmethod
    def around(cls, middle: FloatArray, edge: FloatArray, scale: float = 1.25) -> Self:
        """The region of a circle, given by its middle between the hips and a point on it above the head: both (2,), in pixels.

        The angle, the size and their scale are those that BlazePose was trained with (Bazarevsky et al., 2020).
        """
        x, y = (edge - middle).tolist()
        return cls(float(middle[0]), float(middle[1]), 2 * scale * float(np.hypot(x, y)), float(np.pi / 2 - np.arctan2(-y, x)))

    def transform(self, side: int) -> NDArray[np.float64]:
        """(2, 3): brings a point of a square picture of this side to the image."""
        scale = self.size / side
        cos, sin = scale * np.cos(self.rotation), scale * np.sin(self.rotation)
        half = side / 2
        return np.array([[cos, -sin, self.center_x - half * (cos - sin)], [sin, cos, self.center_y - half * (sin + cos)]])


@dataclass(frozen=True, slots=True, eq=False)
class BodyPose:
    """One person in one frame.

    Attributes:
        landmarks: (33, 4) float32: x and y in pixels of the image, z in the same measure (smaller is nearer), and visibility, 0 to 1.
        world: (33, 3) float32, metres, the middle between the hips being the origin; x to the right, y downwards, z away from the camera.
        presence: How sure it is that somebody is there, 0 to 1.
        region: Where the person was looked for.
    """

    landmarks: FloatArray
    world: FloatArray
    presence: float
    region: Region
