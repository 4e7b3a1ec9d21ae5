"""The SQLite file of the event log: opens it, and recovers from failures.

One process writes, as a lock on `NAME.lock` ensures; any number may read meanwhile (write-ahead log). What was committed outlives the process,
however it dies. After a failure (disk full, read-only, gone) the file is opened anew at the next write. A damaged file is set aside as
`NAME.damaged-<time>`, and a new one is begun.
"""

import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from streamvc.errors import PublishError
from streamvc.threads import Lock

logger = logging.getLogger(__name__)

APPLICATION_ID = 0x73766331  # "svc1", in the file's header
VERSION = 1
BUSY_S = 5.0  # how long to wait for another process, which may hold the file for a moment as it opens it
WRITE_BUSY_S = 0.2  # the same, once it is open: what is to be written waits meanwhile
CLOSE_S = 2.0  # for what is being written or read to end, before the file is closed
WAL_PAGES = 4_000  # 16 MB of write-ahead log: beyond it, writing waits for a moment so that it can begin anew
WAL_KEPT_BYTES = 32 * 1024 * 1024  # to which its file is cut back where it grew longer
PRIVATE = 0o600  # who was where and when is nobody else's business
FILES = ("", "-wal", "-shm")

SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE epochs (epoch INTEGER PRIMARY KEY);
CREATE TABLE messages (
    row INTEGER PRIMARY KEY,
    site TEXT NOT NULL, camera TEXT NOT NULL, kind TEXT NOT NULL, label TEXT NOT NULL,
    sequence INTEGER NOT NULL, epoch INTEGER NOT NULL, body TEXT NOT NULL,
    UNIQUE (camera, kind, sequence)
);
-- The newest of what was deleted, as numbers must never be given twice.
CREATE TABLE deleted (
    camera TEXT NOT NULL, kind TEXT NOT NULL, sequence INTEGER NOT NULL, row INTEGER NOT NULL,
    PRIMARY KEY (camera, kind)
) WITHOUT ROWID;
-- The starts of activities that go on.
CREATE TABLE running (event_id TEXT PRIMARY KEY, camera TEXT NOT NULL, body TEXT NOT NULL) WITHOUT ROWID;
-- The newest message of each camera and kind: from one to the next by the index, without a look at all that lies in between.
CREATE VIEW heads AS WITH RECURSIVE head (row, camera, kind, sequence, epoch) AS (
    SELECT * FROM (SELECT row, camera, kind, sequence, epoch FROM messages ORDER BY camera DESC, kind DESC, sequence DESC LIMIT 1)
    UNION ALL
    SELECT other.row, other.camera, other.kind, other.sequence, other.epoch FROM head JOIN messages AS other ON other.row = coalesce(
        (SELECT row FROM messages WHERE camera = head.camera AND kind < head.kind ORDER BY kind DESC, sequence DESC LIMIT 1),
        (SELECT row FROM messages WHERE camera < head.camera ORDER BY camera DESC, kind DESC, sequence DESC LIMIT 1)
    )
) SELECT * FROM head;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {VERSION};
COMMIT;
"""


class LogUnavailable(PublishError):  # noqa: N818 - a state of the disk, which may pass
    """The event log cannot be opened, written or read now: the disk is full, read-only or broken."""


class Database:
    """The file that this process writes; in memory where `path` is None.

    Attributes:
        name: What it is called in messages to people.
    """

    def __init__(self, path: Path | None, begin: Callable[[sqlite3.Connection], None]) -> None:
        """Open the file, or make it.

        Args:
            path: The file. Its folder is made where there is none.
            begin: Is called with each connection that is opened for writing, within a transaction.

        Raises:
            LogUnavailable: The file cannot be opened or made.
            PublishError: Another program writes this file, or it is another program's.
        """
        self.name = "in memory" if path is None else str(path)
        self._path = path
        self._begin = begin
        self._failed = self._damaged = False
        self._writing = Lock()
        self._reading = self._writing if path is None else Lock()
        self._inode = 0
        self._busy_s = BUSY_S
        self._connections = ExitStack()
        with ExitStack() as opened, self._translated_errors("opened"):
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                in_use = f"another program writes the event log {path} (is streamvc running already?); stop it, or choose another file"
                opened.callback(lock(path, in_use).release)
            opened.enter_context(self._connections)
            self._open()
            self._opened = opened.pop_all()
        self._failed = False
        self._busy_s = WRITE_BUSY_S

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction, for one thread at a time: committed at the end of the block, rolled back after an exception.

        Raises:
            LogUnavailable: The file cannot be written now; nothing of the transaction was.
            PublishError: What is written cannot stand in it.
        """
        with self._writing, self._translated_errors("written"):
            if self._failed:
                self._reopen()
            self._writer.execute("BEGIN IMMEDIATE")
            with self._writer:
                yield self._writer

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection to read with, for one thread at a time: it sees one moment throughout the block, and does not hold up writing.

        Raises:
            LogUnavailable: The file cannot be read.
        """
        with self._reading, self._translated_errors("read"):
            self._reader.execute("BEGIN")
            with self._reader:
                yield self._reader

    def checkpoint(self) -> None:
        """Carry the write-ahead log over into the file. It waits for the disk, while writing goes on.

        Raises:
            LogUnavailable: The file cannot be written now.
        """
        if self._path is None:
            return
        with self._translated_errors("written"):
            if self._gone():
                raise OSError("it was taken away, and is begun anew")
            with closing(connect(self._path, "rw", self._busy_s)) as connection:
                _, num_pages, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                if num_pages > WAL_PAGES:
                    # What was written meanwhile is little, but without it the write-ahead log can begin anew and does not grow for ever.
                    with self._writing:
                        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def close(self) -> None:
        """Close the file, so that another program can write it. On a disk that does not answer it stays open until this program ends."""
        with ExitStack() as held:
            for lock in (self._writing, self._reading):
                if not lock.acquire(timeout=CLOSE_S):
                    logger.error("the event log %s is not closed: its disk does not answer", self.name)
                    return
                held.callback(lock.release)
            self._opened.close()

    @contextmanager
    def _translated_errors(self, done: str) -> Iterator[None]:
        """Translate errors; after one of the file, it is opened anew."""
        try:
            yield
        except (sqlite3.IntegrityError, OverflowError, ValueError) as error:
            raise PublishError(f"this cannot stand in the event log {self.name}: {error}") from error
        except (sqlite3.Error, OSError) as error:
            self._failed = self._failed or (self._path is not None and not means_busy(error))
            self._damaged = self._damaged or means_damage(error)
            raise LogUnavailable(f"the event log {self.name} cannot be {done}: {_reason(error)}") from error

    def _open(self) -> None:
        try:
            self._connect()
        except sqlite3.Error as error:
            if self._path is None or not means_damage(error):
                raise
            self._connections.close()
            set_aside("the event log", self._path, error)
            self._connect()

    def _connect(self) -> None:
        enter = self._connections.enter_context
        if self._path is None:
            self._writer = self._reader = enter(closing(sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)))
        else:
            # Not where it is there: to close a file that SQLite holds, in any way but its own, would undo its locks.
            if not self._path.exists():
                self._path.touch(PRIVATE)
            self._inode = self._path.stat().st_ino
            self._writer = enter(closing(connect(self._path, "rw", self._busy_s)))
            self._reader = enter(closing(connect(self._path, "ro", self._busy_s)))
        _prepare(self._writer, self.name)
        self._writer.execute("BEGIN IMMEDIATE")
        with self._writer:
            self._begin(self._writer)
        self._writer.execute(f"PRAGMA busy_timeout = {round(1000 * WRITE_BUSY_S)}")

    def _reopen(self) -> None:
        """Open the file anew. What was open stays so until that has worked: on a full disk, what is there can still be read."""
        with self._reading:
            before, connections = self._connections.pop_all(), (self._writer, self._reader)
            try:
                if self._damaged and self._path is not None and self._path.exists():
                    set_aside("the event log", self._path, "damaged pages")
                self._damaged = False
                self._open()
            except BaseException:
                self._connections.close()
                self._connections.enter_context(before)
                self._writer, self._reader = connections
                raise
            before.close()
            self._failed = False

    def _gone(self) -> bool:
        return self._path is not None and not (self._path.exists() and self._path.stat().st_ino == self._inode)


def connect(path: Path, mode: Literal["ro", "rw"], busy_s: float = BUSY_S) -> sqlite3.Connection:
    """A connection to a file that is there, for any thread, without transactions that begin by themselves."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=busy_s, isolation_level=None, check_same_thread=False)


