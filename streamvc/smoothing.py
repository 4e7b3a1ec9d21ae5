"""Smooths scores over time."""

import math

import numpy as np
from numpy.typing import NDArray

from streamvc.types import Prediction


class Smoother:
    """Exponential mean with a time constant in seconds, so that the rate of predictions does not change its meaning.

    A step of dt seconds weighs the new scores by 1 - exp(-dt / time_constant_s). The first prediction after a reset is passed on as it is.

    Attributes:
        time_constant_s: May be changed between two steps.
    """

    def __init__(self, time_constant_s: float) -> None:
        if time_constant_s < 0:
            raise ValueError(f"time_constant_s must not be negative, it is {time_constant_s}")
        self.time_constant_s = time_constant_s
        self._mean: NDArray[np.float32] | None = None
        self._timestamp = 0.0

    def step(self, prediction: Prediction) -> Prediction:
        """Take the next prediction; returns it with smoothed scores."""
        scores = prediction.scores
        if self._mean is not None and self.time_constant_s > 0:
            weight = -math.expm1(-(prediction.timestamp - self._timestamp) / self.time_constant_s)
            scores = self._mean + np.float32(weight) * (scores - self._mean)
        self._mean, self._timestamp = scores, prediction.timestamp
        return Prediction(prediction.index, prediction.timestamp, scores)

    def reset(self) -> None:
        """Forget all predictions."""
        self._mean = None
