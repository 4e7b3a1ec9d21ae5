import math
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from streamvc.errors import PublishError
from streamvc.events import Event
from streamvc.publish import records
from streamvc.publish.database import Database
from streamvc.publish.log import EventLog, default_log, query
from streamvc.publish.records import Criteria
from streamvc.publish.wire import Message
from tests.publish.samples import END, HEALTH, START, STATE, message, update


def fill(log: EventLog, num: int, *, camera: str = "front_door", first: int = 1) -> list[Message]:
    """So many updates of a camera, as a publisher would log them."""
    messages = [message(update(0.1 * sequence, camera=camera), sequence, log.epoch) for sequence in range(first, first + num)]
    for each in messages:
        log.append(each)
    return messages


def begin(log: EventLog, sequence: int, event: Event) -> None:
    log.append(message(event, sequence, log.epoch), event)


def wait_until_kept(log: EventLog, num: int) -> None:
    """The thread that deletes wakes up as messages are appended; it is waited for with a limit that only a broken one reaches."""
    deadline = time.monotonic() + 30
    while len(log.read(0, num + 1)) > num:
        assert time.monotonic() < deadline, "too much is kept"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "events.db"


@pytest.fixture(params=["file", "memory"])
def log_path(request: pytest.FixtureRequest, path: Path) -> Path | None:
    return path if request.param == "file" else None


def test_what_was_missed_is_answered_as_it_was_sent(log_path: Path | None) -> None:
    with EventLog(log_path) as log:
        messages = fill(log, 5)
        fill(log, 3, camera="yard")

        answer = log.since("front_door", "event", log.epoch, 2, limit=10)

        assert answer.messages == messages[2:]
        assert (answer.first, answer.last, answer.more, answer.renumbered) == (1, 5, False, False)


def test_an_answer_is_asked_for_in_pieces(log_path: Path | None) -> None:
    with EventLog(log_path) as log:
        messages = fill(log, 5)

        heard: list[Message] = []
        more = True
        while more:
            answer = log.since("front_door", "event", log.epoch, heard[-1].sequence if heard else 0, limit=2)
            heard += answer.messages
            more = answer.more

        assert heard == messages


def test_a_camera_that_nobody_knows_has_nothing(log_path: Path | None) -> None:
    with EventLog(log_path) as log:
        fill(log, 1)
        for camera, kind in (("yard", "event"), ("front_door", "health")):
            answer = log.since(camera, kind, log.epoch, 0, limit=10)  # type: ignore[arg-type]
            assert (answer.messages, answer.first, answer.last, answer.more, answer.renumbered) == ([], 0, 0, False, False)


@pytest.mark.parametrize(("camera", "epoch", "sequence"), [("\ud800", 1, 1), ("front_door", 2**64 - 1, 2**64 - 1), ("front_door", 1, 2**64)])
def test_whatever_is_asked_is_answered_or_refused(log_path: Path | None, camera: str, epoch: int, sequence: int) -> None:
    with EventLog(log_path) as log:
        fill(log, 1)
        with suppress(PublishError):
            assert log.since(camera, "event", epoch, sequence, limit=10).renumbered
        with pytest.raises(PublishError, match="cannot stand"):
            log.since("front_door", "event", 0, 0, limit=10, from_s=math.nan)
        assert len(log.since("front_door", "event", 0, 0, limit=10).messages) == 1


def test_only_what_was_written_from_a_moment_on(log_path: Path | None) -> None:
    with EventLog(log_path) as log:
        fill(log, 3)
        moment = time.time()
        later = fill(log, 2, first=4)
        assert log.since("front_door", "event", 0, 0, limit=10, from_s=moment).messages == later


def test_the_last_of_each_camera(log_path: Path | None) -> None:
    with EventLog(log_path) as log:
        for camera in ("yard", "front_door", "attic"):
            for sequence in (1, 2):
                log.append(message(replace(STATE, camera=camera), sequence, log.epoch))
            log.append(message(replace(HEALTH, camera=camera), 1, log.epoch))
        fill(log, 3, camera="cellar")

        assert [(each.topic.camera, each.sequence) for each in log.last("state")] == [("attic", 2), ("front_door", 2), ("yard", 2)]
        assert [each.topic.camera for each in log.last("health", ["yard", "nowhere"])] == ["yard"]
        assert [each.sequence for each in log.last("event")] == [3]
        assert log.last("state", []) == []


def test_numbers_go_on_over_restarts_and_epochs_grow(path: Path) -> None:
    with EventLog(path) as log:
        first_epoch = log.epoch
        fill(log, 3)
        log.append(message(STATE, 1, log.epoch))
    with EventLog(path) as log:
        assert log.sequences == {("front_door", "event"): 3, ("front_door", "state"): 1}
        assert log.epoch > first_epoch
        assert (log.knows(first_epoch), log.knows(log.epoch), log.knows(first_epoch - 1)) == (True, True, False)
        fill(log, 2, first=4)
        answer = log.since("front_door", "event", first_epoch, 2, limit=10)
        assert [(each.epoch, each.sequence) for each in answer.messages] == [(first_epoch, 3), (log.epoch, 4), (log.epoch, 5)]
        assert not answer.renumbered


