"""Publisher and subscriber on real sockets."""

import json
import logging
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from queue import SimpleQueue

import jsonschema
import pytest
import zmq

from streamvc.errors import PublishError
from streamvc.events import Event
from streamvc.publish import schema, wire
from streamvc.publish.cloudevents import decode, encode
from streamvc.publish.holes import Hole
from streamvc.publish.publisher import Publisher
from streamvc.publish.subscriber import Subscriber
from tests.publish.samples import START, update

ANY_PORT = "tcp://127.0.0.1:*"
PATIENCE_S = 20.0  # for what is bound to come
SILENCE_S = 0.2  # for what must not come


@contextmanager
def feed(endpoint: str = ANY_PORT, *, queue_size: int = 10_000, **choices: object) -> Iterator[tuple[Publisher, Subscriber]]:
    """A publisher and a subscriber that has joined."""
    with (
        Publisher(endpoint, site="site", node="node", queue_size=queue_size) as publisher,
        Subscriber(publisher.endpoint, queue_size=queue_size, timeout_s=PATIENCE_S, **choices) as subscriber,  # type: ignore[arg-type]
    ):
        assert publisher.wait_for_subscriber(PATIENCE_S)
        yield publisher, subscriber


@contextmanager
def running(script: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Python in another process."""
    with subprocess.Popen([sys.executable, "-c", script, *arguments], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def bare_socket(kind: int) -> Iterator[zmq.Socket[bytes]]:
    with zmq.Context() as context, context.socket(kind) as bare:
        bare.set(zmq.LINGER, 0)
        bare.set(zmq.RCVTIMEO, round(1000 * PATIENCE_S))
        yield bare


@contextmanager
def bare_publisher() -> Iterator[tuple[zmq.Socket[bytes], str]]:
    """A socket to send any bytes with, and its endpoint."""
    with bare_socket(zmq.XPUB) as bare:
        port = bare.bind_to_random_port("tcp://127.0.0.1")
        yield bare, f"tcp://127.0.0.1:{port}"


def message(
    sequence: int, *, camera: str = "front_door", label: str = "PushUps", kind: wire.Kind = "event", body: bytes | None = None
) -> list[bytes]:
    event = replace(START, camera=camera, label=label, seq=sequence)
    body = encode(event, site="site", node="node", time=0.0) if body is None else body
    return wire.join(wire.Message(wire.Topic("site", camera, kind, label), sequence, 1, body))


def test_events_arrive_as_they_were_published() -> None:
    published = [START, update(1.0), replace(START, phase="end", t_end=9.0, duration_s=2.0, reason="left")]
    with feed() as (publisher, subscriber):
        for event in published:
            publisher.publish(event)
        received = list(islice(subscriber, 3))

    assert [event.seq for event in received] == [1, 2, 3]
    assert len({event.epoch for event in received}) == 1
    assert [replace(event, seq=None, epoch=None, timing=replace(event.timing, published_s=None)) for event in received] == published
    assert all(event.timing.published_s and event.timing.published_s >= event.timing.decided_s for event in received)


def test_a_reader_in_another_process_gets_valid_cloud_events() -> None:
    script = """
import sys
from streamvc.publish.subscriber import Subscriber
with Subscriber(sys.argv[1], timeout_s=60) as events:
    for event in events:
        print(events.body.decode(), flush=True)
        if event.phase == "end":
            break
"""
    with Publisher(ANY_PORT) as publisher, running(script, publisher.endpoint) as reader:
        assert publisher.wait_for_subscriber(PATIENCE_S)
        for event in (START, replace(START, phase="end", t_end=9.0, duration_s=2.0, reason="stop")):
            publisher.publish(event)
        printed, _ = reader.communicate(timeout=60)

    bodies = [json.loads(line) for line in printed.splitlines()]
    assert [body["type"] for body in bodies] == ["dev.streamvc.activity.start.v1", "dev.streamvc.activity.end.v1"]
    for body in bodies:
        jsonschema.Draft202012Validator(schema.event_schema()).validate(body)


def test_the_wire_byte_for_byte() -> None:
    with Publisher(ANY_PORT, site="site", node="node") as publisher, bare_socket(zmq.SUB) as reader:
        reader.subscribe(b"sv1/site/front%20door/event/")
        reader.connect(publisher.endpoint)
        assert publisher.wait_for_subscriber(PATIENCE_S)
        publisher.publish(replace(START, camera="garden"))
        publisher.publish(replace(START, camera="front door"))
        publisher.publish(replace(START, camera="front door", label="Lunges"))
        received = [reader.recv_multipart() for _ in range(2)]

    epoch = json.loads(received[0][2])["data"]["epoch"]
    assert [parts[0] for parts in received] == [b"sv1/site/front%20door/event/PushUps/", b"sv1/site/front%20door/event/Lunges/"]
    assert [parts[1] for parts in received] == [number.to_bytes(8, "big") + epoch.to_bytes(8, "big") for number in (1, 2)]
    assert [decode(parts[2]).label for parts in received] == ["PushUps", "Lunges"]


def test_none_of_ten_thousand_events_is_lost() -> None:
    with feed() as (publisher, subscriber), ThreadPoolExecutor(1) as pool:
        reading = pool.submit(lambda: [event.seq for event in islice(subscriber, 10_000)])
        for number in range(10_000):
            publisher.publish(update(float(number)))

        assert reading.result() == list(range(1, 10_001))
        assert subscriber.num_missing == 0
        assert publisher.num_dropped == 0


def test_close_sends_what_was_published_before() -> None:
    with Publisher(ANY_PORT) as publisher, Subscriber(publisher.endpoint, timeout_s=PATIENCE_S) as subscriber:
        assert publisher.wait_for_subscriber(PATIENCE_S)
        for number in range(500):
            publisher.publish(update(float(number)))
        publisher.close()

        assert [event.seq for event in islice(subscriber, 500)] == list(range(1, 501))


def test_cameras_that_publish_at_the_same_time_have_sequences_of_their_own() -> None:
    cameras = [f"camera {number}" for number in range(4)]

    def film(publisher: Publisher, camera: str) -> None:
        for number in range(100):
            publisher.publish(update(float(number), camera=camera))

    with feed() as (publisher, subscriber), ThreadPoolExecutor(4) as pool:
        filming = [pool.submit(film, publisher, camera) for camera in cameras]
        received = list(islice(subscriber, 400))
        assert [future.result() for future in filming] == [None] * 4

    for camera in cameras:
        assert [event.seq for event in received if event.camera == camera] == list(range(1, 101))


def test_what_a_slow_reader_loses_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    holes: list[Hole] = []
    with feed(f"ipc://{tmp_path}/feed", queue_size=10, on_hole=holes.append) as (publisher, subscriber):
        for number in range(2_000):  # far more than all buffers on the way hold
            publisher.publish(update(float(number)))
        received: list[int | None] = []
        while not holes:
            while event := subscriber.receive(SILENCE_S):
                received.append(event.seq)
            publisher.publish(update(0.0))  # the last hole is seen by what comes behind it

    assert received[0] == 1
    assert (
        subscriber.num_missing
        == sum(hole.num_missing for hole in holes)
        == holes[-1].last - len([seq for seq in received if seq and seq < holes[-1].first])
    )
    assert all(hole.camera == "front_door" and hole.kind == "event" for hole in holes)
    assert f"({holes[0].first} to {holes[0].last})" in caplog.text


def test_a_subscriber_gets_the_cameras_and_labels_it_asked_for_and_no_prefix_of_them() -> None:
    with feed(site="site", cameras=["run"], labels=["jump", "sit"]) as (publisher, subscriber):
        for camera, label in (("running", "jump"), ("run", "jumping"), ("run", "jump"), ("ru", "jump"), ("run", "sit")):
            publisher.publish(replace(START, camera=camera, label=label))
        received = list(islice(subscriber, 2))

    assert [(event.camera, event.label, event.seq) for event in received] == [("run", "jump", 2), ("run", "sit", 3)]
    assert subscriber.num_missing == 0


def test_a_subscriber_that_chooses_labels_still_sees_holes_in_others() -> None:
    holes: list[Hole] = []
    with bare_publisher() as (bare, endpoint), Subscriber(endpoint, labels=["PushUps"], on_hole=holes.append) as subscriber:
        bare.recv()  # it has subscribed
        for sequence, label in ((1, "PushUps"), (2, "Lunges"), (5, "Lunges"), (6, "PushUps")):
            bare.send_multipart(message(sequence, label=label))
        received = [subscriber.receive(PATIENCE_S) for _ in range(2)]

    assert [event.seq for event in received if event] == [1, 6]
    assert holes == [Hole("front_door", "event", 3, 4, epoch=1)]


def test_one_camera_may_be_given_as_a_plain_string() -> None:
    with feed(cameras="yard") as (publisher, subscriber):
        publisher.publish(replace(START, camera="y"))
        publisher.publish(replace(START, camera="yard"))
        event = subscriber.receive(PATIENCE_S)

    assert event is not None
    assert event.camera == "yard"


def test_what_is_not_an_event_is_skipped_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    garbage = [
        [b"sv1/"],
        [b"sv1/site/front_door/event/PushUps/", b"short", b"{}"],
        [b"sv1/site/front_door/gossip/PushUps/", bytes(16), b"{}"],
        message(1, body=b"\xff\x00"),
        message(2, body=b'{"specversion":"1.0"}'),
        message(1, kind="state", body=b"{}"),  # not garbage, but not an event
    ]
    with bare_publisher() as (bare, endpoint), Subscriber(endpoint) as subscriber:
        bare.recv()
        for parts in [*garbage, message(3)]:
            bare.send_multipart(parts)
        event = subscriber.receive(PATIENCE_S)

    assert event == replace(START, seq=3)
    assert subscriber.num_malformed == 5
    assert subscriber.num_missing == 0
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 5


def test_strangers_on_the_port_do_not_disturb() -> None:
    with feed() as (publisher, subscriber):
        address = ("127.0.0.1", int(publisher.endpoint.rpartition(":")[2]))
        for said in (b"GET / HTTP/1.1\r\n\r\n", bytes(range(256)) * 100, b"\xff\0\0\0\0\0\0\0\1\x7f" + b"\xff" * 1000):
            with socket.create_connection(address) as stranger:
                stranger.sendall(said)
        with bare_socket(zmq.XSUB) as chatty:
            chatty.connect(publisher.endpoint)
            for said in (b"\0never asked for", b"hello", b"", b"\1"):
                chatty.send(said)
            while not chatty.poll(200):  # until the last of it has arrived
                publisher.publish(START)
        event = subscriber.receive(PATIENCE_S)

    assert event is not None
    assert event.label == "PushUps"


def test_a_late_joiner_begins_with_what_comes_next() -> None:
    with feed() as (publisher, early):
        publisher.publish(START)
        assert early.receive(PATIENCE_S) is not None
        with Subscriber(publisher.endpoint, site="site", cameras=["front_door"], timeout_s=PATIENCE_S) as late:
            number = 1.0
            while (event := late.receive(SILENCE_S)) is None:  # until its subscription has arrived
                publisher.publish(update(number))
                number += 1

    assert event.seq is not None
    assert event.seq > 1
    assert late.num_missing == 0


def test_a_publisher_knows_whether_somebody_listens() -> None:
    with Publisher(ANY_PORT) as publisher:
        assert not publisher.wait_for_subscriber(0.0)
        with Subscriber(publisher.endpoint):
            assert publisher.wait_for_subscriber(PATIENCE_S)
        while publisher.wait_for_subscriber(0.0):  # until the news of the leave has arrived
            pass
        assert not publisher.wait_for_subscriber(0.0)


def test_a_subscriber_joins_a_publisher_that_comes_later_and_again_after_a_restart() -> None:
    with Publisher(ANY_PORT) as publisher:
        endpoint = publisher.endpoint
    received = []
    with Subscriber(endpoint) as subscriber, ThreadPoolExecutor(1) as pool:
        for _ in range(2):
            reading = pool.submit(subscriber.receive, PATIENCE_S)  # ZeroMQ subscribes again only while one reads
            with Publisher(endpoint) as publisher:
                assert publisher.wait_for_subscriber(PATIENCE_S)
                publisher.publish(START)
                received.append(reading.result())

    first, second = (event.epoch for event in received if event and event.epoch)
    assert first < second
    assert [event.seq for event in received if event] == [1, 1]
    assert subscriber.num_missing == 0


def test_a_port_in_use_is_said() -> None:
    with Publisher(ANY_PORT) as publisher, pytest.raises(PublishError, match=f"cannot publish on {publisher.endpoint}: another program uses it"):
        Publisher(publisher.endpoint)


@pytest.mark.parametrize(
    "endpoint",
    ["", "7788", "localhost:7788", "tcp://127.0.0.1", "tcp://127.0.0.1:", "tcp://127.0.0.1:77x", "tcp://127.0.0.1:80000", "ipc://", "inproc://feed"],
)
def test_what_is_not_an_endpoint_is_said(endpoint: str) -> None:
    for opened in (Publisher, Subscriber):
        with pytest.raises(PublishError, match=r"is not an endpoint; write it as tcp://127\.0\.0\.1:7788"):
            opened(endpoint)


@pytest.mark.parametrize(
    ("endpoint", "complaint"),
    [("tcp://192.0.2.1:7788", "this machine has no such address"), ("ipc:///no/such/folder/feed", "there is no such folder")],
)
def test_why_an_endpoint_cannot_be_bound_is_said(endpoint: str, complaint: str) -> None:
    with pytest.raises(PublishError, match=f"cannot publish on {endpoint}: {complaint}"):
        Publisher(endpoint)


def test_an_address_that_can_only_be_bound_is_said() -> None:
    with pytest.raises(PublishError, match=r"cannot subscribe to tcp://\*:7788: "):
        Subscriber("tcp://*:7788")


def test_nothing_can_be_published_once_closed() -> None:
    with Publisher(ANY_PORT) as publisher:
        pass
    with pytest.raises(PublishError, match="is closed"):
        publisher.publish(START)


def test_an_event_that_is_refused_leaves_no_hole() -> None:
    with feed() as (publisher, subscriber):
        publisher.publish(START)
        with pytest.raises(PublishError, match="finite"):
            publisher.publish(replace(START, score=float("nan")))
        publisher.publish(START)
        received = list(islice(subscriber, 2))

    assert [event.seq for event in received] == [1, 2]
    assert subscriber.num_missing == 0


def test_the_iteration_ends_after_silence() -> None:
    with Publisher(ANY_PORT) as publisher, Subscriber(publisher.endpoint, timeout_s=SILENCE_S) as subscriber:
        assert list(subscriber) == []


def test_close_ends_an_iteration_in_another_thread() -> None:
    received: SimpleQueue[Event] = SimpleQueue()

    def read(subscriber: Subscriber) -> None:
        for event in subscriber:
            received.put(event)

    with feed() as (publisher, subscriber), ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read, subscriber)
        publisher.publish(START)
        received.get(timeout=PATIENCE_S)
        subscriber.close()

        assert reading.result(PATIENCE_S) is None
        assert subscriber.receive(PATIENCE_S) is None


def test_two_threads_cannot_read_one_subscriber() -> None:
    def read_too(_: Hole) -> None:
        with pytest.raises(PublishError, match="another thread reads"):
            subscriber.receive(0.0)

    with bare_publisher() as (bare, endpoint), Subscriber(endpoint, on_hole=read_too) as subscriber:
        bare.recv()
        for sequence in (1, 3):
            bare.send_multipart(message(sequence))

        assert [event.seq for event in islice(subscriber, 2)] == [1, 3]


def test_close_may_be_called_from_within() -> None:
    with bare_publisher() as (bare, endpoint), Subscriber(endpoint, on_hole=lambda _: subscriber.close()) as subscriber:
        bare.recv()
        for sequence in (1, 3, 4):
            bare.send_multipart(message(sequence))

        assert [event.seq for event in subscriber] == [1, 3]


def test_ctrl_c_ends_the_wait() -> None:
    script = """
import signal, sys
from streamvc.publish.subscriber import Subscriber
signal.signal(signal.SIGINT, signal.default_int_handler)  # a process that was started in the background ignores it
try:
    with Subscriber(sys.argv[1]) as events:
        print("waiting", flush=True)
        list(events)
except KeyboardInterrupt:
    print("interrupted")
"""
    with Publisher(ANY_PORT) as publisher, running(script, publisher.endpoint) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "waiting\n"
        reader.send_signal(signal.SIGINT)
        assert reader.communicate(timeout=60)[0] == "interrupted\n"
        assert reader.returncode == 0
