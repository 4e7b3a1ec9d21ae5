"""What recognisers said of clips that they had not seen, and what is chosen by that: the temperature, the smoothing and the thresholds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from streamvc.inference.bundle import Bundle
from streamvc.inference.manifest import BundleSettings, Thresholds
from streamvc.metrics import fit_temperature, softmax
from streamvc.stream_metrics import Stream
from streamvc.training.dataset import Dataset
from streamvc.training.evaluate import Evaluation, Replay, measure
from streamvc.training.hearing import Heard, detect, hear_clip, hear_file, length_s
from streamvc.training.history import Fit
from streamvc.training.material import Material
from streamvc.training.plan import Plan
from streamvc.training.tuning import Aim, tune
from streamvc.training.windows import Floats, Ints
from streamvc.types import Prediction

OVERLAP = 0.3  # of an event with its segment in untrimmed video
BETA = 0.5  # of trimmed clips, which are all activity, as a stream is not: there a wrong event counts for more
FALSE_PER_HOUR = 1.0  # in the videos of nothing beside trimmed clips, if nothing else is asked for

S = TypeVar("S", bound=BundleSettings)
Said = list[list[Prediction]]  # the predictions along a clip or a file, stretch by stretch


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """What a recogniser said of clips, and of files, that it had not seen, at temperature 1.

    Attributes:
        bundle: The recogniser; its files may be gone.
        clips: What was said of each clip, by its index.
        files: Of each file, of untrimmed video and of that of nothing.
        strangers: Of each video that is no part of the material, and its length in seconds.
        fit: How it was trained.
        taken_top1: Share of the clips that Keras has right, taken as it learned from them; None where that is by time, as live.
    """

    bundle: Bundle
    clips: dict[int, Said]
    files: dict[Path, Said]
    strangers: list[tuple[Said, float]]
    fit: Fit
    taken_top1: float | None


@dataclass(frozen=True, slots=True)
class Choice:
    """What is chosen on folds, for a bundle; the fields are those of `BundleSettings`."""

    temperature: float
    smoothing_s: float
    thresholds: Thresholds

    def put_into(self, settings: S) -> S:
        """The settings with this in place of their own."""
        return settings.model_copy(update={"temperature": self.temperature, "smoothing_s": self.smoothing_s, "thresholds": self.thresholds})


class HeldOut:
    """The folds of one training. A fold's figures know nothing of its own clips: what is chosen for it is chosen on the others."""

    def __init__(self, plan: Plan, dataset: Dataset, material: Material, folds: Sequence[Fold]) -> None:
        self.folds = folds
        self._plan = plan
        self._dataset = dataset
        self._material = material

    def choose(self) -> Choice:
        """What is best by what was said in all folds."""
        return self._choose(self.folds)

    @cached_property
    def _choices(self) -> list[Choice]:
        """What is best for each fold by the others."""
        return [self._choose([other for other in self.folds if other is not fold]) for fold in self.folds]

    def _choose(self, folds: Sequence[Fold]) -> Choice:
        """What is best by some folds; the plan's own where there are none."""
        plan = self._plan
        if not folds:
            return Choice(1.0, plan.smoothing_s, plan.thresholds)
        temperature = fit_temperature(*_logits({index: said for fold in folds for index, said in fold.clips.items()}, self._material.truth))
        chosen = Choice(temperature, plan.smoothing_s, plan.thresholds)
        if not (self._dataset.untrimmed or plan.background if plan.tune is None else plan.tune):
            return chosen
        heard = [each for fold in folds for each in self._heard(fold, temperature)]
        smoothing_s, thresholds = tune(heard, self._dataset.labels, plan.background, self._aim(), plan.thresholds.default)
        return replace(chosen, smoothing_s=smoothing_s, thresholds=thresholds)

    def measure(self) -> tuple[list[Evaluation], Evaluation]:
        """The figures of each fold, and those of all together."""
        labels, background = self._dataset.labels, self._plan.background
        judged = [self._judge(*pair) for pair in zip(self.folds, self._choices, strict=True)]
        replays, streams = ([*chain.from_iterable(parts)] for parts in zip(*judged, strict=True))
        whole = measure(replays, labels, background, self._material.extraction.skipped, streams)
        return [measure(each, labels, background, streams=its_streams) for each, its_streams in judged], whole

    def judge_strangers(self) -> list[Stream]:
        """What a subscriber would have heard of the videos that are no part of the material, in which nothing goes on that is known."""
        return [
            detect(_with(fold.bundle, choice), Heard(cooled(said, choice.temperature), (), length_s))
            for fold, choice in zip(self.folds, self._choices, strict=True)
            for said, length_s in fold.strangers
        ]

    def _aim(self) -> Aim:
        per_hour, untrimmed = self._plan.false_per_hour, self._dataset.untrimmed
        if untrimmed:
            return Aim(1.0, OVERLAP, per_hour, quiet_alone=False)
        return Aim(BETA, 0.0, FALSE_PER_HOUR if per_hour is None else per_hour, quiet_alone=True)

    def _judge(self, fold: Fold, choice: Choice) -> tuple[list[Replay], list[Stream]]:
        """What a subscriber would have heard of the tested clips, and of these and the files that they are parts of as streams."""
        bundle, labels = _with(fold.bundle, choice), self._dataset.labels
        clips = {index: detect(bundle, heard) for index, heard in self._heard_clips(fold, choice.temperature).items()}
        files = [detect(bundle, heard) for heard in self._heard_files(fold, choice.temperature)]
        replays = [Replay(labels.index(self._material.clips[index].label), stream) for index, stream in clips.items()]
        return replays, [*(clips[index] for index in self._lone(fold)), *files]

    def _heard(self, fold: Fold, temperature: float) -> list[Heard]:
        clips = self._heard_clips(fold, temperature)
        return [*(clips[index] for index in self._lone(fold)), *self._heard_files(fold, temperature)]

    def _lone(self, fold: Fold) -> list[int]:
        """The clips that no file was heard for as a whole."""
        return [index for index in fold.clips if self._material.clips[index].path not in fold.files]

    def _heard_clips(self, fold: Fold, temperature: float) -> dict[int, Heard]:
        manifest, clips = fold.bundle.manifest, self._material.clips
        return {index: hear_clip(manifest, clips[index].label, cooled(said, temperature), clips[index].start_s) for index, said in fold.clips.items()}

    def _heard_files(self, fold: Fold, temperature: float) -> list[Heard]:
        manifest = fold.bundle.manifest
        active = [clip for clip in self._dataset.clips if clip.path in fold.files and clip.label != self._plan.background]
        return [
            hear_file(manifest, [clip for clip in active if clip.path == path], cooled(said, temperature), length_s(self._material.files[path]))
            for path, said in fold.files.items()
        ]


def cooled(stretches: Sequence[Sequence[Prediction]], temperature: float) -> Said:
    """The predictions that the same logits give at a temperature."""
    return [[replace(each, scores=softmax(_log(each.scores) / temperature).astype(np.float32)) for each in stretch] for stretch in stretches]


def _with(bundle: Bundle, choice: Choice) -> Bundle:
    return replace(bundle, manifest=choice.put_into(bundle.manifest))


def _logits(clips: Mapping[int, Sequence[Sequence[Prediction]]], truth: Ints) -> tuple[NDArray[np.float64], Ints]:
    """Logits of all predictions, (M, L), up to a constant for each, and the right label of each, (M,)."""
    scores = np.stack([prediction.scores for stretches in clips.values() for predictions in stretches for prediction in predictions])
    return _log(scores), np.repeat(truth[list(clips)], [sum(map(len, stretches)) for stretches in clips.values()])


def _log(scores: Floats) -> NDArray[np.float64]:
    return np.log(np.maximum(scores.astype(np.float64), np.finfo(np.float32).tiny))