def test_a_sequence_of_another_numbering_means_nothing(path: Path) -> None:
    with EventLog(path) as log:
        messages = fill(log, 3)
        answer = log.since("front_door", "event", log.epoch - 1_000, 2, limit=10)
        assert (answer.messages, answer.renumbered) == (messages, True)


def test_who_comes_from_a_run_without_the_log_gets_what_was_published_since(path: Path) -> None:
    with EventLog(path) as log:
        before = fill(log, 3)
    with EventLog() as other:
        fill(other, 2)
    with EventLog(path) as log:
        since = fill(log, 2, first=4)
        answer = log.since("front_door", "event", other.epoch, 2, limit=10)
        assert (answer.messages, answer.renumbered) == (since, True)
        assert log.since("front_door", "event", 0, 0, limit=10).messages == before + since


def test_what_a_power_cut_took_and_was_numbered_again_is_new(path: Path) -> None:
    with EventLog(path) as log:
        before = log.epoch
        fill(log, 3)  # and two more, which subscribers have heard, are not on the disk
    with EventLog(path) as log:
        again = fill(log, 4, first=4)
        answer = log.since("front_door", "event", before, 5, limit=10)
        assert (answer.messages, answer.renumbered) == (again, True)


def test_what_ran_when_the_program_was_killed_is_known_to_the_next(path: Path) -> None:
    others = [replace(START, event_id=f"01JD7QXK3B000000000000000{index}") for index in (1, 2)]
    with EventLog(path) as log:
        assert log.unended == []
        begin(log, 1, START)
        begin(log, 2, others[0])
        begin(log, 3, replace(others[0], phase="update", duration_s=1.0))
        begin(log, 4, others[1])
        begin(log, 5, replace(others[0], phase="update", duration_s=2.0))
        begin(log, 6, END)
    for _ in range(2):  # until somebody has written the ends
        with EventLog(path) as log:
            assert [(event.event_id, event.phase, event.duration_s) for event in log.unended] == [
                (others[0].event_id, "update", 2.0),
                (others[1].event_id, "start", None),
            ]
    with EventLog(path) as log:
        for sequence, event in enumerate(log.unended, 7):
            begin(log, sequence, replace(event, phase="end", reason="restart"))
    with EventLog(path) as log:
        assert log.unended == []


def test_a_number_is_given_once(log_path: Path | None) -> None:
    with EventLog(log_path) as log:
        messages = fill(log, 3)
        with pytest.raises(PublishError, match="cannot stand in the event log"):
            log.append(message(START, 3, log.epoch), START)
        fill(log, 1, first=4)
        assert [each.sequence for each in log.since("front_door", "event", 0, 0, limit=10).messages] == [1, 2, 3, 4]
        assert log.since("front_door", "event", 0, 0, limit=10).messages[:3] == messages


def test_rows_are_read_in_the_order_of_writing_and_only_grow(path: Path) -> None:
    rows: list[int] = []
    written: list[Message] = []
    for run in range(3):
        with EventLog(path) as log:
            for camera in ("yard", "front_door"):
                written += fill(log, 3, camera=camera, first=1 + 3 * run)
            while page := log.read(rows[-1] if rows else 0, 2):
                rows += [row for row, _ in page]
        if run == 1:
            for file in path.parent.iterdir():
                file.unlink()
    assert rows == sorted(set(rows))
    assert len(rows) == len(written) == 18


def test_it_is_read_and_written_from_several_threads_at_once(path: Path) -> None:
    with EventLog(path) as log, ThreadPoolExecutor(3) as pool:
        filling = pool.submit(fill, log, 300)
        other = pool.submit(fill, log, 300, camera="yard")
        num_seen = 0
        while not (filling.done() and other.done()):
            answer = log.since("yard", "event", 0, 0, limit=1000)
            assert [each.sequence for each in answer.messages] == list(range(1, answer.last + 1))
            assert answer.last >= num_seen
            num_seen = len(answer.messages)
        assert log.since("front_door", "event", 0, 0, limit=1000).messages == filling.result()


def test_who_listens_is_told_of_what_is_appended(log_path: Path | None) -> None:
    with EventLog(log_path) as log:
        with log.listening() as first, log.listening() as second:
            assert first.take() == []
            fill(log, 3)
            assert (first.take(), first.take()) == ([None], [])
            fill(log, 1, first=4)
            assert (first.take(), second.take()) == ([None], [None])
        fill(log, 1, first=5)


