"""The position of each sink in the log, and what brokers retain, in a small SQLite file beside it, so that a restart goes on from there."""

import logging
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from streamvc.publish.database import means_damage, set_aside

logger = logging.getLogger(__name__)

TABLES = (
    "CREATE TABLE IF NOT EXISTS positions (sink TEXT PRIMARY KEY, row INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS retained (sink TEXT, topic TEXT, PRIMARY KEY (sink, topic)) WITHOUT ROWID",
)


class Positions:
    """The last row of the log that was delivered, by sink. May be used from any thread."""

    def __init__(self, path: Path | None) -> None:
        """Open the file or make it; in memory where there is none, or it cannot be used. A damaged one is set aside."""
        self._path = path
        self._failed = False
        try:
            self._connection = _open(":memory:") if path is None else _open_or_replace(path)
        except (sqlite3.Error, OSError) as error:
            logger.error("cannot keep in %s what sinks were given (%s): after a restart, they go on with what is new", path, error)
            self._connection = _open(":memory:")

    def begin(self, sink: str, row: int) -> int:
        """The last row that was delivered to a sink; `row` for a new sink."""
        found = self._connection.execute("SELECT row FROM positions WHERE sink = ?", (sink,)).fetchone()
        if found is None:
            self.advance(sink, row)
            return row
        return int(found[0])

    def advance(self, sink: str, row: int) -> None:
        """Keep the last row that was delivered to a sink. If that fails, some are delivered again after a restart."""
        self._write("REPLACE INTO positions VALUES (?, ?)", [(sink, row)])

    def retained(self, sink: str) -> set[str]:
        """The topics that a broker retains something on, by this sink."""
        return {topic for (topic,) in self._connection.execute("SELECT topic FROM retained WHERE sink = ?", (sink,))}

    def retain(self, sink: str, topics: Iterable[str]) -> None:
        """Remember more of them."""
        self._write("REPLACE INTO retained VALUES (?, ?)", [(sink, topic) for topic in topics])

    def release(self, sink: str, topics: Iterable[str]) -> None:
        """Forget some of them."""
        self._write("DELETE FROM retained WHERE sink = ? AND topic = ?", [(sink, topic) for topic in topics])

    def _write(self, statement: str, rows: list[tuple[str, int]] | list[tuple[str, str]]) -> None:
        try:
            self._connection.executemany(statement, rows)
        except sqlite3.Error as error:
            if not self._failed:
                logger.warning("cannot keep in %s what sinks were given (%s): after a restart, they are given some of it again", self._path, error)
            self._failed = True
        else:
            self._failed = False

    def close(self) -> None:
        self._connection.close()


class RetainedTopics:
    """The topics that a broker retains something on, by one sink, as far as is known: also by earlier runs. For one thread.

    Attributes:
        topics: These.
    """

    def __init__(self, positions: Positions, sink: str) -> None:
        self._positions = positions
        self._sink = sink
        self.topics = positions.retained(sink)

    def add(self, topics: Iterable[str]) -> None:
        if new := set(topics) - self.topics:
            self.topics |= new
            self._positions.retain(self._sink, new)

    def remove(self, topics: Iterable[str]) -> None:
        if old := set(topics):
            self.topics -= old
            self._positions.release(self._sink, old)


def _open_or_replace(path: Path) -> sqlite3.Connection:
    try:
        return _open(str(path))
    except sqlite3.Error as error:
        if not means_damage(error):
            raise
        set_aside("the file of the sinks' positions", path, error)
        logger.warning("sinks go on with what is new: where they had got to is not known any more")
        return _open(str(path))


def _open(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        # What a power cut takes of it is given once more; it is never damaged.
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        for table in TABLES:
            connection.execute(table)
        connection.execute("SELECT count(*) FROM positions WHERE row >= 0").fetchone()  # reads it all: damage shows now
    except sqlite3.Error:
        connection.close()
        raise
    return connection
