"""Opens the ZeroMQ sockets, with all options set before they bind or connect, and explains what goes wrong with an endpoint."""

import errno
import re

import zmq

from streamvc.errors import PublishError

ENDPOINT = "tcp://127.0.0.1:7788"
QUEUE_SIZE = 10_000  # messages held for each subscriber, on each side; about 12 MB when full
LINGER_MS = 2_000
MAX_PORT = 65_535
MAX_SUBSCRIPTION_BYTES = 64 * 1024
MAX_MESSAGE_BYTES = 1024 * 1024

# A peer that is gone without a word (its power, its cable) is noticed by the kernel after about 20 s. ZeroMQ's own heartbeats cannot be used: a
# reader whose queue is full stops answering them and is cut off, and with libzmq 4.3.5 its process aborts (stream_engine_base.cpp, `_input_stopped`).
KEEPALIVE = {zmq.TCP_KEEPALIVE: 1, zmq.TCP_KEEPALIVE_IDLE: 10, zmq.TCP_KEEPALIVE_INTVL: 3, zmq.TCP_KEEPALIVE_CNT: 3}
RECONNECT = {zmq.RECONNECT_IVL: 100, zmq.RECONNECT_IVL_MAX: 2_000}

BIND_ADVICE = {
    errno.EADDRINUSE: "another program uses it (is streamvc already running?); stop that one, or choose another port",
    errno.EACCES: "no permission; choose a port of 1024 or above, or a folder that you may write to",
    errno.EADDRNOTAVAIL: "this machine has no such address; use tcp://127.0.0.1:PORT, or tcp://*:PORT to be reached from other machines",
    errno.ENODEV: "this machine has no such address; use tcp://127.0.0.1:PORT, or tcp://*:PORT to be reached from other machines",
    errno.ENOENT: "there is no such folder",
}


def bind_publisher(context: zmq.Context[zmq.Socket[bytes]], endpoint: str, queue_size: int) -> zmq.Socket[bytes]:
    """An XPUB socket bound to `endpoint`. XPUB is PUB that hears who subscribes.

    Raises:
        PublishError: The endpoint cannot be bound.
    """
    options = {zmq.SNDHWM: queue_size, zmq.MAXMSGSIZE: MAX_SUBSCRIPTION_BYTES, zmq.LINGER: LINGER_MS, **KEEPALIVE}
    socket = _open(context, zmq.XPUB, endpoint, options)
    try:
        socket.bind(endpoint)
    except zmq.ZMQError as error:
        socket.close()
        advice = BIND_ADVICE.get(error.errno or 0, f"{zmq.strerror(error.errno or 0)}; write it as {ENDPOINT}")
        raise PublishError(f"cannot publish on {endpoint}: {advice}") from error
    return socket


def connect_subscriber(context: zmq.Context[zmq.Socket[bytes]], endpoint: str, queue_size: int) -> zmq.Socket[bytes]:
    """A SUB socket that connects to `endpoint`, now or as soon as somebody publishes there.

    Raises:
        PublishError: This is not an endpoint.
    """
    options = {zmq.RCVHWM: queue_size, zmq.MAXMSGSIZE: MAX_MESSAGE_BYTES, zmq.LINGER: 0, **KEEPALIVE, **RECONNECT}
    socket = _open(context, zmq.SUB, endpoint, options)
    try:
        socket.connect(endpoint)
    except zmq.ZMQError as error:
        socket.close()
        raise PublishError(f"cannot subscribe to {endpoint}: {zmq.strerror(error.errno or 0)}; write it as {ENDPOINT}") from error
    return socket


def _well_formed(endpoint: str) -> bool:
    """ZeroMQ itself takes what it can read of a port: 80000 as 14464, 77x as 77."""
    if address := re.fullmatch(r"tcp://.+:(\d{1,5}|\*)", endpoint):
        return address[1] == "*" or int(address[1]) <= MAX_PORT
    return endpoint.startswith("ipc://") and endpoint != "ipc://"


def _open(context: zmq.Context[zmq.Socket[bytes]], kind: int, endpoint: str, options: dict[zmq.SocketOption, int]) -> zmq.Socket[bytes]:
    if not _well_formed(endpoint):
        raise PublishError(f"{endpoint!r} is not an endpoint; write it as {ENDPOINT}")
    socket = context.socket(kind)
    # Only for a literal IPv6 address: otherwise `localhost` would be ::1 to one program and 127.0.0.1 to another.
    socket.set(zmq.IPV6, int("[" in endpoint))
    for option, value in options.items():
        socket.set(option, value)
    return socket
