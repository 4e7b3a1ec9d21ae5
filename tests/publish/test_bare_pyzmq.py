"""The wire as docs/wire.md tells it, spoken with bare pyzmq, json and struct: nothing of streamvc is used to read it."""

import json
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import zmq

from streamvc.publish.publisher import Publisher
from streamvc.publish.sockets import neighbour
from streamvc.publish.wire import Message, Topic, join
from tests.publish.bare import running
from tests.publish.samples import START, update

PATIENCE_MS = 20_000
WIRE = Path(__file__).parent.parent.parent / "docs" / "wire.md"


@contextmanager
def connected(kind: int, endpoint: str, neighbour: int, **options: int) -> Iterator["zmq.Socket[bytes]"]:
    """A socket that is connected to the feed (0), to the requests (1) or to the latest (2)."""
    address, _, port = endpoint.rpartition(":")
    with zmq.Context() as context, context.socket(kind) as bare:
        bare.set(zmq.LINGER, 0)
        bare.set(zmq.RCVTIMEO, PATIENCE_MS)
        for name, value in options.items():
            bare.set(zmq.SocketOption[name], value)
        bare.connect(f"{address}:{int(port) + neighbour}")
        yield bare


def asked(requests: "zmq.Socket[bytes]", command: bytes, parameters: dict[str, object]) -> tuple[list[list[bytes]], dict[str, object]]:
    """The messages of an answer, and its end."""
    requests.send_multipart([b"my id", command, json.dumps(parameters).encode()])
    messages: list[list[bytes]] = []
    while True:
        identifier, word, *rest = requests.recv_multipart()
        assert identifier == b"my id"
        if word == b"end":
            return messages, json.loads(rest[0])
        assert word.startswith(b"sv1/"), (word, rest)
        messages.append([word, *rest])


def test_subscribe_snapshot_since_and_heartbeat() -> None:
    with (
        Publisher("tcp://127.0.0.1:*", site="site", node="node", heartbeat_s=0.1) as publisher,
        connected(zmq.SUB, publisher.endpoint, 0) as feed,
        connected(zmq.DEALER, publisher.endpoint, 1) as requests,
        connected(zmq.SUB, publisher.endpoint, 0) as witness,
    ):
        witness.setsockopt(zmq.SUBSCRIBE, b"sv1/site/front%20door/state/")
        assert publisher.wait_for_subscriber(20.0)
        publisher.publish(replace(START, camera="front door"))
        witness.recv_multipart()  # the state comes behind the event: neither is on its way any more
        feed.setsockopt(zmq.SUBSCRIBE, b"sv1/")
        while (parts := feed.recv_multipart())[0] != b"sv1/site/node/heartbeat/-/":
            assert parts[0] == b"sv1/site/front%20door/state/-/"  # sent again to whoever joins
        told = json.loads(parts[2])["data"]
        messages, end = asked(requests, b"snapshot", {"cameras": ["front door"]})
        publisher.publish(update(1.0, camera="front door"))
        while (parts := feed.recv_multipart())[0] != b"sv1/site/front%20door/event/PushUps/":
            pass
        sequence, epoch = struct.unpack(">QQ", parts[1])
        missed, missed_end = asked(requests, b"since", {"camera": "front door", "kind": "event", "epoch": epoch, "seq": sequence - 2})

    assert told["epoch"] == epoch
    assert told["sequences"] == {"front door": {"event": 1, "state": 1}}
    assert [topic for topic, *_ in messages] == [b"sv1/site/front%20door/state/-/"]
    assert end == {
        "command": "snapshot",
        "count": 1,
        "epoch": epoch,
        "renumbered": False,
        "more": False,
        "first": 0,
        "last": 0,
        "site": "site",
        "node": "node",
        "sequences": {"front door": {"event": 1, "state": 1}},
    }
    assert (sequence, json.loads(parts[2])["data"]["seq"]) == (2, 2)
    assert [struct.unpack(">QQ", header) for _, header, _ in missed] == [(1, epoch), (2, epoch)]
    assert missed[1] == parts
    assert (missed_end["count"], missed_end["renumbered"], missed_end["more"], missed_end["first"], missed_end["last"]) == (2, False, False, 1, 2)


def test_only_the_latest() -> None:
    with Publisher("tcp://127.0.0.1:*", site="site", node="node") as publisher:
        for number in range(5):
            publisher.publish(replace(START, event_id=f"event {number}"))
        with connected(zmq.SUB, publisher.endpoint, 2, CONFLATE=1) as latest:
            latest.setsockopt(zmq.SUBSCRIBE, b"sv1/site/front_door/state/")
            topic, _, rest = latest.recv().partition(b"\0")

    assert topic == b"sv1/site/front_door/state/-/"
    assert struct.unpack(">QQ", rest[:16]) == (5, publisher.epoch)
    assert len(json.loads(rest[16:])["data"]["activities"]) == 5


def test_what_is_no_request_is_told() -> None:
    with Publisher("tcp://127.0.0.1:*") as publisher, connected(zmq.DEALER, publisher.endpoint, 1) as requests:
        requests.send_multipart([b"1", b"since", b"{}"])
        identifier, word, text = requests.recv_multipart()

    assert (identifier, word) == (b"1", b"error")
    assert "camera" in json.loads(text)["reason"]


def test_the_bytes_in_the_documentation_are_those_on_the_wire() -> None:
    text = WIRE.read_text(encoding="utf-8")
    blocks = [[line for line in block.splitlines() if line.strip()] for block in text.split("```")[1::2]]
    topic, header = (bytes.fromhex(blocks[0][number]) for number in (0, 2))

    assert join(Message(Topic("site", "front door", "event", "PushUps"), 1042, 7, b"")) == [topic, header, b""]
    assert blocks[0][1].strip() == topic.decode()


def test_the_program_in_the_documentation_runs() -> None:
    program = WIRE.read_text(encoding="utf-8").partition("```python\n")[2].partition("```")[0]
    with Publisher("tcp://127.0.0.1:*", site="site", node="node") as publisher:
        publisher.publish(START)
        program = program.replace("tcp://127.0.0.1:7788", publisher.endpoint)
        program = program.replace("tcp://127.0.0.1:7789", neighbour(publisher.endpoint, "requests"))
        with running(f"import functools; print = functools.partial(print, flush=True)\n{program}") as reader:
            assert reader.stdout is not None
            assert reader.stdout.readline().startswith("now sv1/site/front_door/state/-/ {")
            assert publisher.wait_for_subscriber(20.0)
            publisher.publish(update(1.0))
            assert any(line.startswith(f"sv1/site/front_door/event/PushUps/ {publisher.epoch} 2 {{") for line in reader.stdout)
