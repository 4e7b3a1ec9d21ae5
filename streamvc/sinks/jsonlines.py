"""JSON Lines: one message a line, in a file or on standard output."""

import os
import select
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self
from urllib.parse import SplitResult, unquote

from streamvc.errors import SinkError
from streamvc.publish.wire import Message
from streamvc.sinks.sink import SinkFilter, read_choice, read_options

BATCH_SIZE = 500
PRIVATE = 0o600  # who was where and when is nobody else's business
TIMEOUT_S = 5.0  # for the program that reads standard output
PIPE_BYTES = 512  # what POSIX lets through a pipe that is writable, without waiting


class JsonLinesFile:
    """Appends to a file. It is opened for each batch, so that it may be moved away or cut off at any time (logrotate)."""

    def __init__(self, path: Path, choice: SinkFilter | None = None) -> None:
        """Write to `path`; its folder must exist.

        Raises:
            SinkError: The folder is not there, or this is no file.
        """
        try:
            is_fit = path.parent.is_dir() and (path.is_file() or not path.exists())
        except OSError as error:  # its name is longer than one can be
            raise SinkError(f"cannot write events to {str(path)[:100]}...: {error.strerror}") from error
        if not is_fit:
            raise SinkError(f"cannot write events to {path}: there is no such folder, or it is not a file")
        self.name = str(path)
        self.choice = choice or SinkFilter()
        self.batch_size = BATCH_SIZE
        self._path = path

    @classmethod
    def from_url(cls, url: SplitResult) -> Self:
        """The sink of `file:PATH?kinds=event,state&phases=start,end`.

        Raises:
            SinkError: The path or an option cannot be used.
        """
        if url.netloc or url.fragment or not url.path:
            raise SinkError("a file is written as file:PATH, with %23 for # and %3F for ? in it")
        return cls(Path(unquote(url.path)), read_choice(read_options(url.query, ("kinds", "phases")), {"event"}))

    def deliver(self, messages: Sequence[Message]) -> None:
        """Append the messages; either all of them or none.

        Raises:
            SinkError: The file cannot be written.
        """
        data = _lines(messages)
        try:
            file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, PRIVATE)
            try:
                size = os.fstat(file).st_size
                if os.write(file, data) != len(data):
                    os.ftruncate(file, size)
                    raise SinkError(f"cannot write to {self._path}: the disk is full")
            finally:
                os.close(file)
        except OSError as error:
            raise SinkError(f"cannot write to {self._path}: {error.strerror}") from error

    def close(self) -> None:
        pass


class StandardOutput:
    """Writes to standard output; waits for a reader that does not read, but never for long."""

    def __init__(self, choice: SinkFilter | None = None, *, timeout_s: float = TIMEOUT_S) -> None:
        """Write to standard output, and wait at most `timeout_s` for its reader.

        Raises:
            SinkError: There is no standard output.
        """
        self.name = "standard output"
        self.choice = choice or SinkFilter()
        self.batch_size = BATCH_SIZE
        self._timeout_s = timeout_s
        self._unwritten: tuple[Sequence[Message], bytes] = ((), b"")
        try:
            self._descriptor = sys.stdout.fileno()
        except (OSError, AttributeError, ValueError) as error:
            raise SinkError("there is no standard output to write events to") from error

    def deliver(self, messages: Sequence[Message]) -> None:
        """Write the messages; if they are delivered again, from where the last attempt ended.

        Raises:
            SinkError: Nobody reads, or not fast enough.
        """
        begun, rest = self._unwritten
        rest = rest if begun == messages else _lines(messages)
        deadline = time.monotonic() + self._timeout_s
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        try:
            while rest:
                if not poll.poll(max(0.0, 1000 * (deadline - time.monotonic()))):
                    raise SinkError("nobody reads standard output")
                rest = rest[os.write(self._descriptor, rest[:PIPE_BYTES]) :]
        except OSError as error:
            raise SinkError(f"cannot write to standard output: {error.strerror}") from error
        finally:
            self._unwritten = (messages, rest)

    def close(self) -> None:
        pass


def _lines(messages: Sequence[Message]) -> bytes:
    return b"".join(message.body + b"\n" for message in messages)
