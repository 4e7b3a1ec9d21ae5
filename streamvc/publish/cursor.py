"""Where a reader is, in an SQLite file that outlives it."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, Self

from streamvc.errors import PublishError
from streamvc.publish.database import lock
from streamvc.publish.feed import Place
from streamvc.publish.holes import Key, Position
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
    """Remembers what a reader has had, for its next run to go on behind it. One reader at a time.

    By default an item counts as had when the next one is asked for, or the `with` block of the subscriber is left without an exception: a reader that
    dies before is given it again (at least once). With `commit="before"` it counts as had before it is given (at most once).

    What the reader writes through `connection` while it has an item is committed with it, all or nothing: exactly once.

        cursor = streamvc.Cursor(Path("counts.db"))
        cursor.connection.execute("CREATE TABLE IF NOT EXISTS starts (label TEXT)")
        with streamvc.Subscriber(cursor=cursor) as events:
            for event in events:
                cursor.connection.execute("INSERT INTO starts VALUES (?)", [event.label])

    Attributes:
        connection: To the file. A transaction is open while the reader has an item; leave it to the cursor to commit.
    """

    def __init__(self, path: Path | str, *, commit: Literal["after", "before"] = "after") -> None:
        """Open the file, or make it. It may be a database of your own.

        Args:
            path: The file.
            commit: When an item counts as had.

        Raises:
            PublishError: Another reader uses it, or it cannot be opened or made.
        """
        self._path = path
        self._before = commit == "before"
        self._had: dict[Key, Position] = {}
        with self._explained("opened"):
            self._lock = lock(path, f"another subscriber uses the cursor {path}; stop it, or give each its own")
            try:
                # Whoever reads may do so in any thread, but one at a time does.
                self.connection = sqlite3.connect(path, timeout=BUSY_S, check_same_thread=False)
                self._prepare()
            except sqlite3.Error:
                self._lock.release()
                raise

    @property
    def place(self) -> Place | None:
        """Where the reader is; None where it never was.

        Raises:
            PublishError: The file cannot be read.
        """
        with self._explained("read"):
            base = self.connection.execute("SELECT epoch FROM streamvc_base").fetchone()
            rows = self.connection.execute("SELECT site, camera, kind, epoch, sequence FROM streamvc_positions").fetchall()
        positions = {Key(site, camera, KINDS[kind]): Position(epoch, sequence) for site, camera, kind, epoch, sequence in rows}
        return Place(base[0], positions) if base else None

    def begin(self, place: Place) -> None:
        """Forget all that was had, and go on from this place.

        Raises:
            PublishError: The file cannot be written.
        """
        self._had = dict(place.positions)
        with self._explained("written"):
            self.connection.execute("DELETE FROM streamvc_base")
            self.connection.execute("DELETE FROM streamvc_positions")
            self.connection.execute("INSERT INTO streamvc_base VALUES (?)", [place.base])
            self._write()
            self.connection.commit()

    def note(self, key: Key, position: Position, *, given: bool) -> None:
        """The message at this position is about to be given; or it is of no interest, and noted along with the next that is.

        Raises:
            PublishError: The file cannot be written.
        """
        self._had[key] = position
        if given:
            with self._explained("written"):
                self._write()
                if self._before:
                    self.connection.commit()

    def commit(self) -> None:
        """The item that was handed out has been dealt with.

        Raises:
            PublishError: The file cannot be written; neither is what the reader wrote.
        """
        with self._explained("written"):
            self.connection.commit()

    def rollback(self) -> None:
        """The item that was handed out was not dealt with; it will be given again, and what was written with it is gone."""
        with self._explained("written"):
            self.connection.rollback()

    def close(self) -> None:
        """Close the file; an item that was handed out and not committed will be given again."""
        self.connection.close()
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _prepare(self) -> None:
        self.connection.execute("PRAGMA journal_mode = WAL")
        # After a power cut the last items may be given again, along with what was written with them.
        self.connection.execute("PRAGMA synchronous = NORMAL")
        self.connection.executescript(SCHEMA)

    def _write(self) -> None:
        rows = [(key.site, key.camera, key.kind, position.epoch, position.sequence) for key, position in self._had.items()]
        self.connection.executemany("INSERT OR REPLACE INTO streamvc_positions VALUES (?, ?, ?, ?, ?)", rows)
        self._had.clear()

    @contextmanager
    def _explained(self, done: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise PublishError(f"the cursor {self._path} cannot be {done}: {error}") from error
