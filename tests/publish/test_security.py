"""A publisher with keys, its subscribers, and those who are none: what each gets, and what goes over the cable."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from streamvc.errors import PublishError
from streamvc.events import Event
from streamvc.publish import keys
from streamvc.publish.notices import Notice
from streamvc.publish.publisher import Publisher
from streamvc.publish.sockets import neighbour
from streamvc.publish.subscriber import Subscriber
from tests.publish.bare import ANY_PORT, PATIENCE_S
from tests.publish.samples import START

HEARTBEAT_S = 0.1
HANDSHAKE_BYTES = 1_000  # more than what a publisher says to one who does not get in


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("display", "pager"):
        keys.new_client(tmp_path / "keys", name)
    return tmp_path / "keys"


@pytest.fixture
def publisher(folder: Path) -> Iterator[Publisher]:
    with Publisher(ANY_PORT, keys=folder, heartbeat_s=HEARTBEAT_S) as opened:
        yield opened


class Cable:
    """Passes on bytes between whoever connects to it and an endpoint, and keeps what the other side says."""

    def __init__(self, endpoint: str) -> None:
        self._target = ("127.0.0.1", int(endpoint.rpartition(":")[2]))
        self.heard = bytearray()

    @contextmanager
    def laid(self) -> Iterator[str]:
        with ExitStack() as stack, socket.create_server(("127.0.0.1", 0)) as server:
            accepting = threading.Thread(target=self._accept, args=(server, stack))
            accepting.start()
            try:
                yield f"tcp://127.0.0.1:{server.getsockname()[1]}"
            finally:
                server.shutdown(socket.SHUT_RDWR)
                accepting.join()

    def _accept(self, server: socket.socket, stack: ExitStack) -> None:
        while True:
            try:
                near, _ = server.accept()
            except OSError:
                return
            far = socket.create_connection(self._target)
            for source, target, kept in ((near, far, bytearray()), (far, near, self.heard)):
                stack.enter_context(source)
                passing = threading.Thread(target=self._pass_on, args=(source, target, kept))
                passing.start()
                stack.callback(passing.join)
                stack.callback(self._cut, source)

    def _pass_on(self, source: socket.socket, target: socket.socket, kept: bytearray) -> None:
        with suppress(OSError):
            while said := source.recv(65_536):
                kept += said
                target.sendall(said)
        self._cut(target)

    def _cut(self, end: socket.socket) -> None:
        with suppress(OSError):  # it is
            end.shutdown(socket.SHUT_RDWR)


def publish(publisher: Publisher, number: int) -> None:
    for _ in range(number):
        publisher.publish(START)


def test_who_has_a_key_gets_all_events_and_the_past(publisher: Publisher, folder: Path) -> None:
    publish(publisher, 10)
    with Subscriber(publisher.endpoint, keys=folder / "clients" / "display.key", since="beginning", timeout_s=PATIENCE_S) as subscriber:
        assert [event.seq for event in islice(subscriber, 10)] == list(range(1, 11))
        publish(publisher, 10)
        assert [event.seq for event in islice(subscriber, 10)] == list(range(11, 21))


def test_of_what_is_encrypted_nothing_can_be_read_on_the_way(publisher: Publisher, folder: Path) -> None:
    cable = Cable(publisher.endpoint)
    key = folder / "clients" / "display.key"
    with cable.laid() as endpoint, Subscriber(endpoint, keys=key, requests=neighbour(publisher.endpoint, "requests")) as subscriber:
        assert publisher.wait_for_subscriber(PATIENCE_S)
        publish(publisher, 10)
        for _ in range(10):
            assert subscriber.receive(PATIENCE_S) is not None
    assert len(cable.heard) > 10 * len(subscriber.body)
    assert all(word not in cable.heard for word in (b"front_door", b"PushUps", b"sv1/", b"score", b"specversion"))


@pytest.mark.parametrize("who", ["without a key", "unknown", "revoked", "with the key of another server"])
def test_nobody_else_gets_one_byte_of_it(publisher: Publisher, folder: Path, tmp_path: Path, who: str) -> None:
    stranger = keys.new_client(tmp_path / "elsewhere", "stranger")
    keys.revoke(folder, "pager")
    key, server = {
        "without a key": (None, None),
        "unknown": (stranger, keys.load_server(folder).public),
        "revoked": (folder / "revoked" / "pager.key", None),
        "with the key of another server": (folder / "clients" / "display.key", keys.load_client(stranger).server),
    }[who]
    notices: list[Notice] = []
    feed, requests = Cable(publisher.endpoint), Cable(neighbour(publisher.endpoint, "requests"))
    with (
        feed.laid() as endpoint,
        requests.laid() as asked,
        Subscriber(endpoint, requests=asked, keys=key, server_key=server, since="beginning", on_notice=notices.append) as subscriber,
        Subscriber(publisher.endpoint, keys=folder / "clients" / "display.key") as friend,
    ):
        assert publisher.wait_for_subscriber(PATIENCE_S)
        publish(publisher, 200)
        for _ in range(200):
            assert friend.receive(PATIENCE_S) is not None
        assert subscriber.receive(5 * HEARTBEAT_S) is None
    for cable in (feed, requests):
        assert 0 < len(cable.heard) < HANDSHAKE_BYTES
        assert b"front_door" not in cable.heard


def test_who_is_revoked_is_cut_off_and_nobody_else_misses_anything(publisher: Publisher, folder: Path) -> None:
    display, pager = (folder / "clients" / f"{name}.key" for name in ("display", "pager"))
    num_published = 0
    heard: list[Event] = []
    with (
        Subscriber(publisher.endpoint, keys=display, since="beginning") as kept,
        Subscriber(publisher.endpoint, keys=pager, on_notice=lambda _: None) as cut_off,
    ):
        while cut_off.receive(HEARTBEAT_S) is None:  # until it has joined
            publish(publisher, 1)
            num_published += 1
        keys.revoke(folder, "pager")
        while event := cut_off.receive(5 * HEARTBEAT_S):  # until it is cut off
            publish(publisher, 1)
            num_published += 1
        publish(publisher, 50)
        while len(heard) < num_published + 50 and (event := kept.receive(PATIENCE_S)):
            heard.append(event)
        assert cut_off.receive(5 * HEARTBEAT_S) is None
    assert [event.seq for event in heard] == list(range(1, num_published + 51))
    assert kept.num_missing == 0


def test_a_client_that_is_allowed_again_is_back_by_itself(publisher: Publisher, folder: Path) -> None:
    pager = folder / "clients" / "pager.key"
    with Subscriber(publisher.endpoint, keys=pager, on_notice=lambda _: None) as subscriber:
        keys.revoke(folder, "pager")
        while subscriber.receive(5 * HEARTBEAT_S):  # until it is cut off, where it had joined already
            publish(publisher, 1)
        publish(publisher, 3)
        assert subscriber.receive(5 * HEARTBEAT_S) is None
        keys.allow(folder, "pager")
        while subscriber.receive(HEARTBEAT_S) is None:
            publish(publisher, 1)


def test_a_public_address_without_keys_needs_a_word(folder: Path) -> None:
    with pytest.raises(PublishError, match=r"other machines could read the events on tcp://\*:\*"):
        Publisher("tcp://*:*")
    for choice in ({"insecure": True}, {"keys": folder}):
        with Publisher("tcp://*:*", **choice) as publisher:
            publisher.publish(replace(START, camera="yard"))


def test_a_publisher_whose_keys_are_taken_away_goes_on_for_those_who_are_in(publisher: Publisher, folder: Path) -> None:
    with Subscriber(publisher.endpoint, keys=folder / "clients" / "display.key") as subscriber:
        while subscriber.receive(HEARTBEAT_S) is None:
            publish(publisher, 1)
        folder.rename(folder.with_name("away"))
        for _ in range(5):
            publish(publisher, 1)
            assert subscriber.receive(PATIENCE_S) is not None
