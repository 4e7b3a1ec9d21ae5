"""Extracts the feature sequence of a video by the stages that run live: source, sampler, extractor."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from streamvc.capture.opening import open_stream
from streamvc.capture.stream import Picture, Stream
from streamvc.capture.video_file import Recording, open_recording
from streamvc.errors import SourceError
from streamvc.inference.backbone import Extractor
from streamvc.sampling import Sample, Sampler
from streamvc.training.augment import AS_IT_IS, Variation
from streamvc.types import Array, Frame, Subject

BATCH_BYTES = 8_000_000  # of pictures that are decoded before the extractors look at them
NO_IMAGE = np.empty((0, 0, 3), np.uint8)
NOBODY = 0  # in place of a track
NO_SUBJECT = Subject(NOBODY, (0.0, 0.0, 0.0, 0.0), 0.0)
ABOUT_S = 0.8  # before a segment of a label, in which who does it may be told as well: a fall has begun when it is seen to be one
MOSTLY = 0.5  # of the longest that somebody is there in a segment: who is there for so long may be who does it
LEAST_SIZE = 0.05  # of a box's diagonal, as a share of the picture: those far away jitter by more than their size


@dataclass(frozen=True, slots=True)
class Thinning:
    """Which frames are missing, beside those that are not due.

    Attributes:
        rate_hz: There are so many a second at most, evenly, as where a camera's `rate_hz` is set; None for all that are due.
        dropped: Share of these that is missing at random, as under overload.
    """

    rate_hz: float | None = None
    dropped: float = 0.0

    def __str__(self) -> str:
        return "all frames" if self == ALL_FRAMES else f"{self.dropped:.0%} dropped" if self.rate_hz is None else f"{self.rate_hz:g} Hz"


ALL_FRAMES = Thinning()


@dataclass(frozen=True, slots=True)
class ExtractionSpec:
    """How features are extracted: the extractor's name, its rate, how the pictures are varied for training, and which frames are missing."""

    extractor: str
    rate_hz: float
    variation: Variation = AS_IT_IS
    thinning: Thinning = ALL_FRAMES


@dataclass(frozen=True, slots=True, eq=False)
class FeatureSequence:
    """The N features that an extractor makes of a clip, from the frames that the sampler picks.

    Attributes:
        features: (N, D) float32; float16 for maps, uint8 for pictures.
        indices: (N,) int64, index of the frame that completed the feature.
        timestamps: (N,) float64, stream time of the tick that this frame stands for, in seconds.
        num_ticks: (N,) int64, how many ticks the feature stands for: more than 1 where frames are missing.
        gaps_s: (N,) float64, seconds of missing video before the feature; 0.0 but after a gap.
        tracks: (N,) int64, whose feature it is, where each person has their own; `NOBODY` in a frame without anybody, of which the feature is zeros.
            None where features are of whole pictures.
        boxes: (N, 4) float32, where that person is: left, top, right and bottom as shares of the picture. None as `tracks`.
    """

    features: Array
    indices: NDArray[np.int64]
    timestamps: NDArray[np.float64]
    num_ticks: NDArray[np.int64]
    gaps_s: NDArray[np.float64]
    tracks: NDArray[np.int64] | None = None
    boxes: NDArray[np.float32] | None = None

    def rows(self, chosen: slice | NDArray[Any]) -> Self:
        """Some of the rows, as `chosen` picks them of an array."""
        return replace(self, **{name: values[chosen] for name, values in self.columns().items()})

    def columns(self) -> dict[str, Any]:
        """The arrays that there are, by name."""
        return {field.name: values for field in fields(self) if (values := getattr(self, field.name)) is not None}

    def of(self, tracks: Collection[int]) -> Self:
        """What there is of some people; all of it, where features are of pictures."""
        return self if self.tracks is None else self.rows(np.isin(self.tracks, list(tracks)))

    def stretches(self) -> list[Array]:
        """The stretches between gaps, of each person, each (T, D): one row per tick, a feature being held until the next."""
        if self.tracks is not None:
            return [stretch for person in people_of(self).values() for stretch in replace(person, tracks=None, boxes=None).stretches()]
        if not len(self.features):
            return []
        starts = np.flatnonzero(self.gaps_s)
        return [
            np.repeat(features, num_ticks, axis=0) if (num_ticks > 1).any() else features
            for features, num_ticks in zip(np.split(self.features, starts), np.split(self.num_ticks, starts), strict=True)
        ]

    def between(self, start_s: float, end_s: float | None) -> Self:
        """The part of it from one moment of stream time to another, as a clip by itself."""
        chosen = self.timestamps >= start_s
        if end_s is not None:
            chosen &= self.timestamps < end_s
        if chosen.all():
            return self
        part = self.rows(chosen)
        first = part.timestamps == part.timestamps[:1]
        part.num_ticks[first] = 1
        part.gaps_s[first] = 0.0
        return part

    def before(self, moment_s: float, num: int) -> Array:
        """The features of the ticks right before a moment of stream time, without a gap up to what follows: (B, D), at most `num`."""
        end = int(np.searchsorted(self.timestamps, moment_s))
        if end in (0, len(self.features)) or self.gaps_s[end]:
            return self.features[:0]
        begin = int(np.flatnonzero(self.gaps_s[:end]).max(initial=0))
        table = np.repeat(self.features[begin:end], self.num_ticks[begin:end], axis=0)
        return table[max(len(table) - num, 0) :]


