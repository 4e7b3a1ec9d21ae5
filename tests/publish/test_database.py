"""What befalls the file of the event log: other programs, damage, disks, death."""

import logging
import resource
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from streamvc.errors import PublishError
from streamvc.events import Event
from streamvc.publish.cloudevents import decode
from streamvc.publish.database import LogUnavailable
from streamvc.publish.log import EventLog, query
from streamvc.publish.records import Criteria
from tests.publish.samples import START, message

PAGE_BYTES = 4096

WRITES_UNTIL_KILLED = """
import sys
from dataclasses import replace
from pathlib import Path
from streamvc.publish.log import EventLog
from tests.publish.samples import END, START, message

log = EventLog(Path(sys.argv[1]))
sequence = log.sequences.get(("front_door", "event"), 0)
print(sequence, flush=True)
while True:
    identifier = f"{log.epoch}-{sequence}"
    for event in (replace(START, event_id=identifier), replace(END, event_id=identifier)):
        sequence += 1
        log.append(message(event, sequence, log.epoch), event)
        print(sequence, flush=True)
"""

FORKS = """
import os, sys
from pathlib import Path
from streamvc.publish.log import EventLog

log = EventLog(Path(sys.argv[1]))
if os.fork():
    os.wait()
else:
    print("forked", flush=True)
    sys.stdin.read()
    print("ended", flush=True)
    os._exit(0)
"""


def append(log: EventLog, sequence: int) -> None:
    log.append(message(START, sequence, log.epoch), START)


def kept(log: EventLog) -> list[int]:
    return [each.sequence for each in log.since("front_door", "event", 0, 0, limit=10_000).messages]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.db"


