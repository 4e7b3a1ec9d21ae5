"""The publisher and its log: what is kept when it is killed, restarted, or its disk is full."""

import signal
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import zmq

from streamvc.errors import PublishError
from streamvc.events import Event, Health, Heartbeat, Media, State
from streamvc.publish import wire
from streamvc.publish.cloudevents import decode
from streamvc.publish.log import EventLog
from streamvc.publish.publisher import Publisher
from tests.publish.bare import ANY_PORT, ask, asking, bare_socket, reading, receive, running
from tests.publish.disks import full_disk
from tests.publish.samples import END, START, STATE, message, update

UP = Health("front_door", "up", None, None, None, None, 0, seq=None, epoch=None)
FILM = """
import sys
from dataclasses import replace
from itertools import count
from pathlib import Path
from streamvc.publish.publisher import Publisher
from tests.publish.samples import START, update
from tests.publish.test_restart import UP

publisher = Publisher("tcp://127.0.0.1:*", log=Path(sys.argv[1]), node="node")
publisher.report(UP)
for number in count():
    event_id = f"{sys.argv[2]}-{number}"
    publisher.publish(replace(START, event_id=event_id))
    publisher.publish(update(1.0, event_id=event_id))
    print(event_id, "began", flush=True)
    publisher.publish(replace(START, event_id=event_id, phase="end", t_end=1795289577.12, stream_end_s=90002.5, duration_s=2.0, reason="left"))
    print(event_id, "ended", flush=True)
"""


def logged(log: EventLog) -> list[wire.Message]:
    return [message for _, message in log.read(0, 100_000)]


def events(messages: list[wire.Message]) -> list[Event]:
    return [body for body in (decode(message.body) for message in messages) if isinstance(body, Event)]


def film_until_killed(path: Path, run: int, num_lines: int) -> list[str]:
    """What a publisher said that it had published, before it was killed in the midst of it."""
    with running(FILM, str(path), str(run)) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(num_lines)]
        process.send_signal(signal.SIGKILL)
        return [line for line in (*said, *process.stdout) if line.endswith("\n")]


