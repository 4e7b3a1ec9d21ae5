"""What recognisers said of clips that they had not seen, and what is chosen by that: the temperature, the smoothing and the thresholds."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from itertools import chain
from operator import add
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from streamvc.alarms import WITHIN_S
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
from streamvc.training.tuning import Aim, Counts, choose_settings, count
from streamvc.training.windows import Floats, Ints
from streamvc.types import Prediction

OVERLAP = 0.3  # of an event with its segment in untrimmed video
BETA = 0.5  # of trimmed clips, which are all activity, as a stream is not: there a wrong event counts for more
ALARM_BETA = 2.0  # of alarms: one that is missed counts for more than one that is late
FINENESS = 0.1  # of temperatures: the folds' mostly come to the same one, and what is counted under it need not be counted again
FALSE_PER_HOUR = 1.0  # of alarms, and in the videos of nothing beside trimmed clips, if nothing else is asked for

S = TypeVar("S", bound=BundleSettings)
Said = list[list[Prediction]]  # the predictions along a clip or a file, stretch by stretch


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """What a recogniser said of clips, and of files, that it had not seen, at temperature 1.

    Attributes:
        bundle: The recogniser; its files may be gone.
        clips: What was said of each clip, by its index.
        files: Of each file, of untrimmed video and of that of nothing.
        fit: How it was trained.
        taken_top1: Share of the clips that Keras has right, taken as it learned from them; None where that is by time, as live.
    """

    bundle: Bundle
    clips: dict[int, Said]
    files: dict[Path, Said]
    fit: Fit
    taken_top1: float | None

    def without(self, labels: Sequence[int]) -> "Fold":
        """The same of one that was never taught some labels, by index: nothing is left for them, as it may not have learned that much."""
        return replace(self, clips={index: [[_without(each, labels) for each in stretch] for stretch in said] for index, said in self.clips.items()})


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

    def __init__(self, plan: Plan, dataset: Dataset, material: Material, folds: Sequence[Fold], left_out: Sequence[Fold] = ()) -> None:
        """Take what was said.

        Args:
            plan: What was trained.
            dataset: Its data.
            material: Its clips.
            folds: Each clip that is tested is in one of them.
            left_out: What recognisers that were never taught some labels said of the clips of these.
        """
        self.folds = folds
        self.left_out = left_out
        self._plan = plan
        self._dataset = dataset
        self._material = material
        self._counts: dict[tuple[float, Fold, Fold | None], Counts] = {}

    def choose(self) -> Choice:
        """What is best by what was said in all folds."""
        return self._choose(self.folds, self.left_out)

    @cached_property
    def _choices(self) -> list[Choice]:
        """What is best for each fold by the others."""
        return [self._choose(others, self.left_out) for _, others in _each_and_others(self.folds)]

    def _choose(self, folds: Sequence[Fold], left_out: Sequence[Fold]) -> Choice:
        """What is best by some folds, and by what was said of their clips of labels that were left out; the plan's own where there are none."""
        plan = self._plan
        if not folds:
            return Choice(1.0, plan.smoothing_s, plan.thresholds)
        fitted = fit_temperature(*_logits({index: said for fold in folds for index, said in fold.clips.items()}, self._material.truth))
        temperature = max(round(fitted / FINENESS) * FINENESS, FINENESS)
        chosen = Choice(temperature, plan.smoothing_s, plan.thresholds)
        if not (self._dataset.untrimmed or plan.background or left_out if plan.tune is None else plan.tune):
            return chosen
        counts = [self._count(temperature, fold, part) for fold in folds for part in (None, *left_out)]
        smoothing_s, thresholds = choose_settings(reduce(add, counts), self.labels, plan.background, self._aim(), plan.thresholds.default)
        return replace(chosen, smoothing_s=smoothing_s, thresholds=thresholds)

    def _count(self, temperature: float, fold: Fold, part: Fold | None) -> Counts:
        """What becomes, under all settings, of a fold's events, or of those of its clips of labels that were left out. It takes long, but once."""
        key = temperature, fold, part
        if key not in self._counts:
            heard = self._heard_unknown(part, fold, temperature) if part else self._heard(fold, temperature)
            self._counts[key] = count(heard, self.labels, self._plan.background, self._aim(), self._plan.thresholds.default)
        return self._counts[key]

    def measure(self) -> tuple[list[Evaluation], Evaluation]:
        """The figures of each fold, and those of all together."""
        labels, background = self._dataset.labels, self._plan.background
        judged = [self._judge(*pair) for pair in zip(self.folds, self._choices, strict=True)]
        replays, streams = ([*chain.from_iterable(parts)] for parts in zip(*judged, strict=True))
        within_s = WITHIN_S if self._plan.alarm_s is None else self._plan.alarm_s
        whole = measure(replays, labels, background, self._material.extraction.skipped, streams, within_s)
        return [measure(each, labels, background, streams=its_streams, within_s=within_s) for each, its_streams in judged], whole

    @property
    def labels(self) -> tuple[str, ...]:
        """The L labels."""
        return self._dataset.labels

    def judge_left_out(self) -> Iterator[tuple[tuple[str, ...], list[Stream]]]:
        """The labels of each round that left some out, and what a subscriber would have heard of their clips by what is chosen on all others.

        All others are the other folds, and of these clips the other rounds.
        """
        for part, other_parts in _each_and_others(self.left_out):
            choices = [(fold, self._choose(others, other_parts)) for fold, others in _each_and_others(self.folds)]
            heard = [(choice, each) for fold, choice in choices for each in self._heard_unknown(part, fold, choice.temperature)]
            yield self._labels_of(part), [detect(_with(part.bundle, choice), each) for choice, each in heard]

    def _labels_of(self, part: Fold) -> tuple[str, ...]:
        return tuple(sorted({self._material.clips[index].label for index in part.clips}))

    def _aim(self) -> Aim:
        per_hour, untrimmed = self._plan.false_per_hour, self._dataset.untrimmed
        if self._plan.alarm_s is not None:
            return Aim(ALARM_BETA, 0.0, FALSE_PER_HOUR if per_hour is None else per_hour, quiet_alone=False, within_s=self._plan.alarm_s)
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

    def _heard_unknown(self, part: Fold, fold: Fold, temperature: float) -> list[Heard]:
        """Those clips of a fold whose labels were left out, as streams in which nothing goes on that is known."""
        return [replace(heard, segments=()) for heard in self._heard_clips(part, temperature, among=fold.clips).values()]

    def _heard_clips(self, fold: Fold, temperature: float, among: Collection[int] | None = None) -> dict[int, Heard]:
        manifest, clips = fold.bundle.manifest, self._material.clips
        return {
            index: hear_clip(manifest, clips[index].label, cooled(said, temperature), clips[index].start_s)
            for index, said in fold.clips.items()
            if among is None or index in among
        }

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


def _without(prediction: Prediction, labels: Sequence[int]) -> Prediction:
    scores = prediction.scores.copy()
    scores[list(labels)] = 0
    return replace(prediction, scores=scores / scores.sum())


def _each_and_others(parts: Sequence[Fold]) -> Iterator[tuple[Fold, list[Fold]]]:
    return ((part, [other for other in parts if other is not part]) for part in parts)


def _with(bundle: Bundle, choice: Choice) -> Bundle:
    return replace(bundle, manifest=choice.put_into(bundle.manifest))


def _logits(clips: Mapping[int, Sequence[Sequence[Prediction]]], truth: Ints) -> tuple[NDArray[np.float64], Ints]:
    """Logits of all predictions, (M, L), up to a constant for each, and the right label of each, (M,)."""
    scores = np.stack([prediction.scores for stretches in clips.values() for predictions in stretches for prediction in predictions])
    return _log(scores), np.repeat(truth[list(clips)], [sum(map(len, stretches)) for stretches in clips.values()])


def _log(scores: Floats) -> NDArray[np.float64]:
    return np.log(np.maximum(scores.astype(np.float64), np.finfo(np.float32).tiny))
