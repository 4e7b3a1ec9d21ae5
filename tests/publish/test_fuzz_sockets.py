"""Whatever is said to a socket: whoever speaks properly is served as before."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from streamvc.publish import keys, wire
from streamvc.publish.authentication import secure_client
from streamvc.publish.sockets import neighbour
from tests.publish.bare import PATIENCE_S, Socket, bare_socket, running
from tests.publish.fuzzing import EPOCH, altered_bytes, answers, fuzzed, garbage, messages, requests
from tests.publish.samples import START, message

NULL_GREETING = b"\xff" + bytes(8) + b"\x7f\3\1" + b"NULL".ljust(20, b"\0") + bytes(32)
CURVE_GREETING = b"\xff" + bytes(8) + b"\x7f\3\1" + b"CURVE".ljust(20, b"\0") + bytes(32)
READY = b"\4\x26\5READY\x0bSocket-Type\0\0\0\3SUB\x08Identity\0\0\0\0"
SUBSCRIBE = b"\0\1\1" + b"\0\5\1sv1/"
HELLO = b"\4\xc8\5HELLO\1" + bytes(193)
spoken = altered_bytes([NULL_GREETING + READY + SUBSCRIBE, NULL_GREETING, CURVE_GREETING + HELLO, b"GET / HTTP/1.1\r\n\r\n"]) | st.binary(
    max_size=300
)
subscriptions = st.lists(st.binary(max_size=100), min_size=1, max_size=3) | altered_bytes([b"\1sv1/site/front_door/event/", b"\0sv1/"]).map(
    lambda said: [said]
)


PUBLISH = """
import sys
from pathlib import Path
from streamvc.publish.publisher import Publisher
from tests.publish.samples import START
with Publisher("tcp://127.0.0.1:*", keys=Path(sys.argv[1]) if sys.argv[1] else None) as publisher:
    publisher.publish(START)
    print(publisher.endpoint, flush=True)
    sys.stdin.read()
"""
SUBSCRIBE_AND_TELL = """
import logging
import sys
import zmq
from streamvc.publish.subscriber import Subscriber
logging.disable()
with zmq.Context() as context, context.socket(zmq.PUSH) as telling:
    telling.connect(sys.argv[2])
    with Subscriber(sys.argv[1], kinds=("event", "state", "health"), on_notice=lambda _: None) as subscriber:
        for item in subscriber:
            telling.send_string(item.camera)
