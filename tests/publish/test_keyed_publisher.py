"""A publisher with keys: who has one gets everything, whoever has none or a revoked one gets nothing."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import zmq

from streamvc.errors import PublishError
from streamvc.publish import wire
from streamvc.publish.authentication import Authenticator, secure_client
from streamvc.publish.cloudevents import decode
from streamvc.publish.keys import new_client, revoke
from streamvc.publish.publisher import Publisher
from streamvc.publish.sockets import neighbour
from tests.publish.bare import ANY_PORT, PATIENCE_S, SILENCE_S, Socket, ask, bare_socket, receive
from tests.publish.samples import START, update
from tests.publish.singles import split_single


@contextmanager
def keyed(kind: int, endpoint: str, key: Path) -> Iterator[Socket]:
    with bare_socket(kind) as bare:
        secure_client(bare, key)
        if kind == zmq.SUB:
            bare.subscribe(b"sv1/site/front_door/")
        bare.connect(endpoint)
        yield bare


def test_who_has_a_key_is_served_by_all_three_sockets(tmp_path: Path) -> None:
    key = new_client(tmp_path / "keys", "display")
    with (
        Publisher("tcp://0.0.0.0:*", keys=tmp_path / "keys") as publisher,
        keyed(zmq.SUB, local(publisher), key) as feed,
        keyed(zmq.DEALER, neighbour(local(publisher), "requests"), key) as client,
        keyed(zmq.SUB, neighbour(local(publisher), "latest"), key) as latest,
    ):
        assert publisher.wait_for_subscriber(PATIENCE_S)
        publisher.publish(START)
        [event, _] = receive(feed, 2)
        messages, _ = ask(client, wire.SinceQuery("front_door", "event", 0, 0))
        shown = split_single(latest.recv())

    assert messages == [event]
    assert shown.topic.camera == "front_door"


def local(publisher: Publisher) -> str:
    return publisher.endpoint.replace("0.0.0.0", "127.0.0.1")


def test_who_has_none_gets_nothing(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    new_client(keys, "display")
    other = new_client(tmp_path / "others", "stranger")
    with Publisher(ANY_PORT, keys=keys) as publisher, bare_socket(zmq.SUB) as bare, keyed(zmq.SUB, publisher.endpoint, other) as stranger:
        bare.subscribe(b"")
        bare.connect(publisher.endpoint)
        assert not publisher.wait_for_subscriber(SILENCE_S)
        publisher.publish(START)
        assert not bare.poll(round(1000 * SILENCE_S))
        assert not stranger.poll(round(1000 * SILENCE_S))


def test_whoever_is_revoked_is_cut_off_and_the_others_come_back(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    keys = tmp_path / "keys"
    good, bad = new_client(keys, "good"), new_client(keys, "bad")
    with (
        Publisher(ANY_PORT, keys=keys, heartbeat_s=0.05) as publisher,
        keyed(zmq.SUB, publisher.endpoint, good) as welcome,
        keyed(zmq.SUB, publisher.endpoint, bad) as banned,
    ):
        publisher.publish(START)
        assert all(receive(reader, 1) for reader in (welcome, banned))
        revoke(keys, "bad")
        with caplog.at_level(logging.WARNING, "streamvc"):
            while "cut off" not in caplog.text:
                banned.poll(10)
        while not publisher.wait_for_subscriber(0.0):
            welcome.poll(10)  # ZeroMQ subscribes again only while one reads
        publisher.publish(update(1.0))
        while (message := wire.split(welcome.recv_multipart())).topic.kind != "event" or message.sequence < 2:
            pass
        while banned.poll(round(1000 * SILENCE_S)):
            assert wire.split(banned.recv_multipart()).sequence < 2

    assert "the key was revoked: bad" in caplog.text
    assert publisher.num_dropped == 0


def test_where_it_cannot_open_again_it_tries_until_it_can(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    keys = tmp_path / "keys"
    good, bad = new_client(keys, "good"), new_client(keys, "bad")
    with Publisher(ANY_PORT, keys=keys, heartbeat_s=0.05) as publisher:
        with keyed(zmq.SUB, publisher.endpoint, bad):
            assert publisher.wait_for_subscriber(PATIENCE_S)
        (keys / "server.key").chmod(0o644)  # it is refused
        revoke(keys, "bad")
        with keyed(zmq.SUB, publisher.endpoint, good) as welcome:
            while "nobody can subscribe" not in caplog.text:
                welcome.poll(10)
            publisher.publish(START)
            (keys / "server.key").chmod(0o600)
            state = wire.split(welcome.recv_multipart())

    assert (state.topic.kind, state.sequence) == ("state", 1)


def test_whatever_fails_in_the_thread_of_the_sockets_does_not_end_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    key = new_client(tmp_path / "keys", "friend")
    answer = Authenticator.answer

    def fail_once(authenticator: Authenticator) -> None:
        monkeypatch.setattr(Authenticator, "answer", answer)
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(Authenticator, "answer", fail_once)
    with Publisher(ANY_PORT, node="node", keys=tmp_path / "keys", heartbeat_s=0.05) as publisher:
        with keyed(zmq.SUB, publisher.endpoint, key) as reader:
            publisher.publish(START)
            while wire.split(reader.recv_multipart()).topic.kind != "state":
                pass
        kinds = [(decode(message.body).status, message.topic.camera) for _, message in publisher.log.read(0, 100) if message.topic.kind == "health"]  # type: ignore[union-attr]
    assert ("degraded", "node") in kinds
    assert "cannot publish: OSError: [Errno 24] Too many open files; all subscribers are cut off, and will be back" in caplog.text


def test_without_a_server_key_nothing_is_opened(tmp_path: Path) -> None:
    with pytest.raises(PublishError, match="streamvc keys new"):
        Publisher(ANY_PORT, keys=tmp_path / "keys")
