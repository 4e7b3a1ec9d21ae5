"""Publishes events over ZeroMQ: numbers each, keeps it in the log, and then sends it. One thread owns the sockets."""

import logging
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Self

from streamvc.errors import PublishError
from streamvc.events import Event, Health, Heartbeat, State, Status
from streamvc.publish import wire
from streamvc.publish.cloudevents import decode, encode
from streamvc.publish.database import LogUnavailable
from streamvc.publish.journal import Journal
from streamvc.publish.log import EventLog
from streamvc.publish.present import KEPT, Present
from streamvc.publish.requests import Desk
from streamvc.publish.server import Server, Stand
from streamvc.publish.sockets import ENDPOINT, QUEUE_SIZE, is_public
from streamvc.publish.states import States
from streamvc.threads import ChannelClosed, Lock, Mailbox, Worker

logger = logging.getLogger(__name__)

HEARTBEAT_S = 1.0
KINDS: dict[type[Event | State | Health], wire.Kind] = {Event: "event", State: "state", Health: "health"}


class Publisher:
    """Sends events to whoever subscribes, from now until `close`.

    `publish` returns when the event is in the log, and waits for no subscriber. One that falls `queue_size` messages behind loses the newest ones,
    sees the hole in the sequence and can ask for what is in it; the others are not touched. The same holds for `report`. Both may be called from any
    thread.

    Whatever a run before left without an end (it was killed) is ended at the start, with the reason `restart`. When the log cannot be written, events
    are published all the same, and written as soon as it can be; a `health` message of the node says `degraded` meanwhile.

    Attributes:
        endpoint: The address bound, with the real port where free ones were asked for (`tcp://127.0.0.1:*`).
        node: This machine's name.
        log: Where all that is published is kept.
        epoch: The number of this run, greater than that of all runs before.
    """

    def __init__(
        self,
        endpoint: str = ENDPOINT,
        *,
        site: str = "site",
        node: str | None = None,
        queue_size: int = QUEUE_SIZE,
        log: EventLog | Path | None = None,
        keys: Path | None = None,
        insecure: bool = False,
        heartbeat_s: float = HEARTBEAT_S,
    ) -> None:
        """Bind and start.

        Args:
            endpoint: `tcp://ADDRESS:PORT` or `ipc://PATH`. The next two ports are taken too: for requests, and for readers who only want the latest.
            site: First part of topics and event sources.
            node: This machine's name in event sources; its host name if not given.
            queue_size: Messages held for each subscriber.
            log: The log, or its file; in memory if not given.
            keys: The folder of keys: only who has one of them can subscribe, encrypted.
            insecure: Other machines may subscribe without a key.
            heartbeat_s: Seconds between heartbeats.

        Raises:
            PublishError: The endpoint cannot be bound, or other machines could reach it without a key; somebody else writes the log; a name is empty.
        """
        self._site = site
        self.node = node or socket.gethostname() or "node"
        for name in (self._site, self.node):
            wire.escape(name)
        if keys is None and not insecure and is_public(endpoint):
            raise PublishError(
                f"other machines could read the events on {endpoint}: name a folder of keys (`streamvc keys new NAME` makes it), or say `insecure`"
            )
        self._lock = Lock()
        self._closed = False
        self._num_beats = 0
        self._num_dropped = 0
        self._heartbeat_s = heartbeat_s
        with ExitStack() as opened:
            self.log, problem = (log, None) if isinstance(log, EventLog) else _open_log(log)
            if self.log is not log:
                opened.callback(self.log.close)
            self.epoch = self.log.epoch
            self._journal = Journal(self.log, problem)
            messages = [message for kind in KEPT for message in self.log.last(kind)]
            bodies = list(_decoded(messages))
            healths = [body for body in bodies if isinstance(body, Health)]
            self._present = Present(self.log.sequences, messages)
            self._states = States(body for body in bodies if isinstance(body, State))
            self._degraded = any(health.status == "degraded" and health.camera == self.node for health in healths)
            stand = Stand.open(endpoint, queue_size, keys)
            self.endpoint = stand.sockets.endpoint
            self._outbox: Mailbox[list[bytes]] = Mailbox(queue_size)
            desk = Desk(self._site, self.node, self.epoch, self._present, self._journal.since, self.log.knows)
            self._server = Server(stand, partial(Stand.open, self.endpoint, queue_size, keys), self._outbox, desk, self._beat, heartbeat_s)
            opened.callback(Worker("publish", self._server.run, self._outbox.close).start().close)
            with self._lock:
                self._begin(healths)
            self._opened = opened.pop_all()

    @property
    def problem(self) -> str | None:
        """Why the log cannot be written; None while it can."""
        return self._journal.problem

    @property
    def num_dropped(self) -> int:
        """Messages that found the outbox full. Subscribers see them as holes, and can ask for them."""
        return self._num_dropped

    @property
    def statuses(self) -> Mapping[str, Status | None]:
        """How each camera was said to be last, also by runs before; None where nothing was said."""
        with self._lock:
            return self._states.statuses

    def publish(self, event: Event) -> None:
        """Number an event, write it to the log, and send it; the camera's state too, where the event changes it.

        Raises:
            PublishError: A value of the event is not of its type, a name is empty, or the publisher is closed.
        """
        with self._lock:
            self._put(event, event.label)
            self._put_state(self._states.take_event(event))
            self._tell_problem()

    def report(self, health: Health) -> None:
        """Publish how a camera is; the same way, and its state too.

        Raises:
            PublishError: A value is not of its type, a name is empty, or the publisher is closed.
        """
        with self._lock:
            self._put(health)
            self._put_state(self._states.take_health(health))
            self._tell_problem()

    def wait_for_subscriber(self, timeout_s: float) -> bool:
        """Wait until somebody is subscribed; False where nobody is after so many seconds."""
        try:
            self._server.subscribed.result(timeout_s)
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        """Send what was published, and release the endpoint. Takes two seconds at most for a subscriber that does not take its messages."""
        with self._lock:
            self._closed = True
            self._journal.close()
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self, healths: Iterable[Health]) -> None:
        """Say of what runs before have left unended that it is over: nothing goes on, and no camera is up, until it says so."""
        for event in self.log.unended:
            duration_s = event.duration_s or 0.0
            t_end = None if event.t_start is None else event.t_start + duration_s
            ended = replace(event, phase="end", t_end=t_end, stream_end_s=event.stream_start_s + duration_s, duration_s=duration_s)
            self.publish(replace(ended, reason="restart"))
        for state in self._states.clear():
            self._put_state(state)
        for health in healths:
            if health.status in ("up", "stalled", "frozen") and health.camera != self.node:
                self.report(replace(health, status="down", reason="restart"))
        self._tell_problem()

    def _put(self, body: Event | State | Health, label: str = wire.NO_LABEL) -> None:
        """Number a message, keep it, and send it, in this order."""
        if self._closed:
            raise PublishError(f"the publisher on {self.endpoint} is closed")
        kind = KINDS[type(body)]
        sequence = self._present.next_sequence(body.camera, kind)
        now = time.time()
        text = encode(self._numbered(body, sequence, now), site=self._site, node=self.node, time=now)
        message = wire.Message(wire.Topic(self._site, body.camera, kind, label), sequence, self.epoch, text)
        parts = wire.join(message)
        self._journal.write(message, body if isinstance(body, Event) else None)
        try:
            if not self._outbox.offer(parts):
                self._num_dropped += 1
                logger.warning("dropped %s %d of camera %s: too many wait to be sent", kind, sequence, body.camera)
        except ChannelClosed as error:
            raise PublishError(f"the publisher on {self.endpoint} is closed") from error
        # Last of all: a heartbeat must not tell of what is not yet on its way.
        self._present.step(message)

    def _numbered(self, body: Event | State | Health, sequence: int, now: float) -> Event | State | Health:
        if not isinstance(body, Event):
            return replace(body, seq=sequence, epoch=self.epoch)
        # The wall clock may have been set back since the capture.
        timing = replace(body.timing, published_s=max(now - body.timing.capture, body.timing.decided_s))
        return replace(body, timing=timing, seq=sequence, epoch=self.epoch)

    def _put_state(self, state: State | None) -> None:
        if state is not None:
            self._put(state)

    def _tell_problem(self) -> None:
        """Publish that the log cannot be written, or can again."""
        problem = self._journal.problem
        if (problem is not None) == self._degraded:
            return
        self._degraded = problem is not None
        self._put(Health(self.node, "degraded" if problem else "up", None, problem, None, None, 0, None, None))

    def _beat(self) -> list[bytes]:
        """A heartbeat; for the thread of the sockets."""
        if self._lock.acquire(blocking=False):  # whoever has it is about to write, and tries again himself
            try:
                if not self._closed:
                    self._journal.retry()
                    self._tell_problem()
            finally:
                self._lock.release()
        self._num_beats += 1
        beat = Heartbeat(self.node, self.epoch, self._heartbeat_s, self._present.sequences())
        text = encode(beat, site=self._site, node=self.node, time=time.time())
        return wire.join(wire.Message(wire.Topic(self._site, self.node, "heartbeat", wire.NO_LABEL), self._num_beats, self.epoch, text))


def _open_log(path: Path | None) -> tuple[EventLog, str | None]:
    """The log, and why it is only in memory where that was not asked for."""
    try:
        return EventLog(path), None
    except LogUnavailable as error:
        logger.error("events are published but only kept in memory, until streamvc is started again: %s", error)
        return EventLog(), str(error)


def _decoded(messages: Iterable[wire.Message]) -> Iterator[object]:
    """What is in the messages, as far as this version knows it."""
    for message in messages:
        with suppress(PublishError):
            yield decode(message.body)
