"""Opens the ZeroMQ sockets, with all options set before they bind or connect, and explains what goes wrong with an endpoint.

A publisher has three, on neighbouring ports (or ipc paths): the feed at its endpoint, then the one that answers requests, then the one for readers
who only want the latest.
"""

import errno
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal

import zmq

from streamvc.errors import PublishError

Socket = zmq.Socket[bytes]
Context = zmq.Context[Socket]
Secure = Callable[[Socket], None]  # sets a socket's keys, before it binds or connects
Neighbour = Literal["requests", "latest"]

ENDPOINT = "tcp://127.0.0.1:7788"
QUEUE_SIZE = 10_000  # messages held for each subscriber, on each side; about 12 MB when full
LINGER_MS = 2_000
MAX_PORT = 65_535
OFFSETS: dict[Neighbour, int] = {"requests": 1, "latest": 2}  # of the port, from the feed's
NUM_TRIES = 100  # to find neighbouring ports that are all free

MAX_ANSWER = 1_000  # messages in an answer
MAX_UNANSWERED = 100  # requests of one client that wait
LATEST_QUEUE_SIZE = 1_000
MAX_REQUEST_BYTES = 64 * 1024
MAX_SUBSCRIPTION_BYTES = 4 * 1024  # ZeroMQ takes some 50 bytes of memory for each
MAX_WAITING_SUBSCRIPTIONS = 100  # of one client, that were not looked at yet
SUBSCRIPTIONS_BUFFER_BYTES = 32 * 1024  # of the kernel, for each client
HANDSHAKE_MS = 5_000  # after which one who connects and says nothing is cut off
MAX_MESSAGE_BYTES = 1024 * 1024

# A peer that is gone without a word (its power, its cable) is noticed by the kernel after about 20 s. ZeroMQ's own heartbeats cannot be used: a
# reader whose queue is full stops answering them and is cut off, and with libzmq 4.3.5 its process aborts (stream_engine_base.cpp, `_input_stopped`).
KEEPALIVE = {zmq.TCP_KEEPALIVE: 1, zmq.TCP_KEEPALIVE_IDLE: 10, zmq.TCP_KEEPALIVE_INTVL: 3, zmq.TCP_KEEPALIVE_CNT: 3}
RECONNECT = {zmq.RECONNECT_IVL: 100, zmq.RECONNECT_IVL_MAX: 2_000}
# XPUB is a PUB that receives subscriptions: with VERBOSER those of all subscribers and their ends, not only the first and the last to each topic.
XPUB_OPTIONS = {
    zmq.XPUB_VERBOSER: 1,
    zmq.MAXMSGSIZE: MAX_SUBSCRIPTION_BYTES,
    zmq.RCVHWM: MAX_WAITING_SUBSCRIPTIONS,
    zmq.RCVBUF: SUBSCRIPTIONS_BUFFER_BYTES,
    zmq.HANDSHAKE_IVL: HANDSHAKE_MS,
    zmq.LINGER: LINGER_MS,
    **KEEPALIVE,
}
# MANDATORY: sending to a client that does not take its answer fails, and it is sent no more of it.
ROUTER_OPTIONS = {
    zmq.ROUTER_MANDATORY: 1,
    zmq.SNDHWM: 2 * MAX_ANSWER,
    zmq.RCVHWM: MAX_UNANSWERED,
    zmq.MAXMSGSIZE: MAX_REQUEST_BYTES,
    zmq.HANDSHAKE_IVL: HANDSHAKE_MS,
    zmq.LINGER: LINGER_MS,
}

BIND_ADVICE = {
    errno.EADDRINUSE: "another program uses it (is streamvc already running?); stop that one, or choose another port (and the next two)",
    errno.EACCES: "no permission; choose a port of 1024 or above, or a folder that you may write to",
    errno.EADDRNOTAVAIL: "this machine has no such address; use tcp://127.0.0.1:PORT, or tcp://*:PORT to be reached from other machines",
    errno.ENODEV: "this machine has no such address; use tcp://127.0.0.1:PORT, or tcp://*:PORT to be reached from other machines",
    errno.ENOENT: "there is no such folder",
    errno.ENAMETOOLONG: "the path is too long for a socket; choose a shorter one",
}


@dataclass(frozen=True, slots=True, eq=False)
class PublisherSockets:
    """The three bound sockets of a publisher: XPUB, ROUTER, XPUB."""

    feed: Socket
    requests: Socket
    latest: Socket

    @property
    def endpoint(self) -> str:
        """The feed's, with the port that was found where a free one was asked for."""
        return self.feed.get_string(zmq.LAST_ENDPOINT).rstrip("\0")

    def close(self, linger_ms: int | None = None) -> None:
        """Close them; what was sent is still delivered, unless that takes longer than `linger_ms`, or than they were told."""
        for socket in (self.feed, self.requests, self.latest):
            socket.close(linger_ms)


def unencrypted(_socket: Socket) -> None:
    """The `Secure` of a socket without keys: sets nothing."""


def neighbour(endpoint: str, which: Neighbour) -> str:
    """The endpoint of another socket of the publisher whose feed is at `endpoint`.

    Raises:
        PublishError: `endpoint` is none, or there is no such port.
    """
    _check(endpoint)
    if endpoint.startswith("ipc://"):
        return f"{endpoint}.{which}"
    address, _, port = endpoint.rpartition(":")
    if port == "*":
        raise PublishError(f"{endpoint} stands for any free port; name the one that the publisher has")
    number = int(port) + OFFSETS[which]
    if number > MAX_PORT:
        raise PublishError(f"{endpoint}: a publisher has three neighbouring ports; choose one of at most {MAX_PORT - max(OFFSETS.values())}")
    return f"{address}:{number}"


