"""Learns which everyday activity a window of a person's posture shows: softmax regression on its statistics, and how right it is."""

from collections.abc import Sequence as Several
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from home.sequences import STILL, Examples, Sequence
from streamvc.inference.people.skeletons import FloatArray

REGULARISATION = 0.03  # scikit-learn's C
MEAN_WEIGHT = 0.1  # of a window: those of one sequence say nearly the same
NOTHING_WEIGHT = 0.1  # of a window of other video, beside one of a sequence
NUM_FOLDS = 5

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """Logits of statistics, (N, 5 D) @ `kernel` + `bias`.

    Attributes:
        labels: (L,) in the order of the logits.
        kernel: (5 D, L).
        bias: (L,).
    """

    labels: tuple[str, ...]
    kernel: FloatArray
    bias: FloatArray

    def scores(self, statistics: FloatArray) -> FloatArray:
        """(N, L) after softmax."""
        logits = statistics @ self.kernel + self.bias
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        scores: FloatArray = powers / powers.sum(axis=1, keepdims=True)
        return scores


def fit(examples: Examples, chosen: Flags, nothing: FloatArray, background: str) -> Head:
    """Learn from some of the windows, and from `nothing`, (M, 5 D) of other video.

    Each sequence of a label counts alike, as it is and with what comes before and after it; each label by the root of how many it has.
    """
    statistics = np.concatenate([examples.statistics[chosen], nothing])
    labels = np.concatenate([examples.labels[chosen], np.full(len(nothing), background)])
    kinds = np.maximum(examples.kinds[chosen], 1)  # sequences as they are and varied count as one
    origins = np.concatenate([examples.sequences[chosen] * 10 + kinds, -1 - np.arange(len(nothing)) // 8])
    weights = _each_alike(origins)
    sums = {label: float(weights[labels == label].sum()) for label in np.unique(labels).tolist()}
    weights *= np.array([sums[label] ** -0.5 for label in labels.tolist()])
    weights[len(statistics) - len(nothing) :] *= NOTHING_WEIGHT
    mean, deviation = statistics.mean(axis=0), statistics.std(axis=0) + 1e-3
    model = LogisticRegression(C=REGULARISATION, max_iter=300, tol=1e-3)
    model.fit((statistics - mean) / deviation, labels, sample_weight=weights * (MEAN_WEIGHT * len(weights) / weights.sum()))
    kernel = (model.coef_ / deviation).T
    return Head(tuple(map(str, model.classes_)), kernel.astype(np.float32), (model.intercept_ - mean @ kernel).astype(np.float32))


@dataclass(frozen=True, slots=True)
class Tally:
    """Of how many sequences of a label the mean score was best for what, and of how many windows of who holds still."""

    heard: dict[str, dict[str, int]]

    @property
    def right(self) -> int:
        """How many were right."""
        return sum(found.get(label, 0) for label, found in self.heard.items())

    @property
    def num(self) -> int:
        """Of how many."""
        return sum(sum(found.values()) for found in self.heard.values())

    def __add__(self, other: "Tally") -> "Tally":
        sums = {label: dict(found) for label, found in self.heard.items()}
        for label, found in other.heard.items():
            for name, num in found.items():
                sums.setdefault(label, {})[name] = sums.get(label, {}).get(name, 0) + num
        return Tally(sums)


def measure(head: Head, examples: Examples, tested: Flags, background: str) -> Tally:
    """How right a head is about sequences as they are, those of the background left out, and about who holds still: the mean of their windows."""
    heard: dict[str, dict[str, int]] = {}
    known = np.isin(examples.labels, head.labels) & (examples.labels != background) & tested
    plain, still = known & (examples.kinds == 0), known & (examples.kinds == 3)
    keys = np.where(still, -1 - examples.sequences, examples.sequences)
    scores = head.scores(examples.statistics)
    for key in np.unique(keys[plain | still]).tolist():
        its_own = (keys == key) & (plain | still)
        label = str(examples.labels[its_own][0])
        best = head.labels[int(scores[its_own].mean(axis=0).argmax())]
        heard.setdefault(label, {})[best] = heard.get(label, {}).get(best, 0) + 1
    return Tally(heard)


def by_subject(sequences: Several[Sequence], examples: Examples, sources: set[str], tested: set[str], nothing: FloatArray, background: str) -> Tally:
    """What is right on the subjects of `tested` sources, each learned without, from `sources`."""
    subjects = np.array([sequence.subject for sequence in sequences])[examples.sequences]
    where = np.array([sequence.source for sequence in sequences])[examples.sequences]
    total = Tally({})
    for learned, held in GroupKFold(NUM_FOLDS).split(examples.statistics, groups=subjects):
        chosen, rest = np.zeros((2, len(subjects)), bool)
        chosen[learned], rest[held] = True, True
        head = fit(examples, chosen & np.isin(where, list(sources)), nothing, background)
        total += measure(head, examples, rest & np.isin(where, list(tested)), background)
    return total


def by_source(sequences: Several[Sequence], examples: Examples, sources: set[str], nothing: FloatArray, background: str) -> dict[str, Tally]:
    """What is right on each source, learned from the other `sources`: on those of its labels that these have, too."""
    where = np.array([sequence.source for sequence in sequences])[examples.sequences]
    found = {}
    for source in sorted(set(where.tolist())):
        head = fit(examples, np.isin(where, list(sources - {source})), nothing, background)
        found[source] = measure(head, examples, (where == source) & (examples.labels != STILL), background)
    return found


def _each_alike(origins: NDArray[np.intp]) -> NDArray[np.float64]:
    """(N,) weights by which all windows of one origin together count 1."""
    _, inverse = np.unique(origins, return_inverse=True)
    weights: NDArray[np.float64] = 1.0 / np.bincount(inverse)[inverse]
    return weights
