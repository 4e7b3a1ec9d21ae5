"""Cross-validation: predictions on unseen clips, and the operating point (temperature, smoothing, thresholds) chosen by them."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from itertools import chain
from operator import add
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamvc.alarms import WITHIN_S
from streamvc.inference.bundle import Bundle
from streamvc.inference.manifest import LabelThresholds, OperatingFigures, S
from streamvc.metrics import fit_temperature, softmax
from streamvc.stream_metrics import EvaluatedStream
from streamvc.thresholds import decided, with_odds
from streamvc.training.dataset import Dataset
from streamvc.training.evaluate import ClipResult, Evaluation, measure
from streamvc.training.feature_sequence import ALL_FRAMES, Thinning
from streamvc.training.feature_set import FeatureSet
from streamvc.training.history import TrainingHistory
from streamvc.training.operating_curve import operating_curve
from streamvc.training.plan import TrainingPlan
from streamvc.training.prediction_trace import PredictionTrace, detect, length_s, trace_clip, trace_file
from streamvc.training.rates import RateFigures, count_at_rate
from streamvc.training.tuning import EventCounts, TuningObjective, choose_settings, count_events
from streamvc.training.windows import Floats, Ints
from streamvc.types import Prediction

OVERLAP = 0.3  # of an event with its segment in untrimmed video
BETA = 0.5  # of trimmed clips, which are all activity, as a stream is not: there a wrong event counts for more
ALARM_BETA = 2.0  # of alarms: one that is missed counts for more than one that is late
FINENESS = 0.1  # of temperatures: the folds' mostly come to the same one, and what is counted under it need not be counted again
FALSE_PER_HOUR = 1.0  # of alarms, and in the videos of nothing beside trimmed clips, if nothing else is asked for

Stretches = list[list[Prediction]]  # the predictions along a clip or a file, stretch by stretch


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """The predictions of a recogniser on clips, and on files, that it had not seen, at temperature 1.

    Attributes:
        bundle: The recogniser; its files may be gone.
        clips: Those of each clip, by its index.
        files: Those of each file of untrimmed video, and of each background video.
        fit: How it was trained.
        taken_top1: Share of the clips that Keras has right, taken as it learned from them; None where that is by time, as live.
        thinned: The same where frames are missing, by how.
    """

    bundle: Bundle
    clips: dict[int, Stretches]
    files: dict[Path, Stretches]
    fit: TrainingHistory
    taken_top1: float | None
    thinned: Mapping[Thinning, "Fold"] = field(default_factory=dict)

    def without(self, labels: Sequence[int]) -> "Fold":
        """The same for one that was never taught some labels, by index: their scores are 0, as training may not have brought them there."""
        return replace(self, clips={index: [[_without(each, labels) for each in stretch] for stretch in said] for index, said in self.clips.items()})


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """What is chosen on folds for a bundle; the fields are those of `BundleSettings`."""

    temperature: float
    smoothing_s: float
    thresholds: LabelThresholds

    def with_odds(self, odds: float) -> "OperatingPoint":
        """The same with the odds of all thresholds multiplied."""
        return replace(self, thresholds=decided(self.thresholds, self.smoothing_s, lambda decision: with_odds(decision, odds)))

    def put_into(self, settings: S) -> S:
        """The settings of a bundle, at this operating point."""
        return settings.model_copy(update={"temperature": self.temperature, "smoothing_s": self.smoothing_s, "thresholds": self.thresholds})


class CrossValidation:
    """The folds of one training. The operating point of a fold is chosen on the other folds, so that its figures are of clips not used for it."""

    def __init__(self, plan: TrainingPlan, dataset: Dataset, feature_set: FeatureSet, folds: Sequence[Fold], left_out: Sequence[Fold] = ()) -> None:
        """Take the predictions of all folds.

        Args:
            plan: What was trained.
            dataset: Its data.
            feature_set: Its clips.
            folds: Each clip that is tested is in one of them.
            left_out: The predictions of recognisers that were never taught some labels, on clips of these labels.
        """
        self.folds = folds
        self.left_out = left_out
        self._plan = plan
        self._dataset = dataset
        self._feature_set = feature_set
        self._counts: dict[tuple[float, Fold, Fold | None], EventCounts] = {}

    @property
    def tunes(self) -> bool:
        """Whether smoothing and thresholds are chosen on the folds."""
        plan = self._plan
        return bool(self._dataset.untrimmed or plan.background or self.left_out) if plan.tune is None else plan.tune

    def choose(self) -> OperatingPoint:
        """The best operating point by all folds."""
        return self._choose(self.folds, self.left_out)

    @cached_property
    def _choices(self) -> list[OperatingPoint]:
        """The best operating point for each fold, by the others."""
        return [self._choose(others, self.left_out) for _, others in _each_and_others(self.folds)]

    def _choose(self, folds: Sequence[Fold], left_out: Sequence[Fold]) -> OperatingPoint:
        """The best operating point by some folds and by their clips of labels that were left out; the plan's own where there are no folds."""
        plan = self._plan
        if not folds:
            return OperatingPoint(1.0, plan.smoothing_s, plan.thresholds)
        fitted = fit_temperature(*_logits({index: said for fold in folds for index, said in fold.clips.items()}, self._feature_set.truth))
        temperature = max(round(fitted / FINENESS) * FINENESS, FINENESS)
        chosen = OperatingPoint(temperature, plan.smoothing_s, plan.thresholds)
        if not self.tunes:
            return chosen
        counts = [self._count(temperature, fold, part) for fold in folds for part in (None, *left_out)]
        smoothing_s, thresholds = choose_settings(reduce(add, counts), self.labels, plan.background, self._aim(), plan.thresholds.default)
        thresholds = thresholds.model_copy(update={"labels": thresholds.labels | plan.thresholds.labels})
        return replace(chosen, smoothing_s=smoothing_s, thresholds=thresholds)

    def _count(self, temperature: float, fold: Fold, part: Fold | None) -> EventCounts:
        """Counts, under all settings, of a fold's events, or of those of its clips of labels that were left out. Slow, so each is made once."""
        key = temperature, fold, part
        if key not in self._counts:
            traces = self._unknown_traces(part, fold, temperature) if part else self._traces(fold, temperature)
            self._counts[key] = count_events(traces, self.labels, self._plan.background, self._aim(), self._plan.thresholds.default)
        return self._counts[key]

    def measure(self, odds: float = 1.0) -> tuple[list[Evaluation], Evaluation]:
        """The figures of each fold, and those of all together; with the odds of all thresholds multiplied."""
        labels, background = self._dataset.labels, self._plan.background
        choices = [choice.with_odds(odds) for choice in self._choices]
        judged = [self._judge(*pair) for pair in zip(self.folds, choices, strict=True)]
        results, streams = ([*chain.from_iterable(parts)] for parts in zip(*judged, strict=True))
        within_s = WITHIN_S if self._plan.alarm_s is None else self._plan.alarm_s
        min_s = {label: threshold.min_s for label, threshold in self._plan.thresholds.labels.items()}
        whole = measure(results, labels, background, self._feature_set.extraction.skipped, streams, within_s, min_s)
        return [measure(each, labels, background, streams=its_streams, within_s=within_s, min_s=min_s) for each, its_streams in judged], whole

    def measure_curve(self) -> tuple[OperatingFigures, ...]:
        """What all folds hear with their thresholds moved."""
        return operating_curve(lambda odds: self.measure(odds)[1], untrimmed=self._dataset.untrimmed)

    def measure_rates(self) -> list[RateFigures]:
        """The events of all folds with all frames, and where some are missing; empty where that was not asked for."""
        kinds = list(self._feature_set.thinned)
        return [self._at_rate(thinning) for thinning in (ALL_FRAMES, *kinds)] if kinds else []

    def _at_rate(self, thinning: Thinning) -> RateFigures:
        pairs = [(fold if thinning == ALL_FRAMES else fold.thinned[thinning], choice) for fold, choice in zip(self.folds, self._choices, strict=True)]
        streams = [detect(_with(fold.bundle, choice), trace) for fold, choice in pairs for trace in self._traces(fold, choice.temperature)]
        return count_at_rate(f"{self._plan.rate_hz:g} Hz" if thinning == ALL_FRAMES else str(thinning), streams)

    @property
    def labels(self) -> tuple[str, ...]:
        """The L labels."""
        return self._dataset.labels

    def left_out_streams(self) -> Iterator[tuple[tuple[str, ...], list[EvaluatedStream]]]:
        """The labels of each round that left some out, and the events on their clips, at an operating point chosen on the other folds and rounds."""
        for part, other_parts in _each_and_others(self.left_out):
            choices = [(fold, self._choose(others, other_parts)) for fold, others in _each_and_others(self.folds)]
            traces = [(choice, each) for fold, choice in choices for each in self._unknown_traces(part, fold, choice.temperature)]
            yield self._labels_of(part), [detect(_with(part.bundle, choice), each) for choice, each in traces]

    def _labels_of(self, part: Fold) -> tuple[str, ...]:
        return tuple(sorted({self._feature_set.clips[index].label for index in part.clips}))

    def _aim(self) -> TuningObjective:
        per_hour, untrimmed = self._plan.false_per_hour, self._dataset.untrimmed
        if self._plan.alarm_s is not None:
            return TuningObjective(
                ALARM_BETA, 0.0, FALSE_PER_HOUR if per_hour is None else per_hour, background_only=False, within_s=self._plan.alarm_s
            )
        if untrimmed:
            return TuningObjective(1.0, OVERLAP, per_hour, background_only=False)
        return TuningObjective(BETA, 0.0, FALSE_PER_HOUR if per_hour is None else per_hour, background_only=True)

    def _judge(self, fold: Fold, choice: OperatingPoint) -> tuple[list[ClipResult], list[EvaluatedStream]]:
        """The events on the tested clips; and on these as streams, or on the whole files that they are parts of."""
        bundle, labels = _with(fold.bundle, choice), self._dataset.labels
        clips = {index: detect(bundle, trace) for index, trace in self._clip_traces(fold, choice.temperature).items()}
        files = [detect(bundle, trace) for trace in self._file_traces(fold, choice.temperature)]
        results = [ClipResult(labels.index(self._feature_set.clips[index].label), stream) for index, stream in clips.items()]
        return results, [*(clips[index] for index in self._lone(fold)), *files]

    def _traces(self, fold: Fold, temperature: float) -> list[PredictionTrace]:
        clips = self._clip_traces(fold, temperature)
        return [*(clips[index] for index in self._lone(fold)), *self._file_traces(fold, temperature)]

    def _lone(self, fold: Fold) -> list[int]:
        """The clips whose file has no predictions as a whole."""
        return [index for index in fold.clips if self._feature_set.clips[index].path not in fold.files]

    def _unknown_traces(self, part: Fold, fold: Fold, temperature: float) -> list[PredictionTrace]:
        """Those clips of a fold whose labels were left out, as streams without any known activity."""
        return [replace(trace, segments=()) for trace in self._clip_traces(part, temperature, among=fold.clips).values()]

    def _clip_traces(self, fold: Fold, temperature: float, among: Collection[int] | None = None) -> dict[int, PredictionTrace]:
        manifest, clips = fold.bundle.manifest, self._feature_set.clips
        return {
            index: trace_clip(manifest, clips[index].label, with_temperature(said, temperature), clips[index].start_s)
            for index, said in fold.clips.items()
            if among is None or index in among
        }

    def _file_traces(self, fold: Fold, temperature: float) -> list[PredictionTrace]:
        manifest = fold.bundle.manifest
        active = [clip for clip in self._dataset.clips if clip.path in fold.files and clip.label != self._plan.background]
        return [
            trace_file(
                manifest, [clip for clip in active if clip.path == path], with_temperature(said, temperature), length_s(self._feature_set.files[path])
            )
            for path, said in fold.files.items()
        ]


