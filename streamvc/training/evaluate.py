"""Measures a bundle on labelled clips: the very recogniser that runs live, given the features of the clips from the cache."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamvc import metrics
from streamvc.detection import Detector
from streamvc.errors import DataError
from streamvc.inference.bundle import Bundle
from streamvc.inference.recognizer import Recognizer
from streamvc.metrics import LabelFigures
from streamvc.smoothing import Smoother
from streamvc.training.dataset import load_dataset
from streamvc.training.features import Skipped, Track, extract
from streamvc.training.progress import Advance, silent
from streamvc.types import Prediction


@dataclass(frozen=True, slots=True, eq=False)
class Replay:
    """What a recogniser said of a clip.

    Attributes:
        truth: Index of the right label.
        scores: (K, L) float32, one row per prediction, K at least 1.
        started: The labels of the activities that began, by the thresholds of the bundle.
    """

    truth: int
    scores: NDArray[np.float32]
    started: frozenset[str]


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
        window_top1: Share of single predictions that are right.
        per_label: Of whole clips: precision, recall, F1.
        confusion: (L, L) whole clips, a row per right label, a column per given one.
        outcomes: What became of them as events.
        calibration_error: How far a prediction's best score is from the share of times it is right.
        num_clips: How many clips there were; those that were skipped do not count.
        num_predictions: How many predictions there were.
        skipped: The clips that could not be used.
    """

    clip_top1: float
    window_top1: float
    per_label: dict[str, LabelFigures]
    confusion: NDArray[np.int64]
    outcomes: Outcomes
    calibration_error: float
    num_clips: int
    num_predictions: int
    skipped: tuple[Skipped, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The figures in a form that JSON can hold."""
        return {
            "clip_top1": self.clip_top1,
            "window_top1": self.window_top1,
            "per_label": {label: asdict(figures) for label, figures in self.per_label.items()},
            "num_clips": self.num_clips,
            "num_predictions": self.num_predictions,
            "confusion": self.confusion.tolist(),
            "outcomes": asdict(self.outcomes),
            "calibration_error": self.calibration_error,
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
    if unknown := sorted(set(dataset.labels) - set(recognizer.labels)):
        raise DataError(f"{data} has labels that {manifest.name} does not know: {', '.join(unknown)}; it knows {', '.join(recognizer.labels)}")
    extraction = extract(dataset.clips, manifest.backbone.name, manifest.rate_hz, cache=cache, num_workers=num_workers, advance=advance)
    extraction = extraction.lasting(manifest.warm_up)
    replays = []
    for clip, track in zip(extraction.clips, extraction.tracks, strict=True):
        replays.append(judge(recognizer.bundle, clip.label, list(predict(recognizer, track))))
        advance("predictions", len(replays), len(extraction.clips))
    return measure(replays, recognizer.labels, manifest.background, extraction.skipped)


def predict(recognizer: Recognizer, track: Track) -> Iterator[Prediction]:
    """The predictions that the recogniser makes of a clip, from its features."""
    recognizer.reset()
    samples = zip(track.features, track.num_ticks, track.indices, track.timestamps, track.gaps_s, strict=True)
    for feature, num_ticks, index, timestamp, gap_s in samples:
        if gap_s:
            recognizer.forget()
        if prediction := recognizer.observe_feature(feature, int(num_ticks), int(index), float(timestamp)):
            yield prediction


def judge(bundle: Bundle, label: str, predictions: Sequence[Prediction]) -> Replay:
    """Hold the predictions for a clip against its label, and let them go through the bundle's smoothing and thresholds."""
    labels, manifest = bundle.manifest.labels, bundle.manifest
    smoother = Smoother(manifest.smoothing_s)
    detector = Detector(labels, [bundle.decision(each) for each in labels], background=manifest.background, update_s=0)
    detections = [detection for prediction in predictions for detection in detector.step(smoother.step(prediction))]
    started = frozenset(detection.label for detection in detections if detection.phase == "start")
    return Replay(labels.index(label), np.stack([prediction.scores for prediction in predictions]), started)


def measure(replays: Sequence[Replay], labels: Sequence[str], background: str | None, skipped: tuple[Skipped, ...] = ()) -> Evaluation:
    """The figures of what was said of clips."""
    truth = np.array([replay.truth for replay in replays])
    clip_scores = np.stack([replay.scores.mean(axis=0) for replay in replays])
    window_scores = np.concatenate([replay.scores for replay in replays])
    window_truth = np.repeat(truth, [len(replay.scores) for replay in replays])
    counts = metrics.confusion(truth, clip_scores.argmax(axis=1), len(labels))
    return Evaluation(
        clip_top1=metrics.top_k(clip_scores, truth),
        window_top1=metrics.top_k(window_scores, window_truth),
        per_label=dict(zip(labels, metrics.label_figures(counts), strict=True)),
        confusion=counts,
        outcomes=_outcomes(replays, labels, background),
        calibration_error=metrics.calibration_error(window_scores, window_truth),
        num_clips=len(replays),
        num_predictions=len(window_truth),
        skipped=skipped,
    )


def _outcomes(replays: Sequence[Replay], labels: Sequence[str], background: str | None) -> Outcomes:
    expected = [frozenset({labels[replay.truth]} - {background}) for replay in replays]
    right = [replay.started == wanted for replay, wanted in zip(replays, expected, strict=True)]
    wrong = [bool(replay.started - wanted) for replay, wanted in zip(replays, expected, strict=True)]
    shares = np.mean([right, wrong], axis=1)
    return Outcomes(right=float(shares[0]), wrong=float(shares[1]), silent=float(1 - shares.sum()))
