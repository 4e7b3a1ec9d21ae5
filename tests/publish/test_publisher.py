"""The publisher, read by bare ZeroMQ sockets."""

import json
import logging
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise

import jsonschema
import pytest
import zmq

from streamvc.errors import PublishError
from streamvc.events import Event, Health, Heartbeat, State, Status
from streamvc.publish import wire
from streamvc.publish.cloudevents import decode
from streamvc.publish.log import EventLog
from streamvc.publish.publisher import Publisher
from streamvc.publish.schema import event_schema
from streamvc.publish.sockets import neighbour
from tests.publish.bare import ANY_PORT, SILENCE_S, ask, asking, bare_socket, reading, receive
from tests.publish.samples import END, START, update
from tests.publish.singles import split_single


def health(status: Status, camera: str = "front_door") -> Health:
    return Health(camera, status, None, None, None, None, 0, seq=None, epoch=None)


def body(message: wire.Message) -> object:
    return decode(message.body)


def test_the_wire_byte_for_byte() -> None:
    with Publisher(ANY_PORT, site="site", node="node") as publisher, reading(publisher, b"sv1/site/front%20door/event/") as reader:
        for camera, label in (("garden", "PushUps"), ("front door", "PushUps"), ("front door", "Lunges")):
            publisher.publish(replace(START, camera=camera, label=label))
        received = [reader.recv_multipart() for _ in range(2)]

    assert [parts[0] for parts in received] == [b"sv1/site/front%20door/event/PushUps/", b"sv1/site/front%20door/event/Lunges/"]
    assert [parts[1] for parts in received] == [number.to_bytes(8, "big") + publisher.epoch.to_bytes(8, "big") for number in (1, 2)]
    events = [decode(parts[2]) for parts in received]
    assert [event.label for event in events if isinstance(event, Event)] == ["PushUps", "Lunges"]


def test_what_is_published_arrives_as_it_was_and_is_valid() -> None:
    with Publisher(ANY_PORT) as publisher, reading(publisher, b"sv1/site/front_door/event/") as reader:
        for event in (START, update(1.0), END):
            publisher.publish(event)
        received = receive(reader, 3)

    events = [event for event in map(body, received) if isinstance(event, Event)]
    assert [(event.phase, event.seq, event.epoch) for event in events] == [
        (phase, seq, publisher.epoch) for seq, phase in enumerate(("start", "update", "end"), 1)
    ]
    assert replace(events[0], seq=None, epoch=None, timing=START.timing) == START
    assert all(event.timing.published_s and event.timing.published_s >= event.timing.decided_s for event in events)
    for message in received:
        jsonschema.Draft202012Validator(event_schema()).validate(json.loads(message.body))


def test_the_state_follows_what_begins_and_ends_and_the_camera() -> None:
    with Publisher(ANY_PORT) as publisher, reading(publisher, b"sv1/site/front_door/state/") as reader:
        publisher.report(health("up"))
        for event in (START, update(1.0), update(2.0), END):
            publisher.publish(event)
        publisher.report(health("down"))
        states = [state for state in map(body, receive(reader, 4)) if isinstance(state, State)]

    assert [(state.status, state.label, state.seq) for state in states] == [("up", None, 1), ("up", "PushUps", 2), ("up", None, 3), ("down", None, 4)]


def test_who_joins_late_is_told_the_state_again() -> None:
    with Publisher(ANY_PORT) as publisher, reading(publisher, b"sv1/site/yard/state/") as witness:
        for camera in ("front_door", "yard"):
            publisher.publish(replace(START, camera=camera))
        publisher.publish(replace(END, camera="yard"))
        receive(witness, 2)  # nothing is on its way any more
        with reading(publisher, b"sv1/site/front_door/") as first:
            greeting = first.recv_multipart()
            with reading(publisher, b"sv1/site/front_door/", b"sv1/site/yard/") as second:  # no heartbeats
                greetings = {bytes(parts[0]): parts for parts in (second.recv_multipart(), second.recv_multipart())}

    assert wire.split(greeting).sequence == 1
    assert greetings.pop(b"sv1/site/front_door/state/-/") == greeting
    [(topic, ended)] = greetings.items()
    assert topic == b"sv1/site/yard/state/-/"
    state = decode(ended[2])
    assert isinstance(state, State)
    assert (state.activities, state.seq) == ((), 2)


