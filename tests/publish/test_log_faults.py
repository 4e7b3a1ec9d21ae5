"""A log that is locked, damaged, or on a disk that does not answer: who publishes waits for nothing, subscribers are served, and nothing is lost."""

import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from streamvc.errors import PublishError
from streamvc.events import Health
from streamvc.publish import wire
from streamvc.publish.cloudevents import decode
from streamvc.publish.log import Entry, EventLog
from streamvc.publish.publisher import Publisher
from streamvc.publish.records import LogPage
from streamvc.sinks.runner import run_sinks
from tests.publish.bare import ANY_PORT, PATIENCE_S, Socket, ask, asking, reading, receive
from tests.publish.samples import END, START, update

HEARTBEAT_S = 0.2
LATE_S = 5.0  # what SQLite waits for a lock by default; far more than anybody may be held up, also on a busy machine


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another program holds the lock for writing: a shell, a backup, VACUUM."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


class HungLog(EventLog):
    """A log whose disk does not answer until it is `released`; nothing of it is ever lost."""

    released = threading.Event()
    is_hung = False

    def append_all(self, entries: Sequence[Entry]) -> None:
        self._hang()
        super().append_all(entries)

    def since(self, *arguments: object) -> LogPage:
        self._hang()
        return super().since(*arguments)  # type: ignore[arg-type]

    def _hang(self) -> None:
        if self.is_hung:
            assert self.released.wait(PATIENCE_S)


@pytest.fixture
def hung(tmp_path: Path) -> Iterator[HungLog]:
    with HungLog(tmp_path / "events.db") as log:
        log.released = threading.Event()
        try:
            yield log
        finally:
            log.released.set()
            for thread in threading.enumerate():  # one that was left to itself
                if thread.name == "streamvc-write":
                    thread.join(PATIENCE_S)


def film(publisher: Publisher, first: int, last: int) -> float:
    """Publish, and tell how long the slowest call took, in seconds."""
    longest_s = 0.0
    for number in range(first, last):
        began = time.monotonic()
        publisher.publish(update(float(number)))
        longest_s = max(longest_s, time.monotonic() - began)
    return longest_s


