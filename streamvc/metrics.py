"""Figures of how good predictions are, from arrays alone.

Shapes: N predictions, L labels. `truth` (N,) holds the index of the right label of each.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LabelFigures:
    """How well one label is recognised: each 0 to 1, and 0 where there is nothing to divide by.

    Attributes:
        precision: Share of what was given this label that has it.
        recall: Share of what has this label that was given it.
        f1: Harmonic mean of the two.
        num: How many have it.
    """

    precision: float
    recall: float
    f1: float
    num: int


def top_k(scores: NDArray[np.floating], truth: IntArray, k: int = 1) -> float:
    """Share of the (N, L) scores with the right label among their `k` best; of equal scores the first label is best. NaN where N is 0."""
    if not len(truth):
        return float("nan")
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return float((best == truth[:, None]).any(axis=1).mean())


def confusion_matrix(truth: IntArray, predicted: IntArray, num_labels: int) -> IntArray:
    """Count each pair: (L, L), a row per right label, a column per given label."""
    counts = np.zeros((num_labels, num_labels), np.int64)
    np.add.at(counts, (truth, predicted), 1)
    return counts


def label_figures(counts: IntArray) -> list[LabelFigures]:
    """Precision, recall and F1 of each label, from its (L, L) confusion."""
    right, num_given, num_true = counts.diagonal(), counts.sum(axis=0), counts.sum(axis=1)
    return [
        LabelFigures(_share(hit, given), _share(hit, true), _share(2 * hit, given + true), int(true))
        for hit, given, true in zip(right, num_given, num_true, strict=True)
    ]


def log_loss(scores: NDArray[np.floating], truth: IntArray) -> float:
    """Mean negative logarithm of the right label's score; lower is better."""
    right = scores[np.arange(len(truth)), truth].astype(np.float64)
    return float(-np.log(np.maximum(right, np.finfo(np.float64).tiny)).mean())


def calibration_error(scores: NDArray[np.floating], truth: IntArray, num_bins: int = 15) -> float:
    """Expected calibration error: how far the best score is, on average, from the share of times it is right (Guo et al., 2017)."""
    best = scores.max(axis=1)
    right = scores.argmax(axis=1) == truth
    bins = np.clip(np.ceil(best * num_bins).astype(np.int64) - 1, 0, num_bins - 1)
    gap = np.bincount(bins, right - best, num_bins)
    return float(np.abs(gap).sum() / len(truth))


def softmax(logits: NDArray[np.floating]) -> FloatArray:
    """Scores of (..., L) logits: positive, and 1 in sum."""
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    scores: FloatArray = shifted / shifted.sum(axis=-1, keepdims=True)
    return scores


def fit_temperature(logits: NDArray[np.floating], truth: IntArray) -> float:
    """The number that (N, L) logits are best divided by: least log loss on predictions that training has not seen (Guo et al., 2017).

    Searched by golden section on its logarithm, from 0.1 to 10: the loss has a single minimum there.
    """
    ratio = (np.sqrt(5) - 1) / 2
    low, high = np.log(0.1), np.log(10.0)
    while high - low > 1e-3:
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if log_loss(softmax(logits / np.exp(left)), truth) < log_loss(softmax(logits / np.exp(right)), truth):
            high = right
        else:
            low = left
    return float(np.exp((low + high) / 2))


def _share(part: int, whole: int) -> float:
    return float(part / whole) if whole else 0.0
