"""Sinks, fed from a real log."""

import logging
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

import pytest

from streamvc.errors import SinkError
from streamvc.publish.log import EventLog
from streamvc.publish.wire import Message
from streamvc.sinks.positions import Positions
from streamvc.sinks.runner import LONGEST_PAUSE_S, SinkRunner, pause, run_sinks
from streamvc.sinks.sink import SinkFilter
from tests.sinks.messages import append, number
from tests.sinks.test_webhook import Receiver

PATIENCE_S = 20.0


def numbers(path: Path) -> list[int]:
    return [number(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def running(log: EventLog, *addresses: str) -> AbstractContextManager[object]:
    return run_sinks(log, addresses, site="site", node="node", drain_s=PATIENCE_S)


def test_a_new_sink_gets_what_is_published_from_now_on_to_the_last(tmp_path: Path) -> None:
    with EventLog() as log:
        append(log, [1, 2])
        with running(log, f"file:{tmp_path}/events.jsonl"):
            append(log, range(3, 2_000))
        assert numbers(tmp_path / "events.jsonl") == list(range(3, 2_000))
        append(log, [2_000])
    assert numbers(tmp_path / "events.jsonl")[-1] == 1_999


def test_after_a_restart_a_sink_goes_on_where_it_was_and_another_begins(tmp_path: Path) -> None:
    with EventLog(tmp_path / "log.db") as log:
        with running(log, f"file:{tmp_path}/first.jsonl"):
            append(log, [1, 2])
        append(log, [3])
    with EventLog(tmp_path / "log.db") as log:
        append(log, [4])
        with running(log, f"file:{tmp_path}/first.jsonl", f"file:{tmp_path}/second.jsonl"):
            append(log, [5])
    assert numbers(tmp_path / "first.jsonl") == [1, 2, 3, 4, 5]
    assert numbers(tmp_path / "second.jsonl") == [5]


def test_each_address_is_delivered_to_once(tmp_path: Path) -> None:
    with EventLog() as log, running(log, f"file:{tmp_path}/events.jsonl", f"file:{tmp_path}/events.jsonl"):
        append(log, [1])
    assert numbers(tmp_path / "events.jsonl") == [1]


def test_what_a_sink_cannot_take_waits_for_it_and_comes_in_order(caplog: pytest.LogCaptureFixture) -> None:
    receiver = Receiver([503, 503, 200])
    with EventLog() as log, receiver.on() as address, running(log, address):
        append(log, [1, 2, 3])
        answered = [number(receiver.answered.get(timeout=PATIENCE_S)) for _ in range(5)]
    assert answered == [1, 1, 1, 2, 3]
    assert [record.levelno for record in caplog.records] == [logging.ERROR, logging.WARNING]  # when it begins, and when it is over
    assert "what is published waits in the log" in caplog.text


def test_a_sink_that_never_answers_holds_up_nobody_else(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stuck, EventLog() as log, Receiver().on() as address:
        mute = f"http://127.0.0.1:{stuck.getsockname()[1]}"
        with run_sinks(log, [mute, f"file:{tmp_path}/events.jsonl", address], site="site", node="node", drain_s=0.5):
            began = time.monotonic()
            append(log, range(1, 501))
            took_s = time.monotonic() - began
            left = time.monotonic()
        assert time.monotonic() - left < 5.0
    assert took_s < 5.0
    assert numbers(tmp_path / "events.jsonl") == list(range(1, 501))


def test_several_that_never_answer_do_not_hold_up_the_end() -> None:
    with EventLog() as log, socket.create_server(("127.0.0.1", 0)) as stuck, ExitStack() as open_until_the_end:
        port = stuck.getsockname()[1]
        addresses = [f"http://127.0.0.1:{port}/first", f"http://127.0.0.1:{port}/second", f"mqtt://127.0.0.1:{port}"]
        with run_sinks(log, addresses, site="site", node="node", drain_s=0.1):
            append(log, [1])
            for _ in addresses:
                open_until_the_end.enter_context(stuck.accept()[0])
            left = time.monotonic()
        assert time.monotonic() - left < 5.0


def test_a_post_that_was_not_made_is_made_after_a_restart(tmp_path: Path) -> None:
    receiver = Receiver([503])
    with receiver.on() as address:
        for sequence in (1, 2):
            with EventLog(tmp_path / "log.db") as log, run_sinks(log, [address], site="site", node="node", drain_s=0.1):
                append(log, [sequence])
        receiver.codes = [200]
        receiver.bodies.clear()
        with EventLog(tmp_path / "log.db") as log, running(log, address):
            append(log, [3])
    # A post of before, which was given up, may arrive late.
    assert list(dict.fromkeys(number(body) for body in receiver.bodies)) == [1, 2, 3]


DELIVER = """
import sys
from pathlib import Path
from streamvc.publish.log import EventLog
from streamvc.sinks.runner import run_sinks
from tests.sinks.messages import append
folder = Path(sys.argv[1])
with EventLog(folder / "log.db") as log, run_sinks(log, [f"file:{folder}/events.jsonl"], site="site", node="node"):
    sequence = log.sequences.get(("front_door", "event"), 0)
    while True:
        sequence += 1
        append(log, [sequence])
        print(sequence, flush=True)
"""


def test_what_was_published_before_a_kill_arrives_after_it(tmp_path: Path) -> None:
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", DELIVER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(200):
                process.stdout.readline()
            process.kill()
    with EventLog(tmp_path / "log.db") as log, running(log, f"file:{tmp_path}/events.jsonl"):
        published = log.sequences["front_door", "event"]
    delivered = numbers(tmp_path / "events.jsonl")
    assert published >= 600
    assert list(dict.fromkeys(delivered)) == list(range(1, published + 1))


def test_a_wrong_address_is_said_before_anything_is_delivered(tmp_path: Path) -> None:
    with EventLog() as log, pytest.raises(SinkError, match="there is no sink for 'gopher'"), running(log, f"file:{tmp_path}/a", "gopher://host"):
        pass
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    "content", [b"this is no database at all, and longer than a header of one would be" * 20, b"SQLite format 3\0" + b"\xff" * 4_096]
)
def test_damaged_positions_are_set_aside_and_kept_anew(tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "log.db.sinks").write_bytes(content)
    deliver_over_a_restart(tmp_path)
    (aside,) = tmp_path.glob("log.db.sinks.damaged-*")
    assert aside.read_bytes() == content
    assert f"it lies in {aside} now" in caplog.text
    assert "sinks go on with what is new" in caplog.text


def test_positions_that_are_damaged_within_are_set_aside_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    deliver_over_a_restart(tmp_path, 1)
    with closing(sqlite3.connect(tmp_path / "log.db.sinks")) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page_bytes,) = other.execute("PRAGMA page_size").fetchone()
    with (tmp_path / "log.db.sinks").open("r+b") as file:
        file.seek(page_bytes)
        file.write(b"\xff" * page_bytes)
    deliver_over_a_restart(tmp_path, 3)
    assert "sinks go on with what is new" in caplog.text


def deliver_over_a_restart(folder: Path, first: int = 1) -> None:
    """Deliver two more events, where the second is published while nobody delivers."""
    before = numbers(folder / "events.jsonl")
    with EventLog(folder / "log.db") as log:
        with running(log, f"file:{folder}/events.jsonl"):
            append(log, [first])
        append(log, [first + 1])
        with running(log, f"file:{folder}/events.jsonl"):
            pass
    assert numbers(folder / "events.jsonl") == [*before, first, first + 1]


def test_where_positions_cannot_be_kept_it_is_said_and_delivered_all_the_same(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "log.db.sinks").mkdir()
    with EventLog(tmp_path / "log.db") as log, running(log, f"file:{tmp_path}/events.jsonl"):
        append(log, [1])
    assert numbers(tmp_path / "events.jsonl") == [1]
    assert "cannot keep in" in caplog.text


@dataclass
class Defective:
    """A sink that meets something that nobody has thought of, once."""

    name: str = "defective"
    choice: SinkFilter = field(default_factory=SinkFilter)
    batch_size: int = 10
    num_calls: int = 0
    delivered: SimpleQueue[int] = field(default_factory=SimpleQueue)

    def deliver(self, messages: Sequence[Message]) -> None:
        self.num_calls += 1
        if self.num_calls == 1:
            raise KeyError("a defect")
        for message in messages:
            self.delivered.put(message.sequence)

    def close(self) -> None:
        pass


def test_a_defect_of_a_sink_is_logged_at_once_and_does_not_end_it(caplog: pytest.LogCaptureFixture) -> None:
    sink = Defective()
    with EventLog() as log, closing(Positions(None)) as positions, closing(SinkRunner(log, sink, "key", positions, PATIENCE_S)):
        append(log, [1, 2, 3])
        assert [sink.delivered.get(timeout=PATIENCE_S) for _ in range(3)] == [1, 2, 3]
    assert "defective fails with KeyError: 'a defect'; what is published waits in the log" in caplog.text
    assert "Traceback" in caplog.text


def test_positions_that_cannot_be_kept_any_more_are_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with EventLog(tmp_path / "log.db") as log, running(log, f"file:{tmp_path}/events.jsonl"):
        with closing(sqlite3.connect(tmp_path / "log.db.sinks")) as other:
            other.execute("DROP TABLE positions")
        for sequence in (1, 2, 3):
            append(log, [sequence])
    assert numbers(tmp_path / "events.jsonl") == [1, 2, 3]
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_pauses_grow_up_to_a_bound_and_differ() -> None:
    assert 0.25 <= pause(1) <= 0.5
    assert all(pause(number) <= LONGEST_PAUSE_S for number in (5, 10, 10_000))
    assert pause(10_000) >= LONGEST_PAUSE_S / 2
    assert len({pause(3) for _ in range(20)}) > 1
