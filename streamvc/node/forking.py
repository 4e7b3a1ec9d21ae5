"""The process that decoders are forked from: `python -m streamvc.node.forking DESCRIPTOR`, where a `DecoderForkServer` has the other end of that.

A decoder whose connection was closed by the node should notice by itself. One that has not within `GRACE_S` (it hangs in a read that never returns)
is killed, and so are all when the node closes this process's own connection.

A decoder reads what strangers send. It has a camera's login, as its connection brings that, but no other's, which this process never sees; no other
descriptors; and no more memory, files and descriptors than a stream needs.
"""

import ctypes
import gc
import math
import os
import resource
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import cv2

from streamvc.capture.messages import Finished, Message, Started, encode
from streamvc.capture.ring import num_bytes
from streamvc.node import decoding
from streamvc.node.fork_server import PING
from streamvc.types import MOST_PX

GRACE_S = 0.5  # seconds for a decoder to end by itself
PR_SET_PDEATHSIG = 1  # of prctl(2)
MAX_DESCRIPTORS = 64  # of a decoder: its connection, the memory of pictures, what it reads
FIRST_TO_GO = 500  # of 1000: where the machine's memory is used up, the kernel ends decoders before the node


@dataclass(slots=True, eq=False)
class Child:
    """A decoder.

    Attributes:
        pid: Its process.
        connection: Its end of the connection: to see that the node has closed its own, and to say how the decoder died.
        kill_at: `time.monotonic()` when it is to be dead, in seconds.
    """

    pid: int
    connection: socket.socket
    kill_at: float = math.inf


class Forker:
    """Forks decoders, until the node closes `control`; then sees to it that all end."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._open = True
        self._children: dict[int, Child] = {}  # by the descriptor of the connection
        self._woken, self._waking = socket.socketpair()  # by the end of a child
        self._woken.setblocking(False)
        self._waking.setblocking(False)
        self._poller = select.poll()
        self._poller.register(control, select.POLLIN)
        self._poller.register(self._woken, select.POLLIN)

    def run(self) -> None:
        """Return when all is over."""
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.set_wakeup_fd(self._waking.fileno())
        while self._open or self._children:
            for descriptor, _ in self._poller.poll(self._patience_ms()):
                self._meet(descriptor)
            self._kill_the_late()

    def _meet(self, descriptor: int) -> None:
        if descriptor == self._control.fileno():
            self._hear()
        elif descriptor == self._woken.fileno():
            self._bury()
        elif child := self._children.get(descriptor):
            self._let_go(child)

    def _hear(self) -> None:
        try:
            order, descriptors, _, _ = socket.recv_fds(self._control, 1, 1)
        except ConnectionResetError:  # it was closed with an answer in it that nobody has read
            order, descriptors = b"", []
        if not order:
            self._close()
        elif order == PING:
            with suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):  # who asked may be gone by now
                self._control.send(PING, socket.MSG_DONTWAIT)
        elif descriptors:  # none, where there are too many open ones: the node sees that the connection was closed
            self._fork(socket.socket(fileno=descriptors[0]))

    def _close(self) -> None:
        self._open = False
        self._poller.unregister(self._control)
        for child in self._children.values():
            self._let_go(child)

    def _fork(self, connection: socket.socket) -> None:
        parent = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:  # no memory, or too many processes
            _tell_death(connection, f"no decoder can be started: {error.strerror}")
            return
        if pid == 0:
            self._become_decoder(connection, parent)
        _tell(connection, Started(pid))
        self._children[connection.fileno()] = Child(pid, connection)
        self._poller.register(connection, select.POLLRDHUP)

    def _become_decoder(self, connection: socket.socket, parent: int) -> None:
        """The rest of a child's life."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:  # it was killed before that was said
                return
            _limit()
            for other in (self._control, self._woken, self._waking, *(child.connection for child in self._children.values())):
                other.close()
            decoding.run(connection)
            code = 0
        finally:
            os._exit(code)

    def _let_go(self, child: Child) -> None:
        if child.kill_at == math.inf:
            child.kill_at = time.monotonic() + GRACE_S
            self._poller.unregister(child.connection)

    def _patience_ms(self) -> int | None:
        first = min((child.kill_at for child in self._children.values()), default=math.inf)
        return None if first == math.inf else max(0, math.ceil((first - time.monotonic()) * 1000))

    def _kill_the_late(self) -> None:
        now = time.monotonic()
        for child in self._children.values():
            if child.kill_at <= now:
                os.kill(child.pid, signal.SIGKILL)
                child.kill_at = now + GRACE_S  # it takes a moment

    def _bury(self) -> None:
        with suppress(BlockingIOError):
            self._woken.recv(4096)
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            child = next(child for child in self._children.values() if child.pid == pid)
            del self._children[child.connection.fileno()]
            if child.kill_at == math.inf:
                self._poller.unregister(child.connection)
            _tell_death(child.connection, _how(status))


def _limit() -> None:
    """Let this process take no more than a stream needs."""
    limits = {
        resource.RLIMIT_CORE: 0,  # it would fill the disk, with a password in it
        resource.RLIMIT_DATA: _data_bytes() + decoding.MEMORY_BYTES,
        resource.RLIMIT_FSIZE: num_bytes(MOST_PX, 1),
        resource.RLIMIT_NOFILE: MAX_DESCRIPTORS,
    }
    for kind, limit in limits.items():
        _, most = resource.getrlimit(kind)
        limit = limit if most == resource.RLIM_INFINITY else min(limit, most)
        resource.setrlimit(kind, (limit, limit))
    with suppress(OSError):  # not everywhere may that be said
        Path("/proc/self/oom_score_adj").write_text(str(FIRST_TO_GO))


def _data_bytes() -> int:
    """What this process has of the memory that RLIMIT_DATA counts: its own, not that of libraries, nor what it shares."""
    return int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()


def _tell_death(connection: socket.socket, detail: str) -> None:
    with connection:
        _tell(connection, Finished("died", detail))


def _tell(connection: socket.socket, message: Message) -> None:
    with suppress(OSError):  # nobody may be there to hear it, or its decoder has said too much: nothing is waited for here
        connection.send(encode(message), socket.MSG_DONTWAIT)


def _how(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"the decoder ended with exit code {code}"
    name = next((known.name for known in signal.Signals if known == -code), f"signal {-code}")
    return f"the decoder was killed by {name}"


def main() -> None:
    """Prepare what all decoders share, and fork."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # systemd sends it to all processes of a service; the node hears it, and closes the connections
    cv2.setNumThreads(1)
    gc.freeze()  # what is there now is never looked through again, so that children go on sharing its memory
    Forker(socket.socket(fileno=int(sys.argv[1]))).run()


if __name__ == "__main__":
    main()
