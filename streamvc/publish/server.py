"""The publisher's thread, which owns its sockets: sends messages and heartbeats, sends states to new subscribers, answers requests."""

import logging
import math
import time
from collections.abc import Callable, Container, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

import zmq

from streamvc.errors import PublishError
from streamvc.publish import wire
from streamvc.publish.authentication import Authenticator, secure_server
from streamvc.publish.connections import Connections
from streamvc.publish.replay_service import Answer, LogReader, ReplayService
from streamvc.publish.sockets import Context, PublisherSockets, bind_publisher, unencrypted
from streamvc.publish.subscriptions import SubscriptionTracker, client_of
from streamvc.threads import ChannelClosed, Mailbox, wait_for_any

logger = logging.getLogger(__name__)

Parts = list[bytes]

BATCH_S = 0.001  # messages of this time are sent together: to wake this thread costs whoever publishes as much as an event


@dataclass(frozen=True, slots=True, eq=False)
class ServerSockets:
    """The bound sockets of a publisher, their context and, where there are keys, what decides which clients may connect."""

    context: Context
    bound: PublisherSockets
    connections: Connections
    authenticator: Authenticator | None

    @classmethod
    def open(cls, endpoint: str, queue_size: int, keys: Path | None) -> Self:
        """Bind.

        Raises:
            PublishError: The endpoint cannot be bound, or the keys cannot be used.
        """
        context: Context = zmq.Context()
        try:
            authenticator = Authenticator(context, keys) if keys else None
            bound = bind_publisher(context, endpoint, queue_size, partial(secure_server, folder=keys) if keys else unencrypted)
            return cls(context, bound, Connections(context, bound), authenticator)
        except BaseException as error:
            context.destroy(0)
            if isinstance(error, zmq.ZMQError):  # no descriptor is left for a socket
                raise PublishError(f"cannot publish on {endpoint}: {zmq.strerror(error.errno or 0)}") from error
            raise

    def close(self, linger_ms: int | None = None) -> None:
        """Close all; what was sent is still delivered, but for `linger_ms` at most."""
        self.connections.close()
        self.bound.close(linger_ms)
        if self.authenticator:
            self.authenticator.close()
        self.context.term()


