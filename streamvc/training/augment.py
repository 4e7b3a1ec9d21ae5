"""Pictures varied for training: mirrored, cut and recoloured, as another camera in another light might have seen them.

A variation holds for a whole clip, since a camera does not change while it looks, and is drawn once: features can then be kept like any others.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Augmentation = Literal["flip", "upend", "crop", "colour", "speed", "thin"]

CROP_SHARE = 0.8  # of each side that a cut picture keeps, at least
GAIN, BIAS = 0.25, 20.0  # largest change of contrast, and of the level of a channel


@dataclass(frozen=True, slots=True)
class Variation:
    """How the pictures of a clip are varied.

    Attributes:
        flip: Whether they are mirrored, left for right.
        crop: Share of each side that is kept, and where that lies between left and right and between top and bottom, 0 to 1.
        gain: Contrast.
        bias: What is added to blue, green and red.
        upend: Whether they are mirrored top to bottom, as for a camera that looks straight down.
    """

    flip: bool = False
    crop: tuple[float, float, float] = (1.0, 0.5, 0.5)
    gain: float = 1.0
    bias: tuple[float, float, float] = (0.0, 0.0, 0.0)
    upend: bool = field(default=False, repr=False)  # `__str__` adds it: features that are kept under the old text stay good

    def __str__(self) -> str:
        return f"{self!r} upended" if self.upend else repr(self)

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A picture, (H, W, 3) uint8 BGR, varied; the very same array where nothing changes."""
        share, across, down = self.crop
        if share < 1:
            height, width = (round(side * share) for side in image.shape[:2])
            top, left = round((image.shape[0] - height) * down), round((image.shape[1] - width) * across)
            image = image[top : top + height, left : left + width]
        if self.flip:
            image = np.asarray(cv2.flip(image, 1), np.uint8)
        if self.upend:
            image = np.asarray(cv2.flip(image, 0), np.uint8)
        if (self.gain, *self.bias) != (1.0, 0.0, 0.0, 0.0):
            levels = (np.arange(256.0)[:, None] - 127.5) * self.gain + 127.5 + self.bias
            image = np.asarray(cv2.LUT(image, np.clip(np.rint(levels), 0, 255).astype(np.uint8)[None]), np.uint8)
        return image


AS_IT_IS = Variation()


def variations(kinds: Sequence[Augmentation], num: int, seed: int) -> tuple[Variation, ...]:
    """So many variations of the kinds asked for, fewer where these cannot differ so often, and none for `speed` and `thin`."""
    rng = np.random.default_rng(seed)
    drawn = dict.fromkeys(_draw(kinds, number, rng) for number in range(num))
    return tuple(variation for variation in drawn if variation != AS_IT_IS)


def _draw(kinds: Sequence[Augmentation], number: int, rng: np.random.Generator) -> Variation:
    share, across, down = (float(value) for value in rng.uniform((CROP_SHARE, 0, 0), 1))
    gain, bias = float(rng.uniform(1 - GAIN, 1 + GAIN)), rng.uniform(-BIAS, BIAS, 3)
    return Variation(
        flip="flip" in kinds and number % 2 == 0,  # every other one
        upend="upend" in kinds and number % 4 in ((1, 2) if "flip" in kinds else (0, 2)),
        crop=(share, across, down) if "crop" in kinds else AS_IT_IS.crop,
        gain=gain if "colour" in kinds else AS_IT_IS.gain,
        bias=(float(bias[0]), float(bias[1]), float(bias[2])) if "colour" in kinds else AS_IT_IS.bias,
    )
