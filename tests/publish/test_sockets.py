import pytest

from streamvc.errors import PublishError
from streamvc.publish.sockets import Neighbour, is_public, neighbour


@pytest.mark.parametrize(
    ("endpoint", "which", "expected"),
    [
        ("tcp://127.0.0.1:7788", "requests", "tcp://127.0.0.1:7789"),
        ("tcp://127.0.0.1:7788", "latest", "tcp://127.0.0.1:7790"),
        ("tcp://[::1]:65533", "latest", "tcp://[::1]:65535"),
        ("tcp://*:7788", "requests", "tcp://*:7789"),
        ("ipc:///run/feed", "requests", "ipc:///run/feed.requests"),
        ("ipc:///run/feed", "latest", "ipc:///run/feed.latest"),
    ],
)
def test_the_sockets_of_a_publisher_are_neighbours(endpoint: str, which: Neighbour, expected: str) -> None:
    assert neighbour(endpoint, which) == expected


@pytest.mark.parametrize(
    ("endpoint", "complaint"),
    [
        ("tcp://127.0.0.1:65534", "choose one of at most 65533"),
        ("tcp://127.0.0.1:*", "name the one that the publisher has"),
        ("tcp://127.0.0.1", "is not an endpoint"),
    ],
)
def test_an_endpoint_without_neighbours_is_said(endpoint: str, complaint: str) -> None:
    with pytest.raises(PublishError, match=complaint):
        neighbour(endpoint, "latest")


@pytest.mark.parametrize("host", ["*", "0.0.0.0", "[::]", "eth0", "192.0.2.7", "[2001:db8::1]", "localhost.example.com", "[::ffff:192.0.2.7]"])
def test_what_other_machines_reach_is_public(host: str) -> None:
    assert is_public(f"tcp://{host}:7788")


@pytest.mark.parametrize(
    "endpoint", ["tcp://127.0.0.1:7788", "tcp://127.8.8.8:*", "tcp://localhost:7788", "tcp://lo:7788", "tcp://[::1]:7788", "ipc://feed"]
)
def test_what_only_this_machine_reaches_is_not(endpoint: str) -> None:
    assert not is_public(endpoint)
