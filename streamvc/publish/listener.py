"""The thread of a subscriber: it owns the sockets, and does what the `SubscriberProtocol` says."""

import logging
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack, closing, suppress

import zmq

from streamvc.errors import PublishError
from streamvc.events import Heartbeat
from streamvc.publish import wire
from streamvc.publish.authentication import refusal, watch_refusals
from streamvc.publish.cloudevents import decode
from streamvc.publish.notices import Notice
from streamvc.publish.sockets import Context, Secure, Socket, connect_requests, connect_subscriber, unencrypted
from streamvc.publish.subscriber_protocol import Action, Reconnect, ResumePoint, SubscriberProtocol
from streamvc.threads import ChannelClosed, Mailbox, Worker

logger = logging.getLogger(__name__)

Item = wire.Message | Notice | ResumePoint

NUM_AT_ONCE = 1_000  # messages taken from a socket before the other one is read
NUM_NOTICES = 10_000  # that have room beside the messages while nobody reads


class Listener:
    """Receives messages from now on, until it is closed.

    Attributes:
        items: What was received, for the reader.
        num_read: How many messages the reader has taken; the reader counts them.
        num_behind: Messages that are known to exist and have no room yet.
        num_malformed: Messages that were skipped.
    """

    def __init__(
        self, protocol: SubscriberProtocol, endpoint: str, requests: str, prefixes: Collection[bytes], queue_size: int, secure: Secure
    ) -> None:
        """Connect to the feed at `endpoint` and to where `requests` are answered.

        Raises:
            PublishError: One of them is no endpoint, or the keys cannot be used.
        """
        self.num_read = self.num_behind = self.num_malformed = 0
        self._num_put = 0
        self._protocol = protocol
        self._prefixes = set(prefixes)
        self._queue_size = queue_size
        self._has_received, self._unencrypted, self._refused = False, secure is unencrypted, ""
        self._answers: dict[bytes, list[wire.Message]] = {}
        with ExitStack() as opened:
            context = Context()
            opened.callback(context.term)
            # Made here, for their errors to be raised here; from now on they are the thread's alone.
            self._updates = opened.enter_context(closing(connect_subscriber(context, endpoint, queue_size, secure)))
            self._refusals = opened.enter_context(closing(watch_refusals(self._updates)))  # a moment late for the first, but it is tried again
            opened.callback(self._updates.disable_monitor)
            self._requests = opened.enter_context(closing(connect_requests(context, requests, queue_size, secure)))
            self._opened = opened.pop_all()
        self._endpoints = {self._updates: endpoint, self._requests: requests}
        for prefix in self._prefixes:
            self._updates.subscribe(prefix)
        self.items: Mailbox[Item] = Mailbox(2 * queue_size + NUM_NOTICES)
        self._control: Mailbox[None] = Mailbox(1)
        self._worker = Worker("listen", self._listen, self._control.close).start()

    @property
    def num_unread(self) -> int:
        """Messages that wait for the reader."""
        return self._num_put - self.num_read

    def wake(self) -> None:
        """The reader has room again."""
        with suppress(ChannelClosed):
            self._control.offer(None)

    def close(self) -> None:
        """Stop listening; raises the error that the thread has ended with, if there is one."""
        self._worker.close()

    def _listen(self) -> None:
        poller = zmq.Poller()
        for source in (self._updates, self._requests, self._refusals, self._control.fileno()):
            poller.register(source, zmq.POLLIN)
        try:
            while True:
                self._do(self._protocol.tick(self._now()))
                poller.poll(self._timeout_ms())
                self._control.take()
                for parts in _waiting(self._refusals):
                    self._report_refusal(refusal(parts))
                for parts in _waiting(self._updates):
                    self._receive(parts)
                for parts in _waiting(self._requests):
                    self._receive_answer(parts)
        except zmq.ZMQError as error:
            raise PublishError(f"cannot listen to {self._endpoints[self._updates]} any more: {zmq.strerror(error.errno or 0)}") from error
        finally:
            self._opened.close()
            self.items.close()

    def _now(self) -> float:
        """The time; and the protocol is told how much room there is."""
        self._protocol.room = self._queue_size - self.num_unread
        return time.monotonic()

    def _timeout_ms(self) -> int | None:
        due_s = self._protocol.due_s
        return None if due_s is None else max(0, round(1000 * (due_s - time.monotonic())) + 1)

    def _receive(self, parts: list[bytes]) -> None:
        self._has_received = True
        try:
            message = wire.split(parts)
            body = decode(message.body) if message.topic.kind == "heartbeat" else None
        except PublishError as error:
            self._skip(error)
            return
        if isinstance(body, Heartbeat):
            self._do(self._protocol.heartbeat(body, message.topic.site, self._now()))
        else:
            self._do(self._protocol.message(message, self._now()))

    def _receive_answer(self, parts: list[bytes]) -> None:
        """Keep the messages of an answer until its end has come."""
        try:
            identifier, part = wire.split_answer(parts)
        except PublishError as error:
            self._skip(error)
            return
        if isinstance(part, wire.Refusal):
            logger.warning("%s refuses a request: %s", self._endpoints[self._requests], part.reason)
        elif isinstance(part, wire.Message):
            if self._protocol.is_pending(identifier):
                self._answers.setdefault(identifier, []).append(part)
        else:
            self._subscribe_to_heartbeats(part)
            self._do(self._protocol.answer(identifier, self._answers.pop(identifier, []), part, self._now()))
            self._answers = {other: messages for other, messages in self._answers.items() if self._protocol.is_pending(other)}

    def _subscribe_to_heartbeats(self, end: wire.AnswerEnd) -> None:
        """Heartbeats have a topic of their own, which is known only now; they are not among what was subscribed to where that is not everything."""
        if end.site is None or end.node is None:
            return
        prefix = wire.subscription(end.site, end.node, "heartbeat")
        if not any(prefix.startswith(wider) for wider in self._prefixes):
            self._prefixes.add(prefix)
            self._updates.subscribe(prefix)

    def _do(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, wire.Request):
                self._send_request(action)
            elif isinstance(action, Reconnect):
                self._reconnect(action)
            else:
                self._num_put += isinstance(action, wire.Message)
                self.items.offer(action)
        self.num_behind = self._protocol.num_behind

    def _send_request(self, request: wire.Request) -> None:
        try:
            self._requests.send_multipart(wire.join_request(request), zmq.NOBLOCK)
        except zmq.Again:
            logger.debug("a request to %s is dropped: too many wait to be sent", self._endpoints[self._requests])  # it is requested again

    def _reconnect(self, action: Reconnect) -> None:
        for socket in (self._requests,) if action.requests_only else (self._requests, self._updates):
            socket.disconnect(self._endpoints[socket])
            socket.connect(self._endpoints[socket])

    def _report_refusal(self, reason: str) -> None:
        """Log it once, as it happens at each attempt. Without keys, a publisher that was heard before does not refuse: the network is bad."""
        if reason != self._refused and not (self._has_received and self._unencrypted):
            logger.warning("%s: %s", self._endpoints[self._updates], reason)
        self._refused = reason

    def _skip(self, error: PublishError) -> None:
        self.num_malformed += 1
        logger.warning("skipped a message from %s: %s", self._endpoints[self._updates], error)


def _waiting(socket: Socket) -> Iterator[list[bytes]]:
    """Messages that have come, but not so many that the other socket waits for long."""
    for _ in range(NUM_AT_ONCE):
        try:
            yield socket.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            return
