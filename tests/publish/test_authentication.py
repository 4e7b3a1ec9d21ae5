"""Encrypted sockets on loopback, and who gets in: by what arrives, and by what goes over the cable."""

import logging
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
import zmq
from zmq.utils import z85

from streamvc.errors import PublishError
from streamvc.publish import keys
from streamvc.publish.authentication import MAX_LOGGED, ZAP_ENDPOINT, Authenticator, refusal, secure_client, secure_server, watch_refusals

PATIENCE_S = 20.0  # for what is bound to come
SILENCE_MS = 50  # for what must not come
GREETING_BYTES = 64
SECRET = b"sv1/site/front_door/event/PushUps/"

Socket = zmq.Socket[bytes]


class Door:
    """A publisher behind an authenticator, driven by the test: it sends and answers while the test waits for something."""

    def __init__(self, folder: Path) -> None:
        self._context: zmq.Context[Socket] = zmq.Context()
        self.authenticator = Authenticator(self._context, folder)
        self._socket = self._context.socket(zmq.XPUB)
        self._socket.linger = 0
        secure_server(self._socket, folder)
        self._socket.bind("tcp://127.0.0.1:*")
        self.endpoint = self._socket.get_string(zmq.LAST_ENDPOINT)

    def serve(self, *, until: list[Socket]) -> bool:
        """Send until one of these sockets can be read; False where none could for long."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            self.authenticator.answer()
            while self._socket.poll(0):
                self._socket.recv()
            self._socket.send_multipart([SECRET, b"body"])
            if any(reader.poll(5) for reader in until):
                return True
        return False

    def close(self) -> None:
        self.authenticator.close()
        self._socket.close()
        self._context.term()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    keys.new_client(tmp_path / "keys", "display")
    return tmp_path / "keys"


@pytest.fixture
def door(folder: Path) -> Iterator[Door]:
    with closing(Door(folder)) as opened:
        yield opened


@contextmanager
def reader(endpoint: str, key_file: Path | None, server_key: str | None = None) -> Iterator[tuple[Socket, Socket]]:
    """A subscriber, and a socket that can be read once its handshake has failed."""
    with zmq.Context() as context, context.socket(zmq.SUB) as subscriber:
        subscriber.linger = 0
        subscriber.subscribe(b"")
        if key_file is not None:
            secure_client(subscriber, key_file, server_key)
        monitor = watch_refusals(subscriber)
        subscriber.connect(endpoint)
        try:
            yield subscriber, monitor
        finally:
            subscriber.disable_monitor()
            monitor.close()


def refused(door: Door, endpoint: str, key_file: Path | None, server_key: str | None = None) -> str:
    """Why a client that tries with this key gets nothing; empty where it gets something."""
    with reader(endpoint, key_file, server_key) as (subscriber, monitor):
        assert door.serve(until=[subscriber, monitor])
        if subscriber.poll(0):
            return ""
        said = refusal(monitor.recv_multipart())
        assert not subscriber.poll(SILENCE_MS)
        return said


def test_a_client_with_its_key_gets_what_is_sent(door: Door, folder: Path) -> None:
    with reader(door.endpoint, folder / "clients" / "display.key") as (subscriber, _):
        assert door.serve(until=[subscriber])
        assert subscriber.recv_multipart() == [SECRET, b"body"]


def test_nobody_else_gets_anything(door: Door, folder: Path, tmp_path: Path) -> None:
    elsewhere = keys.new_client(tmp_path / "elsewhere", "display")
    revoked = keys.new_client(folder, "revoked")
    keys.revoke(folder, "revoked")
    server = keys.load_server(folder).public
    for key_file in (elsewhere, folder / "revoked" / revoked.name):
        assert "refuses this key" in refused(door, door.endpoint, key_file, server)
    assert "no handshake" in refused(door, door.endpoint, None)
    assert "no handshake" in refused(door, door.endpoint, elsewhere)
    assert "no handshake" in refused(door, door.endpoint, folder / "clients" / "display.key", keys.load_client(elsewhere).server)


def test_without_an_authenticator_nobody_gets_in(folder: Path) -> None:
    with zmq.Context() as context, context.socket(zmq.XPUB) as publisher:
        publisher.linger = 0
        secure_server(publisher, folder)
        publisher.bind("tcp://127.0.0.1:*")
        with reader(publisher.get_string(zmq.LAST_ENDPOINT), folder / "clients" / "display.key") as (_, monitor):
            assert monitor.poll(20_000)
            assert not publisher.poll(0)


def test_strangers_are_logged_by_fingerprint_once_and_secrets_never(
    door: Door, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stranger = keys.new_client(tmp_path / "elsewhere", "mallory")
    assert refused(door, door.endpoint, stranger, keys.load_server(folder).public)
    assert caplog.text.count(keys.fingerprint(keys.load_client(stranger).public)) == 1
    assert "127.0.0.1" in caplog.text
    for file in (stranger, folder / "server.key", folder / "clients" / "display.key"):
        secret = keys.load_client(file, keys.load_server(folder).public).secret
        assert secret is not None
        assert secret not in caplog.text


@contextmanager
def asking(folder: Path) -> Iterator[Callable[[list[bytes]], bytes]]:
    """What an authenticator answers, as a code."""
    with zmq.Context() as context, context.socket(zmq.REQ) as socket, closing(Authenticator(context, folder)) as authenticator:
        socket.connect(ZAP_ENDPOINT)

        def ask(question: list[bytes]) -> bytes:
            socket.send_multipart(question)
            authenticator.answer()
            return socket.recv_multipart()[2]

        yield ask


def test_a_crowd_of_strangers_does_not_fill_the_log(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    crowd = [[b"1.0", b"1", b"streamvc", b"192.0.2.1", b"", b"CURVE", number.to_bytes(32, "big")] for number in range(2 * MAX_LOGGED)]
    with asking(folder) as ask:
        assert {ask(each) for each in crowd} == {b"400"}
    assert len(caplog.records) == MAX_LOGGED + 1


def question(key_file: Path) -> list[bytes]:
    """What libzmq asks for a client with this key."""
    return [b"1.0", b"1", b"streamvc", b"192.0.2.1", b"", b"CURVE", z85.decode(keys.load_client(key_file).public)]


def test_whom_a_key_file_allows_is_what_it_says_now(folder: Path, tmp_path: Path) -> None:
    before, after = folder / "clients" / "display.key", keys.new_client(tmp_path / "elsewhere", "display")
    with asking(folder) as ask:
        assert [ask(question(each)) for each in (before, after)] == [b"200", b"400"]
        public = before.with_suffix(".public")
        written = public.stat()
        public.write_bytes(after.with_suffix(".public").read_bytes())  # in place: the same file, as long as before
        os.utime(public, ns=(written.st_atime_ns, written.st_mtime_ns + 1))
        assert [ask(question(each)) for each in (before, after)] == [b"400", b"200"]


def test_what_is_not_a_question_is_answered_all_the_same(folder: Path) -> None:
    keyless = [[b"1.0", b"1", b"streamvc", b"\xff", b"", mechanism, key] for mechanism, key in ((b"NULL", b""), (b"CURVE", b"short"), (b"?", b""))]
    with asking(folder) as ask:
        assert {ask(each) for each in ([b""], [b"2.0"] * 7, [b"1.0", b"1"], [b"1.0", *[b"\xff"] * 7])} == {b"500"}
        assert {ask(each) for each in keyless} == {b"400"}


def test_a_client_that_is_allowed_later_gets_in_when_it_tries_again(door: Door, folder: Path, tmp_path: Path) -> None:
    late = keys.new_client(tmp_path / "elsewhere", "late")
    with reader(door.endpoint, late, keys.load_server(folder).public) as (subscriber, monitor):
        assert door.serve(until=[monitor])
        keys.allow(folder, "late", keys.load_client(late).public)
        subscriber.disconnect(door.endpoint)
        subscriber.connect(door.endpoint)
        assert door.serve(until=[subscriber])


def test_who_is_revoked_is_to_be_cut_off(door: Door, folder: Path) -> None:
    pager = keys.new_client(folder, "pager")
    keys.new_client(folder, "unused")
    display = folder / "clients" / "display.key"
    with reader(door.endpoint, pager) as (first, _), reader(door.endpoint, display) as (second, _):
        assert door.serve(until=[first])
        assert door.serve(until=[second])
        assert door.authenticator.revoked() == []
        keys.revoke(folder, "unused")
        assert door.authenticator.revoked() == []  # it is not here
        keys.revoke(folder, "pager")
        assert door.authenticator.revoked() == ["pager"]


def test_without_its_folder_nobody_gets_in(door: Door, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    away = folder.rename(folder.with_name("away"))
    assert refused(door, door.endpoint, away / "clients" / "display.key")
    away.rename(folder)
    assert not refused(door, door.endpoint, folder / "clients" / "display.key")


def test_a_folder_that_cannot_be_understood_lets_nobody_in(door: Door, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "revoked").mkdir()
    (folder / "revoked" / "damaged.public").write_text("?")
    assert refused(door, door.endpoint, folder / "clients" / "display.key")
    assert [record.levelno for record in caplog.records].count(logging.ERROR) == 1  # not at each question


def test_who_was_let_in_is_not_where_it_is_no_longer_known_who_was_revoked(door: Door, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    display = folder / "clients" / "display.key"
    assert not refused(door, door.endpoint, display)
    (folder / "revoked").mkdir()
    (folder / "revoked" / "damaged.public").write_text("?")
    assert refused(door, door.endpoint, display)
    assert door.authenticator.revoked() == ["display"]


def test_who_speaks_without_keys_hears_a_greeting_and_no_more(door: Door) -> None:
    address = ("127.0.0.1", int(door.endpoint.rpartition(":")[2]))
    heard = b""
    with socket.create_connection(address, timeout=PATIENCE_S) as stranger:
        stranger.sendall(b"\xff" + bytes(8) + b"\x7f\3")  # ZMTP 3 ...
        while len(heard) < GREETING_BYTES:
            heard += stranger.recv(GREETING_BYTES)
        # ... with the mechanism NULL, and what a subscriber would say next
        stranger.sendall(b"\1" + b"NULL".ljust(20, b"\0") + bytes(32) + b"\x04\x19\x05READY\x0bSocket-Type\0\0\0\3SUB" + b"\0\1\1")
        with suppress(ConnectionResetError):
            while said := stranger.recv(4096):
                heard += said
    assert len(heard) == GREETING_BYTES
    assert b"CURVE" in heard


def test_a_socket_without_keys_is_not_opened(tmp_path: Path) -> None:
    with zmq.Context() as context, context.socket(zmq.XPUB) as publisher, pytest.raises(PublishError, match="there are no keys"):
        secure_server(publisher, tmp_path)
