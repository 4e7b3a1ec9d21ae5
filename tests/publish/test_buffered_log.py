"""What the log does not take waits in memory."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from streamvc.publish.buffered_log import BufferedLog
from streamvc.publish.log import EventLog
from streamvc.publish.wire import Message, SinceQuery
from tests.publish.bare import PATIENCE_S
from tests.publish.disks import full_disk
from tests.publish.samples import START, message, update


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EventLog]:
    with EventLog(tmp_path / "events.db") as log:
        yield log


def film(buffered: BufferedLog, log: EventLog, first: int, last: int) -> list[Message]:
    """Messages of these sequences, written to the buffered."""
    messages = [message(update(float(sequence)), sequence, log.epoch) for sequence in range(first, last + 1)]
    for sent in [buffered.write(each, START) for each in messages]:
        sent.result(PATIENCE_S)
    return messages


def kept(log: EventLog) -> list[int]:
    return [message.sequence for _, message in log.read(0, 10_000)]


def since(buffered: BufferedLog, log: EventLog, sequence: int, limit: int = 1000) -> tuple[list[int], int, int, bool]:
    answer = buffered.since(SinceQuery("front_door", "event", log.epoch, sequence, limit))
    return [message.sequence for message in answer.messages], answer.first, answer.last, answer.more


def test_what_waits_is_found_behind_what_is_written(log: EventLog) -> None:
    buffered = BufferedLog(log)
    film(buffered, log, 1, 10)
    with full_disk(1_000):
        film(buffered, log, 11, 20)
        assert since(buffered, log, 0) == (list(range(1, 21)), 1, 20, False)
        assert since(buffered, log, 8, limit=5) == ([9, 10, 11, 12, 13], 1, 20, True)
        assert since(buffered, log, 13, limit=7) == ([14, 15, 16, 17, 18, 19, 20], 1, 20, False)
        assert since(buffered, log, 20) == ([], 1, 20, False)
        assert buffered.problem is not None
        assert kept(log) == list(range(1, 11))
    buffered.close()
    assert kept(log) == list(range(1, 21))
    assert buffered.problem is None


def test_a_message_is_handed_on_when_it_is_written_and_not_before(log: EventLog) -> None:
    was_written: list[bool] = []
    buffered = BufferedLog(log, send=lambda each: was_written.append(each.sequence in kept(log)))
    film(buffered, log, 1, 3)
    buffered.close()
    assert was_written == [True] * 3


def test_where_too_much_waits_the_oldest_is_given_up_and_it_is_said(log: EventLog, caplog: pytest.LogCaptureFixture) -> None:
    buffered = BufferedLog(log, backlog_size=5)
    with full_disk(1_000):
        film(buffered, log, 1, 20)
        assert since(buffered, log, 0) == ([16, 17, 18, 19, 20], 16, 20, False)
        buffered.close()
        assert "5 messages are lost" in caplog.text
    buffered.close()
    assert kept(log) == [16, 17, 18, 19, 20]
    assert caplog.text.count("the oldest are dropped") == 1
    assert "15 messages are missing" in caplog.text


def test_what_can_never_be_written_does_not_stand_in_the_way(log: EventLog, caplog: pytest.LogCaptureFixture) -> None:
    buffered = BufferedLog(log)
    with full_disk(1_000):
        film(buffered, log, 1, 2)
        buffered.write(message(START, 2**63, log.epoch), START).result(PATIENCE_S)
        film(buffered, log, 3, 4)
    buffered.close()
    assert kept(log) == [1, 2, 3, 4]
    assert "1 messages are missing" in caplog.text


def test_a_log_that_is_not_the_one_asked_for_stays_a_problem(log: EventLog) -> None:
    buffered = BufferedLog(log, "the disk is gone")
    film(buffered, log, 1, 3)
    buffered.close()
    assert buffered.problem == "the disk is gone"
    assert kept(log) == [1, 2, 3]