def people_of(sequence: FeatureSequence) -> dict[int, FeatureSequence]:
    """What there is of each person, by track, where features are of people; the sequence itself, as of `NOBODY`, where they are of pictures."""
    if sequence.tracks is None:
        return {NOBODY: sequence}
    tracks = np.unique(sequence.tracks)
    return {int(track): sequence.rows(sequence.tracks == track) for track in tracks[tracks != NOBODY]}


def actor_in(sequence: FeatureSequence, start_s: float, end_s: float | None) -> int:
    """The track of the person whom the label of a segment is of; `NOBODY` where there is nobody.

    It is theirs whose box moves farthest up and down, in its own size, of those who are there for half as long as anybody is.
    """
    end_s = float("inf") if end_s is None else end_s
    found: list[tuple[int, float, int]] = []
    for track, person in people_of(sequence).items():
        inside = (person.timestamps >= start_s) & (person.timestamps < end_s)
        boxes = person.boxes
        if inside.any() and boxes is not None:
            boxes = boxes[inside | ((person.timestamps >= start_s - ABOUT_S) & (person.timestamps < start_s))]
            size = max(float(np.hypot(*(boxes[:, 2:] - boxes[:, :2]).T).max()), LEAST_SIZE)
            found.append((int(inside.sum()), float(np.ptp(boxes[:, 1] + boxes[:, 3])) / size, track))
    longest = max((num for num, _, _ in found), default=0)
    return max(((moved, track) for num, moved, track in found if num >= MOSTLY * longest), default=(0.0, NOBODY))[1]


def extract_sequences(path: Path, specs: Mapping[ExtractionSpec, Extractor]) -> dict[ExtractionSpec, FeatureSequence]:
    """Extract features of a video in several ways, decoding it once.

    Raises:
        SourceError: It cannot be read.
        InferenceError: An extractor failed.
    """
    with suppress(SourceError), open_recording(str(path)) as recording:
        if times := recording.timestamps():
            return _read(path, specs, partial(_pick, recording, times))
    with open_stream(path) as stream:  # it does not tell its times beforehand, or is damaged
        return _read(path, specs, partial(_play, stream))


