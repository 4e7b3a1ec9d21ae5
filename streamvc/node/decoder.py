"""The node's end of a decoder."""

import os
import socket
from contextlib import suppress

from streamvc.errors import NodeError
from streamvc.node.messages import Arrived, DecoderSettings, Due, Finished, Message, Opened, Started, decode, encode_settings
from streamvc.node.nursery import Nursery
from streamvc.node.ring import Ring
from streamvc.types import Frame

MAX_BYTES = 1 << 14  # of a message

Said = Opened | Arrived | Finished


class Decoder:
    """A process that reads one connection of one camera. For one thread; only `Arrived.release` may be called by others.

    A reconnection is a new decoder, so that nothing of the old one can be left, and one that hangs is simply killed.
    """

    def __init__(self, settings: DecoderSettings, nursery: Nursery) -> None:
        """Start the process; waits for nothing.

        Raises:
            NodeError: The system refuses: too many files are open, mostly.
        """
        self.pid: int | None = None  # None until it has said a word
        self._ring: Ring | None = None
        self._finished = False
        try:
            self._connection, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                nursery.fork(encode_settings(settings), theirs)
        except OSError as error:
            raise NodeError(f"no decoder can be started: {error.strerror}; are there limits of open files or of memory (ulimit -n)?") from error
        self._connection.setblocking(False)

    def fileno(self) -> int:
        """The descriptor to poll for reading; it is readable, too, when the process has died. -1 once closed."""
        return self._connection.fileno()

    def receive(self) -> list[Said]:
        """What it has said since the last call; never waits. The last that it ever says is a `Finished`, however it ends."""
        all_said: list[Said] = []
        while not self._finished and (said := self._next()) is not None:
            self._finished = isinstance(said, Finished)
            all_said.append(said)
        return all_said

    def kill(self) -> None:
        """End it, as it hangs: within half a second, and `receive` gives a `Finished` then."""
        with suppress(OSError):  # it is dead already
            self._connection.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Let it go; waits for nothing. The process ends by itself, and is killed where it has not within half a second.

        Frames that are lent stay valid.
        """
        self._connection.close()
        self._finished, self._ring, self.pid = True, None, None

    def _next(self) -> Said | None:
        """The next that it has said that concerns others; None where there is nothing yet."""
        while True:
            try:
                data, descriptors, _, _ = socket.recv_fds(self._connection, MAX_BYTES, 1)
            except BlockingIOError:
                return None
            except ConnectionResetError:
                data, descriptors = b"", []
            if not data:
                return Finished("died", "the decoder has gone without a word")
            try:
                said = self._take(decode(data), descriptors)
            except ValueError as error:  # what it reads has broken it
                self.kill()
                return Finished("died", f"the decoder talks nonsense: {error}")
            finally:
                for descriptor in descriptors:
                    os.close(descriptor)
            if said is not None:
                return said

    def _take(self, message: Message, descriptors: list[int]) -> Said | None:
        match message:
            case Started():
                self.pid = message.pid
                return None
            case Opened():
                if not descriptors:
                    raise ValueError("a stream was opened without a ring")
                width, height = message.size
                self._ring = Ring(descriptors[0], height, width)
                return message
            case Due():
                return self._arrived(message)
            case Finished():
                return message

    def _arrived(self, due: Due) -> Arrived:
        loan = None
        if due.slot is not None:
            if self._ring is None:
                raise ValueError("a picture came before its form was known")
            loan = self._ring.lend(due.slot)
        frame = Frame(due.index, due.timestamp, loan.image, due.clock, due.captured, due.decoded) if loan else None
        return Arrived(due, frame, loan.release if loan else _nothing_to_release)


def _nothing_to_release() -> None:
    """Where there is no picture."""
