"""One camera, as the hub knows it: its life, its decoder, and what has come of it."""

import logging
import math
import selectors
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from streamvc.capture.address import redact
from streamvc.capture.messages import Arrived, CaptureSettings, Finished, Opened
from streamvc.errors import AccessError, SourceError
from streamvc.events import Health, Reason, Status
from streamvc.health import STALL_S, HealthReporter
from streamvc.node.connection import DecoderConnection, too_far_apart
from streamvc.node.decoder import OpenDecoder
from streamvc.node.lifecycle import APART_S, Kill, Lifecycle, LifecycleState, Start
from streamvc.node.overload import SPAN_S, Demand, Rates, Tally
from streamvc.node.scheduler import Counts, FrameScheduler
from streamvc.node.settings import CameraConfig
from streamvc.node.status import CameraStatus
from streamvc.sampling import GAP_S
from streamvc.session import Session

logger = logging.getLogger(__name__)

FAILED_S = 60.0  # after which a camera whose analysis has failed is tried again

Report = Callable[[Health], None]
Reconnects = Literal["always", "once_up", "never"]

AWAY: set[LifecycleState] = {"lost", "connecting"}  # in turns, until it is there
FAULTS: dict[LifecycleState, Status] = {"stalled": "stalled", "frozen": "frozen", "lost": "down"}


@dataclass(frozen=True, slots=True)
class Plan:
    """A camera that is to be watched.

    Attributes:
        config: How.
        session: With what.
        settings: What its decoders are told.
        worker: Which worker runs the session.
        reconnects: Whether it is connected again when it was lost: `always`, only if it was up before (`once_up`), or `never`. A recording that
            breaks off is, in the latter two cases, at its end.
    """

    config: CameraConfig
    session: Session
    settings: CaptureSettings
    worker: int
    reconnects: Reconnects = "always"


@dataclass(frozen=True, slots=True)
class Channels:
    """What a camera speaks to: what starts decoders, what hears them, what takes frames to the workers, and who is told how it fares."""

    open_decoder: OpenDecoder
    selector: selectors.BaseSelector
    scheduler: FrameScheduler[Session]
    report: Report


@dataclass(frozen=True, slots=True)
class _Rest:
    """The camera is not watched: what is told of that, and the moment from which it may be again."""

    status: Literal["disabled", "ended", "down"]
    reason: Reason
    detail: str
    until: float


