"""Decoders: each captures one connection of one camera, in a process or in a thread of its own. A reconnection is a new decoder."""

import os
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from typing import Protocol

import psutil

from streamvc.capture.address import redact
from streamvc.capture.loop import capture
from streamvc.capture.messages import Arrived, CaptureSettings, Due, Finished, Message, Opened, Started, decode, encode_settings
from streamvc.capture.ring import Ring
from streamvc.errors import NodeError
from streamvc.node.claims import ClaimChecker
from streamvc.node.decoding import RETRY_S
from streamvc.node.fork_server import DecoderForkServer
from streamvc.threads import ChannelClosed, Mailbox, Worker
from streamvc.types import Array, Frame

MAX_BYTES = 1 << 14  # of a message
MAX_AT_ONCE = 64  # messages of one decoder, before it is another's turn

NUM_WAITING = 1000  # words of a thread that may wait; its pictures are far fewer

Said = Opened | Arrived | Finished


class Decoder(Protocol):
    """Captures one connection of one camera. For one thread; only `Arrived.release` may be called by others.

    Attributes:
        pid: The process that it runs in; None until that is known.
    """

    pid: int | None

    def fileno(self) -> int:
        """The descriptor to poll for reading; it is readable, too, when the decoder has died. -1 once closed."""

    def receive(self) -> list[Said]:
        """What it has said since the last call; never waits. The last that it ever says is a `Finished`, however it ends."""

    def kill(self) -> None:
        """End it, as it hangs; `receive` gives a `Finished` then."""

    def close(self) -> None:
        """Let it go; waits for nothing. Frames that are lent stay valid."""


OpenDecoder = Callable[[CaptureSettings], Decoder]  # raises NodeError where the system refuses


class ProcessDecoder:
    """Captures in a process, so that a stream that crashes its decoder touches no other, and one that hangs is simply killed."""

    def __init__(self, fork_server: DecoderForkServer, settings: CaptureSettings) -> None:
        """Start the process; waits for nothing.

        Raises:
            NodeError: The system refuses: too many files are open, mostly.
        """
        self.pid: int | None = None  # None until it has said a word
        self._lost_parent: int | None = None
        self._ring: Ring | None = None
        self._finished = False
        self._checker = ClaimChecker(settings)
        try:
            self._connection, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs, ExitStack() as opened:
                opened.enter_context(self._connection)
                self._connection.setblocking(False)
                self._connection.send(encode_settings(settings))
                fork_server.fork(theirs)
                opened.pop_all()
            fork_server.register(self)
        except OSError as error:
            raise NodeError(f"no decoder can be started: {error.strerror}; are there limits of open files or of memory (ulimit -n)?") from error

    def fileno(self) -> int:
        return self._connection.fileno()

    def receive(self) -> list[Said]:
        all_said: list[Said] = []
        while not self._finished and len(all_said) < MAX_AT_ONCE and (said := self._next()) is not None:
            self._finished = isinstance(said, Finished)
            all_said.append(said)
        return all_said

    def kill(self) -> None:
        if self._lost_parent and self.pid:
            with suppress(psutil.Error):  # it is dead already
                process = psutil.Process(self.pid)
                if process.ppid() == self._lost_parent:
                    process.kill()
        with suppress(OSError):  # as before; and where nobody says how it ended, that it did is to be seen here
            self._connection.shutdown(socket.SHUT_RDWR if self._lost_parent else socket.SHUT_WR)

    def lose_parent(self, pid: int) -> None:
        """See `Orphan`."""
        self._lost_parent = pid
        if self.pid is None and not self._finished:  # it never began
            self.kill()

    def close(self) -> None:
        """Let it go. The process ends by itself, and is killed where it has not within half a second."""
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
                said = self._take(self._checker.check(decode(data), time.monotonic()), descriptors)
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
                width, height = message.handed_size
                self._ring = Ring(descriptors[0], height, width)
                return message
            case Due():
                return self._arrived(message)
            case Finished():
                return message

    def _arrived(self, due: Due) -> Arrived:
        if due.slot is not None and self._ring is None:
            raise ValueError("a picture came before its form was known")
        return _arrived(due, self._ring)


