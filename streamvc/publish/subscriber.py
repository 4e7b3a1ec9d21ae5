"""Reads the events that somebody publishes over ZeroMQ, and notices what is missing."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Self

import zmq

from streamvc.errors import PublishError
from streamvc.events import Event
from streamvc.publish import wire
from streamvc.publish.cloudevents import decode
from streamvc.publish.holes import Hole, SequenceCheck
from streamvc.publish.sockets import ENDPOINT, QUEUE_SIZE, connect_subscriber
from streamvc.threads import ChannelClosed, Mailbox

logger = logging.getLogger(__name__)


class Subscriber:
    """Iterate over it for the events, as they come.

        with streamvc.Subscriber(cameras=["front_door"]) as events:
            for event in events:
                print(event.phase, event.label)

    It connects by itself, and again when the publisher comes back. A message that is not an event is logged and skipped.

    Attributes:
        endpoint: Where it listens.
        num_missing: Events of the chosen cameras, of any label, that were published and did not arrive.
        num_malformed: Messages that were skipped.
        body: The JSON of the last event, as it was sent.
    """

    def __init__(
        self,
        endpoint: str = ENDPOINT,
        *,
        cameras: Sequence[str] | None = None,
        labels: Sequence[str] | None = None,
        site: str | None = None,
        on_hole: Callable[[Hole], None] | None = None,
        timeout_s: float | None = None,
        queue_size: int = QUEUE_SIZE,
    ) -> None:
        """Subscribe.

        Args:
            endpoint: `tcp://ADDRESS:PORT` or `ipc://PATH`.
            cameras: Only these; all if not given.
            labels: Only these; all if not given. They are chosen here and not by the publisher, so that no hole goes unseen.
            site: Only this; all if not given.
            on_hole: Is called with each hole, before the event behind it is returned; holes are logged in any case.
            timeout_s: The iteration ends after so many seconds without an event; without it, only `close` ends it.
            queue_size: Messages held while this program is busy.

        Raises:
            PublishError: This is not an endpoint, or a name is empty.
        """
        self.endpoint = endpoint
        self.num_missing = 0
        self.num_malformed = 0
        self.body = b""
        self._cameras = _chosen(cameras)
        self._labels = _chosen(labels)
        self._site = site
        self._on_hole = on_hole
        self._timeout_s = timeout_s
        self._check = SequenceCheck()
        prefixes = {wire.subscription(site, camera, "event") for camera in self._cameras} if site and self._cameras else {wire.subscription(site)}
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        try:
            socket = connect_subscriber(self._context, endpoint, queue_size)
        except PublishError:
            self._context.term()
            raise
        for prefix in prefixes:
            socket.subscribe(prefix)
        self._closing: Mailbox[None] = Mailbox(1)
        self._poller = zmq.Poller()
        self._poller.register(socket, zmq.POLLIN)
        self._poller.register(self._closing.fileno(), zmq.POLLIN)
        # A socket is not thread-safe. Whoever takes it out of here, and only he, may use it: the reader, or the one who closes it.
        self._idle: deque[zmq.Socket[bytes]] = deque([socket])
        self._closed = False

    def receive(self, timeout_s: float | None = None) -> Event | None:
        """The next event; None where there was none for so many seconds, or the subscriber was closed.

        Raises:
            PublishError: Another thread is reading.
        """
        try:
            socket = self._idle.pop()
        except IndexError:
            if self._closed:
                return None
            raise PublishError(f"another thread reads from {self.endpoint}; make a subscriber for each") from None
        try:
            return self._next_event(socket, timeout_s)
        finally:
            self._idle.append(socket)
            if self._closed:
                self._release()

    def close(self) -> None:
        """End the subscription, and an iteration that goes on in another thread."""
        self._closed = True
        self._closing.close()
        self._release()

    def __iter__(self) -> Iterator[Event]:
        while (event := self.receive(self._timeout_s)) is not None:
            yield event

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _release(self) -> None:
        try:
            socket = self._idle.pop()
        except IndexError:
            return  # a reader has it, and is about to come here
        socket.close()
        self._context.term()
        with suppress(ChannelClosed):
            self._closing.take()

    def _next_event(self, socket: zmq.Socket[bytes], timeout_s: float | None) -> Event | None:
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            ready = dict(self._poller.poll(None if deadline is None else max(0, round(1000 * (deadline - time.monotonic())))))
            if self._closed or not ready:
                return None
            event = self._event(socket.recv_multipart())
            if event is not None or (deadline is not None and time.monotonic() >= deadline):
                return event

    def _event(self, parts: list[bytes]) -> Event | None:
        """The event in a message, if it is one and one that was asked for."""
        try:
            message = wire.split(parts)
            if not self._wants(message.topic):
                return None
            self._report_hole(self._check.step(message))
            event = decode(message.body)
        except PublishError as error:
            self.num_malformed += 1
            logger.warning("skipped a message from %s: %s", self.endpoint, error)
            return None
        if self._labels and event.label not in self._labels:
            return None
        self.body = message.body
        return event

    def _wants(self, topic: wire.Topic) -> bool:
        return topic.kind == "event" and (self._site is None or topic.site == self._site) and (not self._cameras or topic.camera in self._cameras)

    def _report_hole(self, hole: Hole | None) -> None:
        if hole is None:
            return
        self.num_missing += hole.num_missing
        logger.warning("missed %d events of camera %s (%d to %d)", hole.num_missing, hole.camera, hole.first, hole.last)
        if self._on_hole is not None:
            self._on_hole(hole)


def _chosen(names: Sequence[str] | None) -> frozenset[str]:
    """The names as a set; a single string is one name, not its letters. An empty set means all."""
    return frozenset([names] if isinstance(names, str) else names or ())
