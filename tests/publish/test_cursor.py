import sqlite3
from pathlib import Path

import pytest

from streamvc.errors import PublishError
from streamvc.publish.cursor import Cursor
from streamvc.publish.sequence_tracker import Position, SequenceKey
from streamvc.publish.subscriber_protocol import ResumePoint

YARD, DOOR = SequenceKey("site", "yard", "event"), SequenceKey("site", "door", "state")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cursor.db"


def place(path: Path) -> ResumePoint | None:
    with Cursor(path) as cursor:
        return cursor.resume_point


def test_a_new_one_has_no_place(path: Path) -> None:
    assert place(path) is None


def test_a_place_outlives_it(path: Path) -> None:
    begun = ResumePoint(7, {YARD: Position(7, 3), DOOR: Position(5, 2**63 - 1)})
    with Cursor(path) as cursor:
        cursor.begin(ResumePoint(1, {SequenceKey("other", "yard", "event"): Position(1, 1)}))
        cursor.begin(begun)

    assert place(path) == begun


def test_what_was_given_counts_when_it_was_dealt_with(path: Path) -> None:
    with Cursor(path) as cursor:
        cursor.begin(ResumePoint(7, {}))
        cursor.note(YARD, Position(7, 1), given=True)
        cursor.commit()
        cursor.note(YARD, Position(7, 2), given=True)

    assert place(path) == ResumePoint(7, {YARD: Position(7, 1)})


def test_or_before_it_is_given(path: Path) -> None:
    with Cursor(path, commit="before") as cursor:
        cursor.begin(ResumePoint(7, {}))
        cursor.note(YARD, Position(7, 1), given=True)

    assert place(path) == ResumePoint(7, {YARD: Position(7, 1)})


def test_what_is_of_no_interest_is_noted_with_the_next_item(path: Path) -> None:
    with Cursor(path) as cursor:
        cursor.begin(ResumePoint(7, {}))
        cursor.note(DOOR, Position(7, 4), given=False)
        cursor.note(YARD, Position(7, 1), given=True)
        cursor.commit()

    assert place(path) == ResumePoint(7, {YARD: Position(7, 1), DOOR: Position(7, 4)})


def test_what_the_reader_writes_is_kept_with_the_position_or_not_at_all(path: Path) -> None:
    with Cursor(path) as cursor:
        cursor.begin(ResumePoint(7, {}))
        cursor.connection.execute("CREATE TABLE had (label TEXT)")
        for number, settle in ((1, cursor.commit), (2, cursor.rollback)):
            cursor.note(YARD, Position(7, number), given=True)
            cursor.connection.execute("INSERT INTO had VALUES (?)", [f"event {number}"])
            settle()

    with Cursor(path) as cursor:
        assert cursor.resume_point == ResumePoint(7, {YARD: Position(7, 1)})
        assert cursor.connection.execute("SELECT label FROM had").fetchall() == [("event 1",)]


def test_one_reader_at_a_time(path: Path) -> None:
    with Cursor(path), pytest.raises(PublishError, match="another subscriber uses the cursor"):
        Cursor(path)
    assert place(path) is None


def test_others_may_look_into_the_file_meanwhile(path: Path) -> None:
    with Cursor(path) as cursor:
        cursor.begin(ResumePoint(7, {}))
        cursor.note(YARD, Position(7, 1), given=True)
        other = sqlite3.connect(path)
        assert other.execute("SELECT count(*) FROM streamvc_positions").fetchone() == (0,)
        other.close()


@pytest.mark.parametrize("text", [b"no database at all, and long enough to be seen as none" * 20])
def test_a_file_that_is_no_database_is_said(path: Path, text: bytes) -> None:
    path.write_bytes(text)
    with pytest.raises(PublishError, match=rf"the cursor {path} cannot be opened: .*not a database"):
        Cursor(path)
    assert path.read_bytes() == text


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(PublishError, match="cannot be opened"):
        Cursor(tmp_path / "no" / "cursor")