class ThreadDecoder:
    """Captures in a thread of this process. One that hangs is left behind: it ends at its time-outs, or with the program."""

    def __init__(self, settings: CaptureSettings) -> None:
        """Start the thread; waits for nothing."""
        self.pid: int | None = os.getpid()
        self._said: Mailbox[Said] = Mailbox(NUM_WAITING)
        self._finished = False
        self._thread = Worker("capture", partial(_capture, settings, MailboxReceiver(self._said)), self._said.close).start()

    def fileno(self) -> int:
        return self._said.fileno()

    def receive(self) -> list[Said]:
        if self._finished:
            return []
        try:
            all_said = self._said.take()
        except ChannelClosed:
            all_said = [Finished("died", "it hung, and was given up")]
        self._finished = any(isinstance(said, Finished) for said in all_said)
        return all_said

    def kill(self) -> None:
        self._said.close()

    def close(self) -> None:
        self._finished = True
        self._said.discard()

    @property
    def is_running(self) -> bool:
        """The thread has not ended."""
        return self._thread.is_running

    def join(self, timeout_s: float) -> None:
        """Wait for the thread to end, for so long at most; close it first."""
        self._thread.join(timeout_s)


class MailboxReceiver:
    """Pictures go into memory of this process, and the word of them into a mailbox. See `Receiver`."""

    def __init__(self, said: Mailbox[Said]) -> None:
        self._said = said
        self._ring: Ring  # set by `open`
        self._is_lossless = False

    def open(self, opened: Opened) -> None:
        width, height = opened.handed_size
        self._ring = Ring.of_memory(height, width)
        self._is_lossless = opened.policy == "every"
        self.say(opened)

    def put(self, due: Due, write: Callable[[Array], None] | None) -> bool:
        if write is None and not self._is_lossless:
            self.say(Arrived(replace(due, decoded=time.monotonic()), None, _nothing_to_release))
            return True
        # What waits takes a slot even where there is no picture: no more may wait than there are slots.
        while (slot := self._ring.claim()) is None:
            if not self._is_lossless:
                return False
            self._said.wait_for(lambda: self._ring.is_half_free)
        if write is not None:
            write(self._ring.slot(slot))
        arrived = _arrived(replace(due, slot=slot, decoded=time.monotonic()), self._ring, self._wake if self._is_lossless else None)
        self.say(arrived if write is not None else replace(arrived, frame=None))
        return True

    def _wake(self) -> None:
        """Wake the thread that captures, if it waits for room; not for each slot, as it would take the interpreter from who recognises."""
        if self._ring.is_half_free:
            self._said.notify()

    def say(self, said: Said) -> None:
        """Say it; waits where nobody has listened for long."""
        while not self._said.offer(said):
            self.wait_until(time.monotonic() + RETRY_S)

    def wait_until(self, moment: float) -> None:
        self._said.wait_until(moment)


def _capture(settings: CaptureSettings, receiver: MailboxReceiver) -> None:
    try:
        said = capture(settings, receiver)
    except ChannelClosed:
        return
    except Exception as error:  # handed over to whoever listens
        said = Finished("died", f"{type(error).__name__}: {redact(str(error))}")
    receiver.say(said)


def _arrived(due: Due, ring: Ring | None, released: Callable[[], None] | None = None) -> Arrived:
    if due.slot is None or ring is None:
        return Arrived(due, None, _nothing_to_release)
    loan = ring.lend(due.slot, released)
    return Arrived(due, Frame(due.index, due.timestamp, loan.image, due.clock, due.captured, due.decoded, due.segment, due.began), loan.release)


def _nothing_to_release() -> None:
    """Where there is no picture."""
