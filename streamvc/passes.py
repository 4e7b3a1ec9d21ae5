"""What models make of the frames of one camera: one pass for all that see the same, then a head for each, of the scene or of each person in it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from streamvc.detection import Detector
from streamvc.events import Decision, Detection, ModelInfo, Reason
from streamvc.inference.backbone import Extractor
from streamvc.inference.people.extractor import PeopleExtractor
from streamvc.inference.recognizer import Recognizer
from streamvc.repetitions import POSTURE_SIZE, RepetitionCounter
from streamvc.sampling import Sample
from streamvc.thresholds import Thresholds
from streamvc.types import Feature, Prediction, Subject

Trace = Callable[[ModelInfo, Prediction], None]


@dataclass(frozen=True, slots=True)
class Started:
    """What all events of an activity have in common."""

    event_id: str
    t_start: float | None


class Watched:
    """What one model makes of the scene, or of one person in it."""

    def __init__(self, recognizer: Recognizer, detector: Detector) -> None:
        self.recognizer = recognizer
        self.detector = detector
        self.started: dict[str, Started] = {}  # by label
        self.subject: Subject | None = None  # as the person was seen last
        self.repetitions = RepetitionCounter()

    @property
    def running(self) -> list[Detection]:
        """The `start` detections of what goes on now, each with whose it is."""
        return [replace(detection, subject=self.subject) for detection in self.detector.running]


class ModelHead:
    """What one model makes of features: of the scene, or of each person."""

    def __init__(self, recognizer: Recognizer, thresholds: Thresholds, rate_hz: float, update_s: float, trace: Trace | None) -> None:
        manifest = recognizer.bundle.manifest
        self.rate_hz = rate_hz
        self.model = ModelInfo(manifest.name, manifest.version, recognizer.bundle.sha256)
        self._recognizer = recognizer
        self._thresholds = thresholds
        self._update_s = update_s
        self._trace = trace
        self.parts = manifest.parts
        self._counted = frozenset(manifest.counted)
        self._posture = slice(0)  # of a feature, what repetitions are counted by
        if self._counted:
            before = takewhile(lambda part: part.kind != "movenet", manifest.parts)
            first = sum(part.feature_size for part in before)
            self._posture = slice(first, first + POSTURE_SIZE)
        self.columns: NDArray[np.intp] | None = None  # of the features of people, those that are this model's
        self._is_new = True  # nothing has been seen yet, or not since the last gap
        recognizer.reset()
        self._watched: dict[int | None, Watched] = {}  # by track; None for the scene
        if manifest.subject == "scene":
            self._watched[None] = Watched(recognizer, self._new_detector())

    @property
    def watched(self) -> list[Watched]:
        """The scene, or the people who are followed. May be read by any thread."""
        return list(self._watched.values())

    @property
    def top(self) -> tuple[tuple[str, float], ...]:
        """The best labels: of the one whose activity is surest, where there are several people."""
        background = self._recognizer.bundle.manifest.background
        tops = (watched.detector.top for watched in self.watched)
        return max(tops, key=lambda top: max((score for label, score in top if label != background), default=0.0), default=())

    @property
    def thresholds(self) -> dict[str, float]:
        """The score that each label needs now: where somebody has begun with it, to go on."""
        of_each = [watched.detector.thresholds for watched in self.watched] or [self._new_detector().thresholds]
        return {label: min(each[label] for each in of_each) for label in of_each[0]}

    @property
    def is_warming_up(self) -> bool:
        """There is somebody, or something, of whom there is no prediction yet. An empty room is none."""
        watched = self.watched
        return self._is_new or (bool(watched) and all(each.detector.last is None for each in watched))

    @property
    def shortage(self) -> str | None:
        """That there are too few frames for a prediction, in words; None where there are enough."""
        manifest = self._recognizer.bundle.manifest
        if not any(watched.recognizer.is_short for watched in self.watched):
            return None
        return f"not enough frames for {manifest.name}, which needs {manifest.least_hz:g} a second"

    def retune(self, thresholds: Thresholds) -> None:
        """Decide by other settings."""
        self._thresholds = thresholds
        for watched in self.watched:
            watched.detector.retune(self._decisions())

    def observe(self, sample: Sample, feature: Feature | None) -> Iterator[tuple[Watched, Detection]]:
        """What is decided with a sample's feature; None where it completes none."""
        if feature is None or feature.subjects is None:
            yield from self._observe(self._watched[None], sample, feature)
            return
        self._is_new = False
        tracks = {subject.track for subject in feature.subjects}
        for track in [track for track in self._watched if track not in tracks]:
            gone = self._watched.pop(track)
            yield from self._found(gone, gone.detector.flush("gone"))
        for subject, values in zip(feature.subjects, feature.values[:, self.columns], strict=True):
            watched = self._watched.get(subject.track)
            if watched is None:
                watched = self._watched[subject.track] = Watched(self._recognizer.fresh(), self._new_detector())
            watched.subject = subject
            yield from self._observe(watched, sample, Feature(values, feature.num_ticks))

    def flush(self, reason: Reason) -> list[tuple[Watched, Detection]]:
        """End what runs, and forget what was seen."""
        ended = [found for watched in self.watched for found in self._found(watched, watched.detector.flush(reason))]
        self._is_new = True
        self._recognizer.forget()
        for watched in self.watched:
            watched.repetitions.clear()
        if None not in self._watched:
            self._watched.clear()
        return ended

    def _observe(self, watched: Watched, sample: Sample, feature: Feature | None) -> Iterator[tuple[Watched, Detection]]:
        recognizer = watched.recognizer
        prediction = None if feature is None else recognizer.observe_feature(feature, sample.frame.index, sample.timestamp)
        if self._counted and feature is not None:  # now: what is not finite has been refused
            watched.repetitions.push(feature.values[self._posture], sample.timestamp)
        if prediction is None:
            yield from self._found(watched, watched.detector.flush("gap") if recognizer.has_lapsed else [])
            return
        self._is_new = False
        if self._trace:
            self._trace(self.model, prediction)
        yield from self._found(watched, watched.detector.step(prediction))

    def _found(self, watched: Watched, detections: Sequence[Detection]) -> Iterator[tuple[Watched, Detection]]:
        """Detections with whose they are, and how often it was done."""
        for detection in detections:
            count = watched.repetitions.count(detection.t_start) if detection.label in self._counted else None
            yield watched, replace(detection, subject=watched.subject, count=count)

    def _new_detector(self) -> Detector:
        background = self._recognizer.bundle.manifest.background
        return Detector(self._recognizer.labels, self._decisions(), background=background, update_s=self._update_s)

    def _decisions(self) -> list[Decision]:
        """The model's settings for each of its labels, with those of this session in their place."""
        return [self._thresholds.apply(self._recognizer.bundle.decision(label)) for label in self._recognizer.labels]


