"""Publishes events over ZeroMQ. One thread owns the socket."""

import logging
import socket
import time
from concurrent.futures import Future
from dataclasses import replace
from typing import Self

import zmq

from streamvc.errors import PublishError
from streamvc.events import Event
from streamvc.publish import wire
from streamvc.publish.cloudevents import encode
from streamvc.publish.sockets import ENDPOINT, QUEUE_SIZE, bind_publisher
from streamvc.threads import ChannelClosed, Mailbox, Worker

logger = logging.getLogger(__name__)


class Publisher:
    """Sends events to whoever subscribes, from now until `close`.

    `publish` never waits. A subscriber that falls `queue_size` messages behind loses the newest ones and sees a hole in the sequence; the others are
    not touched. What was published before a subscriber joined does not reach it: see `wait_for_subscriber`.

    Attributes:
        endpoint: The address bound, with the real port where a free one was asked for (`tcp://127.0.0.1:*`).
    """

    def __init__(self, endpoint: str = ENDPOINT, *, site: str = "site", node: str | None = None, queue_size: int = QUEUE_SIZE) -> None:
        """Bind and start.

        Args:
            endpoint: `tcp://ADDRESS:PORT` or `ipc://PATH`.
            site: First part of topics and event sources.
            node: This machine's name in event sources; its host name if not given.
            queue_size: Messages held for each subscriber.

        Raises:
            PublishError: The endpoint cannot be bound, or a name is empty.
        """
        self._site = site
        self._node = node or socket.gethostname() or "node"
        for name in (self._site, self._node):
            wire.escape(name)
        # Milliseconds, so that a program that is restarted within a second still gets a new one.
        self._epoch = time.time_ns() // 1_000_000
        self._sequences: dict[str, int] = {}
        self._num_dropped = 0
        self._subscribed: Future[None] = Future()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        try:
            # Made here, for its errors to be raised here; from now on it is the thread's alone.
            self._socket = bind_publisher(self._context, endpoint, queue_size)
        except PublishError:
            self._context.term()
            raise
        self.endpoint = self._socket.get_string(zmq.LAST_ENDPOINT).rstrip("\0")
        self._outbox: Mailbox[list[bytes]] = Mailbox(queue_size)
        self._worker = Worker("publish", self._send_all, self._outbox.close).start()

    @property
    def num_dropped(self) -> int:
        """Events that found the outbox full. Subscribers see them as holes."""
        return self._num_dropped

    def publish(self, event: Event) -> None:
        """Number an event and send it. Returns at once; the events of one camera come from one thread.

        Raises:
            PublishError: A value of the event is not of its type, a name is empty, or the publisher is closed.
        """
        now = time.time()
        sequence = self._sequences.get(event.camera, 0) + 1
        # The wall clock may have been set back since the capture.
        timing = replace(event.timing, published_s=max(now - event.timing.capture, event.timing.decided_s))
        event = replace(event, timing=timing, seq=sequence, epoch=self._epoch)
        topic = wire.Topic(self._site, event.camera, "event", event.label)
        message = wire.Message(topic, sequence, self._epoch, encode(event, site=self._site, node=self._node, time=now))
        parts = wire.join(message)
        self._sequences[event.camera] = sequence
        try:
            if not self._outbox.offer(parts):
                self._num_dropped += 1
                logger.warning("dropped event %d of camera %s: too many wait to be sent", sequence, event.camera)
        except ChannelClosed as error:
            raise PublishError(f"the publisher on {self.endpoint} is closed") from error

    def wait_for_subscriber(self, timeout_s: float) -> bool:
        """Wait until somebody is subscribed; False where nobody is after so many seconds."""
        try:
            self._subscribed.result(timeout_s)
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        """Send what was published, and release the endpoint. Takes two seconds at most for a subscriber that does not take its messages."""
        self._worker.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _send_all(self) -> None:
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._outbox.fileno(), zmq.POLLIN)
        num_subscriptions = 0
        try:
            while True:
                poller.poll()
                num_subscriptions = self._note_subscriptions(num_subscriptions)
                for parts in self._outbox.take():
                    self._socket.send_multipart(parts)
        except zmq.ZMQError as error:
            raise PublishError(f"cannot publish on {self.endpoint} any more: {zmq.strerror(error.errno or 0)}") from error
        finally:
            self._socket.close()
            self._context.term()

    def _note_subscriptions(self, num_subscriptions: int) -> int:
        """Take what subscribers say: a byte, 1 to subscribe and 0 to leave, then the topic. Anybody may connect and say anything."""
        while self._socket.poll(0):
            said, *_ = self._socket.recv_multipart()
            # ZeroMQ tells each topic once: at its first subscriber, and when its last has left.
            num_subscriptions += {b"\1": 1, b"\0": -1}.get(said[:1], 0)
        if num_subscriptions > 0 and not self._subscribed.done():
            self._subscribed.set_result(None)
        elif num_subscriptions <= 0 and self._subscribed.done():
            self._subscribed = Future()
        return num_subscriptions