def said_of_the_log(reader: Socket, within_s: float = PATIENCE_S) -> Health:
    """The next word of the node itself."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        message = wire.split(reader.recv_multipart())
        if message.topic.kind == "health" and message.topic.camera == "node":
            health = decode(message.body)
            assert isinstance(health, Health)
            return health
    pytest.fail("nothing was said")


def beats(reader: Socket, number: int) -> None:
    """Wait for so many heartbeats."""
    while number:
        number -= wire.split(reader.recv_multipart()).topic.kind == "heartbeat"


def logged(log: EventLog) -> list[int]:
    return [message.sequence for _, message in log.read(0, 10_000) if message.topic.kind == "event"]


def test_a_locked_log_holds_nobody_up_and_all_of_it_is_written_later(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    with Publisher(ANY_PORT, log=path, node="node", heartbeat_s=HEARTBEAT_S) as publisher, reading(publisher) as reader:
        film(publisher, 0, 3)
        with locked(path), reading(publisher, b"sv1/site/node/") as other:
            began = time.monotonic()
            assert film(publisher, 3, 50) < LATE_S
            degraded = said_of_the_log(other)
            assert time.monotonic() - began < LATE_S
            beats(other, 3)
            assert logged(publisher.log) == [1, 2, 3]
            assert [message.sequence for message in receive(reader, 52) if message.topic.kind == "event"] == list(range(1, 51))
        recovered = said_of_the_log(reader)
        assert (degraded.status, recovered.status) == ("degraded", "up")
        assert "locked" in str(degraded.detail)
        assert logged(publisher.log) == list(range(1, 51))


def test_whoever_need_not_know_does_not_wait_at_all(hung: HungLog) -> None:
    with Publisher(ANY_PORT, log=hung, node="node") as publisher, reading(publisher, b"sv1/site/front_door/event/") as reader:
        hung.is_hung = True
        began = time.monotonic()
        for number in range(100):
            publisher.publish(update(float(number)), wait=False)
        assert time.monotonic() - began < PATIENCE_S / 4  # far less, but the machine may be busy
        assert [message.sequence for message in receive(reader, 100)] == list(range(1, 101))
        assert logged(hung) == []
        hung.released.set()


def test_a_disk_that_does_not_answer_is_said_and_subscribers_are_served(hung: HungLog) -> None:
    with (
        Publisher(ANY_PORT, log=hung, node="node", heartbeat_s=HEARTBEAT_S) as publisher,
        reading(publisher) as reader,
        asking(publisher) as waiting,
        asking(publisher) as client,
    ):
        film(publisher, 0, 3)
        hung.is_hung = True
        assert film(publisher, 3, 10) < LATE_S
        assert "has taken nothing" in str(said_of_the_log(reader).detail)
        waiting.send_multipart(wire.join_request(wire.Request(b"id", wire.SinceQuery("front_door", "event", 0, 0))))
        beats(reader, 3)
        states, _ = ask(client, wire.SnapshotQuery())
        assert {message.topic.camera for message in states} == {"front_door", "node"}
        _, refusal = ask(client, wire.SinceQuery("front_door", "event", 0, 0))
        assert isinstance(refusal, wire.Refusal)
        assert "does not answer" in refusal.reason
        hung.released.set()
        assert wire.split_answer(waiting.recv_multipart())[0] == b"id"
        while said_of_the_log(reader).status != "up":
            pass
    assert logged(hung) == list(range(1, 11))


def test_what_a_dead_disk_never_took_is_counted_at_the_end(hung: HungLog, caplog: pytest.LogCaptureFixture) -> None:
    publisher = Publisher(ANY_PORT, log=hung, node="node")
    film(publisher, 0, 3)
    hung.is_hung = True
    film(publisher, 3, 8)
    began = time.monotonic()
    publisher.close()
    assert time.monotonic() - began < PATIENCE_S / 2
    assert "6 messages are lost to the event log" in caplog.text  # with one of health


def test_a_log_that_is_damaged_on_the_way_is_set_aside_and_all_that_follows_is_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "events.db"
    with (
        Publisher(ANY_PORT, log=path, node="node", heartbeat_s=HEARTBEAT_S) as publisher,
        reading(publisher, b"sv1/site/front_door/event/") as reader,
    ):
        film(publisher, 0, 300)
        with path.open("r+b") as file, path.with_name("events.db-wal").open("r+b") as ahead:
            for each in (file, ahead):
                each.write(b"\xff" * 65_536)
        with suppress(PublishError):  # it is noticed now, if not before
            logged(publisher.log)
        assert film(publisher, 300, 400) < LATE_S
        assert [message.sequence for message in receive(reader, 400)] == list(range(1, 401))
    assert "is damaged" in caplog.text
    assert list(tmp_path.glob("events.db.damaged-*"))
    with EventLog(path) as log:
        assert logged(log) == list(range(301, 401))


def test_sinks_go_on_while_the_log_takes_nothing(tmp_path: Path) -> None:
    path, file = tmp_path / "events.db", tmp_path / "sink.jsonl"
    with Publisher(ANY_PORT, log=path, node="node") as publisher, run_sinks(publisher.kept, [f"file:{file}"], site="site", node="node"):
        film(publisher, 0, 3)
        with locked(path):
            film(publisher, 3, 10)
            deadline = time.monotonic() + PATIENCE_S
            while not file.exists() or len(file.read_bytes().splitlines()) < 10:
                assert time.monotonic() < deadline
                time.sleep(0.02)
        film(publisher, 10, 20)
    with EventLog(path) as log:
        assert logged(log) == list(range(1, 21))
    numbers = [event.seq for event in map(decode, file.read_bytes().splitlines())]  # type: ignore[union-attr]
    assert numbers == list(range(1, 21))


def test_an_activity_that_ends_while_the_log_is_locked_is_ended_once(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    with Publisher(ANY_PORT, log=path) as publisher:
        publisher.publish(START)
        with locked(path):
            publisher.publish(END)
    with Publisher(ANY_PORT, log=path) as publisher:
        assert [decode(message.body).phase for _, message in publisher.log.read(0, 10) if message.topic.kind == "event"] == ["start", "end"]  # type: ignore[union-attr]
