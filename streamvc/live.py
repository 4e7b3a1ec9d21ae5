"""Watches cameras in this process, each in a thread of its own: what `streamvc.watch` and `streamvc watch` are.

It is a node without processes: the same hub looks after the cameras, the same capture loop reads them, the same sessions recognise.
"""

import logging
import socket
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from selectors import DefaultSelector
from typing import Literal, Self

from pydantic import ValidationError

from streamvc.capture import address
from streamvc.capture.address import camera_name
from streamvc.capture.messages import CaptureSettings, Policy
from streamvc.capture.opencv import one_opencv_thread
from streamvc.capture.opening import content_id
from streamvc.capture.video_file import creation_time
from streamvc.detection import UPDATE_S
from streamvc.errors import SourceError
from streamvc.events import Event, Health
from streamvc.inference.model_cache import ModelCache
from streamvc.inference.recognizer import Recognizer
from streamvc.node.camera import Camera, Channels, Plan, Reconnects, Report
from streamvc.node.connection import capture_settings
from streamvc.node.contained import Contained, name_of
from streamvc.node.decoder import ThreadDecoder
from streamvc.node.hub import Hub
from streamvc.node.scheduler import FrameScheduler
from streamvc.node.settings import CameraConfig, Motion
from streamvc.node.status import CameraStatus
from streamvc.node.worker import InferenceWorker, Step
from streamvc.recording import Recorder, RecordingSettings
from streamvc.session import ModelLike, Session, Sink
from streamvc.threads import Worker
from streamvc.thresholds import Thresholds

logger = logging.getLogger(__name__)

STALENESS_S = 0.5  # a frame of a live camera that is older is never analysed
LEAVE_S = 0.5  # for a thread that captures to end; one that hangs in a read ends at its time-outs, or with the program

StartedAt = float | Literal["file"]


