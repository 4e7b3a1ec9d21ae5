"""The position of a reader, in an SQLite file that outlives the program."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, Self

from streamvc.errors import PublishError
from streamvc.publish.arguments import AnyPath, read_path
from streamvc.publish.database import lock
from streamvc.publish.sequence_tracker import Position, SequenceKey
from streamvc.publish.subscriber_protocol import ResumePoint
from streamvc.publish.wire import KINDS

# The file may be the reader's own database: hence the long names, and no mark in its header.
SCHEMA = """
CREATE TABLE IF NOT EXISTS streamvc_base (epoch INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS streamvc_positions (
    site TEXT NOT NULL, camera TEXT NOT NULL, kind TEXT NOT NULL, epoch INTEGER NOT NULL, sequence INTEGER NOT NULL,
    PRIMARY KEY (site, camera, kind)
) WITHOUT ROWID;
"""
BUSY_S = 5.0  # how long to wait for another program that writes to the file


class Cursor:
    """Remembers what a reader has received, so that its next run goes on behind it. One reader at a time.

    By default an item counts as done when the next one is taken, or the `with` block of the subscriber is left without an exception: a reader that
    dies before that receives it again (at least once). With `commit="before"` it counts as done before the reader receives it (at most once).

    What the reader writes through `connection` while it has an item is committed together with the position, all or nothing: exactly once.

        cursor = streamvc.Cursor("counts.db")
        cursor.connection.execute("CREATE TABLE IF NOT EXISTS starts (label TEXT)")
        with streamvc.Subscriber(cursor=cursor) as events:
            for event in events:
                cursor.connection.execute("INSERT INTO starts VALUES (?)", [event.label])

    Attributes:
        connection: To the file. A transaction is open while the reader has an item; leave it to the cursor to commit.
    """

    def __init__(self, path: AnyPath, *, commit: Literal["after", "before"] = "after") -> None:
        """Open the file, or make it. It may be a database of your own.

        Args:
            path: The file.
            commit: When an item counts as done.

        Raises:
            PublishError: Another reader uses it, or it cannot be opened or made.
            TypeError: This is not a path.
        """
        path = read_path("path", path)
        if commit not in ("after", "before"):
            raise PublishError(f"an item counts as done `after` or `before` it is received, not {commit!r}")
        self._path = path
        self._before = commit == "before"
        self._changed: dict[SequenceKey, Position] = {}
        with self._translated_errors("opened"):
            self._lock = lock(path, f"another subscriber uses the cursor {path}; stop it, or give each its own")
            try:
                # The reader may be in any thread, but in one at a time.
                self.connection = sqlite3.connect(path, timeout=BUSY_S, check_same_thread=False)
                try:
                    self._prepare()
                except sqlite3.Error:
                    self.connection.close()
                    raise
            except sqlite3.Error:
                self._lock.release()
                raise

    @property
    def resume_point(self) -> ResumePoint | None:
        """Where the reader goes on; None for a new cursor.

        Raises:
            PublishError: The file cannot be read.
        """
        with self._translated_errors("read"):
            base = self.connection.execute("SELECT epoch FROM streamvc_base").fetchone()
            rows = self.connection.execute("SELECT site, camera, kind, epoch, sequence FROM streamvc_positions").fetchall()
        positions = {SequenceKey(site, camera, KINDS[kind]): Position(epoch, sequence) for site, camera, kind, epoch, sequence in rows}
        return ResumePoint(base[0], positions) if base else None

    def begin(self, resume: ResumePoint) -> None:
        """Forget all positions, and go on from here.

        Raises:
            PublishError: The file cannot be written.
        """
        self._changed = dict(resume.positions)
        with self._translated_errors("written"):
            self.connection.execute("DELETE FROM streamvc_base")
            self.connection.execute("DELETE FROM streamvc_positions")
            self.connection.execute("INSERT INTO streamvc_base VALUES (?)", [resume.base_epoch])
            self._write()
            self.connection.commit()

    def note(self, key: SequenceKey, position: Position, *, given: bool) -> None:
        """The reader is about to receive the message at this position; or it is not wanted, and noted together with the next one that is.

        Raises:
            PublishError: The file cannot be written.
        """
        self._changed[key] = position
        if given:
            with self._translated_errors("written"):
                self._write()
                if self._before:
                    self.connection.commit()

    def commit(self) -> None:
        """The item that the reader has received is done.

        Raises:
            PublishError: The file cannot be written; neither is what the reader wrote.
        """
        with self._translated_errors("written"):
            self.connection.commit()

    def rollback(self) -> None:
        """The item that the reader has received is not done: it will come again, and what was written with it is undone."""
        with self._translated_errors("written"):
            self.connection.rollback()

    def close(self) -> None:
        """Close the file; an item that was received and not committed will come again."""
        self.connection.close()
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _prepare(self) -> None:
        self.connection.execute("PRAGMA journal_mode = WAL")
        # After a power cut the last items may come again, and what was written with them is undone too.
        self.connection.execute("PRAGMA synchronous = NORMAL")
        self.connection.executescript(SCHEMA)

    def _write(self) -> None:
        rows = [(key.site, key.camera, key.kind, position.epoch, position.sequence) for key, position in self._changed.items()]
        self.connection.executemany("INSERT OR REPLACE INTO streamvc_positions VALUES (?, ?, ?, ?, ?)", rows)
        self._changed.clear()

    @contextmanager
    def _translated_errors(self, done: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise PublishError(f"the cursor {self._path} cannot be {done}: {error}") from error
