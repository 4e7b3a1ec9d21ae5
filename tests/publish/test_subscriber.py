"""The subscriber on real sockets, with the real publisher and with one that does what a test tells it."""

import logging
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from queue import SimpleQueue

import pytest
import zmq

from cable import CUTS, Cable, Cut
from streamvc.errors import PublishError
from streamvc.events import Event, Health, Heartbeat, State
from streamvc.publish import wire
from streamvc.publish.cloudevents import encode
from streamvc.publish.cursor import Cursor
from streamvc.publish.notices import Lagging, Missed, Notice, PublisherLost, PublisherReconnected, PublisherRestarted
from streamvc.publish.publisher import Publisher
from streamvc.publish.subscriber import Subscriber
from tests.publish.bare import ANY_PORT, PATIENCE_S, SILENCE_S, Socket, bare_socket, running
from tests.publish.samples import HEALTH, START, message, update

EPOCH = 7


@contextmanager
def feed(endpoint: str = ANY_PORT, **choices: object) -> Iterator[tuple[Publisher, Subscriber]]:
    """A publisher and a subscriber that has joined."""
    with (
        Publisher(endpoint, site="site", node="node") as publisher,
        Subscriber(publisher.endpoint, timeout_s=PATIENCE_S, **choices) as subscriber,  # type: ignore[arg-type]
    ):
        assert publisher.wait_for_subscriber(PATIENCE_S)
        yield publisher, subscriber


@dataclass
class Puppet:
    """A publisher that sends and answers what a test says."""

    endpoint: str
    requests_endpoint: str
    updates: Socket
    requests: Socket
    last: int = 0  # sequence of front_door's events, when it was asked

    def send(self, *sequences: int, **changes: object) -> None:
        for sequence in sequences:
            event = update(float(sequence), **changes)
            self.updates.send_multipart(wire.join(message(event, sequence, EPOCH)))

    def beat(self, last: int, epoch: int = EPOCH, interval_s: float = 10.0) -> None:
        body = Heartbeat("node", epoch, interval_s, {"front_door": {"event": last}})
        topic = wire.Topic("site", "node", "heartbeat", wire.NO_LABEL)
        self.updates.send_multipart(wire.join(wire.Message(topic, 1, epoch, encode(body, site="site", node="node", time=0.0))))

    def beat_until_asked(self, last: int) -> None:
        """Beat until something is asked: the first heartbeat may come before the answer to the snapshot, by another socket."""
        self.beat(last)
        while not self.requests.poll(100):
            self.beat(last)

    def answer(self, *sequences: int, more: bool = False) -> wire.SinceQuery:
        """Answer the next `since` with these events; and snapshots that are asked for again."""
        while True:
            client, *parts = self.requests.recv_multipart()
            request = wire.split_request(parts)
            if isinstance(request.query, wire.SinceQuery):
                break
            self.reply(
                client, request.id, wire.AnswerEnd("snapshot", 0, EPOCH, site="site", node="node", sequences={"front_door": {"event": self.last}})
            )
        for sequence in sequences:
            self.reply(client, request.id, message(update(float(sequence)), sequence, EPOCH))
        self.reply(client, request.id, wire.AnswerEnd("since", len(sequences), EPOCH, more=more))
        return request.query

    def reply(self, client: bytes, identifier: bytes, part: wire.Message | wire.AnswerEnd) -> None:
        self.requests.send_multipart([client, *wire.join_answer(identifier, part)])

    def admit(self, last: int = 0) -> None:
        """Answer the snapshot that a subscriber asks for first, once it has subscribed."""
        self.updates.recv()
        self.last = last
        client, identifier, *_ = self.requests.recv_multipart()
        self.reply(client, identifier, wire.AnswerEnd("snapshot", 0, EPOCH, site="site", node="node", sequences={"front_door": {"event": last}}))


@pytest.fixture
def puppet() -> Iterator[Puppet]:
    with bare_socket(zmq.XPUB) as updates, bare_socket(zmq.ROUTER) as requests:
        ports = [bare.bind_to_random_port("tcp://127.0.0.1") for bare in (updates, requests)]
        yield Puppet(f"tcp://127.0.0.1:{ports[0]}", f"tcp://127.0.0.1:{ports[1]}", updates, requests)


