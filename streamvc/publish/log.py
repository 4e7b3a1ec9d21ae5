"""The log of what is published: each message is written before it is sent, so that subscribers that missed it can request it.

It is a SQLite file (see `database`), or in memory. Old messages are deleted by age and by size, a few at a time, in a thread that does nothing else.
"""

import logging
import os
import re
import selectors
import sqlite3
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Self

from streamvc.clocks import SteadyClock
from streamvc.errors import PublishError
from streamvc.events import Event
from streamvc.publish import records
from streamvc.publish.arguments import AnyPath, read_optional_path, read_path, require_number
from streamvc.publish.database import CLOSE_S, Database, connect, require_log
from streamvc.publish.records import Criteria, LogPage
from streamvc.publish.wire import Kind, Message
from streamvc.threads import ChannelClosed, Lock, Mailbox, Worker

logger = logging.getLogger(__name__)

KEEP_S = 30 * 24 * 3600.0
KEEP_BYTES = 1024**3
MEMORY_BYTES = 16 * 1024**2  # kept at most where there is no file
CLEANUP_S = 60.0  # seconds between two deletions of old messages, also where nothing is written
WRITTEN_HOLD_S = 300.0  # for which a clock that is set ahead must stay there, before messages are dated by it ...
DELETED_HOLD_S = 3600.0  # ... and before what is old by it is deleted
CLEANUP_EVERY = 500  # messages after which old ones are deleted, and the write-ahead log is carried over
NUM_DELETED = 200  # messages deleted at once: a few milliseconds
NUM_READ = 1_000  # messages that a query reads at once
PAUSE_S = 0.01  # seconds in between, for others to write


@dataclass(frozen=True, slots=True)
class Entry:
    """A message that is to be written to a row; `event` is the event in it, where it is one."""

    row: int
    message: Message
    event: Event | None