def is_public(endpoint: str) -> bool:
    """Whether other machines could reach what is bound there.

    Raises:
        PublishError: This is not an endpoint.
    """
    _check(endpoint)
    if endpoint.startswith("ipc://"):
        return False
    host = endpoint.removeprefix("tcp://").rpartition(":")[0].strip("[]")
    if host in ("localhost", "lo"):
        return False
    try:
        return not ip_address(host).is_loopback
    except ValueError:  # `*`, or the name of a network interface
        return True


def bind_publisher(context: Context, endpoint: str, queue_size: int, secure: Secure = unencrypted) -> PublisherSockets:
    """Bind the three sockets of a publisher.

    Args:
        context: Makes the sockets.
        endpoint: The feed's; with `*` as the port, three neighbouring ports that are free are found.
        queue_size: Messages held for each subscriber of the feed.
        secure: Sets the keys.

    Raises:
        PublishError: One of them cannot be bound.
    """
    _check(endpoint)
    if not endpoint.endswith(":*"):
        return _bind_neighbours(context, endpoint, queue_size, secure)
    for _ in range(NUM_TRIES - 1):
        with suppress(PublishError):
            return _bind_neighbours(context, endpoint, queue_size, secure)
    return _bind_neighbours(context, endpoint, queue_size, secure)


def connect_subscriber(context: Context, endpoint: str, queue_size: int, secure: Secure = unencrypted) -> Socket:
    """A SUB socket that connects to the feed at `endpoint`, now or as soon as somebody publishes there.

    Raises:
        PublishError: This is not an endpoint.
    """
    return _connect(context, zmq.SUB, endpoint, queue_size, secure)


def connect_requests(context: Context, endpoint: str, queue_size: int, secure: Secure = unencrypted) -> Socket:
    """A DEALER socket that connects to where requests are answered.

    Raises:
        PublishError: This is not an endpoint.
    """
    return _connect(context, zmq.DEALER, endpoint, queue_size, secure)


def _bind_neighbours(context: Context, endpoint: str, queue_size: int, secure: Secure) -> PublisherSockets:
    opened: list[Socket] = []
    try:
        feed = _bind(context, zmq.XPUB, endpoint, {zmq.SNDHWM: queue_size, **XPUB_OPTIONS}, secure, opened)
        bound = feed.get_string(zmq.LAST_ENDPOINT).rstrip("\0") if endpoint.endswith(":*") else endpoint
        requests = _bind(context, zmq.ROUTER, neighbour(bound, "requests"), {**ROUTER_OPTIONS, **KEEPALIVE}, secure, opened)
        latest = _bind(context, zmq.XPUB, neighbour(bound, "latest"), {zmq.SNDHWM: LATEST_QUEUE_SIZE, **XPUB_OPTIONS}, secure, opened)
    except BaseException:  # with a socket left open, its context would wait for ever
        for socket in opened:
            socket.close()
        raise
    return PublisherSockets(feed, requests, latest)


def _bind(context: Context, kind: int, endpoint: str, options: dict[zmq.SocketOption, int], secure: Secure, opened: list[Socket]) -> Socket:
    socket = _open(context, kind, endpoint, options)
    opened.append(socket)
    secure(socket)
    try:
        socket.bind(endpoint)
    except zmq.ZMQError as error:
        advice = BIND_ADVICE.get(error.errno or 0, f"{zmq.strerror(error.errno or 0)}; write it as {ENDPOINT}")
        raise PublishError(f"cannot publish on {endpoint}: {advice}") from error
    return socket


def _connect(context: Context, kind: int, endpoint: str, queue_size: int, secure: Secure) -> Socket:
    _check(endpoint)
    options = {zmq.RCVHWM: queue_size, zmq.MAXMSGSIZE: MAX_MESSAGE_BYTES, zmq.LINGER: 0, **KEEPALIVE, **RECONNECT}
    socket = _open(context, kind, endpoint, options)
    try:
        secure(socket)
        socket.connect(endpoint)
    except zmq.ZMQError as error:
        socket.close()
        raise PublishError(f"cannot subscribe to {endpoint}: {zmq.strerror(error.errno or 0)}; write it as {ENDPOINT}") from error
    except BaseException:
        socket.close()
        raise
    return socket


def _check(endpoint: str) -> None:
    """ZeroMQ itself takes what it can read of a port: 80000 as 14464, 77x as 77."""
    address = re.fullmatch(r"tcp://.+:(\d{1,5}|\*)", endpoint)
    if address and (address[1] == "*" or int(address[1]) <= MAX_PORT):
        return
    if address or not endpoint.startswith("ipc://") or endpoint == "ipc://":
        raise PublishError(f"{endpoint!r} is not an endpoint; write it as {ENDPOINT}")


def _open(context: Context, kind: int, endpoint: str, options: dict[zmq.SocketOption, int]) -> Socket:
    socket = context.socket(kind)
    try:
        # Only for a literal IPv6 address: otherwise `localhost` would be ::1 to one program and 127.0.0.1 to another.
        socket.set(zmq.IPV6, int("[" in endpoint))
        for option, value in options.items():
            socket.set(option, value)
    except BaseException:
        socket.close()
        raise
    return socket
