"""One `streamvc watch`: a source, a recogniser, a publisher and a view, put together and taken apart."""

import logging
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import cv2

from streamvc.capture.buffer import Policy
from streamvc.capture.source import Source, open_source
from streamvc.detection import UPDATE_S
from streamvc.errors import SourceError
from streamvc.events import Health
from streamvc.inference.recognizer import Recognizer
from streamvc.pipeline import Report, Sink, Step, Tuning, Watch, camera_name
from streamvc.publish.publisher import Publisher
from streamvc.recording import Recorder, Recording
from streamvc.sinks.runner import run_sinks
from streamvc.types import Frame
from streamvc.view.overlay import Status, draw
from streamvc.view.video import VideoWriter
from streamvc.view.window import Window, display_available

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Options:
    """What the user asked for.

    Where `publish` is None nothing is published, and where `save` is None nothing is saved. `log` None keeps what is published in memory. Without
    `keys`, `publish` must be an endpoint of this machine, or `insecure`. `sinks` are URLs that events are delivered to besides (see
    `streamvc.sinks`). `recording` None keeps no stills and clips of events. `camera` None makes a name from the source, `pace` None paces what is
    shown in a window. Without `headless`, there is a window if there is a display.
    """

    source: str
    model: str = "exercise"
    camera: str | None = None
    policy: Policy | None = None
    pace: bool | None = None
    runtime: str | None = None
    threads: int = 1
    tuning: Tuning = field(default_factory=Tuning)
    update_s: float = UPDATE_S
    publish: str | None = None
    wait_s: float = 0.0
    site: str = "site"
    log: Path | None = None
    keys: Path | None = None
    insecure: bool = False
    sinks: tuple[str, ...] = ()
    recording: Recording | None = None
    save: Path | None = None
    headless: bool = False


@dataclass(frozen=True, slots=True)
class Summary:
    """What a finished watch saw."""

    num_frames: int
    num_analysed: int
    num_dropped: int
    num_corrupt: int
    wall_s: float


def run(options: Options, on_event: Sink, on_step: Callable[[Step, Source], None] = lambda _step, _source: None) -> Summary:
    """Watch until the source ends, a signal comes or the window is closed.

    Args:
        options: What to watch, how, and where to send it.
        on_event: Is called with each event, last of all sinks.
        on_step: Is called with each frame's step, for progress.

    Raises:
        StreamvcError: Something cannot be opened, or the source was lost; what ran was ended and published first.
    """
    cv2.setNumThreads(1)  # OpenCV's own threads would take the cores from the decoder and the runtime, for pictures that are small
    windowed = not options.headless and _window_possible()
    recognizer = Recognizer.load(options.model, runtime=options.runtime, threads=options.threads)
    camera = options.camera or camera_name(options.source)
    with ExitStack() as stack:
        sinks: tuple[Sink, ...] = (on_event,)
        report: Report = _ignore
        if options.publish:
            publisher = stack.enter_context(_publishing(options, options.publish))
            sinks, report = (publisher.publish, on_event), publisher.report
        pace = windowed if options.pace is None else options.pace
        source = stack.enter_context(_opened(options, camera, pace, report))
        recorder = stack.enter_context(Recorder(camera, options.recording)) if options.recording else None
        watch = Watch(
            source, recognizer, camera=camera, sinks=sinks, report=report, recorder=recorder, tuning=options.tuning, update_s=options.update_s
        )
        screen = _Screen(watch, source, _views(stack, options, camera, windowed))
        stack.enter_context(_stopped_by_signals(watch.stop))
        return _drive(watch, source, screen, on_step)


@contextmanager
def _publishing(options: Options, endpoint: str) -> Iterator[Publisher]:
    """A publisher that somebody may have joined, and the sinks that are fed from its log."""
    with ExitStack() as stack:
        publisher = stack.enter_context(
            Publisher(endpoint, site=options.site, log=options.log, keys=options.keys, insecure=options.insecure),
        )
        if options.sinks:
            stack.enter_context(run_sinks(publisher.log, options.sinks, site=options.site, node=publisher.node))
        _wait_for_subscriber(publisher, options.wait_s)
        yield publisher


def _opened(options: Options, camera: str, pace: bool, report: Report) -> Source:
    """The source; that it cannot be opened is reported too."""
    try:
        return open_source(options.source, policy=options.policy, pace=pace)
    except SourceError as error:
        report(Health(camera, "down", "lost", str(error), None, None, 0, seq=None, epoch=None))
        raise


def _ignore(_health: Health) -> None:
    """Where nothing is published."""


def _drive(watch: Watch, source: Source, screen: "_Screen", on_step: Callable[[Step, Source], None]) -> Summary:
    started = time.monotonic()
    num_frames = 0
    with closing(watch.steps()) as steps:
        for step in steps:
            on_step(step, source)
            if step.frame is not None:
                num_frames += 1
                if not screen.show(step.frame, step):
                    watch.stop()
    return Summary(num_frames, watch.stages.num_samples, source.dropped, source.corrupt, time.monotonic() - started)


def _views(stack: ExitStack, options: Options, title: str, windowed: bool) -> list[Window | VideoWriter]:
    views: list[Window | VideoWriter] = []
    if windowed:
        views.append(stack.enter_context(Window(title)))
    if options.save:
        views.append(stack.enter_context(VideoWriter(options.save)))
    return views


def _window_possible() -> bool:
    if display_available():
        return True
    logger.warning("no display was found, going on without a window (--headless says so beforehand)")
    return False


def _wait_for_subscriber(publisher: Publisher, wait_s: float) -> None:
    if wait_s and not publisher.wait_for_subscriber(wait_s):
        logger.warning("no subscriber within %g s, going on", wait_s)


@contextmanager
def _stopped_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM calls `stop`; a second one has its usual effect."""

    def handle(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, previous[number])
        stop()

    previous = {int(number): signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


class _Screen:
    """Draws the status on each frame, for all views at once."""

    def __init__(self, watch: Watch, source: Source, views: Sequence[Window | VideoWriter]) -> None:
        self._watch = watch
        self._source = source
        self._views = views
        self._latency_s = 0.0

    def show(self, frame: Frame, step: Step) -> bool:
        """Show a frame with what was recognised; False where the user wants to stop."""
        if not self._views:
            return True
        if step.analysed:
            self._latency_s = step.latency_s
        picture = draw(frame.image, self._status(frame.timestamp))
        wanted = [view.show(picture, frame.timestamp) for view in self._views]
        return all(wanted)

    def _status(self, now: float) -> Status:
        stages = self._watch.stages
        newest = stages.running[-1] if stages.running else None
        return Status(
            top=stages.top,
            active=newest.label if newest else None,
            active_s=now - newest.t_start if newest else 0.0,
            fps_in=self._watch.fps_in,
            rate_hz=self._watch.rate_hz,
            latency_s=self._latency_s,
            dropped=self._source.dropped,
            warming_up=stages.prediction is None,
        )