def subscribed(puppet: Puppet, **choices: object) -> Subscriber:
    return Subscriber(puppet.endpoint, requests=puppet.requests_endpoint, timeout_s=PATIENCE_S, **choices)  # type: ignore[arg-type]


def sequences(events: Iterator[Event] | Subscriber, number: int) -> list[int | None]:
    return [event.seq for event in islice(events, number)]


def test_events_arrive_as_they_were_published() -> None:
    published = [START, update(1.0), replace(START, phase="end", t_end=9.0, stream_end_s=9.0, duration_s=2.0, reason="left")]
    with feed() as (publisher, subscriber):
        for event in published:
            publisher.publish(event)
        received = list(islice(subscriber, 3))

    assert [event.seq for event in received] == [1, 2, 3]
    assert {event.epoch for event in received} == {publisher.epoch}
    assert [replace(event, seq=None, epoch=None, timing=replace(event.timing, published_s=None)) for event in received] == published


def test_none_of_thousands_of_events_is_lost() -> None:
    with feed() as (publisher, subscriber), ThreadPoolExecutor(1) as pool:
        reading = pool.submit(sequences, subscriber, 3_000)
        for number in range(3_000):
            publisher.publish(update(float(number)))

        assert reading.result() == list(range(1, 3_001))
        assert subscriber.num_missing == 0


def test_a_reader_that_is_slow_has_all_from_the_log_and_is_told_that_it_lags(tmp_path: Path) -> None:
    notices: list[Notice] = []
    with feed(f"ipc://{tmp_path}/feed", queue_size=10, on_notice=notices.append) as (publisher, subscriber):
        for number in range(500):  # far more than it holds
            publisher.publish(update(float(number)))

        assert sequences(subscriber, 500) == list(range(1, 501))
    assert {type(notice) for notice in notices} == {Lagging}


def test_what_neither_arrives_nor_is_in_the_log_is_missed_and_counted(puppet: Puppet) -> None:
    notices: list[Notice] = []
    with subscribed(puppet, on_notice=notices.append) as subscriber, ThreadPoolExecutor(1) as pool:
        puppet.admit()
        reading = pool.submit(sequences, subscriber, 3)
        puppet.send(1, 5)
        asked = puppet.answer(3)

        assert reading.result(PATIENCE_S) == [1, 3, 5]
        assert asked == wire.SinceQuery("front_door", "event", EPOCH, 1, limit=1000)
        assert notices == [Missed("front_door", "event", 2, 2), Missed("front_door", "event", 4, 4)]
        assert subscriber.num_missing == 2


def test_a_hole_is_filled_in_several_answers_also_when_one_is_lost(puppet: Puppet) -> None:
    with subscribed(puppet) as subscriber, ThreadPoolExecutor(1) as pool:
        puppet.admit()
        reading = pool.submit(sequences, subscriber, 6)
        puppet.send(1, 6)
        puppet.requests.recv_multipart()  # and no answer
        puppet.answer(2, 3, more=True)
        puppet.answer(4, 5)

        assert reading.result(PATIENCE_S) == [1, 2, 3, 4, 5, 6]


def test_a_hole_at_the_end_is_filled_when_a_heartbeat_tells_of_it(puppet: Puppet) -> None:
    with subscribed(puppet) as subscriber:
        puppet.admit(last=4)
        puppet.beat_until_asked(last=5)
        puppet.answer(5)

        assert sequences(subscriber, 1) == [5]


def test_a_subscriber_gets_the_cameras_and_labels_it_asked_for_and_no_prefix_of_them() -> None:
    with feed(site="site", cameras=["run"], labels=["jump", "sit"]) as (publisher, subscriber):
        for camera, label in (("running", "jump"), ("run", "jumping"), ("run", "jump"), ("ru", "jump"), ("run", "sit")):
            publisher.publish(replace(START, camera=camera, label=label))
        received = list(islice(subscriber, 2))

    assert [(event.camera, event.label, event.seq) for event in received] == [("run", "jump", 2), ("run", "sit", 3)]
    assert subscriber.num_missing == 0


