"""Starts decoders in a few milliseconds: a process that has all imported that they need (`forking`) forks one on request, and sees to its end.

Closing the connection of a decoder, from the node's end, is the one signal to stop. As connections close when a program dies, nothing is left of one
that was killed, either. `multiprocessing`'s own fork server cannot do that, and imports the program's main module in each child.

The process itself may hang, or somebody stops it. Then another one starts decoders; those that there are go on.
"""

import logging
import os
import select
import socket
import subprocess
import sys
import time
from contextlib import suppress
from typing import Protocol, Self
from weakref import WeakSet

from streamvc.errors import NodeError

logger = logging.getLogger(__name__)

HANGS_S = 5.0  # without an answer, after which it hangs
FIRST_S = 60.0  # for the first, as it has a lot to load, on a busy machine
UNSEEN_S = 2.0  # what is longer than that between two looks is the program's own absence
CLOSE_S = 5.0  # seconds for all decoders to end, on a busy machine; one that hangs takes half a second

FORK = b"f"  # with the descriptor of a connection
PING = b"p"  # is answered by the same

# What decoders get of the environment; all else may be a secret.
ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "PYTHONHOME", "SSL_CERT_FILE", "SSL_CERT_DIR")


class Orphan(Protocol):
    """A decoder that can do without the process that has forked it."""

    def lose_parent(self, pid: int) -> None:
        """That process hangs: it has not begun with what it was to do, and will not say when a decoder ends, nor end one that hangs."""


class DecoderForkServer:
    """The process that decoders are forked from; use it in a `with` block, or close it. For one thread.

    It ends with the program, however that ends, and all decoders with it.
    """

    def __init__(self) -> None:
        """Start it; waits for nothing.

        Raises:
            NodeError: It cannot run on this system.
        """
        if not hasattr(socket, "SOCK_SEQPACKET") or not hasattr(select, "POLLRDHUP"):
            raise NodeError(f"a node runs on Linux alone, not on {sys.platform}; watch single cameras by `streamvc watch`")
        self._decoders: WeakSet[Orphan] = WeakSet()
        self._left: list[tuple[socket.socket, subprocess.Popen[bytes]]] = []  # processes that hang, with decoders that may not
        self._watched = time.monotonic()
        self._begin()

    def _begin(self) -> None:
        self._control, self._process = _start()
        self._silent_s: float | None = None  # since it was asked for an answer; None where it was not
        self._has_answered = False

    def fork(self, connection: socket.socket) -> None:
        """Start a decoder at this end of its connection, of which it has its own copy then; it reads its settings there. Waits for nothing.

        Raises:
            OSError: The system refuses.
        """
        try:
            socket.send_fds(self._control, [FORK], [connection.fileno()])
        except BrokenPipeError:  # the process was killed, and all decoders with it; whoever watches those hears of that
            self._end()
            self._begin()
            socket.send_fds(self._control, [FORK], [connection.fileno()])

    def register(self, decoder: Orphan) -> None:
        """Tell a decoder that was started if the process hangs."""
        self._decoders.add(decoder)

    def watch(self, now: float) -> None:
        """Replace the process if it hangs. To be called about each second, with `time.monotonic()`; waits for nothing."""
        passed_s, self._watched = min(now - self._watched, UNSEEN_S), now
        with suppress(OSError):  # there is none, or nobody
            while self._control.recv(1):
                self._silent_s, self._has_answered = None, True
        if self._silent_s is not None:
            self._silent_s += passed_s
            if self._silent_s > (HANGS_S if self._has_answered else FIRST_S):
                self._replace()
            return
        with suppress(OSError):  # it is dead, which the next that is to be forked finds out
            self._control.send(PING)
            self._silent_s = 0.0

    def _replace(self) -> None:
        hanging = self._control, self._process
        try:
            self._begin()
        except OSError as error:
            logger.error("the process that starts decoders hangs, and there can be no other: %s", error.strerror)
            return
        logger.error("the process that starts decoders hangs; another one takes its place")
        self._left.append(hanging)
        for decoder in self._decoders:
            decoder.lose_parent(hanging[1].pid)
        self._decoders.clear()

    def close(self) -> None:
        """End all decoders and the process: half a second where one hangs."""
        for control, process in self._left:
            control.close()
            process.kill()
            process.wait()
        self._left = []
        self._end()

    def _end(self) -> None:
        self._control.close()
        try:
            self._process.wait(CLOSE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _start() -> tuple[socket.socket, subprocess.Popen[bytes]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    kept = {name: value for name, value in os.environ.items() if name in ENVIRONMENT or name.startswith("COVERAGE_")}
    # The same modules as here; and no threads of the libraries, which a fork would not survive.
    environment = kept | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-P", "-m", "streamvc.node.forking", str(theirs.fileno())]
    with theirs:
        # A process group of its own, so that Ctrl-C is the node's alone. Not a session: by these Linux shares out the processors first (autogroup).
        return ours, subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()], process_group=0)
