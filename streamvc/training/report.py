"""What came of a training."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from streamvc.training.dataset import Dataset
from streamvc.training.evaluate import Evaluation
from streamvc.training.features import Extraction
from streamvc.training.plan import Plan


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over folds: its mean and its standard deviation."""

    mean: float
    deviation: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} ± {self.deviation:.3f}"


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """What came of a training.

    Attributes:
        name: Of the bundle.
        plan: What was asked for.
        dataset: What it was trained on.
        extraction: The clips that were used, and those that were not.
        folds: How good each fold's recogniser was, on groups it had not seen.
        pooled: The folds together: each clip once, by the one recogniser that had not seen it.
        temperature: What logits are divided by, from the folds' predictions.
        num_epochs: How long the final training went on, and ...
        best_epoch: ... the epoch, from 1, that was kept.
        difference: Largest difference between a score of the exported head and of Keras.
        train_s: Seconds for all but the features.
    """

    name: str
    plan: Plan
    dataset: Dataset
    extraction: Extraction
    folds: tuple[Evaluation, ...]
    pooled: Evaluation
    temperature: float
    num_epochs: int
    best_epoch: int
    difference: float
    train_s: float

    @property
    def clip_top1(self) -> Spread:
        """Share of clips that are right, over folds."""
        return self._over_folds(lambda fold: fold.clip_top1)

    @property
    def window_top1(self) -> Spread:
        """Share of predictions that are right, over folds."""
        return self._over_folds(lambda fold: fold.window_top1)

    def as_json(self) -> dict[str, Any]:
        """The figures in a form that JSON can hold."""
        return {
            "name": self.name,
            "clip_top1": asdict(self.clip_top1),
            "window_top1": asdict(self.window_top1),
            "folds": [{"clip_top1": fold.clip_top1, "window_top1": fold.window_top1, "num_clips": fold.num_clips} for fold in self.folds],
            "pooled": self.pooled.as_json(),
            "temperature": self.temperature,
            "num_epochs": self.num_epochs,
            "best_epoch": self.best_epoch,
            "difference": self.difference,
            "train_s": self.train_s,
        }

    def _over_folds(self, figure: Callable[[Evaluation], float]) -> Spread:
        figures = [figure(fold) for fold in self.folds]
        return Spread(float(np.mean(figures)), float(np.std(figures)))