def test_a_subscriber_of_one_camera_hears_heartbeats_too(puppet: Puppet) -> None:
    with subscribed(puppet, site="site", cameras=["front_door"]) as subscriber:
        puppet.admit(last=4)
        assert puppet.updates.recv() == b"\1sv1/site/node/heartbeat/"
        puppet.beat_until_asked(last=5)
        puppet.answer(5)

        assert sequences(subscriber, 1) == [5]


def test_one_camera_may_be_given_as_a_plain_string() -> None:
    with feed(cameras="yard") as (publisher, subscriber):
        publisher.publish(replace(START, camera="y"))
        publisher.publish(replace(START, camera="yard"))
        event = subscriber.receive(PATIENCE_S)

    assert event is not None
    assert event.camera == "yard"


def test_who_asks_for_states_has_the_present_ones_at_once_and_then_the_changes() -> None:
    with Publisher(ANY_PORT) as publisher:
        for number in range(3):
            publisher.publish(replace(START, camera=f"camera {number}", event_id=f"event {number}"))
        states: Subscriber[State | Health] = Subscriber(publisher.endpoint, kinds=["state", "health"], timeout_s=PATIENCE_S)
        with states:
            present = list(islice(states, 3))
            publisher.report(replace(HEALTH, camera="camera 0", status="up", reason=None))
            changed = list(islice(states, 2))

    assert {state.camera: state.label for state in present if isinstance(state, State)} == {f"camera {number}": "PushUps" for number in range(3)}
    assert {type(item) for item in changed} == {State, Health}
    assert {item.camera for item in changed} == {"camera 0"}


def test_it_may_begin_at_the_beginning_of_the_log_or_at_a_moment() -> None:
    with Publisher(ANY_PORT) as publisher:
        with Subscriber(publisher.endpoint) as witness:
            assert publisher.wait_for_subscriber(PATIENCE_S)
            for number in range(5):
                publisher.publish(update(float(number)))
            assert sequences(witness, 5) == [1, 2, 3, 4, 5]  # none of them is still on its way
        with Subscriber(publisher.endpoint, since="beginning") as all_of_it, Subscriber(publisher.endpoint, since=4e9) as nothing_yet:
            assert sequences(all_of_it, 5) == [1, 2, 3, 4, 5]
            assert nothing_yet.receive(SILENCE_S) is None


def test_what_is_not_an_event_is_skipped_and_logged(puppet: Puppet, caplog: pytest.LogCaptureFixture) -> None:
    topic = b"sv1/site/front_door/event/PushUps/"
    garbage = [
        [b"sv1/"],
        [topic, b"short", b"{}"],
        [b"sv1/site/front_door/gossip/PushUps/", bytes(16), b"{}"],
        [b"sv1/site/node/heartbeat/-/", bytes(16), b"{}"],
        [topic, wire.HEADER.pack(1, EPOCH), b"\xff\x00"],
        [topic, wire.HEADER.pack(2, EPOCH), b'{"specversion":"1.0"}'],
    ]
    with subscribed(puppet) as subscriber:
        puppet.admit()
        for parts in garbage:
            puppet.updates.send_multipart(parts)
        puppet.send(3)

        assert sequences(subscriber, 1) == [3]
        assert subscriber.num_malformed == 6
        assert subscriber.num_missing == 0
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 6


def test_garbage_in_answers_is_skipped(puppet: Puppet) -> None:
    with subscribed(puppet) as subscriber:
        puppet.updates.recv()
        client, identifier, *_ = puppet.requests.recv_multipart()
        for parts in ([b""], [identifier], [identifier, b"end", b"{}"], [identifier, b"sv1/", b"", b""], [b"?", b"end", b'{"command":"since"}']):
            puppet.requests.send_multipart([client, *parts])
        puppet.reply(client, identifier, wire.AnswerEnd("snapshot", 0, EPOCH))
        puppet.send(1)

        assert sequences(subscriber, 1) == [1]
        assert subscriber.num_malformed == 5