class Watch:
    """Watches cameras until they end, or `stop` is called. Iterate over it for the events; it is closed when that ends, or by `close`.

    Events go to the sinks before they are yielded. However it ends (the end of a recording, a camera that is lost for good, `stop`, an error, an
    exception in the loop's body), what runs is ended, and the sinks are told. All is analysed in the thread that iterates.

    A sink that raises costs neither the others nor a camera anything: it is logged, health of `watch` says `degraded`, and at the end the first error
    is raised.
    """

    def __init__(
        self,
        cameras: Sequence[CameraConfig],
        *,
        sinks: Sequence[Sink] = (),
        report: Report = lambda _health: None,
        recording: RecordingSettings | None = None,
        recognizers: Mapping[str, Sequence[Recognizer]] | None = None,
        policy: Policy | None = None,
        pace: bool = False,
        once: bool = False,
        started_at: StartedAt | None = None,
        all_pictures: bool = False,
        runtime: str | None = None,
        threads: int = 1,
        update_s: float = UPDATE_S,
    ) -> None:
        """Load the models; nothing is opened before the first event, or step, is asked for.

        Args:
            cameras: At least one.
            sinks: Are called with each event.
            report: Is called when a camera is up, stalls, is lost or ends; see `Health`. By a thread of its own.
            recording: Stills and clips of events; None for none.
            recognizers: In place of the models of some cameras, by name.
            policy: `latest`: the newest frame wins. `every`: none is dropped. None: the latest of what is live, every frame of a recording.
            pace: Play recordings at their own speed.
            once: Do not connect again when a camera is lost: that is an error.
            started_at: When recordings were begun, in Unix seconds, or `file` for what the file itself says of that.
            all_pictures: Steps are told of all pictures, also those that no model looks at.
            runtime: `litert`, `tflite-runtime` or `tensorflow`; the first that is installed if None.
            threads: Threads of the runtime.
            update_s: Seconds between updates of a running activity; 0 for none.

        Raises:
            StreamvcError: A source is none, or a model cannot be used.
        """
        self._node = socket.gethostname() or "node"  # what is said of all cameras together is said of it
        self._sinks = [Contained(f"sink {name_of(sink)}", sink, self._tell_of_sinks) for sink in sinks]
        self._report = Contained("the report of health", report)
        self._error: Exception | None = None
        self._decoders: list[ThreadDecoder] = []
        self._scheduler = FrameScheduler[Session](STALENESS_S)
        self._hub: Hub | None = None  # while it is iterated over
        self._is_stopped = False
        self._worker = InferenceWorker(0, self._scheduler, publish=self._publish, failed=self._fail)
        models = ModelCache()
        reconnects: Reconnects = "never" if once else "once_up" if len(cameras) == 1 else "always"
        self._plans: list[Plan] = []
        with ExitStack() as opened:
            for camera in cameras:
                found = address.find(camera.address)
                given: Sequence[ModelLike] = (recognizers or {}).get(camera.name) or [use.name for use in camera.models]
                session = Session(
                    given,
                    camera=camera.name,
                    thresholds=[use.thresholds for use in camera.models],
                    rate_hz=camera.rate_hz,
                    started_at=creation_time(found.location) if started_at == "file" else started_at,
                    source_id=content_id(camera.address),
                    recorder=opened.enter_context(Recorder(camera.name, recording)) if recording else None,
                    update_s=update_s,
                    runtime=runtime,
                    threads=threads,
                    opener=models.open,
                )
                settings = replace(
                    capture_settings(camera, session.rates_hz, None if all_pictures else session.picture_input),
                    staleness_s=STALENESS_S,
                    play="paced" if pace else "unpaced",
                    policy=policy,
                    all_pictures=all_pictures,
                )
                is_recording = found.kind in ("file", "images")
                self._plans.append(Plan(camera, session, settings, 0, "never" if is_recording else reconnects))
            opened.pop_all()
        self._events = (event for step in self.steps() for event in step.events)

    def stop(self) -> None:
        """End it as soon as the frame in hand is done. Waits for nothing; may be called by any thread, and by a signal handler."""
        self._is_stopped = True
        if self._hub:
            self._hub.close()

    def close(self) -> None:
        """As `stop`; and wait until all is over, unless another thread iterates, which does that."""
        self.stop()
        with suppress(ValueError):  # it is being iterated over just now
            self._events.close()

    def statuses(self) -> list[CameraStatus]:
        """How the cameras fare, or fared at the end. Any thread may ask."""
        return [camera.status(0.0) for camera in self._cameras.values()]

    @property
    def num_frames(self) -> int | None:
        """How many frames there will be, as announced; None where that is unknown."""
        cameras = list(self._cameras.values())
        return cameras[0].num_frames if len(cameras) == 1 else None

    def steps(self) -> Generator[Step, None, None]:
        """What each frame brings, in place of the events alone; close the generator to leave early.

        Raises:
            StreamvcError: A single camera cannot be opened or was lost, or none of several is there; what runs was ended first.
        """
        channels = Channels(self._open_decoder, DefaultSelector(), self._scheduler, self._report)
        self._hub = hub = Hub(self._node, channels, num_connecting=len(self._plans), ends=True)
        with ExitStack() as stack:
            stack.enter_context(one_opencv_thread())
            stack.callback(self._leave)
            stack.enter_context(Worker("hub", hub.run, hub.close))
            try:
                if not self._is_stopped:
                    hub.change([], self._plans)
                if self._is_stopped:  # in between, too
                    hub.close()
                yield from self._worker.steps()
            except Exception as error:
                self._end_for(error, hub)
                raise
        self._raise_problem()

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        return next(self._events)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open_decoder(self, settings: CaptureSettings) -> ThreadDecoder:
        self._decoders = [decoder for decoder in self._decoders if decoder.is_running]
        self._decoders.append(ThreadDecoder(settings))
        return self._decoders[-1]

    def _publish(self, event: Event) -> None:
        for sink in self._sinks:
            sink(event)

    def _tell_of_sinks(self) -> None:
        problem = next((sink.problem for sink in self._sinks if sink.problem), None)
        self._report(Health(self._node, "degraded" if problem else "up", None, problem, None, None, 0, seq=None, epoch=None))

    def _fail(self, camera: str, error: Exception) -> None:
        """A camera's analysis has failed; where it is the only one, that is the end."""
        self._error = error if len(self._plans) == 1 else None
        if self._hub:
            self._hub.fail(camera, error)

    @property
    def _cameras(self) -> Mapping[str, Camera]:
        return self._hub.cameras if self._hub else {}

    def _end_for(self, error: Exception, hub: Hub) -> None:
        """Something has failed that is no camera's: tell what can be told."""
        for plan in self._plans:
            for event in plan.session.flush("error"):
                self._publish(event)
            hub.fail(plan.config.name, error)

    def _leave(self) -> None:
        """The hub has let all cameras go: tell of what runs still, and let go of the threads."""
        self._scheduler.close()
        try:
            for _ in self._worker.steps():
                pass
            for name, camera in self._cameras.items():
                if shortage := camera.shortage:  # a recording may be over before anybody looks at its rates
                    logger.warning("%s: %s", name, shortage, extra={"camera": name})
        finally:
            for decoder in self._decoders:
                decoder.join(LEAVE_S)

    def _raise_problem(self) -> None:
        if self._error is not None:
            raise self._error
        failures = [camera.failure for camera in self._cameras.values()]
        if failures and all(failures) and failures[0]:
            raise failures[0]
        for failure in filter(None, failures):
            logger.warning("%s", failure)
        if error := next((sink.error for sink in self._sinks if sink.error), None):
            raise error


