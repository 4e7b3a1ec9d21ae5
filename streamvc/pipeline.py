"""One camera, live or replayed: the same stages in the same order.

`Stages` is the pure part, frame in, detections out, in one thread. `Watch` drives it from a source and tells the world: it completes detections to
events, hands them to the sinks, and sees to it that every `start` gets its `end`.
"""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from streamvc.capture.source import Source, open_source
from streamvc.detection import UPDATE_S, Detector
from streamvc.errors import SourceError, StreamvcError
from streamvc.event_maker import EventMaker, Moment
from streamvc.events import Decision, Detection, Event, Health, Reason, Status, StreamInfo
from streamvc.health import STALL_S, Checkup, Rate
from streamvc.inference.recognizer import Recognizer
from streamvc.recording import Recorder
from streamvc.sampling import Sample
from streamvc.smoothing import Smoother
from streamvc.types import Feature, Frame, Prediction

Sink = Callable[[Event], None]
Report = Callable[[Health], None]

# How a camera fares whose watch has ended for this reason; for all others, it has ended.
STATUSES: dict[Reason, Status] = {"lost": "down", "error": "down"}


@dataclass(frozen=True, slots=True)
class Tuning:
    """Settings that the user puts in place of the model's own; None keeps the model's. See `Decision`.

    Raises:
        ValueError: `leave` is above `enter`.
    """

    enter: float | None = None
    leave: float | None = None
    min_s: float | None = None
    cooldown_s: float | None = None
    smoothing_s: float | None = None

    def __post_init__(self) -> None:
        if self.enter is not None and self.leave is not None and self.leave > self.enter:
            raise ValueError(f"leave ({self.leave:g}) must not be above enter ({self.enter:g})")

    def apply(self, decision: Decision) -> Decision:
        """The decision with what is set here put in. Where only one threshold is set, the other gives way to it."""
        given = {name: value for name, value in asdict(self).items() if value is not None}
        tuned = replace(decision, **given)
        if self.leave is None:
            return replace(tuned, leave=min(tuned.leave, tuned.enter))
        return replace(tuned, enter=max(tuned.leave, tuned.enter))


class Stages:
    """Sampler, backbone, head, smoothing and detection in a row: `step` takes every frame of a stream."""

    def __init__(self, recognizer: Recognizer, *, tuning: Tuning | None = None, update_s: float = UPDATE_S) -> None:
        tuning = tuning or Tuning()
        bundle = recognizer.bundle
        decisions = [tuning.apply(bundle.decision(label)) for label in recognizer.labels]
        recognizer.reset()
        self._recognizer = recognizer
        self.labels = recognizer.labels
        self._smoother = Smoother(decisions[0].smoothing_s)
        self._detector = Detector(recognizer.labels, decisions, background=bundle.manifest.background, update_s=update_s)
        self.prediction: Prediction | None = None  # the last one, smoothed; None while warming up
        self.num_samples = 0  # frames analysed
        self.gap_s = 0.0  # length of the last gap
        self.featured = 0.0  # time.monotonic() when the last frame had been analysed

    @property
    def running(self) -> list[Detection]:
        """The `start` detections of the activities that go on now, the oldest first."""
        return self._detector.running

    @property
    def top(self) -> tuple[tuple[str, float], ...]:
        """The best labels with their smoothed scores, best first; empty while warming up."""
        prediction = self.prediction  # read once: another thread may ask
        return () if prediction is None else self._detector.top(prediction)

    def step(self, frame: Frame) -> list[Detection]:
        """Take the next frame; returns what is decided with it."""
        sample = self._recognizer.sampler.step(frame)
        if sample is None:
            return []
        ended: list[Detection] = []
        if sample.gap_s:
            self.gap_s = sample.gap_s
            ended = self.flush("gap")
        return ended + self.observe(sample, self._recognizer.extractor.step(frame.image, sample.num_ticks))

    def observe(self, sample: Sample, feature: Feature | None) -> list[Detection]:
        """As `step`, for a sample whose feature is known; None where it completes none. After a gap call `flush` first."""
        prediction = None if feature is None else self._recognizer.observe_feature(feature, sample.frame.index, sample.timestamp)
        self.featured = time.monotonic()
        self.num_samples += 1
        if prediction is None:
            return []
        self.prediction = self._smoother.step(prediction)
        return self._detector.step(self.prediction)

    def flush(self, reason: Reason) -> list[Detection]:
        """End what runs and forget all that was seen."""
        self._recognizer.forget()  # not the sampler: at a gap it has the new beginning in it
        self._smoother.reset()
        self.prediction = None
        return self._detector.flush(reason)


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """What one frame brought. `frame` is None for the step behind the last frame, which carries the ends."""

    frame: Frame | None
    events: Sequence[Event]
    analysed: bool
    latency_s: float