def test_who_only_wants_the_latest_gets_it_in_one_frame() -> None:
    with Publisher(ANY_PORT) as publisher, reading(publisher, b"sv1/site/front_door/state/") as witness, bare_socket(zmq.SUB) as reader:
        publisher.publish(START)
        receive(witness, 1)  # it is not on its way any more
        reader.set(zmq.CONFLATE, 1)
        reader.subscribe(b"sv1/site/front_door/")
        reader.connect(neighbour(publisher.endpoint, "latest"))
        greeting = split_single(reader.recv())
        for number in range(100):
            publisher.publish(update(float(number)))
        publisher.close()
        latest = split_single(reader.recv())
        while reader.poll(round(1000 * SILENCE_S)):
            latest = split_single(reader.recv())

    assert (greeting.topic.kind, greeting.sequence) == ("state", 1)
    assert (latest.topic.kind, latest.sequence) == ("event", 101)


def test_heartbeats_tell_the_last_sequences_and_never_of_what_has_not_come() -> None:
    received: dict[str, int] = {}
    beats: list[wire.Message] = []

    def film(publisher: Publisher) -> None:
        for number in range(300):
            publisher.publish(update(float(number)))

    with Publisher(ANY_PORT, node="node", heartbeat_s=0.02) as publisher, reading(publisher) as reader, ThreadPoolExecutor(1) as pool:
        publishing = pool.submit(film, publisher)
        while received.get("event", 0) < 300 or len(beats) < 3:
            message = wire.split(reader.recv_multipart())
            said = body(message)
            if isinstance(said, Heartbeat):
                beats.append(message)
                assert all(received[kind] >= last for kind, last in said.sequences.get("front_door", {}).items())
                assert (said.node, said.epoch, said.interval_s) == ("node", publisher.epoch, 0.02)
            else:
                received[message.topic.kind] = message.sequence
        publishing.result()
        publisher.close()
        while reader.poll(round(1000 * SILENCE_S)):
            last = body(wire.split(reader.recv_multipart()))

    assert {message.topic for message in beats} == {wire.Topic("site", "node", "heartbeat", "-")}
    assert all(later.sequence == earlier.sequence + 1 for earlier, later in pairwise(beats))
    assert isinstance(last, Heartbeat)
    assert last.sequences == {"front_door": {"event": 300, "state": 1}}


def test_a_snapshot_is_the_present_of_all_cameras() -> None:
    cameras = [f"camera {number}" for number in range(200)]
    with Publisher(ANY_PORT, node="node") as publisher, asking(publisher) as client:
        for camera in cameras:
            publisher.report(health("up", camera))
            publisher.publish(replace(START, camera=camera))
        messages, end = ask(client, wire.SnapshotQuery())
        some, some_end = ask(client, wire.SnapshotQuery(("camera 7", "nobody"), publisher.epoch))
        _, stranger = ask(client, wire.SnapshotQuery(("camera 7",), epoch=5))

    assert sorted((message.topic.camera, message.topic.kind) for message in messages) == sorted(
        (camera, kind) for camera in cameras for kind in ("health", "state")
    )
    assert isinstance(end, wire.AnswerEnd)
    assert isinstance(some_end, wire.AnswerEnd)
    assert isinstance(stranger, wire.AnswerEnd)
    assert (end.count, end.epoch, end.site, end.node) == (400, publisher.epoch, "site", "node")
    assert end.sequences == {camera: {"event": 1, "state": 2, "health": 1} for camera in cameras}
    assert [(type(body(message)), message.sequence) for message in some] == [(Health, 1), (State, 2)]
    assert some_end.sequences == {"camera 7": {"event": 1, "state": 2, "health": 1}}
    assert (end.renumbered, some_end.renumbered, stranger.renumbered) == (False, False, True)


def test_what_was_missed_can_be_had_later() -> None:
    with Publisher(ANY_PORT, queue_size=10) as publisher, asking(publisher) as client:
        for number in range(500):
            publisher.publish(update(float(number)))
        messages, sequence, more = [], 0, True
        while more:
            some, end = ask(client, wire.SinceQuery("front_door", "event", publisher.epoch, sequence, limit=200))
            assert isinstance(end, wire.AnswerEnd)
            assert (end.command, end.count, end.first, end.last, end.renumbered) == ("since", len(some), 1, 500, False)
            messages += some
            sequence, more = messages[-1].sequence, end.more

    assert [message.sequence for message in messages] == list(range(1, 501))
    assert [event.duration_s for event in map(body, messages) if isinstance(event, Event)] == [float(number) for number in range(500)]


