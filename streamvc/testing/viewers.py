"""Those who watch a camera of the torture kit: their connections, on loopback."""

import selectors
import socket
import struct
import time
from contextlib import suppress

from streamvc.threads import ChannelClosed, Mailbox

CHUNK_BYTES = 65_536
PATIENCE_S = 2.0  # for one who does not take what is sent
RESET = struct.pack("ii", 1, 0)  # linger for 0 s: what is unsent is thrown away, and the other side told so


class Viewers:
    """A server that sends the same to all who are connected. For one thread, but for `close`.

    Attributes:
        port: Where it listens, now or later.
        num_connections: How many it has taken so far.
    """

    def __init__(self, greeting: bytes, port: int) -> None:
        """Listen on `port` (0: a free one); `greeting` comes before the first that is sent to each.

        Raises:
            OSError: The port is taken.
        """
        self.num_connections = 0
        self._greeting = greeting
        self._server = socket.create_server(("127.0.0.1", port))
        self.port: int = self._server.getsockname()[1]
        self._old: list[socket.socket] = []
        self._new: list[socket.socket] = []  # nothing was sent to them yet
        self._closing: Mailbox[None] = Mailbox(1)

    @property
    def has_new(self) -> bool:
        """Whether somebody waits for the first bytes."""
        return bool(self._new)

    def wait(self, seconds: float) -> None:
        """Let so much time pass.

        Raises:
            ChannelClosed: `close` was called.
        """
        until = time.monotonic() + seconds
        self._serve(max(0.0, seconds))
        while (left_s := until - time.monotonic()) > 0:
            self._serve(left_s)

    def await_one(self) -> bool:
        """Wait until somebody is connected; says whether nobody was. Raises as `wait` does."""
        if self._old or self._new:
            return False
        while not self._old and not self._new:
            self._serve(None)
        return True

    def send(self, data: bytes) -> None:
        """Send to all; those who do not take it are let go."""
        for viewer in (*self._old, *self._new):
            try:
                viewer.sendall(data if viewer in self._old else self._greeting + data)
            except OSError:
                self._let_go(viewer)
        self._old += self._new
        self._new.clear()

    def reset(self) -> None:
        """Break all connections off, as a machine does that goes down."""
        for viewer in (*self._old, *self._new):
            with suppress(OSError):
                viewer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self._let_go(viewer)

    def refuse(self, seconds: float) -> None:
        """Take no connection for so long. Raises as `wait` does."""
        self._server.close()
        self.reset()
        self.wait(seconds)
        self._server = socket.create_server(("127.0.0.1", self.port))

    def hang_up(self) -> None:
        """Close all connections, and take no more."""
        self._server.close()
        for viewer in (*self._old, *self._new):
            self._let_go(viewer)
        self._closing.close()
        with suppress(ChannelClosed):
            self._closing.take()

    def close(self) -> None:
        """Tell the thread that serves to end. May be called by any."""
        self._closing.close()

    def _serve(self, timeout_s: float | None) -> None:
        """Wait for one who comes or leaves, or until the time is over."""
        watched = [*self._old, *self._new] + ([self._server] if self._server.fileno() >= 0 else [])
        with selectors.DefaultSelector() as selector:
            selector.register(self._closing, selectors.EVENT_READ)
            for one in watched:
                selector.register(one, selectors.EVENT_READ)
            ready = [key.fileobj for key, _ in selector.select(timeout_s)]
        self._closing.take()
        for one in watched:
            if one in ready:
                self._join() if one is self._server else self._hear(one)

    def _join(self) -> None:
        with suppress(ConnectionError):  # it has gone already
            viewer, _ = self._server.accept()
            viewer.settimeout(PATIENCE_S)
            self._new.append(viewer)
            self.num_connections += 1

    def _hear(self, viewer: socket.socket) -> None:
        """A request, which says nothing that is not known; or the end."""
        said = b""
        with suppress(OSError):
            said = viewer.recv(CHUNK_BYTES)
        if not said:
            self._let_go(viewer)

    def _let_go(self, viewer: socket.socket) -> None:
        viewer.close()
        for group in (self._old, self._new):
            if viewer in group:
                group.remove(viewer)
