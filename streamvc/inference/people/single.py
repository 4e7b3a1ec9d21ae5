"""Follows one person with MoveNet Lightning, which looks where the person was, and now and then upside down."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from streamvc.inference.people.movenet import Lightning
from streamvc.inference.people.skeletons import HIPS, SEEN, SHOULDERS, FloatArray
from streamvc.inference.preprocessing import check_image
from streamvc.inference.runtime import Opener, open_model
from streamvc.inference.views import Square

# Half the side of the square around the middle of the hips, by how far the trunk reaches, and by how far any keypoint does: MoveNet is made for that.
TRUNK_REACH, BODY_REACH = 1.9, 1.2
BADLY_SEEN = 0.38  # mean score of the keypoints below which the other way up is tried, in every other look
BETTER = 0.03  # mean score by which the other way up must be better
VERSION = 1  # raise it when the same network finds other keypoints


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What a look at the person has found.

    Attributes:
        keypoints: (17, 3), as in `Skeleton`.
        score: Their mean score.
        upended: Whether the picture was turned by half a turn for it.
    """

    keypoints: FloatArray
    score: float
    upended: bool


class PersonFollower:
    """The person in one stream; the whole picture is looked at until the hips and shoulders are seen. It belongs to one thread at a time."""

    def __init__(self, network: Lightning) -> None:
        self._network = network
        self._square: Square | None = None
        self._upended = False
        self._score = 0.0  # of the last look that way up
        self._num_badly = 0

    @classmethod
    def open(cls, folder: Path, *, runtime: str | None = None, threads: int = 1, opener: Opener = open_model) -> Self:
        """Load the network in a folder; see `Lightning.open`."""
        return cls(Lightning.open(folder, runtime=runtime, threads=threads, opener=opener))

    def step(self, image: NDArray[np.uint8]) -> Look:
        """Look at the next frame, (H, W, 3) uint8 BGR of the size of the one before.

        Raises:
            InferenceError: That is not an image, or the runtime failed.
        """
        check_image(image)
        height, width = image.shape[:2]
        square = self._square or Square(width / 2, height / 2, max(height, width))
        self._num_badly = self._num_badly + 1 if self._score < BADLY_SEEN else 0
        upended = self._upended ^ (self._num_badly > 0 and self._num_badly % 2 == 0)
        keypoints = self._network.look(image, square, upended=upended)
        look = Look(keypoints, float(keypoints[:, 2].mean()), upended)
        if upended == self._upended or look.score > self._score + BETTER:
            self._upended, self._score = upended, look.score
        self._square = square_around(keypoints, width, height)
        return look

    def reset(self) -> None:
        """Forget the person, as after a gap."""
        self._square = None
        self._upended = False
        self._score = 0.0
        self._num_badly = 0


def square_around(keypoints: FloatArray, width: int, height: int) -> Square | None:
    """Where to look in the next frame; None for the whole picture, where the trunk is not seen or the person fills it."""
    seen = keypoints[:, 2] > SEEN
    hips, shoulders = ([index for index in pair if seen[index]] for pair in (HIPS, SHOULDERS))
    if not hips or not shoulders:
        return None
    middle = keypoints[hips, :2].mean(axis=0)
    trunk = np.abs(keypoints[hips + shoulders, :2] - middle).max()
    body = np.abs(keypoints[seen, :2] - middle).max()
    x, y = middle.tolist()
    half = min(max(TRUNK_REACH * trunk, BODY_REACH * body), max(x, width - x, y, height - y))
    return Square(x, y, 2 * float(half)) if 1 <= half < max(height, width) else None