def sight(recognizer: Recognizer) -> str:
    """What says whether two models see the same, so that one pass does for both. Of people, each may be told other numbers."""
    extractor = recognizer.extractor
    return extractor.people if isinstance(extractor, PeopleExtractor) else extractor.identity


class ModelPass:
    """The extractor of one model, and the heads of all that see the same."""

    def __init__(self, recognizer: Recognizer) -> None:
        self.sampler = recognizer.sampler
        self.heads: list[ModelHead] = []
        self.extractor: Extractor = recognizer.extractor
        self._known: Feature | None = None
        self._image: NDArray[np.uint8] | None = None

    def add(self, head: ModelHead) -> None:
        """Let another model see what these see."""
        self.heads.append(head)
        if isinstance(self.extractor, PeopleExtractor):
            self.extractor = self.extractor.joined(head.parts)
            for each in self.heads:
                each.columns = self.extractor.columns(each.parts)

    def feature(self, sample: Sample, *, is_still: bool) -> Feature | None:
        """The feature that a sample completes; None where it completes none, or where it shows what was never seen."""
        image = sample.frame.image
        if isinstance(self.extractor, PeopleExtractor):
            return self.extractor.repeat(sample.num_ticks) if is_still else self.extractor.step(image, sample.num_ticks)
        if self.extractor.num_frames > 1:  # what the last feature was made of is not what this one is of
            self._image = self._image if is_still else image.copy()
            return None if self._image is None else self.extractor.step(self._image, sample.num_ticks)
        if is_still:
            return self._known and Feature(self._known.values, sample.num_ticks)
        self._known = self.extractor.step(image, sample.num_ticks)
        return self._known

    def forget(self) -> None:
        """Forget what was seen. The sampler keeps its place: at a gap it has the new beginning in it."""
        self.extractor.reset()
        self._known = self._image = None