class Server:
    """The loop of the thread that owns the sockets: `run` returns after the outbox is closed. Whatever goes wrong with them, they are bound anew.

    Attributes:
        subscribed: Is done while there is a subscriber of the feed.
        problem: Why nobody can subscribe; None while all is well.
    """

    def __init__(
        self,
        sockets: ServerSockets,
        reopen: Callable[[], ServerSockets],
        outbox: Mailbox[Parts],
        replay: ReplayService,
        heartbeat: Callable[[], Parts],
        heartbeat_s: float,
        attend: Callable[[], float],
    ) -> None:
        """Take over the sockets; they are closed when `run` ends.

        Args:
            sockets: The bound sockets.
            reopen: Binds them again, once they are closed.
            outbox: The messages to send.
            replay: Answers requests.
            heartbeat: Makes a heartbeat, which names no message that is not in the outbox by then.
            heartbeat_s: Seconds between two of them.
            attend: Is called before the outbox is emptied, again and again; returns by when it is to be called next, by `time.monotonic()`.
        """
        self.subscribed: Future[None] = Future()
        self.problem: str | None = None
        self._reopen = reopen
        self._outbox = outbox
        self._replay = replay
        self._heartbeat = heartbeat
        self._interval_s = heartbeat_s
        self._attend = attend
        self._attend_due_s = self._heartbeat_due_s = time.monotonic() + heartbeat_s
        self._sent_s = -math.inf
        self._reader = LogReader(replay)
        self._use(sockets)

    def run(self) -> None:
        """Serve until the outbox is closed and all of it is sent."""
        try:
            while True:
                try:
                    self._serve({socket for socket, _ in self._poller.poll(self._wait_ms())})
                except ChannelClosed:
                    raise
                except Exception as error:  # of ZeroMQ, or a defect: subscribers are to be served again
                    self._begin_anew(error)
        except ChannelClosed:
            if not self._feed.socket.closed:
                with suppress(zmq.ZMQError):
                    self._feed.socket.send_multipart(self._heartbeat())  # so that subscribers know that they have all
        finally:
            self._reader.close()
            self._sockets.close()

    def _use(self, sockets: ServerSockets) -> None:
        self._sockets = sockets
        self._feed, self._latest = (SubscriptionTracker(each, sockets.connections) for each in (sockets.bound.feed, sockets.bound.latest))
        self._requests = sockets.bound.requests
        self._poller = zmq.Poller()
        mailboxes = (self._outbox, self._reader.answers, sockets.connections.gone)
        for socket in (self._feed.socket, self._latest.socket, self._requests, *(mailbox.fileno() for mailbox in mailboxes)):
            self._poller.register(socket, zmq.POLLIN)
        if sockets.authenticator:
            self._poller.register(sockets.authenticator.socket, zmq.POLLIN)

    def _wait_ms(self) -> int:
        due_s = min(self._heartbeat_due_s, self._attend_due_s, self._feed.due_s, self._latest.due_s)
        return max(0, math.ceil(1000 * (due_s - time.monotonic())))

    def _serve(self, ready: Container[object]) -> None:
        """Do what is due, and what these sockets are ready for."""
        if self._sockets.authenticator and self._sockets.authenticator.socket in ready:
            self._sockets.authenticator.answer()
        gone = self._sockets.connections.gone.take()
        if gone or self._feed.socket in ready or self._latest.socket in ready:
            self._receive_subscriptions(gone)
        if self._outbox.fileno() in ready:
            time.sleep(max(0.0, self._sent_s + BATCH_S - time.monotonic()))
        self._attend_due_s = self._attend()
        heartbeat = self._heartbeat_if_due()  # before the outbox is emptied: what it names is sent first
        self._send(self._outbox.take())
        self._send_states()
        for answer in self._reader.take():
            self._send_answer(answer)
        if self._requests in ready:
            self._answer()
        # One request at a time is looked up in the log, and the others wait where they are, unless that takes too long.
        self._poller.register(self._requests, zmq.POLLIN if not self._reader.is_busy or self._reader.is_stuck else 0)
        if heartbeat:
            self._feed.socket.send_multipart(heartbeat)
            self.problem = None
            self._disconnect_revoked()

    def _send(self, messages: Sequence[Parts]) -> None:
        for parts in messages:
            self._feed.socket.send_multipart(parts)
            if self._latest.topics:
                self._latest.socket.send(wire.single(parts))
        if messages:
            self._sent_s = time.monotonic()

    def _receive_subscriptions(self, gone: Sequence[int] = ()) -> None:
        for tracker in (self._feed, self._latest):
            tracker.receive()  # before those are forgotten who have left since
            for client in gone:
                tracker.forget(client)
        if self._feed.topics and not self.subscribed.done():
            self.subscribed.set_result(None)
        elif not self._feed.topics and self.subscribed.done():
            self.subscribed = Future()

    def _heartbeat_if_due(self) -> Parts | None:
        now = time.monotonic()
        if now < self._heartbeat_due_s:
            return None
        self._heartbeat_due_s = now + self._interval_s
        return self._heartbeat()

    def _send_states(self) -> None:
        """Send new subscribers the present state of what they subscribe to."""
        now = time.monotonic()
        for tracker in (self._feed, self._latest):
            if now < tracker.due_s:
                continue
            states = [wire.join(message) for message in self._replay.cache.messages() if message.topic.kind == "state"]
            wanted = tracker.take_new([parts[0] for parts in states])
            for parts in (parts for parts, is_wanted in zip(states, wanted, strict=True) if is_wanted):
                tracker.socket.send_multipart(parts if tracker is self._feed else [wire.single(parts)])

    def _answer(self) -> None:
        """Answer one request, so that messages and subscriptions are dealt with before the next. What needs the log is answered later."""
        frames = self._requests.recv_multipart(copy=False)
        client, *parts = (frame.bytes for frame in frames)
        if (descriptor := client_of(frames[0])) is not None:
            self._sockets.connections.hear(descriptor)
        if parts[1:2] != [b"since"]:
            self._send_answer(Answer(client, self._replay.reply(parts)))
        elif not self._reader.is_busy:
            self._reader.ask(client, parts)
        else:
            self._send_answer(Answer(client, self._replay.refuse(parts, "the event log does not answer; ask again later")))

    def _send_answer(self, answer: Answer) -> None:
        try:
            for parts in answer.parts:
                self._requests.send_multipart([answer.client, *parts], zmq.DONTWAIT)
        except zmq.ZMQError as error:
            if error.errno not in (zmq.EAGAIN, zmq.EHOSTUNREACH):
                raise
            logger.info("an answer was not taken: the client has left, or does not read")

    def _disconnect_revoked(self) -> None:
        """ZeroMQ cannot close one connection: close all, bind again, and the clients that are still allowed connect again."""
        revoked = self._sockets.authenticator.revoked() if self._sockets.authenticator else []
        if not revoked:
            return
        self._bind_again()
        logger.warning("cut off, as the key was revoked: %s; everybody else will be back at once", ", ".join(revoked))

    def _begin_anew(self, error: Exception) -> None:
        is_expected = isinstance(error, zmq.ZMQError | PublishError)
        self.problem = f"cannot publish: {error if is_expected else f'{type(error).__name__}: {error}'}"
        logger.error("%s; all subscribers are cut off, and will be back", self.problem, exc_info=not is_expected)
        self._wait_for_outbox()  # not again and again, where it goes on to fail
        self._bind_again()

    def _bind_again(self) -> None:
        self._sockets.close(linger_ms=0)
        while not self._reopened():
            self._outbox.take()  # it is in the log; subscribers will request it
            self._attend()
        self._receive_subscriptions()  # there are none, for a moment

    def _reopened(self) -> bool:
        """Try to bind again; where that fails, wait a while."""
        try:
            self._use(self._reopen())
        except PublishError as error:
            self.problem = f"nobody can subscribe: {error}"
            logger.error("%s", self.problem)
            self._wait_for_outbox()
            return False
        return True

    def _wait_for_outbox(self) -> None:
        wait_for_any([self._outbox], self._interval_s)
