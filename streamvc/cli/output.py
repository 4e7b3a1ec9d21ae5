"""Standard output as it may be: closed, full, read by nobody, or by one who has left; a terminal that knows few signs."""

import errno
import io
import os
import select
import stat
import sys
import time
from contextlib import suppress

import click

from streamvc.errors import SinkError

BROKEN_PIPE = 141  # the shells' code for a program whose reader has left
OUTPUT_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)
PIPE_BYTES = 512  # what POSIX lets through a pipe that is writable, without waiting
FILE_BYTES = 1024**2
MAX_WAITING_BYTES = 16 * 1024**2  # for one who reads slowly
PATIENCE_S = 1.0  # after which one who does not read is a problem
DRAIN_S = 5.0  # at the end, since the last byte that was read


def prepare() -> None:
    """Let nothing that is printed raise for the signs in it, and no file take the place of a stream that is closed."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    sys.stdout = sys.stdout or io.TextIOWrapper(io.FileIO(1, "w", closefd=False), write_through=True)
    sys.stderr = sys.stderr or io.TextIOWrapper(io.FileIO(2, "w", closefd=False), write_through=True)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def silence() -> None:
    """What is still to be printed goes nowhere, and raises nothing at the end of the program."""
    if (descriptor := _descriptor()) is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)


class Printer:
    """Prints lines, and never waits for one who reads them: what he does not take is kept for a while.

    Attributes:
        is_closed: Whoever read has left.
    """

    def __init__(self) -> None:
        self.is_closed = False
        self._descriptor = _descriptor()
        self._waiting = bytearray()
        self._stuck_since: float | None = None
        self._num_lost = 0

    def print(self, line: str | bytes) -> None:
        """Print a line.

        Raises:
            OSError: It cannot be written now.
            SinkError: Nobody reads.
        """
        if self._descriptor is None:
            click.echo(line)
            return
        encoded = line if isinstance(line, bytes) else line.encode(sys.stdout.encoding or "utf-8", "backslashreplace")
        if self.is_closed or len(self._waiting) + len(encoded) > MAX_WAITING_BYTES:
            self._num_lost += 1
        else:
            self._waiting += encoded + b"\n"
        self.flush()

    def flush(self) -> None:
        """Print of what waits as much as is taken.

        Raises:
            OSError: It cannot be written now.
            SinkError: Nobody reads.
        """
        if self._descriptor is None or not self._waiting or self.is_closed:
            return
        size = FILE_BYTES if stat.S_ISREG(os.fstat(self._descriptor).st_mode) else PIPE_BYTES
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        try:
            while self._waiting and poll.poll(0):
                del self._waiting[: os.write(self._descriptor, self._waiting[:size])]
                self._stuck_since = None
        except BrokenPipeError:
            self.is_closed = True
            self._waiting.clear()
        now = time.monotonic()
        self._stuck_since = (self._stuck_since or now) if self._waiting else None
        if self._stuck_since and now - self._stuck_since > PATIENCE_S:
            raise SinkError("nobody reads standard output")

    def close(self) -> None:
        """Print the rest, for as long as somebody reads it.

        Raises:
            OSError: It cannot be written.
            BrokenPipeError: Whoever read has left.
            SinkError: Not all was printed.
        """
        deadline = time.monotonic() + DRAIN_S
        while self._waiting and time.monotonic() < deadline:
            before = len(self._waiting)
            with suppress(SinkError):  # told below
                self.flush()
            if len(self._waiting) < before:
                deadline = time.monotonic() + DRAIN_S
            elif self._descriptor is not None:
                poll = select.poll()
                poll.register(self._descriptor, select.POLLOUT)
                poll.poll(1000 * DRAIN_S)
        if self.is_closed:
            raise BrokenPipeError
        if num_lost := self._num_lost + self._waiting.count(b"\n"):
            raise SinkError(f"{num_lost} lines were not printed: nobody reads standard output")


def _descriptor() -> int | None:
    """That of standard output; None where it is none of the system's, as in tests."""
    try:
        return sys.stdout.fileno()
    except (OSError, AttributeError, ValueError):
        return None
