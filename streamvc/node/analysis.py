"""What the models of one camera make of what arrives from it."""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from streamvc.detection import UPDATE_S
from streamvc.event_maker import EventMaker, Moment
from streamvc.events import Detection, Event, Reason, StreamInfo
from streamvc.health import RATE_SPAN_S
from streamvc.inference.models import Models
from streamvc.inference.recognizer import Recognizer
from streamvc.node.messages import Arrived
from streamvc.node.settings import CameraConfig
from streamvc.pipeline import Stages
from streamvc.recording import Recorder
from streamvc.sampling import Sample
from streamvc.types import Feature, Frame

NO_IMAGE: NDArray[np.uint8] = np.empty((0, 0, 3), np.uint8)


class CameraAnalysis:
    """All models of a camera, with one pass for those that see the same of it at the same rate.

    Any thread may make one, as that runs nothing. Then it belongs to the thread that uses the `Models`; only `running` and `top` may be read by any.

    Attributes:
        name: The camera's.
        rates_hz: At which its frames are due.
        recorder: What records its events.
        featured: `time.monotonic()` when the last frame had passed all extractors, in seconds.
    """

    def __init__(
        self,
        camera: CameraConfig,
        models: Models,
        *,
        runtime: str | None = None,
        threads: int = 1,
        recorder: Recorder | None = None,
        update_s: float = UPDATE_S,
    ) -> None:
        """Load the models.

        Args:
            camera: By which models it is watched, how these are tuned, and how often they are asked at most.
            models: Opens their files: one for all cameras of a worker.
            runtime: Of the models; the first that is installed if not given.
            threads: Of the runtime.
            recorder: Of this camera; it is closed with this.
            update_s: Seconds between updates of a running activity; 0 for none.

        Raises:
            BundleError: A model is missing or damaged.
            InferenceError: The runtime is not installed or cannot run it.
        """
        self.name = camera.name
        self.recorder = recorder
        self.featured = 0.0
        passes: dict[tuple[str, float], _Pass] = {}
        for use in camera.models:
            recognizer = Recognizer.load(use.name, runtime=runtime, threads=threads, opener=models.open)
            rate_hz = recognizer.bundle.manifest.rate_hz
            head = _Head(
                stages=Stages(recognizer, tuning=use.thresholds, update_s=update_s),
                maker=EventMaker(camera.name, recognizer.bundle, recorder),
                rate_hz=min(rate_hz, camera.rate_hz or rate_hz),
            )
            passes.setdefault((recognizer.extractor.identity, rate_hz), _Pass(recognizer)).heads.append(head)
        self._passes = tuple(passes.values())
        self.rates_hz = tuple(sorted({head.rate_hz for head in self._heads()}))
        self._received = _Received()
        self._last = _Now(Frame(0, 0.0, NO_IMAGE), 0.0, 0.0, 0)
        self._shown = NO_IMAGE  # what the camera showed last, for the recorder
        self._epoch_s: float | None = None  # of what goes on
        self._gap_s = 0.0
        self._is_new = False  # behind a gap of which only what comes next tells how long it was

    @property
    def running(self) -> tuple[str, ...]:
        """The labels of the activities that go on now."""
        return tuple(detection.label for head in self._heads() for detection in head.stages.running)

    @property
    def top(self) -> tuple[tuple[str, float], ...]:
        """The best labels of all models with their smoothed scores, best first; empty while warming up."""
        return tuple(sorted((pair for head in self._heads() for pair in head.stages.top), key=lambda pair: -pair[1]))

    def step(self, arrival: Arrived, num_dropped: int = 0) -> list[Event]:
        """Take what has arrived: a frame, or the word that it would show what the last one did.

        Args:
            arrival: Its image is not kept.
            num_dropped: How many due frames of the camera were not used so far, besides those that the arrival tells of.

        Returns:
            What is decided with it. A gap before it ends what was running.

        Raises:
            InferenceError: The runtime failed.
        """
        now = self._now(arrival, num_dropped)
        samples = [(each, sample) for each in self._passes if (sample := each.sampler.step(now.frame))]
        events = self._meet_gap(now, [sample for _, sample in samples])
        for each, sample in samples:
            feature = each.feature(sample, is_still=arrival.frame is None)
            self.featured = time.monotonic()
            for head in each.heads:
                events += self._events(head, head.stages.observe(sample, feature), now)
        self._last = replace(now, frame=replace(now.frame, image=self._shown))
        return events

    def flush(self, reason: Reason) -> list[Event]:
        """End what runs, and forget the stream: what follows is a new one."""
        events = self._end(reason, self._last)
        self._is_new = reason == "gap"
        for each in self._passes:
            each.sampler.reset()
        return events

    def close(self) -> None:
        """Complete what is being recorded."""
        if self.recorder:
            self.recorder.close()

    def _heads(self) -> "Iterator[_Head]":
        return (head for each in self._passes for head in each.heads)

    def _now(self, arrival: Arrived, num_dropped: int) -> "_Now":
        due, frame = arrival.due, arrival.frame
        self._received.step(due.timestamp, due.received)
        if frame and self.recorder:
            self.recorder.see(frame)
            self._shown = frame.image.copy()
        frame = frame or Frame(due.index, due.timestamp, self._shown, due.clock, due.captured, due.decoded)
        return _Now(frame, due.epoch_s, self._received.fps, num_dropped + due.dropped)

    def _meet_gap(self, now: "_Now", samples: Sequence[Sample]) -> list[Event]:
        """End what runs where there is a gap before these samples."""
        if self._is_new:
            self._is_new, self._gap_s = False, now.frame.captured - self._last.frame.captured
        gap_s = max((sample.gap_s for sample in samples), default=0.0)
        if not gap_s:
            return []
        self._gap_s = gap_s
        return self._end("gap", now)

    def _end(self, reason: Reason, now: "_Now") -> list[Event]:
        events = [event for head in self._heads() for event in self._events(head, head.stages.flush(reason), now)]
        self._epoch_s = None
        for each in self._passes:
            each.forget()
        return events

    def _events(self, head: "_Head", detections: Sequence[Detection], now: "_Now") -> list[Event]:
        if not detections:
            return []
        if self._epoch_s is None:  # from the first event to a gap it is the same: it makes the event's identifier
            self._epoch_s = now.epoch_s
        stream = StreamInfo(now.fps_in, head.rate_hz, now.num_dropped, self._gap_s, now.frame.clock)
        moment = Moment(now.frame, self._epoch_s, stream, self.featured, time.monotonic())
        return [head.maker.make(detection, moment) for detection in detections]


