"""The program `streamvc watch`: a watch, a publisher and views, put together and taken apart."""

import logging
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from streamvc.capture.messages import Policy
from streamvc.detection import UPDATE_S
from streamvc.errors import ViewError
from streamvc.events import Detection, Event, Health
from streamvc.live import StartedAt, Watch
from streamvc.node.settings import CameraConfig
from streamvc.node.worker import Step
from streamvc.publish.publisher import Publisher
from streamvc.recording import RecordingSettings
from streamvc.session import Sink
from streamvc.sinks.runner import run_sinks
from streamvc.view.overlay import NUM_ROWS, OverlayStatus, PastActivity, draw
from streamvc.view.video import VideoWriter
from streamvc.view.window import Window, display_available

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Options:
    """What the user asked for.

    Where `publish` is None nothing is published, and where `save` is None nothing is saved. `log` None keeps what is published in memory. Without
    `keys`, `publish` must be an endpoint of this machine, or `insecure`. `sinks` are URLs that events are delivered to besides (see
    `streamvc.sinks`). `recording` None keeps no stills and clips of events. `pace` None paces what is shown in a window. Without `headless`, there is
    a window for each camera, if there is a display. The rest is as for `Watch`.
    """

    cameras: tuple[CameraConfig, ...]
    policy: Policy | None = None
    pace: bool | None = None
    once: bool = False
    started_at: StartedAt | None = None
    runtime: str | None = None
    threads: int = 1
    update_s: float = UPDATE_S
    publish: str | None = None
    wait_s: float = 0.0
    site: str = "site"
    log: Path | None = None
    keys: Path | None = None
    insecure: bool = False
    sinks: tuple[str, ...] = ()
    recording: RecordingSettings | None = None
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


def run(options: Options, on_event: Sink, on_step: Callable[[Step, Watch], None] = lambda _step, _watch: None) -> Summary:
    """Watch until all sources end, a signal comes or a window is closed.

    Args:
        options: What to watch, how, and where to send it.
        on_event: Is called with each event, last of all sinks.
        on_step: Is called with each step, for progress.

    Raises:
        StreamvcError: Something cannot be opened, or a single source was lost for good; what ran was ended and published first.
    """
    windowed = not options.headless and _window_possible()
    with ExitStack() as stack:
        sinks: tuple[Sink, ...] = (on_event,)

        def publish(event: Event) -> None:
            if publisher:
                publisher.publish(event, wait=False)

        publisher = stack.enter_context(_publishing(options, options.publish)) if options.publish else None
        if publisher:
            sinks = (publish, on_event)

        def report(health: Health) -> None:
            if publisher:
                publisher.report(health, wait=False)

        watch = stack.enter_context(
            Watch(
                options.cameras,
                sinks=sinks,
                report=report,
                recording=options.recording,
                policy=options.policy,
                pace=windowed if options.pace is None else options.pace,
                once=options.once,
                started_at=options.started_at,
                all_pictures=windowed or options.save is not None or options.recording is not None,
                runtime=options.runtime,
                threads=options.threads,
                update_s=options.update_s,
            )
        )
        screens = {camera.name: _Screen(_views(stack, options, camera.name, windowed)) for camera in options.cameras}
        stack.enter_context(_stopped_by_signals(watch.stop))
        return _drive(watch, screens, on_step)


@contextmanager
def _publishing(options: Options, endpoint: str) -> Iterator[Publisher]:
    """A publisher that somebody may have joined, and the sinks that are fed from its log."""
    with ExitStack() as stack:
        publisher = stack.enter_context(
            Publisher(endpoint, site=options.site, log=options.log, keys=options.keys, insecure=options.insecure),
        )
        if options.sinks:
            labels = {camera.name: camera.labels for camera in options.cameras}
            stack.enter_context(run_sinks(publisher.kept, options.sinks, site=options.site, node=publisher.node, labels=lambda: labels))
            stack.callback(publisher.flush)
        if options.wait_s and not publisher.wait_for_subscriber(options.wait_s):
            logger.warning("no subscriber within %g s, going on", options.wait_s)
        yield publisher


def _drive(watch: Watch, screens: dict[str, "_Screen"], on_step: Callable[[Step, Watch], None]) -> Summary:
    started = time.monotonic()
    with closing(watch.steps()) as steps:
        for step in steps:
            on_step(step, watch)
            if not screens[step.camera].show(step):
                watch.stop()
    for problem in filter(None, (screen.problem for screen in screens.values())):
        raise problem if isinstance(problem, ViewError) else ViewError(f"the picture cannot be shown: {problem}") from problem
    statuses = watch.statuses()
    return Summary(
        num_frames=sum(status.received for status in statuses),
        num_analysed=sum(status.analysed for status in statuses),
        num_dropped=sum(sum(status.dropped.values()) for status in statuses),
        num_corrupt=sum(status.corrupt for status in statuses),
        wall_s=time.monotonic() - started,
    )


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
    """Draws the status of a camera on each of its frames, for each view in its size."""

    def __init__(self, views: Sequence[Window | VideoWriter]) -> None:
        self.problem: Exception | None = None  # why nothing is shown any more
        self._views = views
        self._latency_s = 0.0
        self._ended: deque[Event] = deque(maxlen=NUM_ROWS)

    def show(self, step: Step) -> bool:
        """Show a frame with what was recognised; False where the user wants to stop."""
        if not self._views or step.frame is None:
            return True
        if step.is_analysed:
            self._latency_s = step.published - step.captured
        self._ended.extendleft(event for event in step.events if event.phase == "end")
        image, status = step.frame.image, self._status(step, step.frame.timestamp)
        wanted = []
        try:
            for view in self._views:
                enlarged = view.enlargement(image.shape) if isinstance(view, Window) else 1.0
                wanted.append(view.show(draw(image, status, enlarged=enlarged), step.frame.timestamp))
        except Exception as error:  # what fails is not shown any more; it is recognised all the same
            logger.error("%s is not shown any more: %s", step.camera, error)
            self._views, self.problem = (), error
            return True
        return all(wanted)

    def _status(self, step: Step, now: float) -> OverlayStatus:
        session = step.session
        running = session.running
        newest = running[-1] if running else None
        past = [PastActivity(other.label, now - other.t_start, None) for other in running[-2::-1]]
        past += [PastActivity(event.label, event.duration_s or 0.0, max(0.0, now - (event.stream_end_s or now))) for event in self._ended]
        return OverlayStatus(
            top=session.top,
            active=newest.label if newest else None,
            active_s=now - newest.t_start if newest else 0.0,
            fps_in=session.fps_in,
            rate_hz=session.rate_hz,
            latency_s=self._latency_s,
            dropped=session.num_dropped,
            warming_up=session.is_warming_up,
            thresholds=session.thresholds,
            candidate=session.candidate,
            past=past,
            focus=session.focus,
            doing=_doing(running),
        )


def _doing(running: Sequence[Detection]) -> dict[int, list[str]]:
    """What each person does, by their track."""
    doing: dict[int, list[str]] = {}
    for detection in running:
        if detection.subject:
            doing.setdefault(detection.subject.track, []).append(detection.label)
    return doing
