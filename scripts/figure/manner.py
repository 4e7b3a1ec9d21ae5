"""How one person moves: tempo, amplitude, habits, and the unrest that nobody is without."""

from dataclasses import dataclass, replace

import numpy as np

from figure.pose import Pose
from streamvc.types import Array


@dataclass(frozen=True, slots=True, eq=False)
class Manner:
    """How one person moves in one clip.

    Attributes:
        tempo: Factor on the usual speed.
        size: Factor on the usual amplitude.
        side: 0 left or 1 right, where a motion has a side.
        variant: Which way of doing it, 0 to 1.
        phase: Where in its cycle a motion begins, 0 to 1.
        waves: (4, C) amplitude 1 waves of C channels of slow unrest: three frequencies in Hz sum up, and a phase.
    """

    tempo: float
    size: float
    side: int
    variant: float
    phase: float
    waves: Array

    def unrest(self, t: float, channel: int) -> float:
        """A smooth, slow random number about 0, within -1 and 1."""
        one, two, three, phase = self.waves[:, channel % self.waves.shape[1]]
        return float(np.sin(6.283 * one * t + phase) + np.sin(6.283 * two * t + 2 * phase) + np.sin(6.283 * three * t + 3 * phase)) / 3.0

    def cycles(self, t: float, period_s: float) -> float:
        """How many cycles have passed, at a tempo that is never quite even."""
        return self.phase + t * self.tempo / period_s + 0.04 * self.unrest(t, 11)


def random_manner(rng: np.random.Generator, phase: float | None = None) -> Manner:
    """A manner as `rng` has it; motions begin at `phase` of their cycle, or anywhere."""
    channels = 16
    waves = np.vstack([rng.uniform(low, high, channels) for low, high in ((0.05, 0.15), (0.15, 0.35), (0.35, 0.7), (0.0, 6.28))])
    return Manner(
        tempo=rng.uniform(0.82, 1.20),
        size=rng.uniform(0.85, 1.10),
        side=int(rng.integers(2)),
        variant=rng.random(),
        phase=rng.random() if phase is None else phase,
        waves=waves,
    )


def alive(pose: Pose, t: float, manner: Manner, amount: float = 1.0) -> Pose:
    """The posture with breath and unrest: nobody stands still."""
    n = [amount * manner.unrest(t, i) for i in range(11)]
    return replace(
        pose,
        hips=pose.hips + np.array([0.008 * n[0], 0.0, 0.006 * n[1]]),
        lean=pose.lean + np.array([1.5 * n[1], 1.2 * n[0]]),
        spine=pose.spine + np.array([1.5 * n[2] + 0.8 * np.sin(1.6 * t), 3.0 * n[3]]),
        head=pose.head + np.array([4.0 * n[4], 9.0 * n[5], 3.0 * n[6]]),
        arms=replace(
            pose.arms,
            raised=pose.arms.raised + np.array([2.5 * n[7], 2.5 * n[8]]),
            elbow=np.maximum(pose.arms.elbow + np.array([5.0 * n[9], 5.0 * n[10]]), 2.0),
        ),
    )