def test_a_publisher_that_is_killed_loses_nothing_and_what_it_began_is_ended_once(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    said = [line.split() for run in range(3) for line in film_until_killed(path, run, 5 + run)]
    with Publisher(ANY_PORT, log=path, node="node") as publisher:
        messages = logged(publisher.log)

    found = events(messages)
    assert len(said) >= 5 + 6 + 7
    phases = {(event.event_id, event.phase) for event in found}
    assert {(event_id, "start" if word == "began" else "end") for event_id, word in said} <= phases
    counts = Counter(event.event_id for event in found if event.phase == "start")
    assert counts == Counter(event.event_id for event in found if event.phase == "end")
    assert set(counts.values()) == {1}
    assert {event.reason for event in found} <= {None, "left", "restart"}
    for kind in ("event", "state", "health"):
        numbers = [message.sequence for message in messages if message.topic.kind == kind]
        assert numbers == list(range(1, len(numbers) + 1))
    assert [message.epoch for message in messages] == sorted(message.epoch for message in messages)
    assert len({message.epoch for message in messages}) == 4


def test_after_a_restart_nothing_goes_on_and_the_numbering_does(tmp_path: Path) -> None:
    with Publisher(ANY_PORT, log=tmp_path / "events.db", node="node") as publisher:
        publisher.report(UP)
        publisher.publish(START)
        publisher.publish(update(1.5))
        before = publisher.epoch
    with Publisher(ANY_PORT, log=tmp_path / "events.db", node="node") as publisher, asking(publisher) as client:
        messages, end = ask(client, wire.SnapshotQuery(epoch=before))
        missed, _ = ask(client, wire.SinceQuery("front_door", "event", before, 2))
        publisher.publish(START)
        began, _ = ask(client, wire.SinceQuery("front_door", "event", publisher.epoch, 3))

    assert publisher.epoch > before
    state, health = sorted((decode(message.body) for message in messages), key=lambda body: isinstance(body, Health))
    assert isinstance(state, State)
    assert isinstance(health, Health)
    assert (state.status, state.activities) == ("down", ())
    assert (health.status, health.reason) == ("down", "restart")
    assert isinstance(end, wire.AnswerEnd)
    assert not end.renumbered
    [ended] = events(missed)
    assert (ended.event_id, ended.phase, ended.reason, ended.seq, ended.epoch) == (START.event_id, "end", "restart", 3, publisher.epoch)
    assert (ended.duration_s, ended.t_end, ended.stream_end_s) == (1.5, 1795289576.62, 90002.0)
    assert [(event.phase, event.seq) for event in events(began)] == [("start", 4)]


def test_a_state_that_was_not_written_any_more_is_made_good(tmp_path: Path) -> None:
    """Killed between the end of an activity and the state without it."""
    with EventLog(tmp_path / "events.db") as log:
        log.append(message(START, 1, log.epoch), START)
        log.append(message(STATE, 1, log.epoch))
        log.append(message(END, 2, log.epoch), END)
    with Publisher(ANY_PORT, log=tmp_path / "events.db") as publisher:
        bodies = [decode(message.body) for message in logged(publisher.log)]

    assert [(type(body), body.seq) for body in bodies[3:] if not isinstance(body, Heartbeat)] == [(State, 2)]
    assert bodies[-1] == replace(STATE, activities=(), seq=2, epoch=publisher.epoch)


def test_a_log_that_was_lost_begins_anew_and_says_so(tmp_path: Path) -> None:
    with Publisher(ANY_PORT, log=tmp_path / "events.db") as publisher:
        for number in range(5):
            publisher.publish(update(float(number)))
        before = publisher.epoch
    (tmp_path / "events.db").unlink()
    with Publisher(ANY_PORT, log=tmp_path / "events.db") as publisher, asking(publisher) as client:
        publisher.publish(START)
        messages, end = ask(client, wire.SinceQuery("front_door", "event", before, 5))

    assert [(message.sequence, message.epoch) for message in messages] == [(1, publisher.epoch)]
    assert isinstance(end, wire.AnswerEnd)
    assert end.renumbered


def test_a_log_has_one_publisher(tmp_path: Path) -> None:
    with Publisher(ANY_PORT, log=tmp_path / "events.db"):
        with pytest.raises(PublishError, match=r"events\.db"):
            Publisher(ANY_PORT, log=tmp_path / "events.db")
        with pytest.raises(PublishError, match=r"events\.db"):
            Publisher(f"ipc://{tmp_path}/feed", log=tmp_path / "events.db")


def test_while_the_disk_is_full_events_are_published_and_kept_and_it_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "events.db"
    with Publisher(ANY_PORT, log=path, node="node", heartbeat_s=0.05) as publisher, reading(publisher) as reader, asking(publisher) as client:
        publisher.publish(START)
        before = receive(reader, 2)
        with full_disk(1_000):
            for number in range(1, 301):
                publisher.publish(update(float(number)))
            during = receive(reader, 301)
            missed, end = ask(client, wire.SinceQuery("front_door", "event", publisher.epoch, 100))
            assert len(logged(publisher.log)) == 2
        [recovered] = receive(reader, 1)
        after = logged(publisher.log)

    published = [message for message in (*before, *during) if message.topic.kind == "event"]
    assert [message.sequence for message in published] == list(range(1, 302))
    assert missed == published[100:]
    assert isinstance(end, wire.AnswerEnd)
    assert (end.last, end.more) == (301, False)
    said = [body for body in (decode(message.body) for message in (*during, recovered)) if isinstance(body, Health)]
    assert [(health.camera, health.status, bool(health.detail)) for health in said] == [("node", "degraded", True), ("node", "up", False)]
    assert after == [*before, *during, recovered]
    assert "published but not written" in caplog.text
    assert "0 messages are missing" in caplog.text


def test_what_waits_for_the_disk_is_written_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    with Publisher(ANY_PORT, log=path, node="node") as publisher, full_disk(1_000):
        for number in range(1, 501):
            publisher.publish(update(float(number)))
    with EventLog(path) as log:
        assert [event.seq for event in events(logged(log))] == list(range(1, 501))


def test_where_no_log_can_be_opened_events_are_kept_in_memory_and_it_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with full_disk(100), Publisher(ANY_PORT, log=tmp_path / "events.db", node="node") as publisher, asking(publisher) as client:
        publisher.publish(START)
        messages, _ = ask(client, wire.SinceQuery("front_door", "event", 0, 0))
        [health, *_], _ = ask(client, wire.SnapshotQuery(("node",)))

    assert [message.sequence for message in messages] == [1]
    said = decode(health.body)
    assert isinstance(said, Health)
    assert said.status == "degraded"
    assert "events.db" in (said.detail or "")
    assert "only kept in memory" in caplog.text


def test_a_reader_that_is_stopped_harms_nobody_and_can_ask_for_what_it_missed(tmp_path: Path) -> None:
    endpoint = f"ipc://{tmp_path}/feed"
    with Publisher(endpoint, log=tmp_path / "events.db", queue_size=1000) as publisher, bare_socket(zmq.SUB) as stopped:
        stopped.set(zmq.RCVHWM, 1)
        stopped.subscribe(b"sv1/site/front_door/event/")
        stopped.connect(endpoint)
        with reading(publisher, b"sv1/site/front_door/event/") as reader, asking(publisher) as client:
            numbers = []
            for number in range(50):
                for _ in range(100):  # far more than all buffers on the way hold
                    publisher.publish(update(float(number)))
                numbers += [message.sequence for message in receive(reader, 100)]
            seen = []
            while stopped.poll(200):
                seen.append(wire.split(stopped.recv_multipart()).sequence)
            missed, _ = ask(client, wire.SinceQuery("front_door", "event", publisher.epoch, seen[-1], limit=1000))

    assert numbers == list(range(1, 5001))
    assert seen == list(range(1, len(seen) + 1))
    assert len(seen) < 5000
    assert missed[0].sequence == len(seen) + 1


def test_what_a_killed_program_has_not_written_has_no_link_in_the_end_of_its_activity(tmp_path: Path) -> None:
    still = tmp_path / "a.jpg"
    still.touch()
    with EventLog(tmp_path / "log.db") as log:
        begun = replace(START, media=Media(still.as_uri(), (tmp_path / "a.mp4").as_uri()))
        log.append(message(begun, 1, log.epoch), begun)
    with Publisher(f"ipc://{tmp_path}/events", log=tmp_path / "log.db") as publisher:
        events = [body for _, each in publisher.log.read(0, 100) if isinstance(body := decode(each.body), Event)]
    assert [event.phase for event in events] == ["start", "end"]
    assert events[1].media == Media(still.as_uri(), None)
