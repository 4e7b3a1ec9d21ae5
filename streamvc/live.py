"""One `streamvc watch`: a source, a recogniser, a publisher and a view, put together and taken apart."""

import logging
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from streamvc.capture.source import Policy, Source, open_source
from streamvc.detection import UPDATE_S
from streamvc.inference.recognizer import Recognizer
from streamvc.pipeline import Sink, Step, Tuning, Watch, camera_name
from streamvc.publish.publisher import Publisher
from streamvc.types import Frame
from streamvc.view.overlay import Status, draw
from streamvc.view.video import VideoWriter
from streamvc.view.window import Window, display_available

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Options:
    """What the user asked for. `publish` None publishes nothing; `save` None saves nothing; `headless` None decides by the display."""

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
    windowed = not options.headless and _window_possible()
    recognizer = Recognizer.load(options.model, runtime=options.runtime, threads=options.threads)
    camera = options.camera or camera_name(options.source)
    with ExitStack() as stack:
        sinks: list[Sink] = [on_event]
        if options.publish:
            publisher = stack.enter_context(Publisher(options.publish, site=options.site))
            sinks.insert(0, publisher.publish)
            _wait_for_subscriber(publisher, options.wait_s)
        pace = windowed if options.pace is None else options.pace
        source = stack.enter_context(open_source(options.source, policy=options.policy, pace=pace))
        watch = Watch(source, recognizer, camera=camera, sinks=sinks, tuning=options.tuning, update_s=options.update_s)
        views = [stack.enter_context(view) for view in _views(options, camera, windowed)]
        stack.enter_context(_stopped_by_signals(watch.stop))
        status = _StatusBoard(watch, source)
        started = time.monotonic()
        num_frames = 0
        with closing(iter(watch)) as steps:
            for step in steps:
                on_step(step, source)
                if step.frame is None:
                    continue
                num_frames += 1
                status.note(step)
                if views and not _show(views, step.frame, status):
                    watch.stop()
        return Summary(num_frames, watch.stages.num_samples, source.dropped, source.corrupt, time.monotonic() - started)


View = Window | VideoWriter


def _views(options: Options, title: str, windowed: bool) -> Iterator[View]:
    if windowed:
        yield Window(title)
    if options.save:
        yield VideoWriter(options.save)


def _show(views: list[View], frame: Frame, status: "_StatusBoard") -> bool:
    """Draw on a copy of the frame and hand it to each view; False where the user closed the window."""
    picture = draw(frame.image, status.status())
    return all([view.show(picture, frame.timestamp) for view in views])


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

    previous = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


class _StatusBoard:
    """Gathers what the overlay shows."""

    SPAN_S = 2.0

    def __init__(self, watch: Watch, source: Source) -> None:
        self._watch = watch
        self._source = source
        self._analysed: deque[float] = deque()  # stream times of analysed frames
        self._latency_s = 0.0
        self._now = 0.0

    def note(self, step: Step) -> None:
        assert step.frame is not None
        self._now = step.frame.timestamp
        if step.analysed:
            self._analysed.append(self._now)
            self._latency_s = step.latency_s
        while self._analysed and not 0 <= self._now - self._analysed[0] <= self.SPAN_S:
            self._analysed.popleft()

    def status(self) -> Status:
        prediction = self._watch.stages.prediction
        running = self._watch.stages.running
        labels = self._watch.stages.labels
        top = () if prediction is None else tuple((labels[index], float(prediction.scores[index])) for index in prediction.scores.argsort()[::-1][:3])
        return Status(
            top=top,
            active=running[-1].label if running else None,
            active_s=self._now - running[-1].t_start if running else 0.0,
            fps_in=self._watch.fps_in,
            rate_hz=len(self._analysed) / self.SPAN_S,
            latency_s=self._latency_s,
            dropped=self._source.dropped,
            warming_up=prediction is None,
        )
