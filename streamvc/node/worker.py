"""A thread that analyses the frames of many cameras, one after the other."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from streamvc.capture.messages import Arrived
from streamvc.errors import MessageError
from streamvc.events import Event, Reason
from streamvc.node.scheduler import FrameScheduler, Work
from streamvc.recording import Recorder
from streamvc.session import NO_IMAGE, Session, Sink
from streamvc.types import Frame

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """What one frame brought, or the end of a stream. All moments are `time.monotonic()`, in seconds.

    Attributes:
        camera: The camera.
        session: Its session.
        frame: The frame, valid until the next step is taken; None where there is none.
        events: What was published.
        is_analysed: It was looked at; otherwise it was not due, or shows what the one before did.
        captured: When its encoded form arrived.
        decoded: When it was decoded.
        taken: When its turn came.
        featured: When it had passed the extractors.
        decided: When all was decided that there was to decide.
        published: When that was published.
    """

    camera: str
    session: Session
    frame: Frame | None
    events: Sequence[Event]
    is_analysed: bool
    captured: float
    decoded: float
    taken: float
    featured: float
    decided: float
    published: float


class InferenceWorker:
    """Analyses the frames of its cameras as they are due. What goes wrong with one camera does not touch the others.

    Attributes:
        busy_since: `time.monotonic()` when it took what it works at, in seconds; None while it waits. May be read by any thread.
    """

    def __init__(
        self,
        number: int,
        scheduler: FrameScheduler[Session],
        *,
        publish: Sink,
        failed: Callable[[str, Exception], None],
    ) -> None:
        """Set up.

        Args:
            number: Which of the workers it is.
            scheduler: Where its work comes from.
            publish: Is called with each event.
            failed: Is called with the name of a camera whose analysis has failed, for each frame that it fails at. What ran there was ended.
        """
        self.busy_since: float | None = None
        self._number = number
        self._scheduler = scheduler
        self._publish = publish
        self._failed = failed
        self._recorders: list[Recorder] = []  # of cameras that have left

    def steps(self) -> Iterator[Step]:
        """Work until the scheduler is closed, and all that it still held is done."""
        while work := self._scheduler.take(self._number):
            self.busy_since = work.taken
            if work.arrival:
                yield from self._analyse(work, work.arrival)
            elif work.end:
                yield self._end(work, work.end)
            if work.is_last:
                self._part(work.session)
            self.busy_since = None
        for recorder in self._recorders:
            with _logged("a recording could not be completed"):
                recorder.close()

    def run(self) -> None:
        """As `steps`, for a thread that does nothing else."""
        for _ in self.steps():
            pass

    def _analyse(self, work: Work[Session], arrival: Arrived) -> Iterator[Step]:
        session, due = work.session, arrival.due
        frame = arrival.frame or Frame(due.index, due.timestamp, NO_IMAGE, due.clock, due.captured, due.decoded, due.segment, due.began)
        num_samples = session.num_samples
        try:
            try:
                events = session.take(frame, is_still=arrival.is_still, num_dropped=work.dropped + due.dropped)
            except Exception as error:  # whatever it is, it is this camera's alone
                yield self._end(work, "error")
                self._failed(work.camera, error)
                return
            decided = time.monotonic()
            if problem := self._publish_all(events):
                yield self._end(work, "error")
                self._failed(work.camera, problem)
                return
            is_analysed = session.num_samples > num_samples and not arrival.is_still
            moments = (due.captured, due.decoded, work.taken, session.featured, decided, time.monotonic())
            yield Step(work.camera, session, arrival.frame, events, is_analysed, *moments)
        finally:
            arrival.release()

    def _end(self, work: Work[Session], reason: Reason) -> Step:
        events: Sequence[Event] = ()
        try:
            events = work.session.flush(reason)
        except Exception as error:  # what has failed may fail at its end, too; that is still this camera's alone
            logger.exception("%s: what went on there could not be ended", work.camera, extra={"camera": work.camera})
            self._failed(work.camera, error)
        if problem := self._publish_all(events):
            self._failed(work.camera, problem)
        return Step(work.camera, work.session, None, events, False, *[time.monotonic()] * 6)

    def _publish_all(self, events: Sequence[Event]) -> MessageError | None:
        """Publish each; returns what was wrong with the first of those that cannot be."""
        problem: MessageError | None = None
        for event in events:
            try:
                self._publish(event)
            except MessageError as error:
                problem = problem or error
        return problem

    def _part(self, session: Session) -> None:
        """Let a camera go. What is recorded of it is completed meanwhile, as others do not wait for that."""
        self._recorders = [recorder for recorder in self._recorders if recorder.is_recording]
        if session.recorder:
            with _logged("a recording could not be completed"):
                session.recorder.finish()
            self._recorders.append(session.recorder)


@contextmanager
def _logged(what: str) -> Iterator[None]:
    """What fails in it is logged, and no more."""
    try:
        yield
    except Exception:
        logger.exception(what)