@pytest.mark.slow
def test_a_publisher_that_neither_beats_nor_answers_is_read_all_the_same(puppet: Puppet) -> None:
    """An old one. It may as well have died at once, until it speaks again."""
    notices: list[Notice] = []

    def speak(notice: Notice) -> None:
        notices.append(notice)
        if isinstance(notice, PublisherLost):
            while puppet.updates.recv()[:1] != b"\1":  # until it has subscribed anew
                pass
            puppet.send(10)

    with subscribed(puppet, on_notice=speak) as subscriber:
        puppet.updates.recv()
        puppet.send(5, 6, 9)

        assert sequences(subscriber, 4) == [5, 6, 9, 10]
    assert [type(notice) for notice in notices] == [PublisherLost, PublisherReconnected, Missed]
    assert notices[-1] == Missed("front_door", "event", 7, 8)


def test_silence_is_told_while_the_reader_waits_and_so_is_the_return(puppet: Puppet) -> None:
    notices: SimpleQueue[Notice] = SimpleQueue()
    with subscribed(puppet, on_notice=notices.put) as subscriber, ThreadPoolExecutor(1) as pool:
        puppet.admit()
        reading = pool.submit(sequences, subscriber, 1)
        puppet.beat(last=0, interval_s=0.1)
        lost = notices.get(timeout=PATIENCE_S)
        back = None
        while back is None:  # it makes its connection anew
            puppet.beat(last=0, interval_s=10.0)
            with suppress(Exception):
                back = notices.get(timeout=SILENCE_S)
        while not reading.done():
            puppet.send(1)

        assert isinstance(lost, PublisherLost)
        assert lost.silent_s >= 0.3
        assert isinstance(back, PublisherReconnected)
        assert reading.result() == [1]


def test_a_restart_is_told_and_nothing_is_lost_with_the_log(tmp_path: Path) -> None:
    notices: list[Notice] = []
    endpoint = f"ipc://{tmp_path}/feed"
    with Subscriber(endpoint, since="beginning", on_notice=notices.append, timeout_s=PATIENCE_S) as subscriber:
        received = []
        for run in range(3):
            with Publisher(endpoint, log=tmp_path / "events.db") as publisher:
                publisher.publish(START)
                for number in range(9):
                    publisher.publish(update(float(10 * run + number)))
                received += [(event.seq, event.phase) for event in islice(subscriber, 10 if run == 0 else 11)]

    assert [sequence for sequence, _ in received] == list(range(1, 33))
    assert [sequence for sequence, phase in received if phase == "end"] == [11, 22]  # what the run before had begun
    restarts = [notice for notice in notices if isinstance(notice, PublisherRestarted)]
    assert [notice.renumbered for notice in restarts] == [False, False]
    assert not [notice for notice in notices if isinstance(notice, Missed)]


def test_a_restart_without_a_log_is_told_too(tmp_path: Path) -> None:
    notices: list[Notice] = []
    endpoint = f"ipc://{tmp_path}/feed"
    received = []
    with Subscriber(endpoint, since="beginning", on_notice=notices.append, timeout_s=PATIENCE_S) as subscriber:
        for _ in range(2):
            with Publisher(endpoint) as publisher:
                publisher.publish(START)
                publisher.publish(update(1.0))
                received += sequences(subscriber, 2)

    assert received == [1, 2, 1, 2]
    assert [notice.renumbered for notice in notices if isinstance(notice, PublisherRestarted)] == [True]


PUBLISH = """
import sys
from itertools import count
from pathlib import Path
from streamvc.publish.publisher import Publisher
from tests.publish.samples import update
with Publisher(sys.argv[1], site="site", node="node", log=Path(sys.argv[2])) as publisher:
    for number in count():
        publisher.publish(update(float(number)))
        print(number, flush=True)
        if sys.stdin.readline() == "":
            break
"""


def publish_until_killed(endpoint: str, log: Path, number: int) -> None:
    with running(PUBLISH, endpoint, str(log)) as publisher:
        deal_with(publisher, number)


