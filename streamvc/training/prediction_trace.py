"""Predictions along a video, and the events they lead to: the stages that run live, given features from the cache."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

import numpy as np
from numpy.typing import NDArray

from streamvc.detection import Detector
from streamvc.events import Detection
from streamvc.inference.bundle import Bundle
from streamvc.inference.manifest import BundleManifest
from streamvc.inference.recognizer import Recognizer
from streamvc.stream_metrics import EvaluatedStream, Segment, StreamEvent
from streamvc.training.dataset import Clip
from streamvc.training.feature_sequence import FeatureSequence, people_of
from streamvc.types import Feature, Prediction

SAME_S = 3.0  # seconds after an event in which one of somebody else counts as the same


@dataclass(frozen=True, slots=True, eq=False)
class PredictionTrace:
    """The predictions along a stream, before smoothing and thresholds, and the activities that are really in it.

    Attributes:
        stretches: The predictions, split where the stream has gaps.
        segments: The activities that are really there.
        duration_s: How long the stream is.
    """

    stretches: Sequence[Sequence[Prediction]]
    segments: Sequence[Segment]
    duration_s: float


def whole_files(clips: Sequence[Clip]) -> list[Clip]:
    """The files that clips are parts of, each as one clip without a label."""
    return [Clip(path, label="", group="") for path in dict.fromkeys(clip.path for clip in clips)]


def predict_file(recognizer: Recognizer, sequence: FeatureSequence) -> list[list[Prediction]]:
    """The predictions along a clip or a whole file, stretch by stretch: at a gap the recogniser's state is reset, as live.

    Where there are too few frames for long, as live, what went on ends: a stretch ends there too. Where features are of people, each has stretches of
    their own, one person's after the other's.
    """
    return [part for stretches in predict_people(recognizer, sequence).values() for part in stretches]


def predict_people(recognizer: Recognizer, sequence: FeatureSequence) -> dict[int, list[list[Prediction]]]:
    """As `predict_file`, by the track of the person; of pictures all is of `NOBODY`."""
    return {track: [part for stretch in _stretches(person) for part in _split(recognizer, stretch)] for track, person in people_of(sequence).items()}


def _split(recognizer: Recognizer, sequence: FeatureSequence) -> list[list[Prediction]]:
    parts: list[list[Prediction]] = [[]]
    for prediction in _observe(recognizer, sequence):
        if prediction:
            parts[-1].append(prediction)
        elif recognizer.has_lapsed and parts[-1]:
            parts.append([])
    return parts


def trace_clip(manifest: BundleManifest, label: str, stretches: Sequence[Sequence[Prediction]], start_s: float = 0.0) -> PredictionTrace:
    """The trace of a clip: a stream of one segment, or of none if its label is the background.

    Args:
        manifest: Of the bundle that made the predictions.
        label: The right one.
        stretches: Of `predict_file`.
        start_s: Where the clip begins, on the clock of the predictions.
    """
    end_s = max((prediction.timestamp for predictions in stretches for prediction in predictions), default=start_s) + 1 / manifest.rate_hz
    segments = [] if label == manifest.background else [Segment(manifest.labels.index(label), start_s, end_s)]
    return PredictionTrace(stretches, segments, end_s - start_s)


def trace_file(manifest: BundleManifest, clips: Sequence[Clip], stretches: Sequence[Sequence[Prediction]], duration_s: float) -> PredictionTrace:
    """The trace of a whole file.

    Args:
        manifest: Of the bundle that made them.
        clips: The parts of the file in which something goes on.
        stretches: Of `predict_file`.
        duration_s: Length of the file.
    """
    segments = [Segment(manifest.labels.index(clip.label), clip.start_s, duration_s if clip.end_s is None else clip.end_s) for clip in clips]
    return PredictionTrace(stretches, segments, duration_s)


def length_s(sequence: FeatureSequence) -> float:
    """Seconds of stream time that a feature sequence covers, the usual time of one tick after the last included."""
    times = np.unique(sequence.timestamps)  # of people there may be several at a time
    return float(times[-1] + (np.median(np.diff(times)) if len(times) > 1 else 0.0))


def _stretches(sequence: FeatureSequence) -> Iterator[FeatureSequence]:
    """The parts of a feature sequence between gaps."""
    for begin, end in pairwise([0, *np.flatnonzero(sequence.gaps_s), len(sequence.gaps_s)]):
        yield sequence.rows(slice(begin, end))


def predict(recognizer: Recognizer, sequence: FeatureSequence) -> Iterator[Prediction]:
    """The predictions that the recogniser makes of a clip, from its features."""
    return (prediction for prediction in _observe(recognizer, sequence) if prediction)


def _observe(recognizer: Recognizer, sequence: FeatureSequence) -> Iterator[Prediction | None]:
    """What comes of each feature."""
    recognizer.reset()
    samples = zip(sequence.features, sequence.num_ticks, sequence.indices, sequence.timestamps, sequence.gaps_s, strict=True)
    for feature, num_ticks, index, timestamp, gap_s in samples:
        if gap_s:
            recognizer.forget()
        yield recognizer.observe_feature(Feature(feature, int(num_ticks)), int(index), float(timestamp))


def detect(bundle: Bundle, trace: PredictionTrace) -> EvaluatedStream:
    """Smoothing and detection as they run live; between two stretches is a gap.

    Where a bundle speaks of each person, events of a label that are published within `SAME_S` of another person's count as that one: a tracker may
    well see two people in one who falls.
    """
    labels, manifest = bundle.manifest.labels, bundle.manifest
    detector = Detector(labels, [bundle.decision(each) for each in labels], background=manifest.background, update_s=0)
    smoothed: list[Prediction] = []
    events: list[list[StreamEvent]] = []
    for stretch in trace.stretches:
        detections: list[Detection] = []
        for prediction in stretch:
            detections += detector.step(prediction)
            smoothed += [detector.last] if detector.last else []
        events.append([*_events(detections + detector.flush("gap"), labels)])
    predictions = [prediction for stretch in trace.stretches for prediction in stretch]
    order = np.argsort([prediction.timestamp for prediction in predictions], kind="stable")
    return EvaluatedStream(
        segments=tuple(trace.segments),
        duration_s=trace.duration_s,
        timestamps=np.array([prediction.timestamp for prediction in predictions], np.float64)[order],
        scores=_table(predictions, len(labels))[order],
        smoothed=_table(smoothed, len(labels))[order],
        events=tuple(_of_anybody(events) if manifest.subject == "person" else chain.from_iterable(events)),
    )


def _of_anybody(events: Sequence[Sequence[StreamEvent]]) -> list[StreamEvent]:
    """The events of all stretches by the time of their publication; see `detect` for what counts as one."""
    found: list[StreamEvent] = []
    first: dict[int, tuple[int, StreamEvent]] = {}  # of each label: the stretch and the event that others may count as
    for event, stretch in sorted(((event, number) for number, each in enumerate(events) for event in each), key=lambda pair: pair[0].published_s):
        its_stretch, before = first.get(event.label, (stretch, event))
        if its_stretch == stretch or event.published_s - before.published_s > SAME_S:
            first[event.label] = stretch, event
            found.append(event)
    return found


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
