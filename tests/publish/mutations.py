"""Inputs that were changed at random, through the real Subscriber, Publisher and reader of configurations: kinds for scripts/fuzz.py.

Each kind is a function of a seed and a number: it feeds so many inputs and raises AssertionError where one of them does more than it may.
"""

import random
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from itertools import count
from pathlib import Path

import psutil
import zmq

from streamvc.errors import NodeError
from streamvc.events import Event, Health, State
from streamvc.node.config import read_config
from streamvc.publish import wire
from streamvc.publish.publisher import Publisher
from streamvc.publish.sockets import neighbour
from streamvc.publish.subscriber import Subscriber
from tests.publish.bare import ANY_PORT, PATIENCE_S, bare_socket
from tests.publish.fuzzing import ASKED, EPOCH, MESSAGES
from tests.publish.samples import START, message

MAX_GROWTH_BYTES = 200e6
MAX_BYTES = 10_000  # YAML is read at some 100 kB a second
SLOW_S = 10.0  # for one input; on a busy machine
CONFIG = """\
site: shop
publish: tcp://127.0.0.1:7788
secrets: node.env
sinks: ["mqtt://me@192.0.2.9/house?discovery=1", "https://hooks.example/x#phases=start,end", "file:events.jsonl"]
recording: {folder: recordings, keep_days: 7}
limits: {workers: 2, staleness_s: 0.5}
defaults: &defaults {models: [figure], motion: {gate: true, sensitivity: 0.4}, thresholds: {enter: 0.8}}
cameras:
  - {name: yard, source: "rtsp://${CAM_USER}:${CAM_PASSWORD}@192.0.2.7/stream", zones: {include: [[[0, 0], [1, 0], [1, 1]]]}}
  - {<<: *defaults, name: door, source: "0", schedule: ["mon-fri 18:00-08:00"], timezone: Europe/Berlin}
"""
PIECES = (b"", b"\0", b"\xff", b"[", b"{", b"*a", b"&a ", b"<<: ", b": ", b"- ", b"\n", b"'", b'"', b"!!", b"%", b"/", b"9" * 400)
WORDS = (b"null", b"-1", b"NaN", b"1e999", b"2026-02-30", b"&defaults ", b"*defaults", b"${CAM_PASSWORD}")


def mutated(chance: random.Random, data: bytes) -> bytes:
    """Data of which parts are cut, doubled, moved, or are other ones."""
    for _ in range(chance.randint(1, 4)):
        begin, end = sorted(chance.randint(0, len(data)) for _ in range(2))
        end = min(end, begin + chance.choice((1, 4, 16, 10_000)))
        part = data[begin:end]
        put = chance.choice((chance.choice((*PIECES, *WORDS)), chance.randbytes(chance.randint(1, 8)), part * chance.choice((2, 3, 50)), part[::-1]))
        data = data[:begin] + put + data[end:]
    return data[:MAX_BYTES]


def _altered(chance: random.Random, parts: list[bytes]) -> list[bytes]:
    parts = [mutated(chance, part) if chance.random() < 0.5 else part for part in parts]
    if chance.random() < 0.1:
        chance.shuffle(parts)
    return parts[: chance.randint(1, len(parts))] if chance.random() < 0.1 else parts


def _growth(before: int) -> int:
    return int(psutil.Process().memory_info().rss) - before


def to_subscriber(seed: int, number: int) -> None:
    """Messages and answers to a subscriber: it skips what is none, and goes on to give what is right."""
    chance, before = random.Random(seed), psutil.Process().memory_info().rss
    with bare_socket(zmq.XPUB) as feed, bare_socket(zmq.ROUTER) as requests:
        ports = [each.bind_to_random_port("tcp://127.0.0.1") for each in (feed, requests)]
        endpoint, asked = (f"tcp://127.0.0.1:{port}" for port in ports)
        subscriber: Subscriber[Event | State | Health] = Subscriber(
            endpoint, kinds=("event", "state", "health"), requests=asked, on_notice=lambda _notice: None, queue_size=100_000
        )
        with subscriber:
            feed.recv()
            numbers = count()
            for _ in range(0, number, 100):
                for _ in range(100):
                    feed.send_multipart(_altered(chance, wire.join(chance.choice(MESSAGES))))
                while requests.poll(0):
                    client, identifier, command, _ = requests.recv_multipart()
                    end = wire.AnswerEnd("since" if command == b"since" else "snapshot", 0, EPOCH)
                    requests.send_multipart([client, *_altered(chance, wire.join_answer(identifier, end))])
                    requests.send_multipart([client, *wire.join_answer(identifier, end)])
                camera = f"right {next(numbers)}"
                feed.send_multipart(wire.join(message(replace(START, camera=camera), 1, EPOCH)))
                deadline = time.monotonic() + PATIENCE_S
                while (item := subscriber.receive(0.05)) is None or item.camera != camera:
                    assert time.monotonic() < deadline, f"seed {seed}: {camera} never came"
                    while requests.poll(0):
                        client, identifier, command, _ = requests.recv_multipart()
                        requests.send_multipart([client, *wire.join_answer(identifier, wire.AnswerEnd(command.decode(), 0, EPOCH))])  # type: ignore[arg-type]
    assert _growth(before) < MAX_GROWTH_BYTES


def to_publisher(seed: int, number: int) -> None:
    """Requests and subscriptions to a publisher: it answers what is right, before and after."""
    chance, before = random.Random(seed), psutil.Process().memory_info().rss
    right = wire.Request(b"right", wire.SnapshotQuery())
    with Publisher(ANY_PORT) as publisher, bare_socket(zmq.XSUB) as chatty:
        publisher.publish(START)
        chatty.connect(publisher.endpoint)
        for _ in range(0, number, 100):
            with bare_socket(zmq.DEALER) as client:
                client.connect(neighbour(publisher.endpoint, "requests"))
                for _ in range(50):
                    client.send_multipart(_altered(chance, wire.join_request(wire.Request(b"any", chance.choice(ASKED)))))
                    with suppress(zmq.Again):
                        chatty.send(mutated(chance, b"\1sv1/site/front_door/event/"), zmq.DONTWAIT)
            with bare_socket(zmq.DEALER) as friend:
                friend.connect(neighbour(publisher.endpoint, "requests"))
                friend.send_multipart(wire.join_request(right))
                while friend.recv_multipart()[:2] != [b"right", b"end"]:
                    pass
    assert _growth(before) < MAX_GROWTH_BYTES


def _refusal(path: Path, environment: dict[str, str]) -> str:
    try:
        read_config(path, environment)
    except NodeError as error:
        return str(error)
    return ""


def to_configuration(seed: int, number: int) -> None:
    """Configurations: each is read or refused, soon, and no password is in what is said."""
    chance, before = random.Random(seed), psutil.Process().memory_info().rss
    environment = {"CAM_USER": "admin", "CAM_PASSWORD": "hunter2#Xy"}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "node.yaml")
        for _ in range(number):
            content = mutated(chance, CONFIG.encode())
            path.write_bytes(content)
            began = time.monotonic()
            assert "hunter2" not in _refusal(path, environment), content[:1000]
            assert time.monotonic() - began < SLOW_S, content[:1000]
    assert _growth(before) < MAX_GROWTH_BYTES


KINDS: dict[str, Callable[[int, int], None]] = {"messages": to_subscriber, "requests": to_publisher, "configurations": to_configuration}