def test_what_is_no_request_is_refused_and_disturbs_nobody() -> None:
    garbage = [
        [b"1", b"gossip", b"{}"],
        [b"2", b"since", b"{"],
        [b"3", b"since", b'{"camera":"c","kind":"event","epoch":1,"seq":-1}'],
        [b"4", b"snapshot", b"{}", b"more"],
        [b"5"],
        [b"", b"snapshot", b"{}"],
        [b"x" * 33, b"snapshot", b"{}"],
        [b""],
    ]
    with Publisher(ANY_PORT) as publisher, asking(publisher) as client:
        publisher.publish(START)
        for parts in garbage:
            client.send_multipart(parts)
        refused = [wire.split_answer(client.recv_multipart()) for _ in range(5)]
        messages, end = ask(client, wire.SnapshotQuery())

    assert [identifier for identifier, _ in refused] == [b"1", b"2", b"3", b"4", b"5"]
    assert all(isinstance(answer, wire.Refusal) and answer.reason for _, answer in refused)
    assert [message.topic.kind for message in messages] == ["state"]
    assert isinstance(end, wire.AnswerEnd)


def test_one_who_asks_and_does_not_read_disturbs_nobody(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "streamvc")
    with Publisher(ANY_PORT) as publisher, bare_socket(zmq.DEALER) as greedy, asking(publisher) as client:
        greedy.set(zmq.RCVHWM, 1)
        greedy.connect(neighbour(publisher.endpoint, "requests"))
        for number in range(1000):
            publisher.publish(update(float(number)))
        while "an answer was not taken" not in caplog.text:
            greedy.send_multipart(wire.join_request(wire.Request(b"id", wire.SinceQuery("front_door", "event", 0, 0))))
            ask(client, wire.SnapshotQuery())
        messages, end = ask(client, wire.SinceQuery("front_door", "event", publisher.epoch, 990))

    assert [message.sequence for message in messages] == list(range(991, 1001))
    assert isinstance(end, wire.AnswerEnd)


def test_strangers_on_the_ports_do_not_disturb() -> None:
    with Publisher(ANY_PORT) as publisher, reading(publisher, b"sv1/site/front_door/event/") as reader:
        first = int(publisher.endpoint.rpartition(":")[2])
        for port in range(first, first + 3):
            for said in (b"GET / HTTP/1.1\r\n\r\n", bytes(range(256)) * 100, b"\xff\0\0\0\0\0\0\0\1\x7f" + b"\xff" * 1000):
                with socket.create_connection(("127.0.0.1", port)) as stranger:
                    stranger.sendall(said)
        with bare_socket(zmq.XSUB) as chatty, bare_socket(zmq.DEALER) as huge:
            chatty.connect(publisher.endpoint)
            for said in (b"\0never asked for", b"hello", b"", b"\1"):
                chatty.send(said)
            huge.connect(neighbour(publisher.endpoint, "requests"))
            huge.send_multipart([b"id", b"snapshot", b" " * 100_000])
            while not chatty.poll(200):  # until the last of it has arrived
                publisher.publish(START)
        [message] = receive(reader, 1)

    assert message.sequence == 1


def test_close_sends_what_was_published_before() -> None:
    with Publisher(ANY_PORT) as publisher, reading(publisher, b"sv1/site/front_door/event/") as reader:
        for number in range(500):
            publisher.publish(update(float(number)))
        publisher.close()
        received = receive(reader, 500)

    assert [message.sequence for message in received] == list(range(1, 501))


def test_cameras_that_publish_at_the_same_time_have_sequences_of_their_own() -> None:
    cameras = [f"camera {number}" for number in range(4)]

    def film(publisher: Publisher, camera: str) -> None:
        for number in range(100):
            publisher.publish(update(float(number), camera=camera))

    with Publisher(ANY_PORT) as publisher, reading(publisher) as reader, ThreadPoolExecutor(4) as pool:
        filming = [pool.submit(film, publisher, camera) for camera in cameras]
        received = receive(reader, 404)
        assert [future.result() for future in filming] == [None] * 4
        logged = [message for _, message in publisher.log.read(0, 1000)]

    for camera in cameras:
        assert [message.sequence for message in received if message.topic.camera == camera and message.topic.kind == "event"] == list(range(1, 101))
    assert logged == received


