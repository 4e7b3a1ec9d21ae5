"""Measures a bundle on labelled video: the very stages that run live, given the features of the clips from the cache.

Clips are measured by themselves: is the label right? Streams are measured by their events: each file from start to end, against its segments of
activity. A trimmed clip is a stream of one segment.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamvc import metrics
from streamvc.alarms import WITHIN_S, AlarmFigures, count_alarms
from streamvc.errors import DataError
from streamvc.inference.bundle import Bundle, load_bundle
from streamvc.inference.manifest import BundleManifest
from streamvc.inference.recognizer import Recognizer
from streamvc.metrics import LabelFigures
from streamvc.stream_metrics import EvaluatedStream, StreamFigures, finite, measure_streams
from streamvc.thresholds import Thresholds, put_into
from streamvc.training.dataset import Clip, Dataset, load_dataset, load_videos, merge_labels
from streamvc.training.features import Extraction, SkippedClip, extract
from streamvc.training.prediction_trace import PredictionTrace, detect, length_s, predict_file, trace_clip, trace_file, whole_files
from streamvc.training.progress import Advance, silent


@dataclass(frozen=True, slots=True, eq=False)
class ClipResult:
    """The right label of a clip, and its predictions and events.

    Attributes:
        truth: Index of the right label.
        stream: Its predictions, of which there is at least one, and the events, by the smoothing and thresholds of the bundle.
    """

    truth: int
    stream: EvaluatedStream

    @property
    def scores(self) -> NDArray[np.float32]:
        """(K, L) float32, one row per prediction."""
        return self.stream.scores

    @property
    def started(self) -> frozenset[int]:
        """The labels of the activities that began."""
        return frozenset(event.label for event in self.stream.events)


@dataclass(frozen=True, slots=True)
class BackgroundEvents:
    """The events on streams without any activity; all of them are false.

    Attributes:
        hours: How long these streams are together.
        events: How many events there were of each label; those without any are not named.
    """

    hours: float
    events: dict[str, int]

    @property
    def false_events_per_hour(self) -> float:
        """How many events there are an hour."""
        return sum(self.events.values()) / self.hours if self.hours else 0.0

    def as_json(self) -> dict[str, Any]:
        """The figures in a form that JSON can hold."""
        return {"hours": self.hours, "false_events_per_hour": self.false_events_per_hour, "events": self.events}


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What the events of the clips come to, as shares of the clips.

    Attributes:
        right: The right activity began, and no other; for a clip of the background label: none began.
        wrong: Another activity began.
        silent: None began, and one should have.
    """

    right: float
    wrong: float
    silent: float


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """How good a recogniser is.

    Attributes:
        clip_top1: Share of clips of which the mean of the scores over all predictions is highest for the right label.
        clip_top5: Share of clips of which the right label is among the best five by that mean.
        window_top1: Share of single predictions that are right.
        active_clip_top1: As `clip_top1`, of the clips of activities alone, those of the background label left out. NaN where there are none.
        active_window_top1: As `window_top1`, of these clips.
        per_label: Precision, recall and F1 of each label, of whole clips.
        confusion: (L, L) whole clips, a row per right label, a column per given one.
        outcomes: Shares of the clips with the right event, a wrong one, none.
        active_outcomes: The same, of the clips of activities.
        label_outcomes: The same, of the clips of each label but the background that has any.
        calibration_error: How far a prediction's best score is from the share of times it is right.
        stream: The figures of the clips as streams; of untrimmed video, those of the whole files.
        alarms: Of each label but the background, how its events do as alarms.
        within_s: How far from the start of an activity an event may be published to be in time for that.
        background_events: The events on streams without any activity; None where there are no such streams.
        results: The predictions and events of each clip.
        streams: The streams that the figures of streams are of.
        num_clips: How many clips there were; those that were skipped do not count.
        num_predictions: How many predictions there were.
        skipped: The clips that could not be used.
    """

    clip_top1: float
    clip_top5: float
    window_top1: float
    active_clip_top1: float
    active_window_top1: float
    per_label: dict[str, LabelFigures]
    confusion: NDArray[np.int64]
    outcomes: Outcomes
    active_outcomes: Outcomes
    label_outcomes: dict[str, Outcomes]
    calibration_error: float
    stream: StreamFigures
    alarms: dict[str, AlarmFigures]
    within_s: float
    background_events: BackgroundEvents | None
    results: tuple[ClipResult, ...]
    streams: tuple[EvaluatedStream, ...]
    num_clips: int
    num_predictions: int
    skipped: tuple[SkippedClip, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The figures in a form that JSON can hold."""
        return {
            "clip_top1": self.clip_top1,
            "clip_top5": self.clip_top5,
            "window_top1": self.window_top1,
            "active_clip_top1": finite(self.active_clip_top1),
            "active_window_top1": finite(self.active_window_top1),
            "per_label": {label: asdict(figures) for label, figures in self.per_label.items()},
            "num_clips": self.num_clips,
            "num_predictions": self.num_predictions,
            "confusion": self.confusion.tolist(),
            "outcomes": asdict(self.outcomes),
            "active_outcomes": {name: finite(share) for name, share in asdict(self.active_outcomes).items()},
            "label_outcomes": {label: asdict(outcomes) for label, outcomes in self.label_outcomes.items()},
            "calibration_error": self.calibration_error,
            **self.stream.as_json(),
            "alarms": {label: alarm.as_json() for label, alarm in self.alarms.items()},
            "within_s": self.within_s,
            "quiet": self.background_events.as_json() if self.background_events else None,
            "skipped": [{"path": str(skipped.clip.path), "reason": skipped.reason} for skipped in self.skipped],
        }


@dataclass(frozen=True, slots=True, eq=False)
class PredictedData:
    """The predictions of a bundle on a data set, before smoothing and detection.

    Attributes:
        bundle: The bundle.
        clips: Of each clip its label and its trace.
        files: The traces of whole files, where the data is untrimmed or the bundle speaks of people.
        untrimmed: Whether the data is.
        skipped: The clips that could not be used.
    """

    bundle: Bundle
    clips: tuple[tuple[str, PredictionTrace], ...]
    files: tuple[PredictionTrace, ...]
    untrimmed: bool
    skipped: tuple[SkippedClip, ...]

    def judge(self, manifest: BundleManifest | None = None, within_s: float = WITHIN_S) -> Evaluation:
        """The figures, by the smoothing and the thresholds of the bundle or of this manifest in place of its own."""
        bundle = replace(self.bundle, manifest=manifest or self.bundle.manifest)
        labels = bundle.manifest.labels
        results = [ClipResult(labels.index(label), detect(bundle, trace)) for label, trace in self.clips]
        streams = [detect(bundle, trace) for trace in self.files]
        min_s = {label: bundle.decision(label).min_s for label in labels}
        return measure(results, labels, bundle.manifest.background, self.skipped, streams, within_s, min_s)


def predict_data(
    model: str | Path, data: Path, *, cache: Path | None = None, num_workers: int | None = None, advance: Advance = silent
) -> PredictedData:
    """Let a bundle make its predictions on a data set.

    Args:
        model: The bundle's name or path.
        data: A folder per label, a CSV or a folder with a `clips.csv`; see `load_dataset`.
        cache: Folder of cached features; `cache_folder()` if not given.
        num_workers: How many clips are decoded at a time; as many as there are cores if not given.
        advance: Is called with the progress.

    Raises:
        BundleError: The bundle cannot be loaded.
        DataError: The data cannot be used, or has a label that the bundle does not know.
    """
    recognizer = Recognizer.load(model)
    manifest = recognizer.bundle.manifest
    dataset = load_dataset(data)
    dataset = merge_labels(dataset, {label: other for label, other in manifest.merged.items() if label in dataset.labels})
    clips = _known(data, dataset, manifest)

    def look(wanted: Sequence[Clip]) -> Extraction:
        return extract(wanted, str(recognizer.bundle.path), manifest.rate_hz, cache=cache, num_workers=num_workers, advance=advance)

    personal = manifest.subject == "person"
    files = look(whole_files(dataset.clips)) if dataset.untrimmed or personal else None
    extraction = look(clips)
    if files and personal:
        whole = {file.path: sequence for file, sequence in zip(files.clips, files.sequences, strict=True)}
        extraction = extraction.of_actors(whole, manifest.background)
    extraction = extraction.lasting(manifest.first)
    predicted = []
    for clip, sequence in zip(extraction.clips, extraction.sequences, strict=True):
        predicted.append((clip.label, trace_clip(manifest, clip.label, predict_file(recognizer, sequence), clip.start_s)))
        advance("predictions", len(predicted), len(extraction.clips))
    streams = []
    if files:
        segments = [clip for clip in clips if clip.label not in (dataset.background, manifest.background)]
        streams = [
            trace_file(manifest, [clip for clip in segments if clip.path == file.path], predict_file(recognizer, sequence), length_s(sequence))
            for file, sequence in zip(files.clips, files.sequences, strict=True)
            if len(sequence.features)
        ]
    return PredictedData(recognizer.bundle, tuple(predicted), tuple(streams), dataset.untrimmed, extraction.skipped)


def evaluate(
    model: str | Path,
    data: Path,
    *,
    within_s: float = WITHIN_S,
    cache: Path | None = None,
    num_workers: int | None = None,
    advance: Advance = silent,
) -> Evaluation:
    """Measure a bundle on a data set; as `predict_data`, and `within_s` is how far from the start of an activity an event may be published to be
    in time, as an alarm.
    """
    return predict_data(model, data, cache=cache, num_workers=num_workers, advance=advance).judge(within_s=within_s)


def measure_unknown(
    model: str | Path,
    data: Path,
    *,
    thresholds: Thresholds | None = None,
    cache: Path | None = None,
    num_workers: int | None = None,
    advance: Advance = silent,
) -> BackgroundEvents:
    """The events of a bundle on videos in which none of its activities is seen.

    Args:
        model: The bundle's name or path.
        data: The videos: a data set, whatever its labels are, a folder or a file; see `load_videos`.
        thresholds: Settings in place of the bundle's own.
        cache: Folder of cached features; `cache_folder()` if not given.
        num_workers: How many videos are decoded at a time; as many as there are cores if not given.
        advance: Is called with the progress.

    Raises:
        BundleError: The bundle cannot be loaded.
        DataError: There is no video that can be used.
    """
    recognizer = Recognizer.load(model)
    bundle = recognizer.bundle
    manifest = put_into(bundle.manifest, (thresholds or Thresholds()).apply)
    found = extract(load_videos(data), str(bundle.path), bundle.manifest.rate_hz, cache=cache, num_workers=num_workers, advance=advance)
    sequences = [sequence for sequence in found.sequences if len(sequence.features)]
    traces = [PredictionTrace(predict_file(recognizer, sequence), (), length_s(sequence)) for sequence in sequences]
    streams = [detect(replace(bundle, manifest=manifest), trace) for trace in traces]
    return count_false(streams, recognizer.labels) or BackgroundEvents(0.0, {})


def is_unknown(model: str | Path, data: Path) -> bool:
    """Whether a data set has none of the labels of a bundle."""
    manifest = load_bundle(model).manifest
    return not {*manifest.labels, *manifest.merged} & {*load_dataset(data).labels}


def _known(data: Path, dataset: Dataset, manifest: BundleManifest) -> list[Clip]:
    """The clips, with the bundle's label for nothing in place of that of the data; a bundle that has none cannot be asked about clips of nothing."""
    clips = list(dataset.clips)
    if dataset.background not in manifest.labels:
        named = [clip if clip.label != dataset.background else replace(clip, label=manifest.background or "") for clip in clips]
        clips = [clip for clip in named if clip.label]
    if unknown := sorted({clip.label for clip in clips} - set(manifest.labels)):
        raise DataError(f"{data} has labels that {manifest.name} does not know: {', '.join(unknown)}; it knows {', '.join(manifest.labels)}")
    return clips


def measure(
    results: Sequence[ClipResult],
    labels: Sequence[str],
    background: str | None = None,
    skipped: tuple[SkippedClip, ...] = (),
    streams: Sequence[EvaluatedStream] = (),
    within_s: float = WITHIN_S,
    min_s: Mapping[str, float] | None = None,
) -> Evaluation:
    """All figures of clips, and of the streams that they are from; of the clips as streams where none are given. See `count_alarms` for `min_s`."""
    streams = streams or [result.stream for result in results]
    truth = np.array([result.truth for result in results])
    clip_scores = np.stack([result.scores.mean(axis=0) for result in results])
    window_scores = np.concatenate([result.scores for result in results])
    window_truth = np.repeat(truth, [len(result.scores) for result in results])
    counts = metrics.confusion_matrix(truth, clip_scores.argmax(axis=1), len(labels))
    is_active = [[labels[index] != background for index in each] for each in (truth, window_truth)]
    return Evaluation(
        clip_top1=metrics.top_k(clip_scores, truth),
        clip_top5=metrics.top_k(clip_scores, truth, 5),
        window_top1=metrics.top_k(window_scores, window_truth),
        active_clip_top1=metrics.top_k(clip_scores[is_active[0]], truth[is_active[0]]),
        active_window_top1=metrics.top_k(window_scores[is_active[1]], window_truth[is_active[1]]),
        per_label=dict(zip(labels, metrics.label_figures(counts), strict=True)),
        confusion=counts,
        outcomes=_outcomes(results),
        active_outcomes=_outcomes([result for result in results if labels[result.truth] != background]),
        label_outcomes={
            label: _outcomes([result for result in results if result.truth == index])
            for index, label in enumerate(labels)
            if label != background and index in truth
        },
        calibration_error=metrics.calibration_error(window_scores, window_truth),
        stream=measure_streams(streams),
        alarms={
            label: count_alarms(streams, index, within_s, (min_s or {}).get(label, 0.0)) for index, label in enumerate(labels) if label != background
        },
        within_s=within_s,
        background_events=count_false(streams, labels),
        results=tuple(results),
        streams=tuple(streams),
        num_clips=len(results),
        num_predictions=len(window_truth),
        skipped=skipped,
    )


def count_false(streams: Sequence[EvaluatedStream], labels: Sequence[str]) -> BackgroundEvents | None:
    """The events on those of the streams that have no activity; None if there are no such streams."""
    background_events = [stream for stream in streams if not stream.segments]
    events = Counter(labels[event.label] for stream in background_events for event in stream.events)
    return BackgroundEvents(sum(stream.duration_s for stream in background_events) / 3600, dict(events.most_common())) if background_events else None


def _outcomes(results: Sequence[ClipResult]) -> Outcomes:
    expected = [frozenset(segment.label for segment in result.stream.segments) for result in results]
    right = [result.started == wanted for result, wanted in zip(results, expected, strict=True)]
    wrong = [bool(result.started - wanted) for result, wanted in zip(results, expected, strict=True)]
    shares = np.mean([right, wrong], axis=1) if results else np.full(2, np.nan)
    return Outcomes(right=float(shares[0]), wrong=float(shares[1]), silent=float(1 - shares.sum()))
