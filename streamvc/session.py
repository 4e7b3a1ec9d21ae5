"""One camera's recognition, as an object that is given pictures and answers with events.

    with streamvc.Session("exercise", camera="yard") as session:
        for image, timestamp in my_own_camera():
            for event in session.step(image, timestamp):
                print(event.phase, event.label, event.score)

`streamvc watch`, a node, classification and evaluation are a session and a source of frames. Nothing else makes events, ends them, or knows what a
gap means.
"""

import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from streamvc.detection import UPDATE_S, Candidate
from streamvc.errors import InferenceError
from streamvc.events import Detection, Event, Reason, StreamInfo, Timing, event_id
from streamvc.health import Rate
from streamvc.inference.backbone import Backbone
from streamvc.inference.manifest import ImageInput
from streamvc.inference.model_cache import ModelCache
from streamvc.inference.recognizer import Recognizer
from streamvc.inference.runtime import Opener
from streamvc.passes import ModelHead, ModelPass, Started, Trace, Watched, sight
from streamvc.recording import NOTHING, Recorder
from streamvc.thresholds import Thresholds
from streamvc.types import Focus, Frame, size_problem

Sink = Callable[[Event], None]
ModelLike = str | Path | Recognizer

NO_IMAGE: NDArray[np.uint8] = np.empty((0, 0, 3), np.uint8)


