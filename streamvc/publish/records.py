"""What is written to the event log and what it is asked: the statements, on a connection that is handed in."""

import logging
import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal

from streamvc.errors import PublishError
from streamvc.events import Event
from streamvc.publish.cloudevents import decode
from streamvc.publish.wire import KINDS, Kind, Message, Topic

logger = logging.getLogger(__name__)

NUM_SEARCHED = 1_000  # events of a camera that are looked through for the last of an activity
MAX_INTEGER = 2**63 - 1
# The body as bytes, to be sent again as it was.
COLUMNS = "messages.site, messages.camera, messages.kind, messages.label, messages.sequence, messages.epoch, CAST(messages.body AS BLOB)"


@dataclass(frozen=True, slots=True)
class LogPage:
    """Messages of one camera and kind behind a position, as far as the log keeps them.

    Attributes:
        messages: The oldest first.
        first: The oldest sequence that is kept; 0 for none.
        last: The newest sequence; 0 where there never was one.
        more: There are messages behind these.
        renumbered: The epoch of the position is not one of the log's, and these are the messages of later ones; or a later epoch has used its
            sequences again.
    """

    messages: Sequence[Message]
    first: int
    last: int
    more: bool
    renumbered: bool


@dataclass(frozen=True, slots=True)
class Criteria:
    """Which messages are wanted: written from `start_s` on and before `end_s` (Unix seconds), of these names; None is any."""

    start_s: float | None = None
    end_s: float | None = None
    cameras: Collection[str] | None = None
    labels: Collection[str] | None = None
    kinds: Collection[Kind] | None = None


def row_at(time_s: float) -> int:
    """The first row of what is written from this moment on, in Unix seconds. Rows are numbered by the microsecond, and always grow."""
    return min(max(0, int(time_s * 1e6)), MAX_INTEGER)


def time_of(row: int) -> float:
    """When it was written, in Unix seconds."""
    return row / 1e6


def insert(connection: sqlite3.Connection, row: int, message: Message) -> None:
    """Write a message; it is the last of its camera and kind from now on."""
    topic = message.topic
    connection.execute(
        "INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (row, topic.site, topic.camera, topic.kind, topic.label, message.sequence, message.epoch, message.body.decode()),
    )


def note_running(connection: sqlite3.Connection, event: Event, body: bytes) -> None:
    """Remember which activities go on."""
    if event.phase == "start":
        connection.execute("REPLACE INTO running VALUES (?, ?, ?)", (event.event_id, event.camera, body.decode()))
    elif event.phase == "end":
        connection.execute("DELETE FROM running WHERE event_id = ?", (event.event_id,))


def unended(connection: sqlite3.Connection) -> list[Event]:
    """The last event of each activity that goes on, the oldest first."""
    rows = connection.execute("SELECT event_id, camera, CAST(body AS BLOB) FROM running ORDER BY event_id").fetchall()
    found = [_last_event(connection, *row) for row in rows]
    return [event for event in found if event is not None]


def sequences(connection: sqlite3.Connection) -> dict[tuple[str, Kind], int]:
    """The last sequence of each camera and kind."""
    query = "SELECT camera, kind, max(sequence) FROM (SELECT camera, kind, sequence FROM heads UNION ALL SELECT camera, kind, sequence FROM deleted)"
    rows = connection.execute(f"{query} GROUP BY camera, kind").fetchall()
    return {(camera, KINDS[kind]): sequence for camera, kind, sequence in rows}


def last_row(connection: sqlite3.Connection) -> int:
    """The newest row that was ever written; 0 for none."""
    rows = connection.execute("SELECT max(row) FROM messages UNION ALL SELECT max(row) FROM deleted").fetchall()
    return max(row or 0 for (row,) in rows)


def last(connection: sqlite3.Connection, kind: Kind, cameras: Collection[str] | None) -> list[Message]:
    """The newest message of each camera, in the order of their names."""
    chosen, names = _among("messages.camera", cameras)
    query = f"SELECT {COLUMNS} FROM messages WHERE row IN (SELECT row FROM heads WHERE kind = ?){chosen} ORDER BY camera"
    return _messages(connection, query, (kind, *names))


def knows(connection: sqlite3.Connection, epoch: int) -> bool:
    """Whether an epoch is one of this log's."""
    return connection.execute("SELECT 1 FROM epochs WHERE epoch = ?", (min(epoch, MAX_INTEGER),)).fetchone() is not None


def since(connection: sqlite3.Connection, camera: str, kind: Kind, epoch: int, sequence: int, limit: int, from_s: float) -> LogPage:
    """What one camera and kind has behind a position, the oldest first. Epoch 0 is before all."""
    is_foreign = epoch != 0 and not knows(connection, epoch)
    # Epochs only grow: behind a sequence that means nothing here is what later epochs have numbered.
    delivered = _last_delivered(connection, camera, kind, epoch, MAX_INTEGER if is_foreign else sequence)
    query = f"SELECT {COLUMNS} FROM messages WHERE camera = ? AND kind = ? AND sequence > ? AND row >= ? ORDER BY sequence LIMIT ?"
    messages = _messages(connection, query, (camera, kind, delivered, row_at(from_s), limit + 1))
    oldest = _sequence(connection, "min", "messages", camera, kind)
    newest = max(_sequence(connection, "max", table, camera, kind) for table in ("messages", "deleted"))
    numbered_again = epoch != 0 and messages != [] and messages[0].sequence <= sequence
    return LogPage(messages[:limit], oldest, newest, len(messages) > limit, is_foreign or numbered_again)