def watch(
    source: str | int | Path | Sequence[str | int | Path],
    model: str | Path | Recognizer | Sequence[str | Path] = "exercise",
    *,
    camera: str | None = None,
    thresholds: Thresholds | None = None,
    sinks: Sequence[Sink] = (),
    report: Report = lambda _health: None,
    policy: Policy | None = None,
    pace: bool = False,
    fps: float | None = None,
    once: bool = False,
    started_at: StartedAt | None = None,
    runtime: str | None = None,
    threads: int = 1,
    update_s: float = UPDATE_S,
) -> Watch:
    """Recognise activities in a camera, file, stream or folder of images, or in several; gives events as they happen.

        for event in streamvc.watch("0", model="exercise"):
            print(event.phase, event.label, event.score)

    A network camera that is lost is connected again. `stop()` ends it from any thread; so does leaving its `with` block.

    Args:
        source: As for `open_source`: "0", "clip.mp4", "rtsp://...", a folder of images.
        model: A bundle's name or path, or several.
        camera: The name that events carry; made from the source if not given.
        thresholds: Settings in place of the model's own.
        sinks: Are called with each event before it is given out, and also hear the ends of what runs when the loop is left early. See `Watch` for
            one that raises.
        report: Is called when the camera is up, stalls, is lost or ends; see `Health`.
        policy: See `Watch`, as for all that follow.
        pace: Play a recording at its own speed.
        fps: As for `open_source`.
        once: A camera that is lost is an error.
        started_at: When a recording was begun, in Unix seconds; `file` for what it says itself.
        runtime: `litert`, `tflite-runtime` or `tensorflow`; the first that is installed if None.
        threads: Threads of the runtime.
        update_s: Seconds between updates of a running activity; 0 for none.

    Raises:
        StreamvcError: The source or the model cannot be used, or the source was lost for good.
    """
    sources = [source] if isinstance(source, str | int | Path) else list(source)
    models = [model] if isinstance(model, str | Path | Recognizer) else list(model)
    names = [each.bundle.manifest.name if isinstance(each, Recognizer) else str(each) for each in models]
    cameras = camera_configs(sources, names, camera=camera, thresholds=thresholds or Thresholds(), fps=fps)
    own = [each for each in models if isinstance(each, Recognizer)]
    return Watch(
        cameras,
        sinks=sinks,
        report=report,
        recognizers={each.name: own for each in cameras} if own else None,
        policy=policy,
        pace=pace,
        once=once,
        started_at=started_at,
        runtime=runtime,
        threads=threads,
        update_s=update_s,
    )


def camera_configs(
    sources: Sequence[str | int | Path], models: Sequence[str], *, camera: str | None = None, **settings: object
) -> list[CameraConfig]:
    """What cameras are called and how they are watched, where no configuration says it. Motion is not looked at unless that is asked for.

    Raises:
        SourceError: A setting cannot be used; says which.
    """
    names: list[str] = []
    for source in sources:
        name = camera or camera_name(source)
        names.append(next(each for each in _numbered(name) if each not in names))
    given = {"models": [{"name": model} for model in models], "motion": Motion(gate=False), **settings}
    try:
        return [CameraConfig.model_validate({**given, "name": name, "source": str(source)}) for name, source in zip(names, sources, strict=True)]
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise SourceError(f"{'.'.join(map(str, first['loc']))}: {first['msg'].removeprefix('Value error, ')}") from error


def _numbered(name: str) -> Iterator[str]:
    yield name
    number = 2
    while True:
        yield f"{name}-{number}"
        number += 1
