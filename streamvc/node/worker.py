"""A thread that analyses the frames of many cameras, one after the other."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field

from streamvc.capture.messages import Arrived
from streamvc.errors import InferenceError, MessageError
from streamvc.events import Event, Reason
from streamvc.node.scheduler import FrameScheduler, Work
from streamvc.recording import Recorder
from streamvc.session import NO_IMAGE, Session, Sink
from streamvc.threads import Lock
from streamvc.types import Frame

logger = logging.getLogger(__name__)

SLOW_S = 0.25  # of a frame: others come too late then
EXCESS_S = 0.75  # beyond that, of frames in a row, which is no hiccup
SLOWER = 4  # times of another camera's; where all are slow, the work is shared as it is


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

    Where a frame takes long, another one takes its place (`hand_over`), and this one does nothing more behind that frame. Networks are foreign code:
    it may hang there for ever. Then it is given up (`give_up`): what its thread still does is not published, and the camera of that frame is told as
    failed for as long as it is there.

    Attributes:
        number: Which of the workers it is.
        at: What it works at; None while it waits. May be read by any thread.
    """

    def __init__(
        self,
        number: int,
        scheduler: FrameScheduler[Session],
        *,
        publish: Sink,
        failed: Callable[[str, Exception], None],
        relief: int | None = None,
    ) -> None:
        """Set up.

        Args:
            number: Which of the workers it is.
            scheduler: Where its work comes from.
            publish: Is called with each event.
            failed: Is called with the name of a camera whose analysis has failed, for each frame that it fails at. What ran there was ended.
            relief: Another worker, which takes over cameras whose frames take so long that the others would have to wait; None for no one.
        """
        self.at: Work[Session] | None = None
        self.number = number
        self._scheduler = scheduler
        self._publish = publish
        self._failed = failed
        self._relief = relief
        self._costs: dict[str, _Cost] = {}  # by camera
        self._recorders: list[Recorder] = []  # of cameras that have left
        self._apart: dict[Session, _Apart] = {}  # at frames of workers whose place was taken; shared with these
        self._changing = Lock()  # of what is shared, and of `at`
        self._unheard: set[str] = set()  # activities that began with a frame that was given up, which nobody is told of

    def steps(self) -> Iterator[Step]:
        """Work until the scheduler is closed, and all that it still held is done."""
        while work := self._scheduler.take(self.number):
            if self._is_put_off(work):
                continue
            self.at = work
            if work.arrival:
                yield from self._analyse(work, work.arrival)
            elif work.end:
                yield self._end(work, work.end)
            if work.is_last:
                self._costs.pop(work.camera, None)
                self._part(work.session)
            with self._changing:
                self.at = None
                apart = self._apart.get(work.session)
            if apart and apart.work is work:
                yield from self._come_back(work, apart)
                return
        for recorder in self._recorders:
            with _logged("a recording could not be completed"):
                recorder.close()

    def is_slower(self, work: Work[Session], took_s: float) -> bool:
        """Whether others wait for a frame that has taken so long, for which theirs do not wait so long. For any thread."""
        others = (cost.last_s for name, cost in self._costs.copy().items() if name != work.camera)
        return work.session.num_samples > 0 and any(SLOWER * last_s < took_s for last_s in others)

    def hand_over(self, work: Work[Session]) -> "InferenceWorker | None":
        """Do nothing more behind this; gives the worker to be run in its place, or None where this is done. For any thread."""
        with self._changing:
            if self.at is not work:
                return None
            self._apart[work.session] = _Apart(work)
        other = InferenceWorker(self.number, self._scheduler, publish=self._publish, failed=self._failed, relief=self._relief)
        other._recorders, other._apart, other._changing, other._costs = self._recorders, self._apart, self._changing, self._costs.copy()
        return other

    def give_up(self, work: Work[Session]) -> bool:
        """It hangs at this, which was handed over: tell so, and end what goes on there; False where it has come back. For any thread."""
        with self._changing:
            if self.at is not work:
                return False
            apart = self._apart[work.session]
            apart.is_given_up, put_off = True, apart.put_off
        took_s = time.monotonic() - work.taken
        self._failed(work.camera, InferenceError(f"it has been at one frame for {took_s:.0f} s, and is left behind"))
        for each in put_off:
            self._end(each, each.end or "error")
            if each.is_last:
                self._part(each.session)
        return True

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
                if not self._is_given_up(session):
                    yield self._end(work, "error")
                    self._failed(work.camera, error)
                return
            decided = time.monotonic()
            if self._is_given_up(session):
                self._unheard = {event.event_id for event in events if event.phase == "start"}
                self._publish_all(self._heard(events))
                return
            if problem := self._publish_all(events):
                yield self._end(work, "error")
                self._failed(work.camera, problem)
                return
            is_analysed = session.num_samples > num_samples and not arrival.is_still
            if is_analysed and num_samples and self._relief is not None:  # the first takes longer
                self._weigh(work.camera, decided - work.taken, self._relief)
            moments = (due.captured, due.decoded, work.taken, session.featured, decided, time.monotonic())
            yield Step(work.camera, session, arrival.frame, events, is_analysed, *moments)
        finally:
            arrival.release()

    def _end(self, work: Work[Session], reason: Reason) -> Step:
        events: Sequence[Event] = ()
        try:
            events = self._flush(work.session, reason)
        except Exception as error:  # what has failed may fail at its end, too; that is still this camera's alone
            logger.exception("%s: what went on there could not be ended", work.camera, extra={"camera": work.camera})
            self._failed(work.camera, error)
        if problem := self._publish_all(events):
            self._failed(work.camera, problem)
        return Step(work.camera, work.session, None, events, False, *[time.monotonic()] * 6)

    def _is_put_off(self, work: Work[Session]) -> bool:
        """Whether this cannot be done now, as a thread is at an earlier frame of the camera still."""
        with self._changing:
            apart = self._apart.get(work.session)
            if apart is None or (work.end and apart.is_given_up):
                return False
            if work.end:
                apart.put_off.append(work)
        if work.arrival:
            work.arrival.release()
            if apart.is_given_up:
                self._failed(work.camera, InferenceError("an earlier frame of it hangs in a network still"))
        return True

    def _is_given_up(self, session: Session) -> bool:
        apart = self._apart.get(session)
        return apart is not None and apart.is_given_up

    def _come_back(self, work: Work[Session], apart: "_Apart") -> Iterator[Step]:
        """Another one has taken its place meanwhile. Where it was given up, what went on ends, if that has not been told yet."""
        if apart.is_given_up:
            with _logged("what went on could not be ended"):
                self._publish_all(self._heard(self._flush(work.session, "error")))
            took_s = time.monotonic() - work.taken
            logger.warning("%s: the frame that hung has come back after %.0f s", work.camera, took_s, extra={"camera": work.camera})
        while True:
            with self._changing:
                put_off, apart.put_off = apart.put_off, []
                if apart.is_given_up or not put_off:
                    del self._apart[work.session]
                    return
            for each in put_off:
                yield self._end(each, each.end or "stop")
                if each.is_last:
                    self._part(each.session)

    def _flush(self, session: Session, reason: Reason) -> list[Event]:
        """End what goes on. Where a frame was given up, who takes its place and the thread that comes back may both do so: one at a time."""
        with self._changing if self._is_given_up(session) else nullcontext():
            return session.flush(reason)

    def _heard(self, events: Sequence[Event]) -> list[Event]:
        """Of what comes of a frame that was given up, the ends of activities whose beginning was told."""
        return [event for event in events if event.phase == "end" and event.event_id not in self._unheard]

    def _publish_all(self, events: Sequence[Event]) -> MessageError | None:
        """Publish each; returns what was wrong with the first of those that cannot be."""
        problem: MessageError | None = None
        for event in events:
            try:
                self._publish(event)
            except MessageError as error:
                problem = problem or error
        return problem

    def _weigh(self, camera: str, cost_s: float, relief: int) -> None:
        """Take in how long a frame took. A camera that is slow all the time, beside others that are not, leaves."""
        before = self._costs.get(camera)
        excess_s = (before.excess_s if before else 0.0) + cost_s - SLOW_S if cost_s > SLOW_S else 0.0
        self._costs[camera] = _Cost(cost_s, excess_s)
        if excess_s > EXCESS_S and any(SLOWER * other.last_s < cost_s for name, other in self._costs.items() if name != camera):
            del self._costs[camera]
            self._scheduler.move(camera, relief)
            logger.warning(
                "%s takes %.1f s a frame: from now on it has a thread beside that of the other cameras", camera, cost_s, extra={"camera": camera}
            )

    def _part(self, session: Session) -> None:
        """Let a camera go. What is recorded of it is completed meanwhile, as others do not wait for that."""
        self._recorders = [recorder for recorder in self._recorders if recorder.is_recording]
        if session.recorder:
            with _logged("a recording could not be completed"):
                session.recorder.finish()
            self._recorders.append(session.recorder)


@dataclass(frozen=True, slots=True)
class _Cost:
    """How long the last frame of a camera took, and by how much those in a row that were slow took too long together, in seconds."""

    last_s: float
    excess_s: float


@dataclass(slots=True, eq=False)
class _Apart:
    """At what a thread is, while another one serves the other cameras; and what could not be done for that camera meanwhile."""

    work: Work[Session]
    is_given_up: bool = False
    put_off: list[Work[Session]] = field(default_factory=list)


@contextmanager
def _logged(what: str) -> Iterator[None]:
    """What fails in it is logged, and no more."""
    try:
        yield
    except Exception:
        logger.exception(what)
