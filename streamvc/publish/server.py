"""The publisher's thread and the sockets it owns: sends what is published, greets who joins, answers requests, and beats."""

import logging
import math
import time
from collections.abc import Callable, Container, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import zmq

from streamvc.errors import PublishError
from streamvc.publish import wire
from streamvc.publish.authentication import Authenticator, secure_server
from streamvc.publish.requests import Desk
from streamvc.publish.sockets import Context, PublisherSockets, Socket, bind_publisher, plain
from streamvc.threads import ChannelClosed, Mailbox

logger = logging.getLogger(__name__)

Parts = list[bytes]

GREET_S = 0.1  # who joins within this time is greeted together, as everybody who is subscribed hears it
NUM_HEARD = 1_000  # subscriptions taken in one go
GATHER_S = 0.001  # what is published within this time of the last sending is sent together: each waking costs those who publish as much as an event


@dataclass(frozen=True, slots=True, eq=False)
class Stand:
    """The bound sockets, their context and, where there are keys, the one who says which clients may connect."""

    context: Context
    sockets: PublisherSockets
    authenticator: Authenticator | None

    @classmethod
    def open(cls, endpoint: str, queue_size: int, keys: Path | None) -> Self:
        """Bind.

        Raises:
            PublishError: The endpoint cannot be bound, or the keys cannot be used.
        """
        context: Context = zmq.Context()
        authenticator = None
        try:
            if keys is None:
                return cls(context, bind_publisher(context, endpoint, queue_size, plain), None)
            authenticator = Authenticator(context, keys)
            return cls(context, bind_publisher(context, endpoint, queue_size, lambda socket: secure_server(socket, keys)), authenticator)
        except PublishError:
            if authenticator:
                authenticator.close()
            context.term()
            raise

    def close(self, linger_ms: int | None = None) -> None:
        """Release the endpoint, once what was sent is delivered or has waited too long."""
        self.sockets.close(linger_ms)
        if self.authenticator:
            self.authenticator.close()
        self.context.term()


class Outlet:
    """An XPUB socket and the topics that somebody subscribes to there."""

    def __init__(self, socket: Socket) -> None:
        self.socket = socket
        self.topics: set[bytes] = set()
        self._joined: set[bytes] = set()  # topics of those who have not been greeted
        self._greeted = -math.inf

    def hear(self) -> None:
        """Take what subscribers say: a byte, 1 to subscribe and 0 to leave, then the topic. Anybody may connect and say anything."""
        for _ in range(NUM_HEARD):
            try:
                said, *_ = self.socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                return
            topic = said[1:]
            if said[:1] == b"\1":
                self.topics.add(topic)
                self._joined.add(topic)
            elif said[:1] == b"\0":  # the last of a topic's subscribers has left
                self.topics.discard(topic)

    @property
    def greeting_due(self) -> float:
        """When those who have joined are to be greeted, by `time.monotonic()`."""
        return self._greeted + GREET_S if self._joined else math.inf

    def greeted(self, topics: Sequence[bytes]) -> list[bool]:
        """Which of these topics one who has joined subscribes to; from now on, nobody waits for a greeting."""
        joined, self._joined = tuple(self._joined), set()
        self._greeted = time.monotonic()
        return [topic.startswith(joined) for topic in topics]


