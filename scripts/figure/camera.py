"""The camera: where it stands, and what it makes of colours."""

import numpy as np
from numpy.typing import NDArray

from figure.look import Look
from figure.raster import View, look_at
from streamvc.types import Array

GAMMA = 1 / 2.2


def random_view(rng: np.random.Generator, look: Look, size: tuple[int, int]) -> View:
    """A camera on a desk or a shelf that sees the whole figure."""
    width, height = size
    focal = rng.uniform(0.85, 1.15) * width
    fill = rng.uniform(0.54, 0.70)  # of the picture's height, by the figure
    distance = focal * look.build.height / (fill * height)
    around = np.radians(rng.uniform(-9, 9))
    position = np.array([distance * np.sin(around), rng.uniform(0.9, 1.7), distance * np.cos(around)])
    target = np.array([rng.uniform(-0.18, 0.18), look.build.height * rng.uniform(0.52, 0.62), 0.0])
    return View(position, look_at(position, target), focal, np.array([width / 2, height / 2]))


class Film:
    """Turns linear colours into the bytes of a camera: brightness that wanders a little, gamma, noise."""

    def __init__(self, rng: np.random.Generator, size: tuple[int, int]) -> None:
        self._rng = rng
        self._gain = rng.uniform(0.9, 1.1)
        self._flicker = rng.uniform(0.0, 0.02), rng.uniform(0.2, 1.5), rng.uniform(0, 6.28)
        noise = rng.normal(0.0, rng.uniform(0.4, 2.5), (size[1] + 64, size[0] + 64, 1))
        self._noise = noise.astype(np.float32)
        self._size = size

    def develop(self, image: Array, t: float) -> NDArray[np.uint8]:
        """The picture (H, W, 3) uint8 of linear colours (H, W, 3) at a time in seconds."""
        strength, frequency, phase = self._flicker
        gain = self._gain * (1.0 + strength * np.sin(6.28 * frequency * t + phase))
        x, y = self._rng.integers(0, 64, 2)
        width, height = self._size
        codes = 255.0 * np.power(np.clip(image * np.float32(gain), 0.0, 1.0), GAMMA) + self._noise[y : y + height, x : x + width]
        return np.clip(codes + 0.5, 0, 255).astype(np.uint8)
