"""Limits what strangers may take of a publisher: connections, and what they send to subscribe. ZeroMQ itself limits neither.

It takes in all that a subscriber sends at once, in the thread of the sockets and with fifty times as much memory. So a thread of its own watches how
much comes by each connection, and hangs up where that is too much.
"""

import logging
import select
import socket
import struct
import sys
import time
import uuid
from contextlib import suppress

import zmq

from streamvc.publish.sockets import Context, PublisherSockets, Socket
from streamvc.threads import Lock, Mailbox, Worker

logger = logging.getLogger(__name__)

MOST_CONNECTIONS = 10_000
LEAST_CONNECTIONS = 16
MAX_RECEIVED_BYTES = 512 * 1024  # by one connection of a subscriber, in all its life and at once ...
RECEIVED_BYTES_PER_S = 1024  # ... and so much more for each second of it
LOG_INTERVAL_S = 60.0
EVENTS = zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED
EVENT = struct.Struct("=HI")  # in native order: which it is, and the descriptor
NUM_GONE = 100_000
TCP_INFO_BYTES = 256
RECEIVED = struct.Struct("=128xQ")  # where Linux tells in it how many bytes have come


def most_connections() -> int:
    """So many connections that three quarters of this process' descriptors are left for all else, and for those that come in a burst."""
    if sys.platform == "win32":
        return MOST_CONNECTIONS
    import resource  # which is not there on Windows

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_CONNECTIONS if soft == resource.RLIM_INFINITY else max(LEAST_CONNECTIONS, min(MOST_CONNECTIONS, soft // 4))


class Connections:
    """The connections to a publisher, by their descriptors. Where there are too many, those are cut off first that have said nothing for longest.

    Attributes:
        gone: The descriptors of those that have ended.
    """

    def __init__(self, context: Context, bound: PublisherSockets, limit: int | None = None) -> None:
        """Follow the connections to these sockets, `limit` of them at most; as many as `most_connections` says if None."""
        self.gone: Mailbox[int] = Mailbox(NUM_GONE)
        self._limit = limit or most_connections()
        self._lock = Lock()
        self._silent: dict[int, float] = {}  # those that have said nothing yet, and when they came; the oldest first
        self._heard: dict[int, float] = {}
        self._sockets = (bound.feed, bound.requests, bound.latest)
        self._names = {_local_name(each) for each in self._sockets}
        self._counted = {_local_name(each) for each in (bound.feed, bound.latest)}
        self._log_at = 0.0
        self._monitors = [_monitor(context, each) for each in self._sockets]
        self._arrivals = select.epoll() if sys.platform == "linux" else None
        self._closing: Mailbox[None] = Mailbox(1)
        self._worker = Worker("connections", self._watch, self._closing.close).start()

    def hear(self, descriptor: int) -> None:
        """One has said something that makes sense."""
        with self._lock:
            self._heard[descriptor] = self._silent.pop(descriptor, 0.0) or self._heard.get(descriptor, time.monotonic())

    def hang_up(self, descriptor: int, reason: str) -> None:
        """End a connection; ZeroMQ notices, and lets go of all that it holds of it."""
        with self._lock:
            self._log(reason)
            self._silent.pop(descriptor, None)
        with suppress(OSError):  # it is gone
            connection = socket.socket(fileno=descriptor)
            try:
                if _name(connection) in self._names:  # or the number is another's by now
                    connection.shutdown(socket.SHUT_RDWR)
            finally:
                connection.detach()

    def close(self) -> None:
        self._worker.close()
        for each in self._sockets:
            each.monitor(None, 0)
        for monitor in self._monitors:
            monitor.close(0)
        if self._arrivals:
            self._arrivals.close()
        self.gone.discard()

    def _watch(self) -> None:
        poller = zmq.Poller()
        for each in (*self._monitors, self._closing.fileno(), *([self._arrivals.fileno()] if self._arrivals else [])):
            poller.register(each, zmq.POLLIN)
        while True:
            poller.poll()
            self._closing.take()
            for monitor in self._monitors:
                self._follow(monitor)
            for descriptor, _ in self._arrivals.poll(0) if self._arrivals else ():
                self._weigh(descriptor)

    def _follow(self, monitor: Socket) -> None:
        with suppress(zmq.Again):
            while True:
                event, descriptor = EVENT.unpack(monitor.recv_multipart(zmq.DONTWAIT)[0])
                if event == zmq.EVENT_ACCEPTED:
                    self._accept(descriptor)
                    continue
                with self._lock:
                    self._silent.pop(descriptor, None)
                    self._heard.pop(descriptor, None)
                self.gone.offer(descriptor)

    def _accept(self, descriptor: int) -> None:
        with self._lock:
            if descriptor not in self._heard:
                self._silent[descriptor] = time.monotonic()
            is_full = len(self._silent) + len(self._heard) > self._limit
            first = next(iter(self._silent), descriptor)
        if is_full:
            self.hang_up(first, f"more than {self._limit} connections: those that have said nothing are cut off")
        if self._arrivals and (not is_full or first != descriptor):
            with suppress(OSError):  # it is gone
                self._arrivals.register(descriptor, select.EPOLLIN | select.EPOLLET)

    def _weigh(self, descriptor: int) -> None:
        """Something has come by a connection: whether it is too much."""
        with suppress(OSError):
            connection = socket.socket(fileno=descriptor)
            try:
                if _name(connection) not in self._counted or connection.family == socket.AF_UNIX:
                    return
                (received,) = RECEIVED.unpack_from(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_BYTES))
            finally:
                connection.detach()
            with self._lock:
                since = self._silent.get(descriptor) or self._heard.get(descriptor) or time.monotonic()
            if received > MAX_RECEIVED_BYTES + RECEIVED_BYTES_PER_S * (time.monotonic() - since):
                self.hang_up(descriptor, "a client is cut off: it sends too much")

    def _log(self, text: str) -> None:
        """Once a minute at most: strangers decide how often it happens."""
        if time.monotonic() >= self._log_at:
            self._log_at = time.monotonic() + LOG_INTERVAL_S
            logger.warning("%s", text)


def _monitor(context: Context, watched: Socket) -> Socket:
    endpoint = f"inproc://monitor-{uuid.uuid4().hex}"
    watched.monitor(endpoint, EVENTS)
    monitor = context.socket(zmq.PAIR)
    monitor.set(zmq.RCVHWM, 0)  # at a limit, ZeroMQ's own thread would wait
    monitor.connect(endpoint)
    return monitor


def _local_name(bound: Socket) -> str | int:
    """What tells the connections to a socket from others: its port, or its path."""
    endpoint = bound.get_string(zmq.LAST_ENDPOINT).rstrip("\0")
    return endpoint.removeprefix("ipc://") if endpoint.startswith("ipc://") else int(endpoint.rpartition(":")[2])


def _name(connection: socket.socket) -> str | int | None:
    name = connection.getsockname()
    return name if isinstance(name, str) else name[1] if isinstance(name, tuple) else None
