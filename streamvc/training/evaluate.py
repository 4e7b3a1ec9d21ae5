"""Measures a bundle on labelled video: the very stages that run live, given the features of the clips from the cache.

Clips are measured by themselves: is the label right? Streams are measured as a subscriber hears them: each file from start to end, against the
segments of it in which something goes on. A trimmed clip is a stream of one segment.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamvc import metrics
from streamvc.detection import Detector
from streamvc.errors import DataError
from streamvc.events import Detection
from streamvc.inference.bundle import Bundle
from streamvc.inference.manifest import BundleManifest
from streamvc.inference.recognizer import Recognizer
from streamvc.metrics import LabelFigures
from streamvc.smoothing import Smoother
from streamvc.stream_metrics import Segment, Stream, StreamEvent, StreamFigures, measure_streams
from streamvc.training.dataset import Clip, Dataset, load_dataset
from streamvc.training.features import Extraction, Skipped, extract
from streamvc.training.progress import Advance, silent
from streamvc.training.tracks import Track
from streamvc.types import Feature, Prediction


@dataclass(frozen=True, slots=True, eq=False)
class Replay:
    """What a recogniser said of a clip.

    Attributes:
        truth: Index of the right label.
        stream: Its predictions, of which there is at least one, and the events, by the smoothing and thresholds of the bundle.
    """

    truth: int
    stream: Stream

    @property
    def scores(self) -> NDArray[np.float32]:
        """(K, L) float32, one row per prediction."""
        return self.stream.scores

    @property
    def started(self) -> frozenset[int]:
        """The labels of the activities that began."""
        return frozenset(event.label for event in self.stream.events)


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What a subscriber would have heard, as shares of the clips.

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
        per_label: Of whole clips: precision, recall, F1.
        confusion: (L, L) whole clips, a row per right label, a column per given one.
        outcomes: What became of them as events.
        calibration_error: How far a prediction's best score is from the share of times it is right.
        stream: The figures of the clips as streams; of untrimmed video, those of the whole files.
        replays: What was said of each clip.
        streams: What the figures of streams are of.
        num_clips: How many clips there were; those that were skipped do not count.
        num_predictions: How many predictions there were.
        skipped: The clips that could not be used.
    """

    clip_top1: float
    clip_top5: float
    window_top1: float
    per_label: dict[str, LabelFigures]
    confusion: NDArray[np.int64]
    outcomes: Outcomes
    calibration_error: float
    stream: StreamFigures
    replays: tuple[Replay, ...]
    streams: tuple[Stream, ...]
    num_clips: int
    num_predictions: int
    skipped: tuple[Skipped, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The figures in a form that JSON can hold."""
        return {
            "clip_top1": self.clip_top1,
            "clip_top5": self.clip_top5,
            "window_top1": self.window_top1,
            "per_label": {label: asdict(figures) for label, figures in self.per_label.items()},
            "num_clips": self.num_clips,
            "num_predictions": self.num_predictions,
            "confusion": self.confusion.tolist(),
            "outcomes": asdict(self.outcomes),
            "calibration_error": self.calibration_error,
            **self.stream.as_json(),
            "skipped": [{"path": str(skipped.clip.path), "reason": skipped.reason} for skipped in self.skipped],
        }


def evaluate(
    model: str | Path,
    data: Path,
    *,
    cache: Path | None = None,
    num_workers: int | None = None,
    advance: Advance = silent,
) -> Evaluation:
    """Measure a bundle on a data set.

    Args:
        model: The bundle's name or path.
        data: A folder per label, a CSV or a folder with a `clips.csv`; see `load_dataset`.
        cache: Folder of cached features; `cache_folder()` if not given.
        num_workers: How many clips are looked at at a time; as many as there are cores if not given.
        advance: Is told of the progress.

    Raises:
        BundleError: The bundle cannot be loaded.
        DataError: The data cannot be used, or has a label that the bundle does not know.
    """
    recognizer = Recognizer.load(model)
    manifest = recognizer.bundle.manifest
    dataset = load_dataset(data)
    clips = _known(data, dataset, manifest)

    def look(wanted: Sequence[Clip]) -> Extraction:
        return extract(wanted, _extractor(recognizer.bundle), manifest.rate_hz, cache=cache, num_workers=num_workers, advance=advance)

    extraction = look(clips).lasting(manifest.first)
    replays = []
    for clip, track in zip(extraction.clips, extraction.tracks, strict=True):
        replays.append(judge(recognizer.bundle, clip.label, predict_file(recognizer, track), clip.start_s))
        advance("predictions", len(replays), len(extraction.clips))
    streams = []
    if dataset.untrimmed:
        files = look(whole_files(dataset.clips))
        segments = [clip for clip in clips if clip.label not in (dataset.background, manifest.background)]
        streams = [
            judge_file(recognizer.bundle, [clip for clip in segments if clip.path == file.path], predict_file(recognizer, track), length_s(track))
            for file, track in zip(files.clips, files.tracks, strict=True)
            if len(track.features)
        ]
    return measure(replays, recognizer.labels, extraction.skipped, streams)


def whole_files(clips: Sequence[Clip]) -> list[Clip]:
    """The files that clips are parts of, each as one clip without a label."""
    return [Clip(path, label="", group="") for path in dict.fromkeys(clip.path for clip in clips)]


def _extractor(bundle: Bundle) -> str:
    """The name that `open_extractor` knows the bundle's own one by."""
    manifest = bundle.manifest
    name = bundle.find_backbone() if manifest.backbone else f"{manifest.pictures}:{manifest.input.size_px}"
    return f"{name}:{manifest.input.crop}"


def _known(data: Path, dataset: Dataset, manifest: BundleManifest) -> list[Clip]:
    """The clips, with the bundle's label for nothing in place of that of the data; a bundle that has none cannot be asked about clips of nothing."""
    clips = list(dataset.clips)
    if dataset.background not in manifest.labels:
        named = [clip if clip.label != dataset.background else replace(clip, label=manifest.background or "") for clip in clips]
        clips = [clip for clip in named if clip.label]
    if unknown := sorted({clip.label for clip in clips} - set(manifest.labels)):
        raise DataError(f"{data} has labels that {manifest.name} does not know: {', '.join(unknown)}; it knows {', '.join(manifest.labels)}")
    return clips


def predict_file(recognizer: Recognizer, track: Track) -> list[list[Prediction]]:
    """The predictions along a clip or a whole file, stretch by stretch: a gap is a gap, as live."""
    return [list(predict(recognizer, stretch)) for stretch in _stretches(track)]


def judge_file(bundle: Bundle, clips: Sequence[Clip], stretches: Sequence[Sequence[Prediction]], duration_s: float) -> Stream:
    """Hold the predictions along a whole file against what goes on in it, after the bundle's smoothing and thresholds.

    Args:
        bundle: What made them.
        clips: The parts of the file in which something goes on.
        stretches: Of `predict_file`.
        duration_s: Length of the file.
    """
    segments = [Segment(bundle.manifest.labels.index(clip.label), clip.start_s, duration_s if clip.end_s is None else clip.end_s) for clip in clips]
    return _detect(bundle, stretches, segments, duration_s)


def length_s(track: Track) -> float:
    """Seconds of stream time that a track covers: to its last tick, and the usual time between two behind it."""
    times = track.timestamps
    return float(times[-1] + (np.median(np.diff(times)) if len(times) > 1 else 0.0))


def _stretches(track: Track) -> Iterator[Track]:
    """The parts of a track between gaps."""
    for begin, end in pairwise([0, *np.flatnonzero(track.gaps_s), len(track.gaps_s)]):
        yield Track(**{field.name: getattr(track, field.name)[begin:end] for field in fields(track)})


def predict(recognizer: Recognizer, track: Track) -> Iterator[Prediction]:
    """The predictions that the recogniser makes of a clip, from its features."""
    recognizer.reset()
    samples = zip(track.features, track.num_ticks, track.indices, track.timestamps, track.gaps_s, strict=True)
    for feature, num_ticks, index, timestamp, gap_s in samples:
        if gap_s:
            recognizer.forget()
        if prediction := recognizer.observe_feature(Feature(feature, int(num_ticks)), int(index), float(timestamp)):
            yield prediction


def judge(bundle: Bundle, label: str, stretches: Sequence[Sequence[Prediction]], start_s: float = 0.0) -> Replay:
    """Hold the predictions for a clip against its label, and let them go through the bundle's smoothing and thresholds.

    Args:
        bundle: What made them.
        label: The right one.
        stretches: Of `predict_file`; at least one prediction in all.
        start_s: Where the clip begins, on the clock of the predictions.
    """
    manifest = bundle.manifest
    last = max(prediction.timestamp for predictions in stretches for prediction in predictions)
    truth, end_s = manifest.labels.index(label), last + 1 / manifest.rate_hz
    segments = [] if label == manifest.background else [Segment(truth, start_s, end_s)]
    return Replay(truth, _detect(bundle, stretches, segments, end_s - start_s))


def _detect(bundle: Bundle, stretches: Sequence[Sequence[Prediction]], segments: Sequence[Segment], duration_s: float) -> Stream:
    """Smoothing and detection as they run live; between two stretches is a gap."""
    labels, manifest = bundle.manifest.labels, bundle.manifest
    smoother = Smoother(manifest.smoothing_s)
    detector = Detector(labels, [bundle.decision(each) for each in labels], background=manifest.background, update_s=0)
    smoothed: list[Prediction] = []
    detections: list[Detection] = []
    for stretch in stretches:
        for prediction in stretch:
            smoothed.append(smoother.step(prediction))
            detections += detector.step(smoothed[-1])
        smoother.reset()
        detections += detector.flush("gap")
    predictions = [prediction for stretch in stretches for prediction in stretch]
    return Stream(
        segments=tuple(segments),
        duration_s=duration_s,
        timestamps=np.array([prediction.timestamp for prediction in predictions], np.float64),
        scores=_table(predictions, len(labels)),
        smoothed=_table(smoothed, len(labels)),
        events=tuple(_events(detections, labels)),
    )


def _table(predictions: Sequence[Prediction], num_labels: int) -> NDArray[np.float32]:
    return np.array([prediction.scores for prediction in predictions], np.float32).reshape(-1, num_labels)


def _events(detections: Sequence[Detection], labels: Sequence[str]) -> Iterator[StreamEvent]:
    """What became of each start; start and end alternate per label."""
    published: dict[str, float] = {}
    for detection in detections:
        if detection.phase == "start":
            published[detection.label] = detection.timestamp
        else:
            yield StreamEvent(labels.index(detection.label), detection.t_start, detection.timestamp, published[detection.label])


def measure(
    replays: Sequence[Replay],
    labels: Sequence[str],
    skipped: tuple[Skipped, ...] = (),
    streams: Sequence[Stream] = (),
) -> Evaluation:
    """The figures of what was said of clips, and of the streams that they are from; of the clips as streams where none are given."""
    streams = streams or [replay.stream for replay in replays]
    truth = np.array([replay.truth for replay in replays])
    clip_scores = np.stack([replay.scores.mean(axis=0) for replay in replays])
    window_scores = np.concatenate([replay.scores for replay in replays])
    window_truth = np.repeat(truth, [len(replay.scores) for replay in replays])
    counts = metrics.confusion(truth, clip_scores.argmax(axis=1), len(labels))
    return Evaluation(
        clip_top1=metrics.top_k(clip_scores, truth),
        clip_top5=metrics.top_k(clip_scores, truth, 5),
        window_top1=metrics.top_k(window_scores, window_truth),
        per_label=dict(zip(labels, metrics.label_figures(counts), strict=True)),
        confusion=counts,
        outcomes=_outcomes(replays),
        calibration_error=metrics.calibration_error(window_scores, window_truth),
        stream=measure_streams(streams),
        replays=tuple(replays),
        streams=tuple(streams),
        num_clips=len(replays),
        num_predictions=len(window_truth),
        skipped=skipped,
    )


def _outcomes(replays: Sequence[Replay]) -> Outcomes:
    expected = [frozenset(segment.label for segment in replay.stream.segments) for replay in replays]
    right = [replay.started == wanted for replay, wanted in zip(replays, expected, strict=True)]
    wrong = [bool(replay.started - wanted) for replay, wanted in zip(replays, expected, strict=True)]
    shares = np.mean([right, wrong], axis=1)
    return Outcomes(right=float(shares[0]), wrong=float(shares[1]), silent=float(1 - shares.sum()))