class Camera:
    """Watches a camera from `begin` to `stop`. For the hub's thread; `status` may be asked for by any."""

    def __init__(self, plan: Plan, channels: Channels) -> None:
        config = plan.config
        self.name = config.name
        self.was_tried = False  # it has been connected once, or could not be, or is not to be
        self._plan = plan
        self._channels = channels
        self._connection = DecoderConnection(plan.settings, channels.open_decoder, channels.selector, owner=self)
        self._timetable = config.timetable
        self._minute: datetime | None = None  # in which the timetable was last looked at: it knows no shorter times
        self._is_wanted = True
        self._lifecycle = Lifecycle(open_timeout_s=config.open_timeout_s, read_timeout_s=config.read_timeout_s)
        self._rest: _Rest | None = None
        self._reporter = HealthReporter(self.name)
        self._told: LifecycleState = "connecting"
        self._since = 0.0  # of the state that was told, or of its absence
        self._told_apart = False
        self._detail: str | None = None
        self._is_recording = self._was_refused = False  # as far as is known
        self._hung: str | None = None  # why its decoder is being killed
        self._counts = Counts(0, 0, 0, 0, 0)
        self._rates = Rates()
        self._shortage: str | None = None  # for which model there were too few frames, until there were enough for a while
        self._short_at = 0.0

    def begin(self, now: float) -> None:
        """Its frames are wanted from now on; a `step` soon connects it."""
        period_s = 1 / max(self._plan.session.rates_hz)
        self._channels.scheduler.add(self.name, self._plan.session, worker=self._plan.worker, period_s=period_s, priority=self._plan.config.priority)
        self._since = now

    def stop(self, detail: str | None = None) -> None:
        """End it for good, and what goes on there; `detail` says why, in words."""
        self._connection.disconnect()
        self._channels.scheduler.remove(self.name)
        if detail:  # also where it was over before
            self._report(Health(self.name, "ended", "stop", detail, None, None, self._num_dropped, seq=None, epoch=None))
        elif not self.is_over:
            self._report(self._reporter.not_up("ended", self._num_dropped, "stop"))

    @property
    def is_over(self) -> bool:
        """Nothing comes of it any more: it was a recording, or has been given up."""
        return self._rest is not None and self._rest.until == math.inf

    @property
    def failure(self) -> SourceError | None:
        """Why it has been given up; None where it has not, or not because of its source."""
        if not self.is_over or not self._rest or self._rest.reason != "lost":
            return None
        return (AccessError if self._was_refused else SourceError)(f"{self._where}: {self._detail}")

    @property
    def due(self) -> float:
        """When `step` is to be called next, in seconds of `time.monotonic()`."""
        return self._lifecycle.due()

    @property
    def is_connecting(self) -> bool:
        """A decoder of it is at work, and has no picture yet."""
        return self._connection.is_on and self._lifecycle.state == "connecting"

    def step(self, now: float, *, may_connect: bool) -> None:
        """Time has passed: connect where that is due and allowed, and give up a decoder that hangs."""
        match self._lifecycle.step(now):
            case Start() if may_connect:
                self._connect(now)
            case Kill(detail):
                self._hung = detail
                self._connection.kill()
        self._tell()

    def hear(self, now: float) -> None:
        """Take in what its decoder has said."""
        for said in self._connection.receive():
            match said:
                case Opened():
                    self._open(said, now)
                case Arrived():
                    self._take(said, now)
                case Finished():
                    self._finish(said, now)
            self._tell()

    def tick(self, now: float, clock: datetime) -> None:
        """Another second is over: look at the timetable and at the rates. `clock` knows its time zone."""
        self._follow_timetable(now, clock)
        self._counts = self._channels.scheduler.counts(self.name)
        if self._lifecycle.state != "running":
            return
        connection = self._connection
        self._rates.step(now, Tally(connection.received, connection.due, self._plan.session.num_samples, connection.late))
        rate = self._rates.value
        self._note_shortage(now)
        self._report(self._reporter.up(now, rate.received, rate.used, self._num_dropped))

    @property
    def shortage(self) -> str | None:
        """Why there are too few pictures for a model just now, so that nothing is recognised, in words; None where there are enough."""
        shortage, apart_s = self._plan.session.shortage, self._connection.apart_s
        return too_far_apart(apart_s, self._plan.config.decode) if shortage and apart_s > GAP_S else shortage

    def demand(self) -> Demand | None:
        """How often it is to be analysed, and is; None where that is not known for long enough, and nothing is wrong."""
        rate = self._rates.value
        is_known = self._rates.is_settled or self._shortage
        return Demand(self.name, rate.due, rate.used, rate.late, self._shortage) if is_known else None

    def _note_shortage(self, now: float) -> None:
        shortage = self.shortage
        if shortage:
            self._short_at = now
        if shortage or now - self._short_at > SPAN_S:  # frames that are dropped now and then do not make it come and go
            self._shortage = shortage

    def fail(self, now: float, error: Exception) -> None:
        """Its analysis has failed: leave it alone for a while."""
        if not self._rest:
            until = now + FAILED_S if self._plan.reconnects == "always" else math.inf
            words = self._in_words(error, f"camera {self.name}")
            self._lay_down(now, _Rest("down", "error", f"its analysis failed: {type(error).__name__}: {words}", until))

    def status(self, now: float) -> CameraStatus:
        """How it fares; counts and rates are those of the last second."""
        config, session, lifecycle, opened, counts = self._plan.config, self._plan.session, self._lifecycle, self._connection.opened, self._counts
        rate = self._rates.value
        return CameraStatus(
            name=self.name,
            source=redact(config.address),
            models=tuple(use.name for use in config.models),
            priority=config.priority,
            state=lifecycle.state,
            state_s=now - self._since,
            detail=self._detail or self._shortage,
            size=opened.size if opened else None,
            codec=opened.codec if opened else None,
            fps_in=rate.received,
            due_hz=rate.due,
            rate_hz=rate.used,
            received=self._connection.received,
            corrupt=self._connection.corrupt,
            analysed=session.num_samples - session.num_still,
            still=session.num_still,
            dropped={"replaced": counts.shed, "stale": counts.stale, "no_slot": self._connection.unplaced, "late": self._connection.late},
            connections=lifecycle.num_connections,
            gaps=lifecycle.num_gaps,
            deaths=lifecycle.num_deaths,
            memory_bytes=self._connection.memory_bytes(now),
            activities=tuple(detection.label for detection in session.running),
            top=session.top,
        )

    @property
    def problem(self) -> str | None:
        """What it lacks although it is watched, in words."""
        recorder = self._plan.session.recorder
        return f"{self.name}: its recordings are lost: {recorder.problem}" if recorder and recorder.problem else None

    @property
    def _where(self) -> str:
        """What errors call its source; see `capture.address`."""
        address = self._plan.config.address
        return f"camera {address}" if address.isdecimal() else redact(address)

    @property
    def num_frames(self) -> int | None:
        """How many frames a recording holds, as announced; None where that is unknown."""
        opened = self._connection.opened
        return opened.num_frames if opened else None

    @property
    def _num_dropped(self) -> int:
        return self._counts.shed + self._counts.stale + self._connection.unplaced + self._connection.late

    def _connect(self, now: float) -> None:
        self._lifecycle.started(now)
        if failed := self._connection.connect():
            self._finish(failed, now)

    def _open(self, said: Opened, now: float) -> None:
        if self._connection.num_sizes > 1:
            self._channels.scheduler.end(self.name, "gap")
        self._is_recording = not said.is_live
        self._channels.scheduler.keep_all(self.name, said.policy == "every")
        self._lifecycle.opened(now, said.silence_s)

    def _take(self, said: Arrived, now: float) -> None:
        absence = said.due.absence
        if absence == "same":
            self._lifecycle.answered(now)
            return
        if absence == "late":
            self._lifecycle.heard(now)
            return
        self._lifecycle.arrived(now, absence == "frozen")
        self._tell()  # what is true of it is told before what it shows
        if absence != "frozen":
            self._channels.scheduler.offer(self.name, said)

    def _finish(self, said: Finished, now: float) -> None:
        if said.reason != "end_of_stream":
            words = self._in_words(said.detail, self._where, self.name)
            self._detail, self._hung, self._was_refused = self._hung or words, None, said.reason == "refused"
            self._lifecycle.finished(now, said.reason)
            if self._is_given_up:
                self._lay_down(now, _Rest("down", "lost", self._detail, math.inf))
        elif self._plan.config.loop:
            self._channels.scheduler.end(self.name, "gap")
            self._lifecycle.disable(now)
            self._lifecycle.enable(now)
        else:
            self._lay_down(now, _Rest("ended", "end_of_stream", "the recording is over", math.inf))

    def _in_words(self, problem: object, *names: str) -> str:
        """A problem without secrets, and without what the camera is called in front: whoever is told knows that."""
        words = redact(str(problem), self._plan.config.address)
        for name in names:
            words = words.removeprefix(f"{name}: ")
        return words

    @property
    def _is_given_up(self) -> bool:
        reconnects = self._plan.reconnects
        return reconnects == "never" or (reconnects == "once_up" and (self._is_recording or not self._lifecycle.num_connections))

    def _follow_timetable(self, now: float, clock: datetime) -> None:
        minute = clock.replace(second=0, microsecond=0)
        if minute != self._minute:
            self._minute = minute
            self._is_wanted = self._plan.config.enabled and self._timetable.is_open(clock)
        if not self._rest and not self._is_wanted:
            detail = "it is not watched at this time" if self._plan.config.enabled else "it is disabled in the configuration"
            self._lay_down(now, _Rest("disabled", "stop", detail, now))
        elif self._rest and self._is_wanted and now >= self._rest.until:
            self._rest = self._detail = None
            self._lifecycle.enable(now)
            self._tell()

    def _lay_down(self, now: float, rest: _Rest) -> None:
        self._rest, self._detail, self._shortage = rest, rest.detail, None
        self._rates.clear()
        self._connection.disconnect()
        self._lifecycle.disable(now)
        self._channels.scheduler.end(self.name, rest.reason)
        self._told, self._since, self.was_tried = "disabled", now, True
        self._report(self._reporter.not_up(rest.status, self._num_dropped, rest.reason, rest.detail))

    def _tell(self) -> None:
        """See to what follows from another state of its life."""
        before, self._told = self._told, self._lifecycle.state
        if before == self._told:
            return
        self.was_tried = self.was_tried or self._told != "connecting"
        if before == "running":
            self._rates.clear()
            self._shortage = None
        if not {before, self._told} <= AWAY:
            self._since = self._lifecycle.since
        if self._told in FAULTS:
            self._tell_fault(FAULTS[self._told])
        elif self._told == "running":
            self._detail = None

    def _tell_fault(self, status: Status) -> None:
        """What has been seen is void: end what goes on, and say why."""
        self._channels.scheduler.end(self.name, "gap")
        match status:
            case "stalled":
                self._detail = f"no picture has come for {STALL_S:g} s"
            case "frozen":
                self._detail = f"the picture has not changed for {self._plan.config.frozen_s:g} s"
        if self._lifecycle.is_set_apart and not self._told_apart:  # that it is down may have been told before
            self._detail = f"its stream kills decoders, it is tried again every {APART_S / 60:g} minutes: {self._detail}"
            self._report(Health(self.name, status, "gap", self._detail, None, None, self._num_dropped, seq=None, epoch=None))
        else:
            self._report(self._reporter.not_up(status, self._num_dropped, "gap", self._detail))
        self._told_apart = self._lifecycle.is_set_apart

    def _report(self, health: Health | None) -> None:
        if health is None:
            return
        if health.fps_in is None:  # else it is up, as before
            # Of one that is given up, whoever watches it alone hears by an error.
            level = logging.WARNING if health.status in FAULTS.values() and not self.is_over else logging.INFO
            logger.log(level, "%s is %s%s", self.name, health.status, f": {health.detail}" if health.detail else "", extra={"camera": self.name})
        self._channels.report(health)