"""


class Friend:
    """Somebody who speaks properly with a publisher that runs in another process."""

    def __init__(self, endpoint: str, key: Path | None) -> None:
        self.endpoint = endpoint
        self._context: zmq.Context[Socket] = zmq.Context()
        self._client = self._context.socket(zmq.DEALER)
        self._client.linger = 0
        self._client.rcvtimeo = round(1000 * PATIENCE_S)
        if key is not None:
            secure_client(self._client, key)
        self._client.connect(neighbour(endpoint, "requests"))
        self._numbers = count()

    def send(self, parts: list[bytes]) -> None:
        self._client.send_multipart(parts)

    def is_served(self) -> bool:
        """Ask for what there is, and wait for the end of the answer, whatever comes before."""
        identifier = b"friend-%d" % next(self._numbers)
        self.send(wire.join_request(wire.Request(identifier, wire.SnapshotQuery())))
        while (parts := self._client.recv_multipart())[:2] != [identifier, b"end"]:
            assert parts[1] != b"error" or parts[0] != identifier
        return True

    def close(self) -> None:
        self._client.close()
        self._context.term()


@pytest.fixture(scope="module", params=["open", "with keys"])
def friend(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Friend]:
    folder = tmp_path_factory.mktemp("keys") if request.param == "with keys" else None
    key = folder and keys.new_client(folder, "friend")
    with running(PUBLISH, str(folder or "")) as process:
        assert process.stdout is not None
        with closing(Friend(process.stdout.readline().strip(), key)) as opened:
            yield opened


@fuzzed
@given(parts=requests | garbage.filter(bool))
def test_requests(friend: Friend, parts: list[bytes]) -> None:
    friend.send(parts)
    assert friend.is_served()


@pytest.fixture(scope="module")
def chatty(friend: Friend) -> Iterator[list[Socket]]:
    """Sockets that say anything, to the feed and to the latest."""
    with bare_socket(zmq.XSUB) as feed, bare_socket(zmq.XSUB) as latest:
        feed.connect(friend.endpoint)
        latest.connect(neighbour(friend.endpoint, "latest"))
        yield [feed, latest]


@fuzzed
@given(parts=subscriptions)
def test_subscriptions(friend: Friend, chatty: list[Socket], parts: list[bytes]) -> None:
    for one in chatty:
        with suppress(zmq.Again):  # it was not let in, or was cut off
            one.send_multipart(parts, zmq.DONTWAIT)
        while one.poll(0):
            one.recv_multipart()
    assert friend.is_served()


@fuzzed
@given(said=spoken, offset=st.integers(0, 2))
def test_bytes_on_the_ports(friend: Friend, said: bytes, offset: int) -> None:
    with socket.create_connection(("127.0.0.1", int(friend.endpoint.rpartition(":")[2]) + offset), PATIENCE_S) as stranger:
        stranger.sendall(said)
    assert friend.is_served()


def test_what_is_too_large_is_not_taken(friend: Friend) -> None:
    requests, latest = neighbour(friend.endpoint, "requests"), neighbour(friend.endpoint, "latest")
    for kind, endpoint in ((zmq.XSUB, friend.endpoint), (zmq.DEALER, requests), (zmq.XSUB, latest)):
        with bare_socket(kind) as large:
            cut = large.get_monitor_socket(zmq.EVENT_DISCONNECTED | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL)
            large.connect(endpoint)
            large.send_multipart([b"\1id", b"since", b"x" * 65_537])
            assert cut.poll(round(1000 * PATIENCE_S))
            large.disable_monitor()
            cut.close()
        assert friend.is_served()


class Impostor:
    """A publisher that can say anything, and what is right, to a subscriber in another process."""

    def __init__(self, stack: ExitStack) -> None:
        self.feed, self.requests, self._told = (stack.enter_context(bare_socket(kind)) for kind in (zmq.XPUB, zmq.ROUTER, zmq.PULL))
        while True:  # until two neighbouring ports are found
            port = self.feed.bind_to_random_port("tcp://127.0.0.1")
            try:
                self.requests.bind(f"tcp://127.0.0.1:{port + 1}")
            except zmq.ZMQError:
                self.feed.unbind(f"tcp://127.0.0.1:{port}")
            else:
                break
        told = self._told.bind_to_random_port("tcp://127.0.0.1")
        stack.enter_context(running(SUBSCRIBE_AND_TELL, f"tcp://127.0.0.1:{port}", f"tcp://127.0.0.1:{told}"))
        self.feed.recv()  # it has subscribed
        self._numbers = count()

    def answer(self, said: list[bytes]) -> None:
        """Answer what the subscriber has asked: first with this, in the name of the request, and then properly."""
        while self.requests.poll(0):
            client, identifier, command, _ = self.requests.recv_multipart()
            self.requests.send_multipart([client, identifier, *said[1:]])
            self.requests.send_multipart([client, *wire.join_answer(identifier, wire.AnswerEnd(command.decode(), 0, EPOCH))])  # type: ignore[arg-type]

    def is_heard(self, said: list[bytes]) -> bool:
        """Leave a hole, for something to be asked and answered; then say something right about another camera, and see it arrive."""
        number = next(self._numbers)
        for sequence in (1, 3):
            self.say(f"with a hole {number}", sequence)
        self.requests.poll(20)
        self.say(f"right {number}", 1)
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            self.answer(said)
            if self._told.poll(1) and self._told.recv_string() == f"right {number}":
                return True
        return False

    def say(self, camera: str, sequence: int) -> None:
        self.feed.send_multipart(wire.join(message(replace(START, camera=camera), sequence, EPOCH)))


@pytest.fixture(scope="module")
def impostor() -> Iterator[Impostor]:
    with ExitStack() as stack:
        yield Impostor(stack)


@fuzzed
@given(parts=messages | garbage.filter(bool))
def test_a_subscriber_skips_what_is_no_message(impostor: Impostor, parts: list[bytes]) -> None:
    impostor.feed.send_multipart(parts)
    assert impostor.is_heard([b"", b"error", b"{}"])


@fuzzed
@given(parts=answers)
def test_a_subscriber_skips_what_is_no_answer(impostor: Impostor, parts: list[bytes]) -> None:
    assert impostor.is_heard(parts)