def test_nothing_is_lost_or_doubled_when_the_publisher_is_killed(tmp_path: Path) -> None:
    endpoint, log = f"ipc://{tmp_path}/feed", tmp_path / "events.db"
    with Subscriber(endpoint, since="beginning", timeout_s=PATIENCE_S) as subscriber:
        for number in (5, 40, 0):
            publish_until_killed(endpoint, log, number)
        with Publisher(endpoint, site="site", node="node", log=log) as publisher:
            kept = [sent.sequence for sent in publisher.log.since("front_door", "event", 0, 0, 1_000).messages]
            received = sequences(subscriber, len(kept))

    assert received == kept == list(range(1, len(kept) + 1))
    assert len(kept) >= 48
    assert subscriber.num_missing == 0


@pytest.mark.parametrize("how", CUTS)
def test_nothing_is_lost_or_doubled_when_the_network_is_cut(how: Cut) -> None:
    with (
        Publisher(ANY_PORT) as publisher,
        Cable(publisher.endpoint) as cable,
        Subscriber(cable.endpoint, since="beginning", timeout_s=PATIENCE_S) as subscriber,
    ):
        received = []
        for number in range(3):
            publisher.publish(update(float(number)))
            received += sequences(subscriber, 1)
            cable.cut(how)
            publisher.publish(update(number + 0.5))
            assert subscriber.receive(SILENCE_S) is None
            cable.mend()
            received += sequences(subscriber, 1)

    assert received == [1, 2, 3, 4, 5, 6]
    assert subscriber.num_missing == 0


def count_events(endpoint: str, path: Path, number: int) -> list[int | None]:
    with Subscriber(endpoint, since="beginning", cursor=path, timeout_s=PATIENCE_S) as subscriber:
        return sequences(subscriber, number)


def test_with_a_cursor_the_next_run_goes_on_behind_the_last(tmp_path: Path) -> None:
    with Publisher(ANY_PORT) as publisher:
        for number in range(10):
            publisher.publish(update(float(number)))
        runs = [count_events(publisher.endpoint, tmp_path / "cursor", number) for number in (3, 1, 6)]

    assert runs == [[1, 2, 3], [4], [5, 6, 7, 8, 9, 10]]


def test_what_was_published_while_a_reader_with_a_cursor_was_away_is_given(tmp_path: Path) -> None:
    with Publisher(ANY_PORT) as publisher:
        with Subscriber(publisher.endpoint) as witness:
            assert publisher.wait_for_subscriber(PATIENCE_S)
            publisher.publish(START)
            assert sequences(witness, 1) == [1]  # it is not on its way any more
        with Subscriber(publisher.endpoint, cursor=tmp_path / "cursor") as subscriber:
            assert subscriber.receive(1.0) is None  # it begins with what comes
        publisher.publish(update(1.0))
        publisher.publish(replace(START, camera="new"))
        with Subscriber(publisher.endpoint, cursor=tmp_path / "cursor", timeout_s=PATIENCE_S) as subscriber:
            received = {(event.camera, event.seq) for event in islice(subscriber, 2)}

    assert received == {("front_door", 2), ("new", 1)}


def test_what_a_reader_did_not_finish_is_given_again(tmp_path: Path) -> None:
    with Publisher(ANY_PORT) as publisher:
        for number in range(3):
            publisher.publish(update(float(number)))

        def fail_at(sequence: int) -> None:
            with Subscriber(publisher.endpoint, since="beginning", cursor=tmp_path / "cursor", timeout_s=PATIENCE_S) as subscriber:
                for event in subscriber:
                    if event.seq == sequence:
                        raise KeyError(sequence)

        with pytest.raises(KeyError):
            fail_at(2)
        assert count_events(publisher.endpoint, tmp_path / "cursor", 2) == [2, 3]


def test_close_ends_an_iteration_in_another_thread() -> None:
    received: SimpleQueue[Event] = SimpleQueue()
    with feed() as (publisher, subscriber), ThreadPoolExecutor(1) as pool:
        reading = pool.submit(subscriber.run, received.put)
        publisher.publish(START)
        received.get(timeout=PATIENCE_S)
        subscriber.close()

        assert reading.result(PATIENCE_S) is None
        assert subscriber.receive(PATIENCE_S) is None


