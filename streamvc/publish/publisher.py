"""Publishes events over ZeroMQ: numbers each, keeps it in the log, and then sends it. One thread owns the sockets."""

import logging
import socket
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Self

from streamvc.errors import PublishError
from streamvc.events import Event, Health, Heartbeat, Media, State
from streamvc.links import existing
from streamvc.publish import wire
from streamvc.publish.arguments import AnyPath, read_optional_path, require_number, require_type
from streamvc.publish.buffered_log import PATIENCE_S, BufferedLog
from streamvc.publish.cloudevents import decode, encode
from streamvc.publish.database import LogUnavailable
from streamvc.publish.last_value_cache import CACHED_KINDS, LastValueCache
from streamvc.publish.log import EventLog
from streamvc.publish.replay_service import ReplayService
from streamvc.publish.server import Server, ServerSockets
from streamvc.publish.sockets import ENDPOINT, QUEUE_SIZE, is_public
from streamvc.publish.state_tracker import StateTracker
from streamvc.threads import ChannelClosed, Lock, Mailbox, Worker

logger = logging.getLogger(__name__)

HEARTBEAT_S = 1.0
MIN_HEARTBEAT_S = 0.01
WAIT_S = 2 * PATIENCE_S  # of whoever publishes, for the log to take it or to be given up for the time being
KINDS: dict[type[Event | State | Health], wire.Kind] = {Event: "event", State: "state", Health: "health"}


