"""A network between a publisher and its subscribers that can be cut, on loopback."""

import selectors
import socket
from contextlib import ExitStack, closing, suppress
from typing import Literal, Self, get_args

from streamvc.threads import ChannelClosed, Mailbox, Worker

Cut = Literal["drop", "stall", "truncate"]
CUTS: tuple[Cut, ...] = get_args(Cut)

CHUNK_BYTES = 65_536
NUM_TRIES = 100
PATIENCE_S = 10.0  # for one who does not take what he is sent


class Cable:
    """Passes on what comes at its own feed and requests to those of a publisher, and back.

    Attributes:
        endpoint: Of the feed; requests go to the next port.
    """

    def __init__(self, endpoint: str) -> None:
        """Lay a cable to the publisher at `endpoint` (`tcp://127.0.0.1:PORT`)."""
        port = int(endpoint.rpartition(":")[2])
        self._cut: Cut | None = None
        self._peers: dict[socket.socket, socket.socket] = {}
        self._servers = dict(zip(_neighbours(), (port, port + 1), strict=True))
        self.endpoint = f"tcp://127.0.0.1:{next(iter(self._servers)).getsockname()[1]}"
        self._orders: Mailbox[Cut | None] = Mailbox(10)
        self._worker = Worker("cable", self._pass_on, self._orders.close)

    def cut(self, how: Cut) -> None:
        """Cut it: `drop` closes all connections and refuses new ones, `truncate` does so amid what is being said, `stall` lets all hang."""
        self._orders.offer(how)

    def mend(self) -> None:
        self._orders.offer(None)

    def __enter__(self) -> Self:
        self._worker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._worker.close()

    def _pass_on(self) -> None:
        with ExitStack() as opened, selectors.DefaultSelector() as selector:
            opened.callback(self._hang_up)
            for server in self._servers:
                opened.enter_context(closing(server))
            with suppress(ChannelClosed):
                while True:
                    self._wait(selector)

    def _wait(self, selector: selectors.BaseSelector) -> None:
        """Do what there is to do next."""
        watched = [] if self._cut == "stall" else [*self._servers, *self._peers]
        sources: list[int | socket.socket] = [self._orders.fileno(), *watched]
        for source in sources:
            selector.register(source, selectors.EVENT_READ)
        ready = [key.fileobj for key, _ in selector.select()]
        for source in sources:
            selector.unregister(source)
        for order in self._orders.take():
            self._cut = order
            if order == "drop":
                self._hang_up()
        for end in ready:
            if isinstance(end, socket.socket) and end in self._servers:
                self._connect(end)
            elif isinstance(end, socket.socket) and end in self._peers:
                self._carry(end)

    def _connect(self, server: socket.socket) -> None:
        near, _ = server.accept()
        try:
            far = None if self._cut else socket.create_connection(("127.0.0.1", self._servers[server]), PATIENCE_S)
        except OSError:  # the publisher is not there
            far = None
        if far is None:
            near.close()
            return
        near.settimeout(PATIENCE_S)
        self._peers |= {near: far, far: near}

    def _carry(self, end: socket.socket) -> None:
        """Pass on what one end says; half of it if the cable is cut just then."""
        with suppress(OSError):
            said = end.recv(CHUNK_BYTES)
            self._peers[end].sendall(said if self._cut is None else said[: len(said) // 2])
            if said and self._cut is None:
                return
        for side in (self._peers.pop(end), end):
            self._peers.pop(side, None)
            side.close()

    def _hang_up(self) -> None:
        for end in self._peers:
            end.close()
        self._peers.clear()


def _neighbours() -> tuple[socket.socket, socket.socket]:
    """Two servers on neighbouring free ports."""
    for _ in range(NUM_TRIES):
        first = socket.create_server(("127.0.0.1", 0))
        try:
            return first, socket.create_server(("127.0.0.1", first.getsockname()[1] + 1))
        except (OSError, OverflowError):
            first.close()
    raise OSError("no two neighbouring ports are free")