@contextmanager
def full_disk(path: Path, num_bytes: int) -> Iterator[None]:
    """No file gets larger than it is, as far as the kernel is concerned."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_two_programs_do_not_write_the_same_log(path: Path) -> None:
    with EventLog(path) as log:
        with pytest.raises(PublishError, match=r"another program writes the event log .*events.db") as raised:
            EventLog(path)
        assert not isinstance(raised.value, LogUnavailable)
        append(log, 1)
    with EventLog(path) as log:
        assert kept(log) == [1]


def test_the_log_is_for_the_user_alone(path: Path) -> None:
    with EventLog(path) as log:
        append(log, 1)
        assert {file.stat().st_mode & 0o077 for file in path.parent.glob("events.db*")} == {0}


def test_a_killed_program_leaves_nothing_twice_and_loses_nothing(path: Path) -> None:
    for kill in range(4):
        with subprocess.Popen([sys.executable, "-c", WRITES_UNTIL_KILLED, str(path)], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            told = [process.stdout.readline() for _ in range(1 + 7 * kill)]  # killed at the opening, and in the midst of writing
            process.kill()
            told += process.stdout.readlines()
        last_told = max(int(line) for line in told if line.endswith("\n"))
        with EventLog(path) as log:
            events = [decode(each.body) for each in log.since("front_door", "event", 0, 0, limit=100_000).messages]
            assert [event.seq for event in events if isinstance(event, Event)] == list(range(1, len(events) + 1))
            assert last_told <= len(events) == log.sequences.get(("front_door", "event"), 0)
            phases = Counter(event.event_id for event in events if isinstance(event, Event))
            assert [event.event_id for event in log.unended] == [identifier for identifier, num in phases.items() if num == 1]


def test_what_a_killed_program_has_forked_holds_nothing_back(path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", FORKS, str(path)], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(PublishError, match="another program writes the event log"):
            EventLog(path)
        process.kill()
        process.wait()
        EventLog(path).close()
        assert process.stdin is not None
        process.stdin.close()
        assert process.stdout.read() == "ended\n"  # and so it still ran


def garbage_at_the_beginning(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"garbage!" * 100)


def cut_short(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(5_000)


def other_content(path: Path) -> None:
    path.write_text("these are my notes\n" * 1000)


@pytest.mark.parametrize("damage", [garbage_at_the_beginning, cut_short, other_content])
def test_a_damaged_log_is_set_aside(path: Path, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture) -> None:
    with EventLog(path) as log:
        for sequence in range(1, 200):
            append(log, sequence)
    damage(path)
    damaged = path.read_bytes()

    with EventLog(path) as log:
        assert (log.sequences, log.unended) == ({}, [])
        append(log, 1)
        assert kept(log) == [1]

    (aside,) = path.parent.glob("events.db.damaged-*")
    assert aside.read_bytes() == damaged
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert str(aside) in caplog.text


def test_damage_within_is_found_when_it_is_read_and_the_log_goes_on(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with EventLog(path) as log:
        for sequence in range(1, 500):
            append(log, sequence)
    with path.open("r+b") as file:
        file.seek(path.read_bytes().index(b'"seq":250,') // PAGE_BYTES * PAGE_BYTES)
        file.write(b"\xff" * PAGE_BYTES)
    with EventLog(path) as log:
        with pytest.raises(LogUnavailable, match="cannot be read"):
            kept(log)
        append(log, 500)
        assert kept(log) == [500]
        assert log.knows(log.epoch)
        append(log, 501)
    assert "is damaged" in caplog.text
    with EventLog(path) as log:
        assert log.sequences == {("front_door", "event"): 501}


def test_another_program_s_database_is_left_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE contacts (name TEXT)")
    before = path.read_bytes()
    for use in (lambda: EventLog(path), lambda: list(query(path, Criteria()))):
        with pytest.raises(PublishError, match="another program's database; choose another file"):
            use()
    assert path.read_bytes() == before
    assert sorted(file.name for file in path.parent.iterdir()) == ["events.db", "events.db.lock"]


def test_a_log_of_a_later_version_is_left_alone(path: Path) -> None:
    EventLog(path).close()
    with closing(sqlite3.connect(path)) as later:
        later.execute("PRAGMA user_version = 2")
    with pytest.raises(PublishError, match="is of version 2"):
        EventLog(path)


def test_a_full_disk_costs_nothing_that_was_written_and_is_got_over(path: Path) -> None:
    sequence = 1
    with EventLog(path) as log:
        with full_disk(path, num_bytes=400_000):
            complaints: list[str] = []
            while len(complaints) < 10:
                try:
                    append(log, sequence)
                    sequence += 1
                except LogUnavailable as error:
                    complaints.append(str(error))
            assert all("events.db cannot be written: " in complaint for complaint in complaints)
            assert kept(log) == list(range(1, sequence))
        append(log, sequence)
        append(log, sequence + 1)
        assert kept(log) == list(range(1, sequence + 2))
    with EventLog(path) as log:
        assert kept(log) == list(range(1, sequence + 2))


def test_a_log_that_cannot_be_made_is_told_apart_from_one_in_use(path: Path) -> None:
    path.write_text("a file, where a folder should be")
    with pytest.raises(LogUnavailable, match="cannot be opened: "):
        EventLog(path / "events.db")
    with full_disk(path, num_bytes=100), pytest.raises(LogUnavailable, match="cannot be opened: "):
        EventLog(path.with_name("other.db"))


def test_a_log_that_is_taken_away_is_begun_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "disk" / "events.db"
    with EventLog(path) as log:
        append(log, 1)
        path.parent.rename(tmp_path / "another place")
        path.parent.mkdir()
        sequence = 1
        while not path.exists():  # noticed before many are written to where nobody finds them
            sequence += 1
            append(log, sequence)
            assert sequence < 20_000
        # Whoever tidies up may have begun it, before a message came.
        sequence += 1
        append(log, sequence)
        assert kept(log) in ([sequence], [sequence - 1, sequence])
        # Or whoever tidies up came right between the two, when there was no folder.
        assert "was taken away" in caplog.text or "cannot be written: No such file or directory" in caplog.text
    with EventLog(path) as log:
        assert log.sequences == {("front_door", "event"): sequence}


def test_reading_a_log_does_not_make_one_and_names_it(path: Path) -> None:
    with pytest.raises(PublishError, match=r"no event log .*events.db"):
        list(query(path, Criteria()))
    path.mkdir()
    with pytest.raises(PublishError, match=r"event log .*events.db cannot be read"):
        list(query(path, Criteria()))


def test_the_write_ahead_log_does_not_grow_for_ever(path: Path) -> None:
    with EventLog(path) as log:
        for sequence in range(1, 12_000):  # 100 MB of pages
            append(log, sequence)
        assert path.with_name("events.db-wal").stat().st_size < 50_000_000