class Publisher:
    """Sends events to whoever subscribes, from now until `close`.

    `publish` returns when the event is in the log and on its way, and waits for no subscriber. A subscriber that falls `queue_size` messages behind
    loses the newest ones, sees the gap in the sequence and can request them; other subscribers lose nothing. The same holds for `report`. Both may be
    called from any thread.

    Activities that an earlier run has left without an end (it was killed) are ended at the start, with the reason `restart`. The log is written by a
    thread of its own. While it takes nothing (it is locked, full, damaged, its disk does not answer), events are published all the same, and written
    as soon as they can be; a `health` message of the node says `degraded` meanwhile. `publish` waits 0.3 s at most for a log that begins to fail, and
    not at all for one that has failed; with `wait=False` it never waits.

    Attributes:
        endpoint: The address bound, with the real port where free ones were asked for (`tcp://127.0.0.1:*`).
        node: This machine's name.
        log: Where all that is published is kept.
        kept: The same, with what still waits in memory to be written: what sinks read.
        epoch: The number of this run, greater than that of all runs before.
    """

    def __init__(
        self,
        endpoint: str = ENDPOINT,
        *,
        site: str = "site",
        node: str | None = None,
        queue_size: int = QUEUE_SIZE,
        log: EventLog | AnyPath | None = None,
        keys: AnyPath | None = None,
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
            TypeError: An argument is of the wrong type.
        """
        for name, text in (("endpoint", endpoint), ("site", site), ("node", node or "")):
            require_type(name, text, str)
        require_type("queue_size", queue_size, int)
        require_number("queue_size", queue_size, 1)
        require_number("heartbeat_s", heartbeat_s, MIN_HEARTBEAT_S)
        folder = read_optional_path("keys", keys)
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
        self._num_heartbeats = 0
        self._num_dropped = 0
        self._heartbeat_s = heartbeat_s
        with ExitStack() as opened:
            self.log, problem = (log, None) if isinstance(log, EventLog) else _open_log(read_optional_path("log", log))
            if self.log is not log:
                opened.callback(self.log.close)
            self.epoch = self.log.epoch
            self._sequences = dict(self.log.sequences)
            self._sent: Future[None] | None = None  # of the last message
            self.kept = BufferedLog(self.log, problem, send=self._send)
            messages = [message for kind in CACHED_KINDS for message in self.log.last(kind)]
            bodies = list(_decoded(messages))
            healths = [body for body in bodies if isinstance(body, Health)]
            self._cache = LastValueCache(self.log.sequences, messages)
            self._states = StateTracker(body for body in bodies if isinstance(body, State))
            self._has_told = any(health.status == "degraded" and health.camera == self.node for health in healths)
            sockets = ServerSockets.open(endpoint, queue_size, folder)
            self.endpoint = sockets.bound.endpoint
            self._outbox: Mailbox[list[bytes]] = Mailbox(queue_size)
            replay = ReplayService(self._site, self.node, self.epoch, self._cache, self.kept.since, self.log.knows)
            reopen = partial(ServerSockets.open, self.endpoint, queue_size, folder)
            self._server = Server(sockets, reopen, self._outbox, replay, self._heartbeat, heartbeat_s, self._attend)
            with self._lock:  # what the thread of the sockets has to tell comes after that
                opened.callback(Worker("publish", self._server.run, self._outbox.close).start().close)
                opened.callback(self.kept.close)
                self._begin(healths)
            _await(self._sent)
            self._opened = opened.pop_all()

    @property
    def problem(self) -> str | None:
        """Why the log cannot be written, or nobody can subscribe; None while all is well."""
        return self.kept.problem or self._server.problem

    @property
    def num_dropped(self) -> int:
        """Messages that found the outbox full. Subscribers see a gap in the sequence, and can request them."""
        return self._num_dropped

    def publish(self, event: Event, *, wait: bool = True) -> None:
        """Number an event, write it to the log, and send it; the camera's state too, where the event changes it.

        Args:
            event: The event.
            wait: Return when that is done; else at once.

        Raises:
            PublishError: A value of the event is not of its type, a name is empty, or the publisher is closed.
            TypeError: This is not an event.
        """
        require_type("what is published", event, Event)
        with self._lock:
            self._put(event, event.label)
            self._put_state(self._states.take_event(event))
            sent = self._sent
        if wait:
            _await(sent)

    def report(self, health: Health, *, wait: bool = True) -> None:
        """Publish the health of a camera in the same way, and its state where that changes.

        Raises:
            PublishError: A value is not of its type, a name is empty, or the publisher is closed.
            TypeError: This is not health.
        """
        require_type("what is reported", health, Health)
        with self._lock:
            self._put(health)
            self._put_state(self._states.take_health(health))
            sent = self._sent
        if wait:
            _await(sent)

    def flush(self) -> None:
        """Wait until all that was published so far is in the log and on its way; not long where the log takes nothing."""
        _await(self._sent)

    def wait_for_subscriber(self, timeout_s: float) -> bool:
        """Wait until somebody is subscribed; False where nobody is after so many seconds."""
        try:
            self._server.subscribed.result(timeout_s)
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        """Send what was published, and release the endpoint. Takes two seconds at most for a subscriber that does not take its messages, and as many
        for a log that takes none: how many were lost to it is logged.
        """
        with self._lock:
            self._closed = True
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self, healths: Iterable[Health]) -> None:
        """End what earlier runs have left without an end; no activity goes on, and no camera is up, until that is published anew."""
        for event in self.log.unended:
            duration_s = event.duration_s or 0.0
            t_end = None if event.t_start is None else event.t_start + duration_s
            ended = replace(event, phase="end", t_end=t_end, stream_end_s=event.stream_start_s + duration_s, duration_s=duration_s)
            media = Media(existing(event.media.snapshot), existing(event.media.clip))  # a clip was not completed, perhaps
            self.publish(replace(ended, reason="restart", media=media), wait=False)
        for state in self._states.clear():
            self._put_state(state)
        for health in healths:
            if health.status in ("up", "stalled", "frozen") and health.camera != self.node:
                self.report(replace(health, status="down", reason="restart"), wait=False)

    def _put(self, body: Event | State | Health, label: str = wire.NO_LABEL) -> None:
        """Number a message, to be kept and sent, in this order; `_sent` is done then."""
        if self._closed:
            raise PublishError(f"the publisher on {self.endpoint} is closed")
        kind = KINDS[type(body)]
        sequence = self._sequences.get((body.camera, kind), 0) + 1
        now = time.time()
        text = encode(self._numbered(body, sequence, now), site=self._site, node=self.node, time=now)
        message = wire.Message(wire.Topic(self._site, body.camera, kind, label), sequence, self.epoch, text)
        wire.join(message)  # what cannot be sent is refused now, and leaves no hole
        self._sequences[body.camera, kind] = sequence
        self._sent = self.kept.write(message, body if isinstance(body, Event) else None)

    def _send(self, message: wire.Message) -> None:
        """Send a message, in the order of the numbers. Called by one thread at a time; never waits."""
        with suppress(ChannelClosed):  # then it is in the log alone
            if not self._outbox.offer(wire.join(message)):
                self._num_dropped += 1
                logger.warning("dropped %s %d of camera %s: too many wait to be sent", message.topic.kind, message.sequence, message.topic.camera)
        # Last of all: a heartbeat must not name a message that is not yet on its way.
        self._cache.add(message)

    def _numbered(self, body: Event | State | Health, sequence: int, now: float) -> Event | State | Health:
        if not isinstance(body, Event):
            return replace(body, seq=sequence, epoch=self.epoch)
        # The wall clock may have been set back since the capture.
        timing = replace(body.timing, published_s=max(now - body.timing.capture, body.timing.decided_s))
        return replace(body, timing=timing, seq=sequence, epoch=self.epoch)

    def _put_state(self, state: State | None) -> None:
        if state is not None:
            self._put(state)

    def _attend(self) -> float:
        """Send what has waited too long for the log, and tell of it; the next moment to do so. Called by the thread of the sockets."""
        due_s = self.kept.release(time.monotonic())
        self._report_problem()
        return due_s

    def _report_problem(self) -> None:
        """Publish that something is wrong with the publisher itself, or is right again."""
        problem = self.problem
        if (problem is not None) == self._has_told:
            return
        with self._lock:
            if not self._closed:
                self._has_told = problem is not None
                self._put(Health(self.node, "degraded" if problem else "up", None, problem, None, None, 0, None, None))

    def _heartbeat(self) -> list[bytes]:
        """The next heartbeat. Called by the thread of the sockets."""
        self._num_heartbeats += 1
        heartbeat = Heartbeat(self.node, self.epoch, self._heartbeat_s, self._cache.sequences())
        text = encode(heartbeat, site=self._site, node=self.node, time=time.time())
        return wire.join(wire.Message(wire.Topic(self._site, self.node, "heartbeat", wire.NO_LABEL), self._num_heartbeats, self.epoch, text))


def _await(sent: Future[None] | None) -> None:
    if sent is not None:
        with suppress(TimeoutError):  # it is on its way as soon as the thread of the sockets has a moment
            sent.result(WAIT_S)


def _open_log(path: Path | None) -> tuple[EventLog, str | None]:
    """The log; and where it could not be opened and is only in memory, the reason."""
    try:
        return EventLog(path), None
    except LogUnavailable as error:
        logger.error("events are published but only kept in memory, until streamvc is started again: %s", error)
        return EventLog(), str(error)


def _decoded(messages: Iterable[wire.Message]) -> Iterator[object]:
    """The bodies of the messages, without those that this version does not know."""
    for message in messages:
        with suppress(PublishError):
            yield decode(message.body)
