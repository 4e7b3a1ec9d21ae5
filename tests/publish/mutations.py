"""Inputs that were changed at random, through the real Subscriber, Publisher and reader of configurations: kinds for scripts/fuzz.py."""

import json
import random
import time
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import cache
from itertools import count
from pathlib import Path

import zmq

from fuzz import Kind
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
ENVIRONMENT = {"CAM_USER": "admin", "CAM_PASSWORD": "hunter2#Xy"}
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


def configurations() -> Kind:
    """Configurations: each is read or refused, soon, and no password is in what is said."""

    def use(path: Path) -> None:
        path.with_name("node.env").touch(0o600)
        try:
            read_config(path, ENVIRONMENT)
        except NodeError as error:
            said = str(error)
        else:
            return
        assert "hunter2" not in said
        raise NodeError(said.replace("\n", " "))  # a line for each of its problems, all of which must be printable

    return Kind(lambda chance: mutated(chance, CONFIG.encode()), use, "node.yaml", timeout_s=SLOW_S)


def messages() -> Kind:
    """Messages, and answers, to a subscriber: it skips what is none, and goes on to give what is right."""

    def make(chance: random.Random) -> bytes:
        end = wire.AnswerEnd(chance.choice(("since", "snapshot")), 0, EPOCH)
        return _written(_altered(chance, wire.join(chance.choice(MESSAGES))), _altered(chance, wire.join_answer(b"", end)))

    def use(path: Path) -> None:
        _listener().hear(*_read(path))

    return Kind(make, use, "messages.json", timeout_s=2 * PATIENCE_S)


def requests() -> Kind:
    """Requests and subscriptions to a publisher: it answers what is right, before and after."""

    def make(chance: random.Random) -> bytes:
        asked = _altered(chance, wire.join_request(wire.Request(b"any", chance.choice(ASKED))))
        return _written(asked, [mutated(chance, b"\1sv1/site/front_door/event/")])

    def use(path: Path) -> None:
        _teller().ask(*_read(path))

    return Kind(make, use, "requests.json", timeout_s=2 * PATIENCE_S)


def _altered(chance: random.Random, parts: list[bytes]) -> list[bytes]:
    parts = [mutated(chance, part) if chance.random() < 0.5 else part for part in parts]
    if chance.random() < 0.1:
        chance.shuffle(parts)
    return parts[: chance.randint(1, len(parts))] if chance.random() < 0.1 else parts


def _written(*all_parts: list[bytes]) -> bytes:
    return json.dumps([[part.hex() for part in parts] for parts in all_parts]).encode()


def _read(path: Path) -> list[list[bytes]]:
    return [[bytes.fromhex(part) for part in parts] for parts in json.loads(path.read_text())]


class _Listener:
    """A subscriber to a publisher that says anything."""

    def __init__(self) -> None:
        opened = ExitStack()
        self._feed, self._requests = (opened.enter_context(bare_socket(kind)) for kind in (zmq.XPUB, zmq.ROUTER))
        ports = [each.bind_to_random_port("tcp://127.0.0.1") for each in (self._feed, self._requests)]
        endpoint, asked = (f"tcp://127.0.0.1:{port}" for port in ports)
        self._subscriber = Subscriber[Event | State | Health](
            endpoint, kinds=("event", "state", "health"), requests=asked, on_notice=lambda _notice: None, queue_size=100_000
        )
        self._opened, self._numbers = opened, count()
        self._feed.recv()

    def hear(self, said: list[bytes], answer: list[bytes]) -> None:
        """Say it, and answer so what is asked; then say what is right, and wait for it."""
        self._feed.send_multipart(said)
        self._answer(answer)
        camera = f"right {next(self._numbers)}"
        self._feed.send_multipart(wire.join(message(replace(START, camera=camera), 1, EPOCH)))
        deadline = time.monotonic() + PATIENCE_S
        while (item := self._subscriber.receive(0.05)) is None or item.camera != camera:
            assert time.monotonic() < deadline, "what is right never came"
            self._answer(answer)

    def _answer(self, parts: list[bytes]) -> None:
        while self._requests.poll(0):
            client, identifier, command, _ = self._requests.recv_multipart()
            self._requests.send_multipart([client, identifier, *parts[1:]])
            self._requests.send_multipart([client, *wire.join_answer(identifier, wire.AnswerEnd(command.decode(), 0, EPOCH))])  # type: ignore[arg-type]


class _Teller:
    """A publisher to which anything is said."""

    def __init__(self) -> None:
        opened = ExitStack()
        self._publisher = opened.enter_context(Publisher(ANY_PORT))
        self._publisher.publish(START)
        self._chatty = opened.enter_context(bare_socket(zmq.XSUB))
        self._chatty.connect(self._publisher.endpoint)
        self._opened = opened

    def ask(self, asked: list[bytes], subscription: list[bytes]) -> None:
        """Ask and subscribe; then somebody else asks what is right, and waits for the answer."""
        place = neighbour(self._publisher.endpoint, "requests")
        with bare_socket(zmq.DEALER) as client, bare_socket(zmq.DEALER) as friend:
            client.connect(place)
            client.send_multipart(asked)
            with suppress(zmq.Again):
                self._chatty.send(subscription[0], zmq.DONTWAIT)
            friend.connect(place)
            friend.send_multipart(wire.join_request(wire.Request(b"right", wire.SnapshotQuery())))
            while friend.recv_multipart()[:2] != [b"right", b"end"]:
                pass


@cache
def _listener() -> _Listener:
    return _Listener()


@cache
def _teller() -> _Teller:
    return _Teller()
