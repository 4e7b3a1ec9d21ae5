"""The person in front of the camera: pose features, and the square that follows. Detection is costly, so it may run in every n-th tick only."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamvc.inference.pose.features import PoseFeatures
from streamvc.inference.pose.landmarks import BodyPose
from streamvc.inference.pose.tracker import PoseTracker
from streamvc.inference.views import PersonView, Square
from streamvc.types import Array


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """The features of the person's pose, zeros where there is nobody; the body and the square to look at, None where there is nobody."""

    features: Array
    body: BodyPose | None
    square: Square | None


class PersonSearch:
    """Finds the person in the frames of one stream, once in every `every` ticks; the last result is held in between."""

    def __init__(self, tracker: PoseTracker, every: int = 1) -> None:
        self._tracker = tracker
        self._every = every
        self._features = PoseFeatures()
        self._view = PersonView()
        self._found: Person | None = None
        self._num_ticks = 0  # since the last look

    @property
    def identity(self) -> str:
        """What says whether two of them find the same."""
        return self._tracker.identity + (f" every {self._every}" if self._every > 1 else "")

    def step(self, image: NDArray[np.uint8], num_ticks: int = 1) -> Person:
        """Take the next frame, (H, W, 3) uint8 BGR of the size of the one before, so many ticks behind it."""
        self._num_ticks += num_ticks
        if self._found is None or self._num_ticks >= self._every:
            body = self._tracker.step(image, self._num_ticks)
            self._found = Person(self._features.step(body, self._num_ticks), body, self._view.step(body, self._num_ticks))
            self._num_ticks = 0
        return self._found

    def reset(self) -> None:
        """Forget the person, as after a gap."""
        self._tracker.reset()
        self._features.reset()
        self._view.reset()
        self._found = None
        self._num_ticks = 0
