"""Counts repetitions of an exercise from a person's keypoints. Pure.

However a body moves when it does the same again and again, most of it is to and fro along one direction in the space of all its keypoints. That
direction is found anew for each count (the first principal component), so that one way of counting serves squats, push-ups and jumping jacks alike.
Two turns, there and back, are one repetition.
"""

from collections import deque

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

NUM_KEYPOINTS = 17
POSTURE_SIZE = 3 * NUM_KEYPOINTS
LEAD_S = 1.0  # an activity is recognised so much later than it began, about
FAR = 0.4  # standard deviations from the middle, from which on it is one side or the other
APART = 0.5  # how much it counts how far the two sides are from each other, by where they are
MOST = 4096  # postures that are remembered


class RepetitionCounter:
    """Remembers the postures of one person since the last gap."""

    def __init__(self) -> None:
        self._times_s: deque[float] = deque()
        self._postures: deque[FloatArray] = deque()
        self._num_before = 0  # repetitions in what is forgotten

    def push(self, posture: FloatArray, time_s: float) -> None:
        """Take the next posture.

        Args:
            posture: (51,): x and y of 17 keypoints around the middle of the hips, in the person's size; then their scores, 0 to 1.
            time_s: Of the frame.
        """
        if len(self._times_s) == MOST:
            self._num_before += num_repetitions(np.stack(self._postures)[: MOST // 2])
            for _ in range(MOST // 2):
                self._times_s.popleft()
                self._postures.popleft()
        self._times_s.append(time_s)
        self._postures.append(np.array(posture, np.float32))

    def count(self, since_s: float) -> int:
        """Repetitions of an activity that was recognised since a time, the one that goes on among them."""
        first = next((number for number, time_s in enumerate(self._times_s) if time_s >= since_s - LEAD_S), len(self._times_s))
        if first == len(self._times_s):
            return 0
        return (self._num_before if first == 0 else 0) + num_repetitions(np.stack(self._postures)[first:])

    def clear(self) -> None:
        """Forget everything, as after a gap."""
        self._times_s.clear()
        self._postures.clear()
        self._num_before = 0


def num_repetitions(postures: FloatArray) -> int:
    """How often it goes to and fro in (N, 51) postures; one that is under way counts."""
    points = _whichever_side(postures)
    padded = np.pad(points - points.mean(axis=0), ((1, 1), (0, 0)), mode="edge")
    smooth = (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4
    direction = np.linalg.eigh(smooth.T @ smooth)[1][:, -1]
    along = smooth @ direction
    sides = np.sign(along) * (np.abs(along) > FAR * along.std())
    sides = sides[sides != 0]
    num_turns = int((sides[1:] != sides[:-1]).sum())
    return (num_turns + 1) // 2


def _whichever_side(postures: FloatArray) -> FloatArray:
    """(N, 34) numbers that are the same with left and right swapped: so a lunge with the one leg and one with the other are two of the same."""
    points = postures[:, : 2 * NUM_KEYPOINTS].reshape(-1, NUM_KEYPOINTS, 2)
    seen = np.sqrt(np.clip(postures[:, 2 * NUM_KEYPOINTS :].mean(axis=0), 0, 1))[:, None]  # what is hardly seen is hardly known
    left, right = points[:, 1::2], points[:, 2::2]
    between = (left * seen[1::2] + right * seen[2::2]) / 2
    apart = np.abs(left - right) * np.minimum(seen[1::2], seen[2::2])
    parts = [points[:, 0] * seen[0], between.reshape(len(points), -1), APART * apart.reshape(len(points), -1)]
    both: FloatArray = np.concatenate(parts, axis=1)
    return both