class _Reader:
    """Makes one feature sequence of the frames of a video."""

    def __init__(self, spec: ExtractionSpec, extractor: Extractor, seed: int) -> None:
        self._sampler = Sampler(spec.rate_hz)
        self._given = Sampler(min(spec.thinning.rate_hz, spec.rate_hz)) if spec.thinning.rate_hz else None  # what is due at the lower rate
        self._dropped = spec.thinning.dropped
        self._random = Random(seed)
        self._variation = spec.variation
        self._extractor = extractor
        self._features: list[Array] = []
        self._rows: list[tuple[int, float, int, float]] = []
        self._subjects: list[Subject] = []  # whose each feature is; none where features are of whole pictures
        self._gap_s = 0.0
        extractor.reset()

    def sample(self, frame: Frame) -> Sample | None:
        """The frame as a sample where it is due; its image need not be there yet."""
        if (self._given and self._given.step(frame) is None) or self._random.random() < self._dropped:
            return None
        return self._sampler.step(frame)

    def read(self, sample: Sample, image: NDArray[np.uint8]) -> None:
        if sample.gap_s:
            self._extractor.reset()
            self._gap_s = sample.gap_s
        if feature := self._extractor.step(self._variation.apply(image), sample.num_ticks):
            values = [feature.values]
            if feature.subjects is not None:
                values = list(feature.values) or [np.zeros(self._extractor.feature_size, np.float32)]
                self._subjects += feature.subjects or [NO_SUBJECT]
            self._features += values
            self._rows += [(sample.frame.index, sample.timestamp, feature.num_ticks, self._gap_s)] * len(values)
            self._gap_s = 0.0

    def sequence(self) -> FeatureSequence:
        features = np.stack(self._features) if self._features else np.zeros((0, self._extractor.feature_size), np.float32)
        indices, timestamps, num_ticks, gaps_s = zip(*self._rows, strict=True) if self._rows else ((), (), (), ())
        sequence = FeatureSequence(
            features, np.array(indices, np.int64), np.array(timestamps, float), np.array(num_ticks, np.int64), np.array(gaps_s, float)
        )
        if not self._subjects:
            return sequence
        tracks, boxes = [subject.track for subject in self._subjects], [subject.box for subject in self._subjects]
        return replace(sequence, tracks=np.array(tracks, np.int64), boxes=np.array(boxes, np.float32))


@dataclass(frozen=True, slots=True, eq=False)
class _Due:
    """A picture, and what it is a sample for; most pictures are for nobody, and to convert one takes half as long as to decode it."""

    picture: Picture
    samples: Sequence[tuple[_Reader, Sample]]


def _read(
    path: Path, specs: Mapping[ExtractionSpec, Extractor], take: Callable[[Sequence[_Reader]], Iterator[_Due]]
) -> dict[ExtractionSpec, FeatureSequence]:
    seed = path.stat().st_size if path.is_file() else 0  # the same wherever it lies
    readers = {spec: _Reader(spec, extractor, seed) for spec, extractor in specs.items()}
    num_samples = 0
    for reader, sample, image in _convert(take(list(readers.values()))):
        reader.read(sample, image)
        num_samples += 1
    if not num_samples:
        raise SourceError(f"{path}: no picture in it can be decoded")
    return {spec: reader.sequence() for spec, reader in readers.items()}


def _pick(recording: Recording, times: Sequence[float], readers: Sequence[_Reader]) -> Iterator[_Due]:
    due = {time_s: samples for index, time_s in enumerate(times) if (samples := _sample(readers, index, time_s))}
    for picture in recording.pick(list(due)):
        yield _Due(picture, due[picture.timestamp])


def _play(stream: Stream, readers: Sequence[_Reader]) -> Iterator[_Due]:
    for index, picture in enumerate(stream.pictures):
        if picture and (samples := _sample(readers, index, picture.timestamp)):
            yield _Due(picture, samples)


def _sample(readers: Sequence[_Reader], index: int, timestamp: float) -> list[tuple[_Reader, Sample]]:
    frame = Frame(index, timestamp, NO_IMAGE)
    return [(reader, sample) for reader in readers if (sample := reader.sample(frame))]


def _convert(pictures: Iterator[_Due]) -> Iterator[tuple[_Reader, Sample, NDArray[np.uint8]]]:
    """The samples with their images. Several are decoded at a time: at each turn the decoder and the network take the caches from each other."""
    batch: list[tuple[_Reader, Sample, NDArray[np.uint8]]] = []
    num_bytes = 0
    for due in pictures:
        image = np.empty(due.picture.shape, np.uint8)
        due.picture.write(image)
        batch += [(reader, sample, image) for reader, sample in due.samples]
        num_bytes += image.nbytes
        if num_bytes >= BATCH_BYTES:
            yield from batch
            batch.clear()
            num_bytes = 0
    yield from batch