class Server:
    """The loop of the thread that owns the sockets, from `run` to the closing of the outbox.

    Attributes:
        subscribed: Is done while somebody subscribes to the feed.
    """

    def __init__(
        self, stand: Stand, reopen: Callable[[], Stand], outbox: Mailbox[Parts], desk: Desk, beat: Callable[[], Parts], heartbeat_s: float
    ) -> None:
        """Take over the sockets; they are closed when `run` ends.

        Args:
            stand: The sockets.
            reopen: Binds them again, once they are closed.
            outbox: What is to be sent.
            desk: Answers requests.
            beat: Makes a heartbeat, which tells of nothing that is not in the outbox by then.
            heartbeat_s: Seconds between two of them.
        """
        self.subscribed: Future[None] = Future()
        self._reopen = reopen
        self._outbox = outbox
        self._desk = desk
        self._beat = beat
        self._heartbeat_s = heartbeat_s
        self._beat_at = time.monotonic() + heartbeat_s
        self._sent_at = -math.inf
        self._take_over(stand)

    def run(self) -> None:
        """Serve until the outbox is closed and all of it is sent.

        Raises:
            PublishError: The sockets do not work any more.
        """
        try:
            while True:
                self._serve({socket for socket, _ in self._poller.poll(self._wait_ms())})
        except ChannelClosed:
            if not self._feed.socket.closed:
                self._feed.socket.send_multipart(self._beat())  # for readers to know that they have all
        except zmq.ZMQError as error:
            raise PublishError(f"cannot publish any more: {zmq.strerror(error.errno or 0)}") from error
        finally:
            self._stand.close()

    def _take_over(self, stand: Stand) -> None:
        self._stand = stand
        self._feed, self._latest, self._requests = Outlet(stand.sockets.feed), Outlet(stand.sockets.latest), stand.sockets.requests
        self._poller = zmq.Poller()
        for socket in (self._feed.socket, self._latest.socket, self._requests, self._outbox.fileno()):
            self._poller.register(socket, zmq.POLLIN)
        if stand.authenticator:
            self._poller.register(stand.authenticator.socket, zmq.POLLIN)

    def _wait_ms(self) -> int:
        due = min(self._beat_at, self._feed.greeting_due, self._latest.greeting_due)
        return max(0, math.ceil(1000 * (due - time.monotonic())))

    def _serve(self, ready: Container[object]) -> None:
        """Do what is due, and what these sockets are ready for."""
        if self._stand.authenticator and self._stand.authenticator.socket in ready:
            self._stand.authenticator.answer()
        if self._feed.socket in ready or self._latest.socket in ready:
            self._hear()
        if self._outbox.fileno() in ready:
            time.sleep(max(0.0, self._sent_at + GATHER_S - time.monotonic()))
        beat = self._beat_if_due()
        self._send(self._outbox.take())
        self._greet()
        if self._requests in ready:
            self._answer()
        if beat:
            self._feed.socket.send_multipart(beat)
            self._cut_off_expelled()

    def _send(self, messages: Sequence[Parts]) -> None:
        for parts in messages:
            self._feed.socket.send_multipart(parts)
            if self._latest.topics:
                self._latest.socket.send(wire.single(parts))
        if messages:
            self._sent_at = time.monotonic()

    def _hear(self) -> None:
        self._feed.hear()
        self._latest.hear()
        if self._feed.topics and not self.subscribed.done():
            self.subscribed.set_result(None)
        elif not self._feed.topics and self.subscribed.done():
            self.subscribed = Future()

    def _beat_if_due(self) -> Parts | None:
        now = time.monotonic()
        if now < self._beat_at:
            return None
        self._beat_at = now + self._heartbeat_s
        return self._beat()

    def _greet(self) -> None:
        """Tell those who have joined the present state of what they subscribe to."""
        now = time.monotonic()
        for outlet in (self._feed, self._latest):
            if now < outlet.greeting_due:
                continue
            states = [wire.join(message) for message in self._desk.present.messages() if message.topic.kind == "state"]
            wanted = outlet.greeted([parts[0] for parts in states])
            for parts in (parts for parts, is_wanted in zip(states, wanted, strict=True) if is_wanted):
                outlet.socket.send_multipart(parts if outlet is self._feed else [wire.single(parts)])

    def _answer(self) -> None:
        """Answer one request, so that those who publish and subscribe come in between."""
        client, *parts = self._requests.recv_multipart()
        try:
            for answer in self._desk.reply(parts):
                self._requests.send_multipart([client, *answer], zmq.DONTWAIT)
        except zmq.ZMQError as error:
            if error.errno not in (zmq.EAGAIN, zmq.EHOSTUNREACH):
                raise
            logger.info("an answer was not taken: the client has left, or does not read")

    def _cut_off_expelled(self) -> None:
        expelled = self._stand.authenticator.expelled() if self._stand.authenticator else []
        if not expelled:
            return
        self._stand.close(linger_ms=0)
        while not self._reopened():
            self._outbox.take()  # it is in the log; whoever missed it will ask
        self._hear()  # nobody, for a moment
        logger.warning("cut off, as the key was revoked: %s; everybody else will be back at once", ", ".join(expelled))

    def _reopened(self) -> bool:
        """Try to bind again; where that fails, wait a while."""
        try:
            self._take_over(self._reopen())
        except PublishError as error:
            logger.error("nobody can subscribe: %s", error)
            waiting = zmq.Poller()
            waiting.register(self._outbox.fileno(), zmq.POLLIN)
            waiting.poll(round(1000 * self._heartbeat_s))
            return False
        return True
