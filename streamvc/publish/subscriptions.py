"""Who has subscribed to what at a publisher's socket, within bounds."""

import math
import time
from collections.abc import Sequence

import zmq

from streamvc.publish.connections import Connections
from streamvc.publish.sockets import Socket

JOIN_S = 0.1  # new subscribers of this time are sent the states together, as all who are subscribed get them too
NUM_SUBSCRIPTIONS = 1_000  # taken from a socket before anything else is done
TOPIC_BYTES = 64  # that a topic counts for besides its own length
MAX_CLIENT_TOPIC_BYTES = 128 * 1024  # a thousand topics, of one client
MAX_TOPIC_BYTES = 2 * 1024**2  # of all clients together, where they differ


class SubscriptionTracker:
    """The topics that are subscribed to at an XPUB socket, and the new ones among them, which are to be sent the present states.

    A client whose topics are too many, or too long, is cut off: ZeroMQ's memory of them is many times as large.
    """

    def __init__(self, socket: Socket, connections: Connections) -> None:
        self.socket = socket
        self.topics: dict[bytes, set[int]] = {}  # who has subscribed to them
        self._connections = connections
        self._costs: dict[int, int] = {}  # of the topics of each, in bytes
        self._cost = 0  # of all topics
        self._new: set[bytes] = set()
        self._sent_s = -math.inf  # when states were last sent

    def receive(self) -> None:
        """Read subscriptions: a byte, 1 to subscribe and 0 to unsubscribe, then the topic. Anybody may connect and send anything."""
        for _ in range(NUM_SUBSCRIPTIONS):
            try:
                frame, *_ = self.socket.recv_multipart(zmq.DONTWAIT, copy=False)
            except zmq.Again:
                return
            said, client = frame.bytes, client_of(frame)
            if client is None:  # the last word of one who has left: see `forget`
                continue
            if said[:1] == b"\1":
                self._subscribe(client, said[1:])
            elif said[:1] == b"\0":
                self._unsubscribe(client, said[1:])

    def forget(self, client: int) -> None:
        """One has left."""
        if self._costs.pop(client, None) is not None:
            for topic in [topic for topic, clients in self.topics.items() if client in clients]:
                self._remove(client, topic)

    def _subscribe(self, client: int, topic: bytes) -> None:
        cost = len(topic) + TOPIC_BYTES
        is_known = topic in self.topics
        if not (is_known and client in self.topics[topic]):
            self._costs[client] = self._costs.get(client, 0) + cost
            self._cost += 0 if is_known else cost
            self.topics.setdefault(topic, set()).add(client)
        if self._costs[client] > MAX_CLIENT_TOPIC_BYTES or self._cost > MAX_TOPIC_BYTES:
            self._connections.hang_up(client, "a client is cut off: it has subscribed to too much")
            return
        self._connections.hear(client)
        self._new.add(topic)

    def _unsubscribe(self, client: int, topic: bytes) -> None:
        if client in self.topics.get(topic, ()):
            self._costs[client] -= len(topic) + TOPIC_BYTES
            self._remove(client, topic)

    def _remove(self, client: int, topic: bytes) -> None:
        self.topics[topic].discard(client)
        if not self.topics[topic]:
            del self.topics[topic]
            self._cost -= len(topic) + TOPIC_BYTES

    @property
    def due_s(self) -> float:
        """When the states are to be sent to new subscribers, by `time.monotonic()`."""
        return self._sent_s + JOIN_S if self._new else math.inf

    def take_new(self, topics: Sequence[bytes]) -> list[bool]:
        """Which of these topics new subscribers want; after this, no subscriber is new."""
        new, self._new = tuple(self._new), set()
        self._sent_s = time.monotonic()
        return [topic.startswith(new) for topic in topics]


def client_of(frame: zmq.Frame) -> int | None:
    """The descriptor of the connection that it came by; None where that is gone."""
    try:
        descriptor = int(frame.get(zmq.SRCFD))
    except zmq.ZMQError:
        return None
    return descriptor if descriptor >= 0 else None
