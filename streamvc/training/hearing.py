"""What a recogniser says of a video, and what a subscriber hears of that: the very stages that run live, given features from the cache."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from streamvc.detection import Detector
from streamvc.events import Detection
from streamvc.inference.bundle import Bundle
from streamvc.inference.manifest import BundleManifest
from streamvc.inference.recognizer import Recognizer
from streamvc.stream_metrics import Segment, Stream, StreamEvent
from streamvc.training.dataset import Clip
from streamvc.training.tracks import Track
from streamvc.types import Feature, Prediction


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """What a recogniser said along a stream, and what is true of it. What is published of that is for the smoothing and the thresholds to say.

    Attributes:
        stretches: The predictions, parted where the stream has gaps.
        segments: What is true.
        duration_s: How long the stream is.
    """

    stretches: Sequence[Sequence[Prediction]]
    segments: Sequence[Segment]
    duration_s: float


def whole_files(clips: Sequence[Clip]) -> list[Clip]:
    """The files that clips are parts of, each as one clip without a label."""
    return [Clip(path, label="", group="") for path in dict.fromkeys(clip.path for clip in clips)]


def predict_file(recognizer: Recognizer, track: Track) -> list[list[Prediction]]:
    """The predictions along a clip or a whole file, stretch by stretch: a gap is a gap, as live."""
    return [list(predict(recognizer, stretch)) for stretch in _stretches(track)]


def hear_clip(manifest: BundleManifest, label: str, stretches: Sequence[Sequence[Prediction]], start_s: float = 0.0) -> Heard:
    """The predictions for a clip, as a stream of one segment; of none, if its label is the background.

    Args:
        manifest: Of the bundle that made them.
        label: The right one.
        stretches: Of `predict_file`; at least one prediction in all.
        start_s: Where the clip begins, on the clock of the predictions.
    """
    end_s = max(prediction.timestamp for predictions in stretches for prediction in predictions) + 1 / manifest.rate_hz
    segments = [] if label == manifest.background else [Segment(manifest.labels.index(label), start_s, end_s)]
    return Heard(stretches, segments, end_s - start_s)


def hear_file(manifest: BundleManifest, clips: Sequence[Clip], stretches: Sequence[Sequence[Prediction]], duration_s: float) -> Heard:
    """The predictions along a whole file.

    Args:
        manifest: Of the bundle that made them.
        clips: The parts of the file in which something goes on.
        stretches: Of `predict_file`.
        duration_s: Length of the file.
    """
    segments = [Segment(manifest.labels.index(clip.label), clip.start_s, duration_s if clip.end_s is None else clip.end_s) for clip in clips]
    return Heard(stretches, segments, duration_s)


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


def detect(bundle: Bundle, heard: Heard) -> Stream:
    """Smoothing and detection as they run live; between two stretches is a gap."""
    labels, manifest = bundle.manifest.labels, bundle.manifest
    detector = Detector(labels, [bundle.decision(each) for each in labels], background=manifest.background, update_s=0)
    smoothed: list[Prediction] = []
    detections: list[Detection] = []
    for stretch in heard.stretches:
        for prediction in stretch:
            detections += detector.step(prediction)
            smoothed += [detector.last] if detector.last else []
        detections += detector.flush("gap")
    predictions = [prediction for stretch in heard.stretches for prediction in stretch]
    return Stream(
        segments=tuple(heard.segments),
        duration_s=heard.duration_s,
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