def test_a_publisher_knows_whether_somebody_listens() -> None:
    with Publisher(ANY_PORT) as publisher:
        assert not publisher.wait_for_subscriber(0.0)
        with reading(publisher), reading(publisher):
            pass
        while publisher.wait_for_subscriber(0.0):  # until the news of the leave has arrived
            pass
        assert not publisher.wait_for_subscriber(0.0)


def test_nothing_can_be_published_once_closed() -> None:
    log = EventLog()
    with log:
        with Publisher(ANY_PORT, log=log) as publisher:
            pass
        publisher.close()
        with pytest.raises(PublishError, match="is closed"):
            publisher.publish(START)
        assert log.read(0, 10) == []


def test_an_event_that_is_refused_leaves_no_hole() -> None:
    with Publisher(ANY_PORT) as publisher, reading(publisher, b"sv1/site/front_door/event/") as reader:
        publisher.publish(START)
        for refused, complaint in (({"score": float("nan")}, "finite"), ({"label": ""}, "empty name"), ({"label": "\ud800"}, "published|valid")):
            with pytest.raises(PublishError, match=complaint):
                publisher.publish(replace(START, **refused))
        publisher.publish(update(1.0))
        received = receive(reader, 2)
        logged = [message for _, message in publisher.log.read(0, 10) if message.topic.kind == "event"]

    assert [message.sequence for message in received] == [1, 2]
    assert logged == received


@pytest.mark.parametrize("endpoint", ["tcp://*:*", "tcp://0.0.0.0:*", "tcp://[::]:*", "tcp://192.0.2.1:7788"])
def test_other_machines_are_not_let_in_without_keys(endpoint: str) -> None:
    with pytest.raises(PublishError, match="other machines could read the events"):
        Publisher(endpoint)


def test_other_machines_are_let_in_where_one_insists() -> None:
    with Publisher("tcp://0.0.0.0:*", insecure=True) as publisher:
        assert publisher.endpoint.startswith("tcp://0.0.0.0:")


def lowly_publisher() -> Publisher:
    """One on ports of which none, and no neighbour, is given to whoever asks for any port: those begin at 32768 here."""
    for port in range(20_000 + os.getpid() % 1000 * 10, 32_000, 10):
        with suppress(PublishError):
            return Publisher(f"tcp://127.0.0.1:{port}")
    raise AssertionError("there is no free port")


@pytest.mark.parametrize("offset", [0, 1, 2])
def test_a_port_in_use_is_said(offset: int) -> None:
    with lowly_publisher() as publisher:
        port = int(publisher.endpoint.rpartition(":")[2])
        with pytest.raises(PublishError, match=rf"cannot publish on tcp://127\.0\.0\.1:{port}: another program uses it"):
            Publisher(f"tcp://127.0.0.1:{port - offset}")


@pytest.mark.parametrize(
    ("endpoint", "complaint"),
    [
        ("tcp://192.0.2.1:7788", "this machine has no such address"),
        ("ipc:///no/such/folder/feed", "there is no such folder"),
        (f"ipc:///tmp/{'x' * 120}", "the path is too long"),
    ],
)
def test_why_an_endpoint_cannot_be_bound_is_said(endpoint: str, complaint: str) -> None:
    with pytest.raises(PublishError, match=f"cannot publish on {endpoint}: {complaint}"):
        Publisher(endpoint, insecure=True)


@pytest.mark.parametrize(
    "endpoint",
    ["", "7788", "localhost:7788", "tcp://127.0.0.1", "tcp://127.0.0.1:", "tcp://127.0.0.1:77x", "tcp://127.0.0.1:80000", "ipc://", "inproc://feed"],
)
def test_what_is_not_an_endpoint_is_said(endpoint: str) -> None:
    with pytest.raises(PublishError, match=r"is not an endpoint; write it as tcp://127\.0\.0\.1:7788"):
        Publisher(endpoint)


def test_the_last_ports_are_too_few() -> None:
    with pytest.raises(PublishError, match="choose one of at most 65533"):
        Publisher("tcp://127.0.0.1:65534")