class Session:
    """Recognises activities in the pictures of one camera. One pass serves all of its models that see the same.

    Any thread may make one. Then it belongs to one thread at a time; only `running`, `top` and the counts may be read by any.

    Attributes:
        camera: The name that events carry.
        rates_hz: At which frames are due, lowest first; all others may be left out.
        recorder: What records its events.
        featured: `time.monotonic()` when the last frame had passed all extractors, in seconds.
        num_samples: Frames that were due.
        num_still: Those of them that showed nothing new.
        num_dropped: Frames that were due but not used, as far as it was told of them.
        gap_s: Length of the last gap in seconds; 0.0 where there was none.
    """

    def __init__(
        self,
        models: ModelLike | Sequence[ModelLike],
        *,
        camera: str = "camera",
        thresholds: Thresholds | Sequence[Thresholds] | None = None,
        rate_hz: float | None = None,
        started_at: float | None = None,
        source_id: str | None = None,
        sinks: Sequence[Sink] = (),
        trace: Trace | None = None,
        recorder: Recorder | None = None,
        update_s: float = UPDATE_S,
        runtime: str | None = None,
        threads: int = 1,
        opener: Opener | None = None,
    ) -> None:
        """Load the models; nothing is run.

        Args:
            models: Names or folders of bundles, or recognisers: one or several.
            camera: The name that events carry.
            thresholds: Settings in place of the models' own: for all, or for each model its own.
            rate_hz: Frames/s that are analysed, at most; as many as the models want if None.
            started_at: Unix time of stream time 0, in seconds, where that is known of a recording; 0.0 where timestamps are Unix time.
            source_id: Names what the frames are of, where the same frames come again and again and are to give the same events with the same
                identifiers (a recording: its hash). If None, no two sessions give the same identifier.
            sinks: Are called with each event, in order. Each hears each event, whatever another one raises.
            trace: Is called with each prediction as it is, before it is smoothed.
            recorder: Records stills and clips of events.
            update_s: Seconds between updates of a running activity; 0 for none.
            runtime: `litert`, `tflite-runtime` or `tensorflow`; the first that is installed if None.
            threads: Threads of the runtime.
            opener: Opens the files of models, for those who share them among cameras: `ModelCache.open`. If None, the models of this session share
                theirs.

        Raises:
            BundleError: A model is missing or damaged, or `rate_hz` is too low for it.
            InferenceError: The runtime is not installed or cannot run it.
            ValueError: There is no model, or not as many thresholds.
        """
        given = [models] if isinstance(models, ModelLike) else list(models)
        settings = [thresholds or Thresholds()] * len(given) if thresholds is None or isinstance(thresholds, Thresholds) else list(thresholds)
        if not given or len(settings) != len(given):
            raise ValueError("a session needs a model, and thresholds for all of them or for each")
        self.camera = camera
        self.recorder = recorder
        self.featured = 0.0
        self.num_samples = self.num_still = self.num_dropped = 0
        self.gap_s = 0.0
        opener = opener or ModelCache().open
        passes: dict[tuple[str, float], ModelPass] = {}
        heads: list[ModelHead] = []
        for model, own in zip(given, settings, strict=True):
            recognizer = model if isinstance(model, Recognizer) else Recognizer.load(model, runtime=runtime, threads=threads, opener=opener)
            recognizer.bundle.manifest.check_rate(rate_hz)
            head = ModelHead(recognizer, own, min(recognizer.rate_hz, rate_hz or recognizer.rate_hz), update_s, trace)
            passes.setdefault((sight(recognizer), recognizer.rate_hz), ModelPass(recognizer)).add(head)
            heads.append(head)
        self._passes = tuple(passes.values())
        self._heads = tuple(heads)
        self._retuned: Sequence[Thresholds] | None = None  # to be used from the next frame on
        self.rates_hz = tuple(sorted({head.rate_hz for head in self._heads}))
        self._sinks = tuple(sinks)
        self._started_at = started_at
        self._source_id = source_id or secrets.token_hex()
        self._received, self._sampled = Rate(), Rate()
        self._last: Frame | None = None
        self._shown = NO_IMAGE  # what was due last, for the recorder
        self._began: float | None = None  # of what goes on; see `Frame.began`
        self._first: float | None = None  # when the first picture without a timestamp was captured
        self._decided: list[Event] = []  # and not told yet: where a model fails, it is told with the ends that follow
        self._num_gaps = 0
        self._is_new = False  # behind a gap of which only what comes next tells how long it was

    @property
    def picture_input(self) -> ImageInput | None:
        """How pictures may be brought to size before they are given, as all models would do so anyway; None where they must come as they are."""
        inputs = [each.extractor.input for each in self._passes if isinstance(each.extractor, Backbone) and each.extractor.num_frames == 1]
        first = inputs[0] if len(inputs) == len(self._passes) else None
        if self.recorder or first is None or first.crop != "whole":
            return None
        return first if all((each.crop, each.size_px, each.resize) == (first.crop, first.size_px, first.resize) for each in inputs) else None

    @property
    def running(self) -> list[Detection]:
        """The `start` detections of the activities that go on now, the oldest first."""
        running = (detection for head in self._heads for watched in head.watched for detection in watched.running)
        return sorted(running, key=lambda detection: detection.t_start)

    @property
    def top(self) -> tuple[tuple[str, float], ...]:
        """The best labels of all models with their smoothed scores, best first; empty while warming up."""
        return tuple(sorted((pair for head in self._heads for pair in head.top), key=lambda pair: -pair[1]))

    @property
    def thresholds(self) -> dict[str, float]:
        """The score that each label needs now, to start or, where it goes on, to go on; backgrounds need none."""
        return {label: threshold for head in self._heads for label, threshold in head.thresholds.items()}

    @property
    def candidate(self) -> Candidate | None:
        """Of all models' best labels that do not go on, the one that is nearest to a start; None where each says that nothing goes on."""
        candidates = (candidate for head in self._heads for watched in head.watched if (candidate := watched.detector.candidate))
        return max(candidates, key=lambda candidate: candidate.score - candidate.enter, default=None)

    @property
    def focus(self) -> tuple[Focus, ...]:
        """Where in the last frame that was analysed its models looked, as far as they do not look at all of it."""
        return tuple(focus for each in self._passes if (focus := each.extractor.focus))

    @property
    def is_warming_up(self) -> bool:
        """There is no prediction yet, or none since the last gap."""
        return all(head.is_warming_up for head in self._heads)

    @property
    def shortage(self) -> str | None:
        """For which model there are too few frames now, so that it makes no prediction; None where there is none. May be read by any thread."""
        return next((head.shortage for head in self._heads if head.shortage), None)

    @property
    def fps_in(self) -> float:
        """Frames received per second of stream time, over the last seconds."""
        return self._received.value

    @property
    def rate_hz(self) -> float:
        """Frames that were due, likewise."""
        return self._sampled.value

    def step(self, image: NDArray[np.uint8], timestamp: float | None = None, *, captured: float | None = None) -> list[Event]:
        """Take the next picture; give it all of them, those that are needed are picked by their time.

        Args:
            image: (H, W, 3) uint8, BGR. It is not kept.
            timestamp: Its time in seconds, on any clock that moves with the video; None for now. Where it runs backwards, or nothing comes for a
                second, is a gap.
            captured: `time.monotonic()` when it was taken, if it was not now.

        Returns:
            What is decided with it. A gap before it ends what was running.

        Raises:
            InferenceError: The picture cannot be used, or the runtime failed.
            ValueError: The timestamp is no number.
        """
        now = time.monotonic()
        captured = now if captured is None else captured
        if timestamp is not None and not np.isfinite(timestamp):
            raise ValueError(f"a timestamp must be a number of seconds, not {timestamp}")
        index = 0 if self._last is None else self._last.index + 1
        if timestamp is not None:
            return self.take(Frame(index, float(timestamp), image, "pts", captured, now))
        self._first = captured if self._first is None else self._first
        return self.take(Frame(index, captured - self._first, image, "arrival", captured, now, began=self._first))

    def take(self, frame: Frame, *, is_still: bool = False, num_dropped: int = 0) -> list[Event]:
        """As `step`, for a frame of a source.

        Args:
            frame: Its image is not kept. Without it (`is_still`) the frame shows what the last one did.
            is_still: Nothing has moved since.
            num_dropped: How many frames that were due were not used so far.
        """
        self.num_dropped = num_dropped
        if not is_still and (problem := size_problem(*frame.image.shape[1::-1])):
            raise InferenceError(f"camera {self.camera}: {problem}")
        if self._retuned is not None:
            retuned, self._retuned = self._retuned, None
            for head, thresholds in zip(self._heads, retuned, strict=True):
                head.retune(thresholds)
        self._received.step(frame.timestamp, frame.index)
        samples = [(each, sample) for each in self._passes if (sample := each.sampler.step(frame))]
        if self.recorder and not is_still:
            self.recorder.see(frame)
            self._shown = frame.image.copy() if samples else self._shown
        self._meet_gap(frame, max((sample.gap_s for _, sample in samples), default=0.0))
        self._began = frame.began
        for each, sample in samples:
            feature = each.feature(sample, is_still=is_still)
            self.featured = time.monotonic()
            for head in each.heads:
                self._decide(head, head.observe(sample, feature), frame)
        if samples:
            self.num_samples += 1
            self.num_still += is_still
            self._sampled.step(frame.timestamp, self.num_samples)
        self._last = frame  # its image is not looked at again
        return self._tell()

    def retune(self, thresholds: Sequence[Thresholds]) -> None:
        """Decide by other settings, for each model its own, from the next frame on. What goes on goes on. Any thread may call it."""
        self._retuned = thresholds

    def gap(self) -> list[Event]:
        """What follows is not what follows the last frame: end what runs, forget what was seen. The next frame is the first of a new stream."""
        return self.flush("gap")

    def flush(self, reason: Reason) -> list[Event]:
        """As `gap`, for another reason."""
        self._end(reason)
        self._is_new = reason == "gap"
        for each in self._passes:
            each.sampler.reset()
        return self._tell()

    def close(self, reason: Reason = "stop") -> list[Event]:
        """End what runs, once; nothing runs after it."""
        return self.flush(reason)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close("error" if kind is not None and issubclass(kind, Exception) else "stop")

    def _meet_gap(self, frame: Frame, gap_s: float) -> None:
        if self._is_new and self._last:
            self._is_new, self.gap_s = False, frame.captured - self._last.captured
        if gap_s:
            self.gap_s = gap_s
            self._end("gap")

    def _end(self, reason: Reason) -> None:
        ended = [(head, head.flush(reason)) for head in self._heads]
        self._num_gaps += 1
        for each in self._passes:
            each.forget()
        for head, found in ended:
            if self._last:
                self._decide(head, found, self._last)

    def _decide(self, head: ModelHead, found: Iterable[tuple[Watched, Detection]], frame: Frame) -> None:
        """Complete what one model has decided with a frame; each is kept before the next is made, which may fail."""
        for watched, detection in found:
            if detection.phase == "start" or detection.label in watched.started:  # else its start failed, and nobody knows of it
                self._decided.append(self._event(head, watched, detection, frame))

    def _event(self, head: ModelHead, watched: Watched, detection: Detection, frame: Frame) -> Event:
        now = time.monotonic()
        captured = time.time() - (now - frame.captured)
        if detection.phase == "start":
            t_start = self._wall_time(detection.t_start, captured)
            source = f"{self._source_id} {self._num_gaps}" + (f" {detection.subject.track}" if detection.subject else "")
            identifier = event_id(self.camera, head.model.sha256, detection.label, detection.t_start, t_start=t_start, source_id=source)
            started = Started(identifier, t_start)
        else:
            started = watched.started[detection.label]
        event = Event(
            event_id=started.event_id,
            phase=detection.phase,
            camera=self.camera,
            label=detection.label,
            subject=detection.subject,
            score=detection.score,
            top=detection.top,
            t_start=started.t_start,
            t_end=None if detection.t_end is None else self._wall_time(detection.t_end, captured),
            stream_start_s=detection.t_start,
            stream_end_s=detection.t_end,
            duration_s=None if detection.phase == "start" else detection.timestamp - detection.t_start,
            count=detection.count,
            reason=detection.reason,
            decision=detection.decision,
            timing=Timing(
                capture=captured,
                decoded_s=frame.decoded - frame.captured,
                features_s=max(self.featured, frame.decoded) - frame.captured,
                decided_s=now - frame.captured,
                published_s=None,
            ),
            stream=StreamInfo(self.fps_in, head.rate_hz, self.num_dropped, self.gap_s, frame.clock),
            model=head.model,
            media=self.recorder.link(started.event_id, detection, self._shown) if self.recorder else NOTHING,
            seq=None,
            epoch=None,
        )
        if detection.phase == "start":
            watched.started[detection.label] = started
        elif detection.phase == "end":
            del watched.started[detection.label]
        return event

    def _wall_time(self, timestamp: float, captured: float) -> float | None:
        """The Unix time of a moment of stream time, by the clock of now; None where it is not known. Nothing is later than it was captured."""
        if self._started_at is not None:
            return self._started_at + timestamp
        if self._began is None:
            return None
        return min(self._began + timestamp + time.time() - time.monotonic(), captured)

    def _tell(self) -> list[Event]:
        events, self._decided = self._decided, []
        tell(self._sinks, events)
        return events


def tell(sinks: Sequence[Sink], events: Sequence[Event]) -> None:
    """Call each sink with each event, whatever another one raises; the first that was raised is raised then."""
    problem: Exception | None = None
    for event in events:
        for sink in sinks:
            try:
                sink(event)
            except Exception as error:  # raised below: first, all the others hear it too
                problem = problem or error
    if problem is not None:
        raise problem
