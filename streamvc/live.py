"""One `streamvc watch`: a source, a recogniser, a publisher and a view, put together and taken apart."""

import logging
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import cv2

from streamvc.capture.buffer import Policy
from streamvc.capture.source import Source, open_source
from streamvc.detection import UPDATE_S
from streamvc.inference.recognizer import Recognizer
from streamvc.pipeline import RATE_SPAN_S, Sink, Step, Tuning, Watch, camera_name, rate
from streamvc.publish.publisher import Publisher
from streamvc.types import Frame
from streamvc.view.overlay import Status, draw
from streamvc.view.video import VideoWriter
from streamvc.view.window import Window, display_available

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Options:
    """What the user asked for.

    Where `publish` is None nothing is published, and where `save` is None nothing is saved. `camera` None makes a name from the source, `pace` None
    paces what is shown in a window. Without `headless`, there is a window if there is a display.
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
        if options.publish:
            publisher = stack.enter_context(Publisher(options.publish, site=options.site))
            _wait_for_subscriber(publisher, options.wait_s)
            sinks = (publisher.publish, on_event)
        pace = windowed if options.pace is None else options.pace
        source = stack.enter_context(open_source(options.source, policy=options.policy, pace=pace))
        watch = Watch(source, recognizer, camera=camera, sinks=sinks, tuning=options.tuning, update_s=options.update_s)
        screen = _Screen(watch, source, _views(stack, options, camera, windowed))
        stack.enter_context(_stopped_by_signals(watch.stop))
        return _drive(watch, source, screen, on_step)


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
        self._analysed: deque[float] = deque()  # stream times of the frames analysed of late
        self._latency_s = 0.0

    def show(self, frame: Frame, step: Step) -> bool:
        """Show a frame with what was recognised; False where the user wants to stop."""
        if not self._views:
            return True
        if step.analysed:
            self._analysed.append(frame.timestamp)
            self._latency_s = step.latency_s
        while self._analysed and not 0 <= frame.timestamp - self._analysed[0] <= RATE_SPAN_S:
            self._analysed.popleft()
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
            rate_hz=rate(self._analysed),
            latency_s=self._latency_s,
            dropped=self._source.dropped,
            warming_up=stages.prediction is None,
        )
