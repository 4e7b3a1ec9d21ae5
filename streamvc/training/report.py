"""The report of a training: its figures and settings."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from streamvc.training.dataset import Clip, Dataset
from streamvc.training.evaluate import Evaluation
from streamvc.training.features import Extraction
from streamvc.training.history import TrainingHistory
from streamvc.training.open_set import OpenSet
from streamvc.training.operating_curve import COLUMNS
from streamvc.training.plan import TrainingPlan
from streamvc.training.rates import RateFigures


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over folds: its mean and its standard deviation."""

    mean: float
    deviation: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} ± {self.deviation:.3f}"


@dataclass(frozen=True, slots=True, eq=False)
class TrainingReport:
    """The figures and settings of a training.

    Attributes:
        name: Of the bundle.
        plan: What was asked for, with the smoothing and the thresholds that were chosen.
        tuned: Whether they were chosen on the folds.
        dataset: What it was trained on.
        extraction: The clips that were used, and those that were not.
        folds: How good each fold's recogniser was, on groups it had not seen.
        pooled: The folds together: each clip once, by the one recogniser that had not seen it.
        rates: The events where frames are missing: of all folds, at `rate_hz` first; empty where no lower rate was asked for.
        curve: Rows of the operating curve, of all folds together; see `streamvc.training.operating_curve.COLUMNS`.
        open_set: The events on clips of labels that were left out in turn; None where none were.
        tested: These clips, in the order of `pooled.replays`.
        taken_top1: Share of each fold's clips that are right when frames are taken as the training took them, where that is not by time.
        temperature: What logits are divided by, from the folds' predictions.
        fit: The epochs of the final training.
        fold_fits: Those of the folds' trainings.
        num_parameters: Of the head, or of the whole network where there is no backbone.
        difference: Largest difference between a score of the exported head and of Keras.
        beside: The figures of other recipes, by name: of all folds, on the same features.
        chosen_from: The recipes that this one was chosen from, by the `figure` of each; empty where there was no choice.
        train_s: Seconds for all but the features; of one that was killed and went on, those since then.
    """

    name: str
    plan: TrainingPlan
    tuned: bool
    dataset: Dataset
    extraction: Extraction
    folds: tuple[Evaluation, ...]
    pooled: Evaluation
    rates: tuple[RateFigures, ...]
    curve: tuple[tuple[str, ...], ...]
    open_set: OpenSet | None
    tested: tuple[Clip, ...]
    taken_top1: tuple[float, ...]
    temperature: float
    fit: TrainingHistory
    fold_fits: tuple[TrainingHistory, ...]
    num_parameters: int
    difference: float
    train_s: float
    beside: Mapping[str, Evaluation] = field(default_factory=dict)
    chosen_from: Mapping[str, float] = field(default_factory=dict)

    @property
    def figure(self) -> float:
        """What recipes are compared by: the share of the clips of activities that are right or, in untrimmed video, the F1 of the events."""
        pooled = self.pooled
        if self.dataset.untrimmed:
            return pooled.stream.events[0.3].f1
        return pooled.clip_top1 if math.isnan(pooled.active_clip_top1) else pooled.active_clip_top1

    @property
    def clip_top1(self) -> Spread:
        """Share of clips that are right, over folds."""
        return self._over_folds(lambda fold: fold.clip_top1)

    @property
    def window_top1(self) -> Spread:
        """Share of predictions that are right, over folds."""
        return self._over_folds(lambda fold: fold.window_top1)

    @property
    def active_clip_top1(self) -> Spread:
        """Share of the clips of activities that are right, those of the background label left out, over folds."""
        return self._over_folds(lambda fold: fold.active_clip_top1)

    @property
    def active_window_top1(self) -> Spread:
        """Share of these clips' predictions that are right, over folds."""
        return self._over_folds(lambda fold: fold.active_window_top1)

    @property
    def frame_map(self) -> Spread:
        """Mean average precision of the single predictions in whole videos, over folds; see `streamvc.stream_metrics.frame_map`."""
        return self._over_folds(lambda fold: fold.stream.frame_map)

    @property
    def event_f1(self) -> Spread:
        """F1 of the events in whole videos at an overlap of 0.3, over folds."""
        return self._over_folds(lambda fold: fold.stream.events[0.3].f1)

    @property
    def taken(self) -> Spread | None:
        """Share of clips that are right when frames are taken as the training took them, over folds; None where that is by time."""
        return _spread(self.taken_top1) if self.taken_top1 else None

    def as_json(self) -> dict[str, Any]:
        """The figures in a form that JSON can hold."""
        return {
            "name": self.name,
            "clip_top1": asdict(self.clip_top1),
            "window_top1": asdict(self.window_top1),
            "active_clip_top1": asdict(self.active_clip_top1),
            "active_window_top1": asdict(self.active_window_top1),
            "frame_map": asdict(self.frame_map),
            "event_f1": asdict(self.event_f1),
            "folds": [{"clip_top1": fold.clip_top1, "window_top1": fold.window_top1, "num_clips": fold.num_clips} for fold in self.folds],
            "pooled": self.pooled.as_json(),
            "curve": [dict(zip(COLUMNS, row, strict=True)) for row in self.curve],
            "rates": [asdict(each) for each in self.rates],
            "beside": {name: each.as_json() for name, each in self.beside.items()},
            "recipe": self.plan.recipe,
            "chosen_from": dict(self.chosen_from),
            "open_set": self.open_set.as_json() if self.open_set else None,
            "temperature": self.temperature,
            "smoothing_s": self.plan.smoothing_s,
            "thresholds": self.plan.thresholds.model_dump(),
            "taken_top1": asdict(self.taken) if self.taken else None,
            "num_epochs": len(self.fit.history),
            "best_epoch": self.fit.best_epoch + 1,
            "history": [asdict(epoch) for epoch in self.fit.history],
            "num_parameters": self.num_parameters,
            "difference": self.difference,
            "train_s": self.train_s,
        }

    def _over_folds(self, figure: Callable[[Evaluation], float]) -> Spread:
        return _spread([figure(fold) for fold in self.folds])


def _spread(figures: Sequence[float]) -> Spread:
    """Over the folds for which the figure is defined."""
    known = [figure for figure in figures if math.isfinite(figure)]
    return Spread(float(np.mean(known)), float(np.std(known)))