def misses_between_events(puppet: Puppet, act: Callable[[Subscriber], None]) -> list[int | None]:
    """What is received where `act` is called back with a notice, between event 1 and 3."""
    acting: list[Callable[[], None]] = []
    with subscribed(puppet, on_notice=lambda _: acting[0]()) as subscriber:
        acting.append(lambda: act(subscriber))
        puppet.admit()
        puppet.send(1, 3, 4)
        puppet.answer()
        return sequences(subscriber, 3)


def test_two_threads_cannot_read_one_subscriber(puppet: Puppet) -> None:
    def read_too(subscriber: Subscriber) -> None:
        with pytest.raises(PublishError, match="another thread or task reads"):
            subscriber.receive(0.0)

    assert misses_between_events(puppet, read_too) == [1, 3, 4]


def test_close_may_be_called_from_within(puppet: Puppet) -> None:
    assert misses_between_events(puppet, Subscriber.close) == [1]


def test_the_iteration_ends_after_silence() -> None:
    with Publisher(ANY_PORT) as publisher, Subscriber(publisher.endpoint, timeout_s=SILENCE_S) as subscriber:
        assert list(subscriber) == []
        assert subscriber.receive(0.0) is None


@pytest.mark.parametrize(
    "endpoint",
    ["", "7788", "localhost:7788", "tcp://127.0.0.1", "tcp://127.0.0.1:", "tcp://127.0.0.1:77x", "tcp://127.0.0.1:80000", "ipc://", "inproc://feed"],
)
def test_what_is_not_an_endpoint_is_said(endpoint: str) -> None:
    with pytest.raises(PublishError, match=r"is not an endpoint; write it as tcp://127\.0\.0\.1:7788"):
        Subscriber(endpoint)


def test_an_address_that_can_only_be_bound_is_said() -> None:
    with pytest.raises(PublishError, match=r"cannot subscribe to tcp://\*:7788: "):
        Subscriber("tcp://*:7788")


def test_names_that_cannot_be_sent_are_refused() -> None:
    with pytest.raises(PublishError, match="empty name"):
        Subscriber(cameras=[""])


COUNT = """
import sys
from pathlib import Path
from streamvc import Cursor, Subscriber
with Cursor(Path(sys.argv[2])) as cursor:
    cursor.connection.execute("CREATE TABLE IF NOT EXISTS had (epoch, seq)")
    with Subscriber(sys.argv[1], since="beginning", cursor=cursor) as events:
        for event in events:
            cursor.connection.execute("INSERT INTO had VALUES (?, ?)", [event.epoch, event.seq])
            print(event.seq, flush=True)
            sys.stdin.readline()  # it goes on when it is told to
"""


def deal_with(reader: "subprocess.Popen[str]", number: int) -> list[int]:
    """Let it deal with so many events, and take one more that it does not get to the end of."""
    assert reader.stdin is not None
    assert reader.stdout is not None
    taken = [int(reader.stdout.readline())]
    for _ in range(number):
        reader.stdin.write("\n")
        reader.stdin.flush()
        taken.append(int(reader.stdout.readline()))
    return taken


def test_a_reader_that_is_killed_again_and_again_has_each_event_exactly_once(tmp_path: Path) -> None:
    path = tmp_path / "had.db"
    taken = []
    with Publisher(ANY_PORT) as publisher:
        for number in range(20):
            publisher.publish(update(float(number)))
        for number in (3, 0, 7):
            with running(COUNT, publisher.endpoint, str(path)) as reader:
                taken.append(deal_with(reader, number))
    with Cursor(path) as cursor:
        had = [sequence for (sequence,) in cursor.connection.execute("SELECT seq FROM had ORDER BY rowid")]

    assert taken == [[1, 2, 3, 4], [4], list(range(4, 12))]
    assert had == list(range(1, 11))  # the last one had not been dealt with


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


def test_the_program_ends_though_a_subscriber_was_never_closed() -> None:
    script = "import sys; from streamvc import Subscriber; subscriber = Subscriber(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", script, "tcp://127.0.0.1:7788"], capture_output=True, text=True, timeout=60)

    assert (done.returncode, done.stderr) == (0, "")
