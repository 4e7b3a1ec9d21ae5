"""What strangers take of a publisher (connections, descriptors, memory) is bounded, and who is known is served all the while."""

import errno
import os
import resource
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil
import pytest
import zmq

from streamvc.events import Event
from streamvc.publish import keys
from streamvc.publish.authentication import Authenticator
from streamvc.publish.subscriber import Subscriber
from tests.publish.bare import PATIENCE_S, running
from tests.publish.test_fuzz_sockets import NULL_GREETING, READY

NUM_DESCRIPTORS = 1024  # that the publisher may have
NUM_STRANGERS = 600  # at each of two ports
PUBLISH = f"""
import logging, resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_NOFILE, ({NUM_DESCRIPTORS}, {NUM_DESCRIPTORS}))
logging.basicConfig(filename=sys.argv[2])
from streamvc.publish.publisher import Publisher
from tests.publish.samples import START
with Publisher("tcp://127.0.0.1:*", keys=Path(sys.argv[1]) if sys.argv[1] else None, log=sys.argv[2] + ".db", heartbeat_s=0.2) as publisher:
    print(publisher.endpoint, flush=True)
    for line in sys.stdin:
        publisher.publish(START)
"""


class Publishing:
    """A publisher in a process with few descriptors, that publishes when it is told to."""

    def __init__(self, stack: ExitStack, folder: Path, own_keys: Path | None) -> None:
        self._log = folder / "log.txt"
        self._process = stack.enter_context(running(PUBLISH, str(own_keys or ""), str(self._log)))
        assert self._process.stdout is not None
        self.endpoint = self._process.stdout.readline().strip()
        self.port = int(self.endpoint.rpartition(":")[2])

    def publish(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    @property
    def logged(self) -> str:
        return self._log.read_text()

    @property
    def num_descriptors(self) -> int:
        return int(psutil.Process(self._process.pid).num_fds())

    @property
    def memory(self) -> int:
        return int(psutil.Process(self._process.pid).memory_info().rss)


@pytest.fixture(params=["open", "with keys"])
def publishing(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Publishing, Path | None]]:
    folder = tmp_path / "keys" if request.param == "with keys" else None
    key = folder and keys.new_client(folder, "friend")
    with ExitStack() as stack:
        yield Publishing(stack, tmp_path, folder), key


@contextmanager
def silent(port: int, number: int) -> Iterator[list[socket.socket]]:
    """Connections of one who says nothing."""
    with ExitStack() as stack:
        yield [stack.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE_S)) for _ in range(number)]


def hears(subscriber: Subscriber[Event], publisher: Publishing) -> bool:
    publisher.publish()
    return subscriber.receive(PATIENCE_S) is not None


def test_silent_connections_leave_descriptors_and_friends_alone(publishing: tuple[Publishing, Path | None]) -> None:
    publisher, key = publishing
    with Subscriber(publisher.endpoint, keys=key, since="beginning") as before:
        assert hears(before, publisher)
        with silent(publisher.port, NUM_STRANGERS), silent(publisher.port + 1, NUM_STRANGERS):
            assert hears(before, publisher)
            with Subscriber(publisher.endpoint, keys=key, since="beginning") as after:
                assert after.receive(PATIENCE_S) is not None
                assert hears(before, publisher)
            assert publisher.num_descriptors < 3 * NUM_DESCRIPTORS / 4
        assert hears(before, publisher)
    assert "those that have said nothing are cut off" in publisher.logged
    assert "Traceback" not in publisher.logged


@pytest.mark.parametrize(("number", "size", "offset"), [(400, 30_000, 0), (20_000, 3_000, 0), (200_000, 20, 0), (20_000, 3_000, 2)])
def test_subscriptions_are_bounded_by_number_and_length_together(tmp_path: Path, number: int, size: int, offset: int) -> None:
    with ExitStack() as stack:
        publisher = Publishing(stack, tmp_path, None)
        friend: Subscriber[Event] = stack.enter_context(Subscriber(publisher.endpoint, since="beginning"))
        assert hears(friend, publisher)
        before = publisher.memory
        with socket.create_connection(("127.0.0.1", publisher.port + offset), PATIENCE_S) as greedy:
            greedy.sendall(NULL_GREETING + READY)
            said = b""
            while b"XPUB" not in said:
                said += greedy.recv(4096)
            with suppress(OSError):  # it is cut off
                for index in range(number):
                    topic = b"\1" + index.to_bytes(4, "big") + bytes([index % 251]) * size
                    greedy.sendall(b"\2" + len(topic).to_bytes(8, "big") + topic)
            assert hears(friend, publisher)
            assert publisher.memory - before < 100e6
        assert hears(friend, publisher)
        assert "a client is cut off" in publisher.logged or size == 30_000  # which ZeroMQ itself refuses


def test_many_topics_of_many_clients_are_all_served(publishing: tuple[Publishing, Path | None]) -> None:
    publisher, key = publishing
    with ExitStack() as stack:
        names = [f"camera {number}" for number in range(100)]
        friends: list[Subscriber[Event]] = [
            stack.enter_context(Subscriber(publisher.endpoint, keys=key, cameras=["front_door", *names], site="site", since="beginning"))
            for _ in range(8)
        ]
        publisher.publish()
        assert all(friend.receive(PATIENCE_S) is not None for friend in friends)
    assert "cut off" not in publisher.logged


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(int(path.name) for path in Path("/proc/self/fd").iterdir()) + 20, hard))
    taken: list[int] = []
    try:
        with suppress(OSError):
            while True:
                taken.append(os.dup(0))
        yield
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.skipif(sys.platform != "linux", reason="counts descriptors in /proc")
def test_without_a_descriptor_nobody_new_is_let_in_and_nobody_is_cut_off(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "keys"
    friend = keys.load_client(keys.new_client(folder, "friend"))
    keys.revoke(folder, keys.new_client(folder, "foe").stem)
    question = [b"1.0", b"7", b"streamvc", b"192.0.2.1", b"", b"CURVE", zmq.utils.z85.decode(friend.public)]
    with zmq.Context() as context, context.socket(zmq.REQ) as libzmq:
        authenticator = Authenticator(context, folder)
        libzmq.connect("inproc://zeromq.zap.01")

        def answered() -> bytes:
            libzmq.send_multipart(question)
            authenticator.answer()
            return bytes(libzmq.recv_multipart()[2])

        assert answered() == b"200"
        with no_descriptor_left():
            with pytest.raises(OSError, match=os.strerror(errno.EMFILE)):
                os.dup(0)
            keys_before = authenticator.revoked()
            said = {answered() for _ in range(10)}
            assert authenticator.revoked() == keys_before == []
        assert said == {b"300"}  # for now, in ZAP's words
        assert answered() == b"200"
        authenticator.close()
    assert caplog.text.count("no new client is let in for now") == 1


def test_one_who_connects_and_says_nothing_is_cut_off_after_a_while(tmp_path: Path) -> None:
    with ExitStack() as stack:
        publisher = Publishing(stack, tmp_path, None)
        with silent(publisher.port, 1) as [stranger]:
            began = time.monotonic()
            stranger.settimeout(PATIENCE_S)
            with suppress(ConnectionResetError):
                while stranger.recv(4096):  # a greeting, and then its end
                    pass
            assert time.monotonic() - began < PATIENCE_S
