"""The thread of a subscriber: it owns the sockets, and does what the `Feed` says."""

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
from streamvc.publish.feed import Feed, Place, Reconnect, Step
from streamvc.publish.notices import Notice
from streamvc.publish.sockets import Context, Secure, Socket, connect_requests, connect_subscriber, plain
from streamvc.threads import ChannelClosed, Mailbox, Worker

logger = logging.getLogger(__name__)

Item = wire.Message | Notice | Place

NUM_AT_ONCE = 1_000  # messages taken from a socket before the other one is looked at
SPARE = 10_000  # notices that find room while nobody reads


class Listener:
    """Listens from now on, until it is closed.

    Attributes:
        items: What there is for the reader.
        num_read: Messages that the reader has taken out for good; he counts them.
        num_behind: Messages that are known to exist and did not fit in.
        num_malformed: Messages that were skipped.
    """

    def __init__(self, feed: Feed, endpoint: str, requests: str, prefixes: Collection[bytes], queue_size: int, secure: Secure) -> None:
        """Connect to the feed at `endpoint` and to where `requests` are answered.

        Raises:
            PublishError: One of them is no endpoint, or the keys cannot be used.
        """
        self.num_read = self.num_behind = self.num_malformed = 0
        self._num_put = 0
        self._feed = feed
        self._prefixes = set(prefixes)
        self._queue_size = queue_size
        self._heard, self._plain, self._refused = False, secure is plain, ""
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
        self.items: Mailbox[Item] = Mailbox(2 * queue_size + SPARE)
        self._control: Mailbox[None] = Mailbox(1)
        self._worker = Worker("listen", self._listen, self._control.close).start()

    @property
    def num_unread(self) -> int:
        """Messages that wait for the reader."""
        return self._num_put - self.num_read

    def wake(self) -> None:
        """There is room again."""
        with suppress(ChannelClosed):
            self._control.offer(None)

    def close(self) -> None:
        """Stop listening; raises what the thread died of, if it did."""
        self._worker.close()

    def _listen(self) -> None:
        poller = zmq.Poller()
        for source in (self._updates, self._requests, self._refusals, self._control.fileno()):
            poller.register(source, zmq.POLLIN)
        try:
            while True:
                self._do(self._feed.tick(self._now()))
                poller.poll(self._timeout_ms())
                self._control.take()
                for parts in _waiting(self._refusals):
                    self._tell_refusal(refusal(parts))
                for parts in _waiting(self._updates):
                    self._hear(parts)
                for parts in _waiting(self._requests):
                    self._hear_answer(parts)
        except zmq.ZMQError as error:
            raise PublishError(f"cannot listen to {self._endpoints[self._updates]} any more: {zmq.strerror(error.errno or 0)}") from error
        finally:
            self._opened.close()
            self.items.close()

    def _now(self) -> float:
        """The time; and the feed is told how much room there is."""
        self._feed.room = self._queue_size - self.num_unread
        return time.monotonic()

    def _timeout_ms(self) -> int | None:
        due_s = self._feed.due_s
        return None if due_s is None else max(0, round(1000 * (due_s - time.monotonic())) + 1)

    def _hear(self, parts: list[bytes]) -> None:
        self._heard = True
        try:
            message = wire.split(parts)
            body = decode(message.body) if message.topic.kind == "heartbeat" else None
        except PublishError as error:
            self._skip(error)
            return
        if isinstance(body, Heartbeat):
            self._do(self._feed.beat(body, message.topic.site, self._now()))
        else:
            self._do(self._feed.take(message, self._now()))

    def _hear_answer(self, parts: list[bytes]) -> None:
        """An answer counts when its end has come."""
        try:
            identifier, part = wire.split_answer(parts)
        except PublishError as error:
            self._skip(error)
            return
        if isinstance(part, wire.Refusal):
            logger.warning("%s refuses a request: %s", self._endpoints[self._requests], part.reason)
        elif isinstance(part, wire.Message):
            if self._feed.expects(identifier):
                self._answers.setdefault(identifier, []).append(part)
        else:
            self._subscribe_to_heartbeats(part)
            self._do(self._feed.answer(identifier, self._answers.pop(identifier, []), part, self._now()))
            self._answers = {other: messages for other, messages in self._answers.items() if self._feed.expects(other)}

    def _subscribe_to_heartbeats(self, end: wire.End) -> None:
        """Those of one node have a topic of their own, which is only known now; needed where not everything is subscribed to."""
        if end.site is None or end.node is None:
            return
        prefix = wire.subscription(end.site, end.node, "heartbeat")
        if not any(prefix.startswith(wider) for wider in self._prefixes):
            self._prefixes.add(prefix)
            self._updates.subscribe(prefix)

    def _do(self, steps: list[Step]) -> None:
        for step in steps:
            if isinstance(step, wire.Request):
                self._ask(step)
            elif isinstance(step, Reconnect):
                self._reconnect(step)
            else:
                self._num_put += isinstance(step, wire.Message)
                self.items.offer(step)
        self.num_behind = self._feed.num_behind

    def _ask(self, request: wire.Request) -> None:
        try:
            self._requests.send_multipart(wire.join_request(request), zmq.NOBLOCK)
        except zmq.Again:
            logger.debug("a request to %s waits no longer: too many do", self._endpoints[self._requests])  # it is asked again

    def _reconnect(self, step: Reconnect) -> None:
        for socket in (self._requests,) if step.requests_only else (self._requests, self._updates):
            socket.disconnect(self._endpoints[socket])
            socket.connect(self._endpoints[socket])

    def _tell_refusal(self, reason: str) -> None:
        """Once; it is tried again and again. Without keys, one who was heard before does not refuse: the network is bad."""
        if reason != self._refused and not (self._heard and self._plain):
            logger.warning("%s: %s", self._endpoints[self._updates], reason)
        self._refused = reason

    def _skip(self, error: PublishError) -> None:
        self.num_malformed += 1
        logger.warning("skipped a message from %s: %s", self._endpoints[self._updates], error)


def _waiting(socket: Socket) -> Iterator[list[bytes]]:
    """Messages that have come, but not so many that the other socket has to wait for long."""
    for _ in range(NUM_AT_ONCE):
        try:
            yield socket.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            return