class Watch:
    """Watches one source until it ends or `stop` is called.

    Events go to the sinks before they are yielded. However the watch ends (the source's end or loss, `stop`, an error of a stage, an exception in the
    loop's body, a generator that is dropped), running activities are ended and the sinks are told. How the camera fares is reported beside: that it
    is up, has stalled, is down, has ended.
    """

    def __init__(
        self,
        source: Source,
        recognizer: Recognizer,
        *,
        camera: str,
        sinks: Sequence[Sink] = (),
        report: Report = lambda _health: None,
        recorder: Recorder | None = None,
        tuning: Tuning | None = None,
        update_s: float = UPDATE_S,
    ) -> None:
        self.stages = Stages(recognizer, tuning=tuning, update_s=update_s)
        self._source = source
        self._sinks = tuple(sinks)
        self._maker = EventMaker(camera, recognizer.bundle, recorder)
        self._rate_hz = recognizer.bundle.manifest.rate_hz
        self._report = report
        self._recorder = recorder
        self._checkup = Checkup(camera)
        self._received, self._analysed = Rate(), Rate()
        self._last_frame: Frame | None = None
        self._epoch_s: float | None = None
        self._stopped = False

    @property
    def fps_in(self) -> float:
        """Frames received per second of stream time, over the last seconds."""
        return self._received.value

    @property
    def rate_hz(self) -> float:
        """Frames analysed, likewise."""
        return self._analysed.value

    def stop(self) -> None:
        """End the watch as soon as the frame in hand is done. May be called from a signal handler or another thread."""
        self._stopped = True
        self._source.stop()

    def steps(self) -> Generator[Step, None, None]:
        """What each frame brings, until the source ends; close the generator to leave early."""
        problem: SourceError | None = None
        try:
            while (frame := self._next_frame()) is not None:
                yield self._step(frame)
        except SourceError as error:
            problem = error
        except Exception as error:
            self._finish("error", error)
            raise
        except BaseException:  # the reader left, or was interrupted: nothing can be yielded any more, but the sinks must hear the end
            self._finish("stop")
            raise
        if ends := self._finish("lost" if problem else "stop" if self._stopped else "end_of_stream", problem):
            yield Step(None, ends, analysed=False, latency_s=0.0)
        if problem:
            raise problem

    def _next_frame(self) -> Frame | None:
        if self._source.is_live and not self._source.wait(STALL_S):
            self._tell_health(self._checkup.not_up("stalled", self._source.dropped))
        return next(self._source, None)

    def _step(self, frame: Frame) -> Step:
        self._last_frame = replace(frame, image=frame.image[:0])  # only its times are kept, the image is lent
        self._received.step(frame.timestamp)
        self._tell_health(self._checkup.up(frame.timestamp, self.fps_in, self.rate_hz, self._source.dropped))
        if self._recorder:
            self._recorder.see(frame)
        num_samples = self.stages.num_samples
        detections = self.stages.step(frame)
        now = time.monotonic()
        analysed = self.stages.num_samples > num_samples
        if analysed:
            self._analysed.step(frame.timestamp)
        events = [self._tell(detection, frame, now) for detection in detections]
        return Step(frame, events, analysed, now - frame.captured)

    def _finish(self, reason: Reason, problem: Exception | None = None) -> list[Event]:
        detections = self.stages.flush(reason)
        last = self._last_frame
        ends = [self._tell(detection, last, time.monotonic()) for detection in detections] if last else []
        # The words of our own errors are made for others to read.
        detail = str(problem) if isinstance(problem, StreamvcError) else type(problem).__name__ if problem else None
        self._tell_health(self._checkup.not_up(STATUSES.get(reason, "ended"), self._source.dropped, reason, detail))
        return ends

    def _tell_health(self, health: Health | None) -> None:
        if health is not None:
            self._report(health)

    def _tell(self, detection: Detection, frame: Frame, decided: float) -> Event:
        if self._epoch_s is None:  # asked once and not before the first event: a live source finds it out within its first second
            self._epoch_s = self._source.epoch_s
        stream = StreamInfo(self.fps_in, self._rate_hz, self._source.dropped, self.stages.gap_s, frame.clock)
        event = self._maker.make(detection, Moment(frame, self._epoch_s, stream, self.stages.featured, decided))
        for sink in self._sinks:
            sink(event)
        return event