def require_log(connection: sqlite3.Connection, name: str) -> None:
    """Refuse what is a database, but not an event log of this version.

    Raises:
        PublishError: It is not.
    """
    (application,), (version,) = (connection.execute(f"PRAGMA {pragma}").fetchone() for pragma in ("application_id", "user_version"))
    if application != APPLICATION_ID:
        raise PublishError(f"{name} is not an event log but another program's database; choose another file")
    if version != VERSION:
        raise PublishError(f"the event log {name} is of version {version}, and this streamvc knows version {VERSION}; choose another file")


def _prepare(connection: sqlite3.Connection, name: str) -> None:
    if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        connection.executescript(SCHEMA)
    require_log(connection, name)
    connection.execute("PRAGMA journal_mode = WAL")
    # The write-ahead log is synced when it is carried over, not at each commit: a crash of the program loses nothing, a power cut the last moments.
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute(f"PRAGMA journal_size_limit = {WAL_KEPT_BYTES}")


def lock(path: Path | str, in_use: str) -> FileLock:
    """A lock on a file, by another beside it; held until it is released or the process is gone, however it ends.

    Raises:
        PublishError: `in_use`: another has it.
        OSError: There can be no lock there.
    """
    held = FileLock(f"{path}.lock", mode=PRIVATE, thread_local=False)
    Path(path).parent.stat()  # which would be made where it is not there
    try:
        held.acquire(blocking=False)
    except Timeout as error:
        raise PublishError(in_use) from error
    return held


def means_damage(error: Exception) -> bool:
    """Whether the file of a database is damaged, or is none; other errors may pass."""
    return _code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def means_busy(error: Exception) -> bool:
    """Whether nothing is wrong with the file: another program holds it."""
    return _code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _code(error: Exception) -> int:
    return (getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) or sqlite3.SQLITE_OK) & 0xFF


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def set_aside(what: str, path: Path, why: object) -> None:
    """Rename a damaged database, so that a new one can be begun in its place.

    Raises:
        OSError: It cannot be renamed.
    """
    aside = path.with_name(f"{path.name}.damaged-{datetime.now():%Y%m%dT%H%M%S.%f}")
    for suffix in FILES:
        part = Path(f"{path}{suffix}")
        if part.exists():
            part.rename(f"{aside}{suffix}")
    logger.error("%s %s is damaged (%s); it lies in %s now, and a new one is begun", what, path, why, aside)