def test_what_is_too_old_is_deleted_but_not_how_things_are_now(path: Path) -> None:
    with EventLog(path) as log:
        fill(log, 10)
        log.append(message(STATE, 1, log.epoch))
    with EventLog(path, keep_s=0.0) as log:
        wait_until_kept(log, 0)
        log.append(message(STATE, 2, log.epoch))
        log.append(message(HEALTH, 1, log.epoch))
        fill(log, 500, first=11)  # after so many it is looked for what is too old
        wait_until_kept(log, 2)
        assert [each.sequence for each in log.last("state")] == [2]
        answer = log.since("front_door", "event", 0, 0, limit=10)
        assert (answer.messages, answer.first, answer.last, answer.renumbered) == ([], 0, 510, False)
    with EventLog(path) as log:
        assert log.sequences == {("front_door", "event"): 510, ("front_door", "state"): 2, ("front_door", "health"): 1}


def test_the_highest_number_that_was_deleted_is_known_in_whatever_order_they_were() -> None:
    database = Database(None, lambda _connection: None)
    with closing(database), database.writing() as connection:
        for row, sequence in enumerate((2, 3, 1), 1):
            records.insert(connection, row, message(START, sequence, epoch=1))
        for _ in range(3):
            assert records.delete_oldest(connection, before=4, epoch=2, limit=1) == 1
        assert records.sequences(connection) == {("front_door", "event"): 3}
        assert records.last_row(connection) == 3


@pytest.mark.parametrize("when", ["while it runs", "when it starts"])
def test_a_clock_that_is_weeks_ahead_for_a_minute_deletes_nothing_and_dates_nothing(path: Path, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    real, shift_s = time.time, 0.0
    monkeypatch.setattr(time, "time", lambda: real() + shift_s)
    with EventLog(path, keep_s=30 * 86400.0) as log:
        fill(log, 10)
        if when == "while it runs":
            shift_s = 45 * 86400.0
            fill(log, 600, first=11)  # after so many it is looked for what is too old
            shift_s = 0.0
    if when == "when it starts":
        shift_s = 45 * 86400.0
        with EventLog(path, keep_s=30 * 86400.0) as log:
            fill(log, 600, first=11)
        shift_s = 0.0
    with EventLog(path, keep_s=30 * 86400.0) as log:
        assert len(log.since("front_door", "event", 0, 0, limit=1000).messages) == 610
    if when == "while it runs":
        assert not list(query(path, Criteria(start_s=time.time() + 60.0)))


def test_the_oldest_are_deleted_when_it_gets_too_large(log_path: Path | None) -> None:
    num = 1_500
    with EventLog(log_path, keep_bytes=1_000_000) as log:
        fill(log, num)
        wait_until_kept(log, num - 200)
        answer = log.since("front_door", "event", 0, 0, limit=num)
        assert [each.sequence for each in answer.messages] == list(range(answer.first, num + 1))
        assert answer.first > 200


def test_an_activity_that_goes_on_for_longer_than_is_kept_can_still_be_ended(path: Path) -> None:
    with EventLog(path, keep_s=0.0) as log:
        begin(log, 1, START)
        fill(log, 500, first=2)
        wait_until_kept(log, 0)
    with EventLog(path) as log:
        assert [event.event_id for event in log.unended] == [START.event_id]


def test_a_query_chooses_by_time_camera_label_and_kind(path: Path) -> None:
    with EventLog(path) as log:
        log.append(message(START, 1, log.epoch))
        log.append(message(replace(START, camera="yard", label="Lunges"), 1, log.epoch))
        moment = time.time()
        log.append(message(STATE, 1, log.epoch))
        log.append(message(END, 2, log.epoch))

        def found(**wanted: object) -> list[tuple[str, str, int]]:
            return [(each.topic.camera, each.topic.kind, each.sequence) for each in query(path, Criteria(**wanted))]  # type: ignore[arg-type]

        everything = [("front_door", "event", 1), ("yard", "event", 1), ("front_door", "state", 1), ("front_door", "event", 2)]
        assert found() == everything
        assert found(start_s=moment) == everything[2:]
        assert found(end_s=moment) == everything[:2]
        assert found(start_s=moment, end_s=moment) == []
        assert found(cameras=["yard", "nowhere"]) == everything[1:2]
        assert found(labels=["PushUps"], kinds=["event"]) == [everything[0], everything[3]]
        assert found(kinds=["state", "health"]) == everything[2:3]
        assert found(kinds=[]) == []


def test_a_query_reads_on_while_the_log_is_written(path: Path) -> None:
    with EventLog(path) as log:
        fill(log, 1_200)
        reading = query(path, Criteria())
        assert next(reading).sequence == 1
        fill(log, 10, first=1_201)
        assert [each.sequence for each in reading] == list(range(2, 1_211))


def test_the_place_of_a_log_follows_from_the_endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert default_log("tcp://127.0.0.1:7788") == tmp_path / "streamvc" / "events-7788.db"
    assert default_log("tcp://[::1]:7789") == tmp_path / "streamvc" / "events-7789.db"
    assert default_log("ipc:///run/a") != default_log("ipc:///run/b")
    assert default_log("ipc:///run/a").parent == tmp_path / "streamvc"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_log("tcp://*:7788") == tmp_path / ".local" / "state" / "streamvc" / "events-7788.db"