def after(connection: sqlite3.Connection, row: int, limit: int, wanted: Criteria) -> list[tuple[int, Message]]:
    """Messages behind a row in the order of writing, each with its own row."""
    names = [
        _among(f"messages.{column}", chosen) for column, chosen in (("camera", wanted.cameras), ("label", wanted.labels), ("kind", wanted.kinds))
    ]
    first = row if wanted.start_s is None else max(row, row_at(wanted.start_s) - 1)
    end = MAX_INTEGER if wanted.end_s is None else row_at(wanted.end_s)
    query = f"SELECT row, {COLUMNS} FROM messages WHERE row > ? AND row < ?{''.join(text for text, _ in names)} ORDER BY row LIMIT ?"
    found = connection.execute(query, (first, end, *(name for _, chosen in names for name in chosen), limit)).fetchall()
    return [(number, _message(*rest)) for number, *rest in found]


def num_bytes(connection: sqlite3.Connection) -> int:
    """What is in use of the file."""
    pages, free, size = (connection.execute(f"PRAGMA {pragma}").fetchone()[0] for pragma in ("page_count", "freelist_count", "page_size"))
    return int((pages - free) * size)


def delete_oldest(connection: sqlite3.Connection, before: int, epoch: int, limit: int) -> int:
    """Delete the oldest messages before a row; returns how many. The present state and health of this epoch's cameras stay, however old they are."""
    newer = "SELECT 1 FROM messages AS newer WHERE newer.camera = old.camera AND newer.kind = old.kind AND newer.sequence > old.sequence"
    rows = f"SELECT row FROM messages AS old WHERE row < ? AND (kind = 'event' OR epoch <> ? OR EXISTS ({newer})) ORDER BY row LIMIT ?"
    query = f"DELETE FROM messages WHERE row IN ({rows}) RETURNING camera, kind, sequence, row"
    deleted = connection.execute(query, (before, epoch, limit)).fetchall()
    newest = "UPDATE SET sequence = max(sequence, excluded.sequence), row = max(row, excluded.row)"
    connection.executemany(f"INSERT INTO deleted VALUES (?, ?, ?, ?) ON CONFLICT DO {newest}", deleted)
    return len(deleted)


def _last_event(connection: sqlite3.Connection, event_id: str, camera: str, body: bytes) -> Event | None:
    """The last event of an activity; its start where no other is kept."""
    query = "SELECT CAST(body AS BLOB) FROM messages WHERE camera = ? AND kind = 'event' ORDER BY sequence DESC LIMIT ?"
    newest_first = chain(connection.execute(query, (camera, NUM_SEARCHED)), [(body,)])
    events = (_event(body) for (body,) in newest_first)
    return next((event for event in events if event is not None and event.event_id == event_id), None)


def _event(body: bytes) -> Event | None:
    try:
        event = decode(body)
    except PublishError as error:  # of another version of streamvc
        logger.warning("passed over in the event log: %s", error)
        return None
    return event if isinstance(event, Event) else None


def _sequence(connection: sqlite3.Connection, choice: Literal["min", "max"], table: str, camera: str, kind: Kind) -> int:
    """The lowest or the highest sequence in a table, by its index; 0 where there is none."""
    (found,) = connection.execute(f"SELECT {choice}(sequence) FROM {table} WHERE camera = ? AND kind = ?", (camera, kind)).fetchone()
    return found or 0


def _last_delivered(connection: sqlite3.Connection, camera: str, kind: Kind, epoch: int, sequence: int) -> int:
    """The last sequence that the subscriber can have. What a power cut took from the log was numbered again in a later epoch, and is new to it."""
    query = "SELECT sequence FROM messages WHERE camera = ? AND kind = ? AND sequence <= ? AND epoch <= ? ORDER BY sequence DESC LIMIT 1"
    found = connection.execute(query, (camera, kind, min(sequence, MAX_INTEGER), min(epoch, MAX_INTEGER))).fetchone()
    return int(found[0]) if found else 0


def _among(column: str, names: Collection[str] | None) -> tuple[str, Collection[str]]:
    """A further condition, and the values for it."""
    return ("", ()) if names is None else (f" AND {column} IN ({', '.join('?' * len(names))})", names)


def _messages(connection: sqlite3.Connection, query: str, values: Sequence[Any] = ()) -> list[Message]:
    return [_message(*row) for row in connection.execute(query, values).fetchall()]


def _message(site: str, camera: str, kind: str, label: str, sequence: int, epoch: int, body: bytes) -> Message:
    return Message(Topic(site, camera, KINDS[kind], label), sequence, epoch, body)
