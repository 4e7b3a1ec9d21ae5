"""Starts decoders in a few milliseconds: a process that has all imported that they need (`forking`) forks one on request, and sees to its end.

Closing the connection of a decoder, from the node's end, is the one signal to stop. As connections close when a program dies, nothing is left of one
that was killed, either. `multiprocessing`'s own fork server cannot do that, and imports the program's main module in each child.
"""

import os
import select
import socket
import subprocess
import sys
from typing import Self

from streamvc.errors import NodeError

CLOSE_S = 5.0  # seconds for all decoders to end, on a busy machine; one that hangs takes half a second

FORK = b"f"  # with the descriptor of a connection

# What decoders get of the environment; all else may be a secret.
ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "PYTHONHOME", "SSL_CERT_FILE", "SSL_CERT_DIR")


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
        self._control, self._process = _start()

    def fork(self, connection: socket.socket) -> None:
        """Start a decoder at this end of its connection, of which it has its own copy then; it reads its settings there. Waits for nothing.

        Raises:
            OSError: The system refuses.
        """
        try:
            socket.send_fds(self._control, [FORK], [connection.fileno()])
        except BrokenPipeError:  # the process was killed, and all decoders with it; whoever watches those hears of that
            self.close()
            self._control, self._process = _start()
            socket.send_fds(self._control, [FORK], [connection.fileno()])

    def close(self) -> None:
        """End all decoders and the process: half a second where one hangs."""
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