class EventLog:
    """The messages that were published. All its methods may be called from any thread.

    Attributes:
        epoch: The number of this run, in milliseconds of Unix time or above: each is greater than all before.
        sequences: The last sequence of each camera and kind, from earlier runs.
        unended: The last event (`start` or `update`) of each activity that earlier runs have left without an `end`, the oldest first.
    """

    epoch: int
    sequences: Mapping[tuple[str, Kind], int]
    unended: Sequence[Event]

    def __init__(self, path: AnyPath | None = None, *, keep_s: float | None = KEEP_S, keep_bytes: int | None = KEEP_BYTES) -> None:
        """Open the log, or begin one.

        Args:
            path: The file; in memory if not given, and then 16 MB at most.
            keep_s: Messages are deleted after so many seconds; never if None.
            keep_bytes: The oldest are deleted when the file is larger; no limit if None.

        Raises:
            LogUnavailable: The file cannot be opened or made: the disk is full, read-only or broken.
            PublishError: Another program writes this file, or it is something else.
            TypeError: An argument is of the wrong type.
        """
        self._path = path = read_optional_path("path", path)
        require_number("keep_s", keep_s, 0)
        require_number("keep_bytes", keep_bytes, 0)
        self.epoch = 0
        self._keep_s = keep_s
        self._keep_bytes = min(keep_bytes or MEMORY_BYTES, MEMORY_BYTES) if path is None else keep_bytes
        self._num_appended = self._row = 0
        self._clock = SteadyClock(WRITTEN_HOLD_S)
        self._numbering = Lock()
        self._listening = Lock()
        self._listeners: tuple[Mailbox[None], ...] = ()
        self._database = Database(path, self._begin)
        self._cleanup_requests: Mailbox[None] = Mailbox(1)
        self._worker = Worker("log", self._clean_up, self._cleanup_requests.close, close_s=CLOSE_S).start()

    @property
    def path(self) -> Path | None:
        """The file; None where it is in memory."""
        return self._path

    def append(self, message: Message, event: Event | None = None) -> None:
        """Write a message. When this returns it is kept, whatever becomes of this process.

        Args:
            message: The message; its sequence is greater than all before of its camera and kind.
            event: The event in it, where it is one: by these the log knows which activities go on.

        Raises:
            PublishError: It could not be written. It can be tried again.
        """
        with self._numbering:  # for rows to be written in their order, as readers go by it
            self.append_all([Entry(self.next_row(), message, event)])

    def next_row(self) -> int:
        """The row of the next message: the microsecond of Unix time, or above. Each is greater than all before."""
        with self._numbering:
            self._row = max(self._row + 1, records.row_at(self._clock.step(time.time(), time.monotonic())))
            return self._row

    def append_all(self, entries: Sequence[Entry]) -> None:
        """Write messages in the order of their rows, all or none; as `append`.

        Raises:
            LogUnavailable: The file cannot be written now.
            PublishError: One of them cannot stand in it.
        """
        with self._database.writing() as connection:
            for entry in entries:
                records.insert(connection, entry.row, entry.message)
                if entry.event is not None:
                    records.note_running(connection, entry.event, entry.message.body)
            before, self._num_appended = self._num_appended, self._num_appended + len(entries)
        if before // CLEANUP_EVERY != self._num_appended // CLEANUP_EVERY:
            with suppress(ChannelClosed):
                self._cleanup_requests.offer(None)
        self.notify()

    def since(self, camera: str, kind: Kind, epoch: int, sequence: int, limit: int, from_s: float = 0.0) -> LogPage:
        """The messages of one camera and kind behind a position, the oldest first.

        Args:
            camera: The camera.
            kind: The kind of messages.
            epoch: The epoch of the last message that is known; 0 for none.
            sequence: Its sequence.
            limit: Messages in the answer, at most.
            from_s: Only what was written at this moment or later, in Unix seconds.

        Raises:
            PublishError: The log cannot be read.
        """
        with self._database.reading() as connection:
            return records.since(connection, camera, kind, epoch, sequence, limit, from_s)

    def knows(self, epoch: int) -> bool:
        """Whether an epoch is one of this log's: positions in other epochs mean nothing to it."""
        return epoch in self._epochs

    def last(self, kind: Kind, cameras: Collection[str] | None = None) -> list[Message]:
        """The newest message of each of these cameras, or of all.

        Raises:
            PublishError: The log cannot be read.
        """
        with self._database.reading() as connection:
            return records.last(connection, kind, cameras)

    def read(self, after_row: int, limit: int) -> list[tuple[int, Message]]:
        """Messages in the order of writing, each with its row. Rows only grow, also where a new log had to be begun; 0 is before the first.

        Raises:
            PublishError: The log cannot be read.
        """
        with self._database.reading() as connection:
            return records.after(connection, after_row, limit, Criteria())

    @contextmanager
    def listening(self) -> Iterator[Mailbox[None]]:
        """A mailbox that holds something when messages were appended since it was last emptied."""
        mailbox: Mailbox[None] = Mailbox(1)
        with self._listening:
            self._listeners = (*self._listeners, mailbox)
        try:
            yield mailbox
        finally:
            with self._listening:
                self._listeners = tuple(listener for listener in self._listeners if listener is not mailbox)
            mailbox.close()
            with suppress(ChannelClosed):
                while True:
                    mailbox.take()

    def notify(self) -> None:
        """Tell those who listen that there is something new to read."""
        for mailbox in self._listeners:
            with suppress(ChannelClosed):  # a listener may have left just now
                mailbox.offer(None)

    def close(self) -> None:
        """Close the log, so that another program can write the file."""
        try:
            self._worker.close()
        finally:
            self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self, connection: sqlite3.Connection) -> None:
        """At the first opening, read where earlier runs have ended. When the file is opened anew later, go on as before."""
        if not self.epoch:
            (last,) = connection.execute("SELECT coalesce(max(epoch), 0) FROM epochs").fetchone()
            self._row = records.last_row(connection)
            self._age_clock = SteadyClock(DELETED_HOLD_S, records.time_of(self._row) if self._row else None)
            self._age_clock.step(time.time(), time.monotonic())  # not only when the thread that deletes has its turn: it may have jumped by then
            self.sequences = records.sequences(connection)
            self.unended = records.unended(connection)
            self.epoch = max(last + 1, time.time_ns() // 1_000_000)
        connection.execute("INSERT OR IGNORE INTO epochs VALUES (?)", (self.epoch,))
        self._epochs = frozenset(epoch for (epoch,) in connection.execute("SELECT epoch FROM epochs"))

    def _clean_up(self) -> None:
        pause_s = 0.0
        with selectors.DefaultSelector() as selector:
            selector.register(self._cleanup_requests, selectors.EVENT_READ)
            while True:
                selector.select(pause_s)
                self._cleanup_requests.take()  # ends this thread when the log is closed
                try:
                    pause_s = PAUSE_S if self._delete_some() else CLEANUP_S
                    self._database.checkpoint()
                except PublishError as error:
                    logger.warning("%s", error)
                    pause_s = CLEANUP_S

    def _delete_some(self) -> bool:
        """Delete some of what is too old or too much; whether there may be more of it."""
        now = self._age_clock.step(time.time(), time.monotonic())
        before = 0 if self._keep_s is None else records.row_at(now - self._keep_s)
        with self._database.writing() as connection:
            if self._keep_bytes is not None and records.num_bytes(connection) > self._keep_bytes:
                before = records.MAX_INTEGER
            return records.delete_oldest(connection, before, self.epoch, NUM_DELETED) == NUM_DELETED


def query(path: AnyPath, wanted: Criteria) -> Iterator[Message]:
    """The messages of a log that are wanted, in the order of writing; also while somebody writes it.

    Raises:
        PublishError: There is no such log, or it cannot be read.
    """
    path, row = read_path("path", path), 0
    try:
        if not path.exists():
            raise PublishError(f"there is no event log {path}; `streamvc watch` writes it where it publishes")
        with closing(connect(path, "ro")) as connection:
            require_log(connection, str(path))
            # A page at a time: whoever holds a connection in the midst of a query keeps the write-ahead log from beginning anew.
            while page := records.after(connection, row, NUM_READ, wanted):
                row = page[-1][0]
                yield from (message for _, message in page)
    except (sqlite3.Error, OSError) as error:
        raise PublishError(f"the event log {path} cannot be read: {error}") from error


def default_log(endpoint: str) -> Path:
    """Where the log of what is published on an endpoint lies if nothing else is said: `~/.local/state/streamvc/events-7788.db`."""
    folder = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    port = re.fullmatch(r"tcp://.*:(\d+)", endpoint)
    name = port[1] if port else sha256(endpoint.encode()).hexdigest()[:12]
    return folder / "streamvc" / f"events-{name}.db"