def with_temperature(stretches: Sequence[Sequence[Prediction]], temperature: float) -> Stretches:
    """The predictions that the same logits give at another temperature."""
    return [[replace(each, scores=softmax(_log(each.scores) / temperature).astype(np.float32)) for each in stretch] for stretch in stretches]


def _without(prediction: Prediction, labels: Sequence[int]) -> Prediction:
    scores = prediction.scores.copy()
    scores[list(labels)] = 0
    return replace(prediction, scores=scores / scores.sum())


def _each_and_others(parts: Sequence[Fold]) -> Iterator[tuple[Fold, list[Fold]]]:
    return ((part, [other for other in parts if other is not part]) for part in parts)


def _with(bundle: Bundle, choice: OperatingPoint) -> Bundle:
    return replace(bundle, manifest=choice.put_into(bundle.manifest))


def _logits(clips: Mapping[int, Sequence[Sequence[Prediction]]], truth: Ints) -> tuple[NDArray[np.float64], Ints]:
    """Logits of all predictions, (M, L), up to a constant for each, and the right label of each, (M,)."""
    scores = np.stack([prediction.scores for stretches in clips.values() for predictions in stretches for prediction in predictions])
    return _log(scores), np.repeat(truth[list(clips)], [sum(map(len, stretches)) for stretches in clips.values()])


def _log(scores: Floats) -> NDArray[np.float64]:
    return np.log(np.maximum(scores.astype(np.float64), np.finfo(np.float32).tiny))