@dataclass(frozen=True, slots=True, eq=False)
class _Now:
    """A frame, and how the stream is at that time."""

    frame: Frame
    epoch_s: float
    fps_in: float
    num_dropped: int


@dataclass(frozen=True, slots=True, eq=False)
class _Head:
    """What one model makes of features."""

    stages: Stages
    maker: EventMaker
    rate_hz: float


class _Pass:
    """The extractor of one model, and the heads of all that see the same."""

    def __init__(self, recognizer: Recognizer) -> None:
        self.sampler = recognizer.sampler
        self.heads: list[_Head] = []
        self._extractor = recognizer.extractor
        self._known: Feature | None = None
        self._image: NDArray[np.uint8] | None = None

    def feature(self, sample: Sample, *, is_still: bool) -> Feature | None:
        """The feature that a sample completes; None where it completes none, or where it shows what was never seen."""
        image = sample.frame.image
        if self._extractor.num_frames > 1:  # what the last feature was made of is not what this one is of
            self._image = self._image if is_still else image.copy()
            return None if self._image is None else self._extractor.step(self._image, sample.num_ticks)
        if is_still:
            return self._known and Feature(self._known.values, sample.num_ticks)
        self._known = self._extractor.step(image, sample.num_ticks)
        return self._known

    def forget(self) -> None:
        """Forget what was seen. The sampler keeps its place: at a gap it has the new beginning in it."""
        self._extractor.reset()
        self._known = self._image = None


class _Received:
    """How many frames a second of stream time are received, over the last seconds, where only some are told of."""

    def __init__(self) -> None:
        self._counts: deque[tuple[float, int]] = deque()

    @property
    def fps(self) -> float:
        """A second; 0.0 while that is not known."""
        (begin, first), (end, last) = self._counts[0], self._counts[-1]
        return (last - first) / (end - begin) if end > begin else 0.0

    def step(self, timestamp: float, received: int) -> None:
        """Take how many there were so far; time and count may also begin anew."""
        counts = self._counts
        if counts and (timestamp < counts[-1][0] or received < counts[-1][1]):
            counts.clear()
        counts.append((timestamp, received))
        while timestamp - counts[0][0] > RATE_SPAN_S:
            counts.popleft()