def watch(
    source: str | int | Path,
    model: str | Path = "exercise",
    *,
    camera: str | None = None,
    runtime: str | None = None,
    threads: int = 1,
    sinks: Sequence[Sink] = (),
    report: Report = lambda _health: None,
    tuning: Tuning | None = None,
    update_s: float = UPDATE_S,
) -> Iterator[Event]:
    """Recognise activities in a camera, file, stream or folder of images; yields events as they happen.

        for event in streamvc.watch("0", model="exercise"):
            print(event.phase, event.label, event.score)

    Args:
        source: As for `open_source`: "0", "clip.mp4", "rtsp://...", a folder of images.
        model: A bundle's name or path.
        camera: The name that events carry; made from the source if not given.
        runtime: `litert`, `tflite-runtime` or `tensorflow`; the first that is installed if not given.
        threads: Threads of the runtime.
        sinks: Are called with each event before it is yielded, and also hear the ends of what runs when the loop is left early.
        report: Is called when the camera is up, stalls, is lost or ends; see `Health`.
        tuning: Settings in place of the model's own.
        update_s: Seconds between updates of a running activity; 0 for none.

    Raises:
        StreamvcError: The source or the model cannot be used, or the source was lost.
    """
    recognizer = Recognizer.load(model, runtime=runtime, threads=threads)
    with open_source(source) as opened:
        live = Watch(opened, recognizer, camera=camera or camera_name(source), sinks=sinks, report=report, tuning=tuning, update_s=update_s)
        for step in live.steps():
            yield from step.events


@dataclass(frozen=True, slots=True)
class Classification:
    """What a whole clip shows: all labels with their probabilities, best first, the mean over `num_predictions`."""

    ranking: tuple[tuple[str, float], ...]
    num_predictions: int


def classify(source: str | Path, recognizer: Recognizer, view: Callable[[Frame, Classification], None] | None = None) -> Classification:
    """Say what a clip shows: the mean of the scores over all its predictions.

    Args:
        source: The clip.
        recognizer: What to ask.
        view: Is shown each frame with what is known once it was seen; before the first prediction that is an empty ranking.

    Raises:
        SourceError: The clip cannot be read, or is too short for a single prediction.
    """
    recognizer.reset()
    total, num_predictions = np.zeros(len(recognizer.labels)), 0
    with open_source(source, policy="every") as opened:
        for frame in opened:
            if prediction := recognizer.step(frame):
                total += prediction.scores
                num_predictions += 1
            if view:
                view(frame, _ranked(recognizer.labels, total, num_predictions))
    if not num_predictions:
        manifest = recognizer.bundle.manifest
        raise SourceError(f"{opened.name}: too short, {manifest.name} needs {recognizer.span_s:g} s of video for a prediction")
    return _ranked(recognizer.labels, total, num_predictions)


def _ranked(labels: Sequence[str], total: NDArray[np.float64], num_predictions: int) -> Classification:
    order = total.argsort(kind="stable")[::-1] if num_predictions else ()
    return Classification(tuple((labels[index], float(total[index] / num_predictions)) for index in order), num_predictions)


def camera_name(source: str | int | Path) -> str:
    """A camera's name in events, made from its source: `camera-0`, the host of a URL, the stem of a file."""
    text = str(source)
    if text.isdecimal():
        return f"camera-{text}"
    if "://" in text:
        return urlsplit(text).hostname or "stream"
    return Path(text).resolve().stem or "camera"
