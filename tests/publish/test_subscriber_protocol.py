"""What the protocol of a subscriber makes of a publisher that is simulated: a log, a line that loses, restarts, and time that is only a number."""

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamvc.events import Heartbeat
from streamvc.publish.notices import Missed, PublisherLost, PublisherReconnected, PublisherRestarted
from streamvc.publish.sequence_tracker import Position, SequenceKey, key_of, position_of
from streamvc.publish.subscriber_protocol import (
    ANSWER_TIMEOUT_S,
    OLD_ANSWER_TIMEOUT_S,
    Action,
    Reconnect,
    ResumePoint,
    SubscriberProtocol,
    SubscriptionFilter,
)
from streamvc.publish.wire import NO_LABEL, AnswerEnd, Kind, Message, Request, SinceQuery, SnapshotQuery, Topic

SITE, NODE = "site", "node"
ROOM = 10**6
LIMIT = 7  # messages in an answer of this publisher, so that there are several


def message(sequence: int, *, camera: str = "yard", kind: Kind = "event", epoch: int = 1) -> Message:
    return Message(Topic(SITE, camera, kind, NO_LABEL), sequence, epoch, b"")


@dataclass
class Line:
    """A publisher, a protocol, and what passes between them. Nothing passes while it is cut."""

    protocol: SubscriberProtocol
    epoch: int = 1
    now: float = 0.0
    cut: bool = False
    log: list[Message] = field(default_factory=list)
    epochs: set[int] = field(default_factory=lambda: {1})  # of the log
    numbers: Counter[tuple[str, Kind]] = field(default_factory=Counter)
    requests: list[Request] = field(default_factory=list)
    steps: list[Action] = field(default_factory=list)
    published: list[Message] = field(default_factory=list)  # in all epochs
    room: int = ROOM

    def publish(self, camera: str = "yard", kind: Kind = "event") -> Message:
        self.numbers[camera, kind] += 1
        sent = message(self.numbers[camera, kind], camera=camera, kind=kind, epoch=self.epoch)
        self.log.append(sent)
        self.published.append(sent)
        if not self.cut:
            self.take(sent)
        return sent

    def restart(self, *, keeping: bool) -> None:
        self.epoch += 1
        self.requests.clear()
        if not keeping:
            self.log.clear()
            self.numbers.clear()
            self.epochs.clear()
        self.epochs.add(self.epoch)

    def take(self, sent: Message) -> None:
        self.do(self.protocol.message(sent, self.now))

    def beat(self) -> None:
        if not self.cut:
            self.do(self.protocol.heartbeat(Heartbeat(NODE, self.epoch, 1.0, self.sequences()), SITE, self.now))

    def sequences(self) -> dict[str, dict[str, int]]:
        return {camera: {kind: self.numbers[camera, kind] for of, kind in self.numbers if of == camera} for camera, _ in self.numbers}

    def answer(self) -> None:
        """Answer all that has been asked by now."""
        asked, self.requests = self.requests, []
        for request in asked:
            if not self.cut:
                self.do(self.protocol.answer(request.id, *self.found(request.query), self.now))

    def found(self, asked: SnapshotQuery | SinceQuery) -> tuple[list[Message], AnswerEnd]:
        if isinstance(asked, SnapshotQuery):
            last = {key_of(sent): sent for sent in self.log if sent.topic.kind != "event"}
            renumbered = asked.epoch not in {0, *self.epochs}
            end = AnswerEnd("snapshot", len(last), self.epoch, renumbered, site=SITE, node=NODE, sequences=self.sequences())
            return list(last.values()), end
        behind = Position(asked.epoch, asked.seq)
        found = [sent for sent in self.log if key_of(sent) == SequenceKey(SITE, asked.camera, asked.kind) and position_of(sent) > behind]
        return found[:LIMIT], AnswerEnd("since", len(found[:LIMIT]), self.epoch, more=len(found) > LIMIT)

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.do(self.protocol.tick(self.now))

    def do(self, steps: Iterable[Action]) -> None:
        for step in steps:
            if isinstance(step, Request):
                self.requests.append(step)
            else:
                self.room -= isinstance(step, Message)
                self.steps.append(step)
        self.protocol.room = self.room

    def heal(self) -> None:
        """Mend the line, read all, and let it come to rest."""
        self.cut, self.room = False, ROOM
        self.protocol.room = ROOM
        for _ in range(10):
            self.wait(0.5)
            self.beat()
            for _ in range(200):
                self.answer()
            assert not self.requests, self.requests

    @property
    def given(self) -> list[Message]:
        return [step for step in self.steps if isinstance(step, Message)]

    @property
    def told(self) -> list[object]:
        return [step for step in self.steps if not isinstance(step, Message | ResumePoint | Reconnect)]


def line(*kinds: Kind, resume: ResumePoint | None = None, from_s: float | None = None, cameras: Sequence[str] = ()) -> Line:
    protocol = SubscriberProtocol(SubscriptionFilter(kinds or ("event",), cameras), 0.0, resume=resume, from_s=from_s)
    protocol.room = ROOM
    return Line(protocol)


def joined(*kinds: Kind) -> Line:
    """One that has its snapshot, of a publisher that has said nothing yet."""
    new = line(*kinds)
    new.wait(0.0)
    new.answer()
    return new


def numbers(steps: Iterable[Message]) -> list[int]:
    return [step.sequence for step in steps]


def test_what_follows_is_given_at_once_and_nothing_is_asked() -> None:
    it = joined()
    for _ in range(3):
        it.publish()

    assert numbers(it.given) == [1, 2, 3]
    assert it.requests == []


def test_a_hole_is_filled_before_what_comes_after_it() -> None:
    it = joined()
    it.publish()
    it.cut = True
    it.publish()
    it.cut = False
    it.publish()
    it.publish("door")  # another camera does not wait

    assert [(sent.topic.camera, sent.sequence) for sent in it.given] == [("yard", 1), ("door", 1)]
    assert [request.query for request in it.requests] == [SinceQuery("yard", "event", 1, 1)]
    it.answer()
    assert numbers(sent for sent in it.given if sent.topic.camera == "yard") == [1, 2, 3]
    assert it.told == []


def test_a_hole_at_the_end_is_found_by_a_heartbeat() -> None:
    it = joined()
    it.cut = True
    it.publish()
    it.publish("door")
    it.cut = False
    it.beat()
    it.answer()

    assert [(sent.topic.camera, sent.sequence) for sent in it.given] == [("yard", 1), ("door", 1)]


def test_what_comes_twice_is_given_once() -> None:
    it = joined()
    for number in (1, 2, 1, 2, 3, 3):
        it.take(message(number))

    assert numbers(it.given) == [1, 2, 3]


def test_a_snapshot_gives_the_present_state_and_what_comes_is_behind_it() -> None:
    it = line("event", "state")
    it.cut = True
    for _ in range(5):
        it.publish()
        it.publish(kind="state")
    it.cut = False
    it.wait(0.0)
    it.answer()
    it.publish()
    it.take(message(5, kind="state"))  # as it is sent again to whoever subscribes

    assert [(sent.topic.kind, sent.sequence) for sent in it.given] == [("state", 5), ("event", 6)]


def test_a_snapshot_is_given_before_what_came_while_it_was_on_its_way() -> None:
    it = line("state")
    it.wait(0.0)
    (request,) = it.requests
    it.cut = True
    for _ in range(5):
        it.publish(kind="state")
    snapshot = it.found(request.query)
    it.cut = False
    it.publish(kind="state")
    it.do(it.protocol.answer(request.id, *snapshot, it.now))
    it.requests.remove(request)
    it.heal()

    assert numbers(it.given) == [5, 6]


def test_of_a_snapshot_only_what_was_chosen_is_given() -> None:
    it = line("event", "state", cameras=["yard"])
    it.cut = True
    for camera in ("yard", "door"):
        it.publish(camera, "state")
        it.publish(camera, "health")
    it.cut = False
    it.wait(0.0)
    it.answer()

    assert [(sent.topic.camera, sent.topic.kind) for sent in it.given] == [("yard", "state")]


def test_what_was_on_its_way_while_it_joined_is_given() -> None:
    it = line()
    it.wait(0.0)
    it.cut = True
    for _ in range(5):
        it.publish()
    it.cut = False
    it.take(message(3))  # in front of the snapshot, which has 5 already
    it.answer()
    for number in (4, 5, 6):
        it.take(message(number))

    assert numbers(it.given) == [3, 4, 5, 6]


def test_it_begins_at_the_beginning_of_what_is_kept_if_asked_to() -> None:
    it = line(from_s=0.0)
    it.cut = True
    for _ in range(30):
        it.publish()
    del it.log[:4]
    it.heal()

    assert numbers(it.given) == list(range(5, 31))
    assert it.told == []  # nobody asked for the first four


def test_the_moment_to_begin_at_is_asked_for_until_there_is_a_position() -> None:
    it = line(from_s=1234.5)
    it.publish()
    it.publish()
    it.wait(0.0)
    it.answer()

    assert [request.query for request in it.requests if isinstance(request.query, SinceQuery)] == []  # number 1 has come by itself
    it.cut = True
    it.publish("door")
    it.cut = False
    it.publish("door")
    assert [request.query for request in it.requests] == [SinceQuery("door", "event", 0, 0, from_s=1234.5)]


def test_it_goes_on_where_a_cursor_says() -> None:
    resume = ResumePoint(1, {SequenceKey(SITE, "yard", "event"): Position(1, 3)})
    it = line(resume=resume)
    it.cut = True
    for _ in range(5):
        it.publish()
    it.publish("door")  # which was not there when the cursor was written
    it.heal()

    assert [(sent.topic.camera, sent.sequence) for sent in it.given] == [("yard", 4), ("yard", 5), ("door", 1)]
    assert it.told == []


def test_a_restart_with_its_log_is_told_once_and_the_numbering_goes_on() -> None:
    it = joined()
    it.publish()
    it.cut = True
    it.publish()
    it.restart(keeping=True)
    it.cut = False
    it.publish()
    assert numbers(it.given) == [1]  # the new epoch waits for a snapshot
    it.heal()

    assert numbers(it.given) == [1, 2, 3]
    assert it.told == [PublisherRestarted(2, renumbered=False)]
    assert it.steps.index(PublisherRestarted(2, renumbered=False)) < it.steps.index(it.log[-1])


@pytest.mark.parametrize("num_after", [1, 2, 3])
def test_a_restart_without_its_log_is_told_and_nothing_of_the_new_numbering_is_lost(num_after: int) -> None:
    it = joined()
    it.publish()
    it.publish()
    it.cut = True
    it.restart(keeping=False)
    for _ in range(num_after):
        it.publish()
    it.cut = False
    it.beat()
    it.heal()

    assert [(sent.epoch, sent.sequence) for sent in it.given] == [(1, 1), (1, 2), *((2, number) for number in range(1, num_after + 1))]
    assert it.told == [PublisherRestarted(2, renumbered=True)]


def test_what_was_held_and_what_was_known_of_a_lost_log_is_not_forgotten() -> None:
    it = joined()
    it.publish()
    it.cut = True
    it.publish()
    it.cut = False
    it.publish()  # held behind 2
    it.cut = True
    it.publish()
    it.cut = False
    it.beat()
    it.restart(keeping=False)
    it.beat()
    it.answer()
    it.publish()
    it.heal()

    assert [(sent.epoch, sent.sequence) for sent in it.given] == [(1, 1), (1, 3), (2, 1)]
    assert it.told == [Missed("yard", "event", 2, 2), Missed("yard", "event", 4, 4), PublisherRestarted(2, renumbered=True)]


def test_what_the_log_does_not_keep_is_missed() -> None:
    it = joined()
    it.publish()
    it.cut = True
    for _ in range(9):
        it.publish()
    del it.log[3:6]  # 4, 5, 6
    del it.log[-1]
    it.cut = False
    it.beat()
    it.heal()

    assert numbers(it.given) == [1, 2, 3, 7, 8, 9]
    assert it.told == [Missed("yard", "event", 4, 6), Missed("yard", "event", 10, 10)]


def test_sequences_that_are_given_a_second_time_in_a_later_epoch_are_given() -> None:
    """The log could not be written for a while, and the publisher died."""
    it = joined()
    for _ in range(5):
        it.publish()
    del it.log[3:]
    it.restart(keeping=True)
    it.numbers["yard", "event"] = 3
    it.publish()
    it.heal()

    assert [(sent.epoch, sent.sequence) for sent in it.given] == [(1, 1), (1, 2), (1, 3), (1, 4), (1, 5), (2, 4)]


def test_silence_is_told_and_so_is_its_end() -> None:
    it = joined()
    it.beat()
    it.wait(2.9)
    assert it.told == []
    it.wait(0.2)
    it.wait(4.0)
    it.beat()

    lost, back = it.told
    assert isinstance(lost, PublisherLost)
    assert lost.silent_s == pytest.approx(3.1)
    assert isinstance(back, PublisherReconnected)
    assert back.silent_s == pytest.approx(7.1)


@pytest.mark.parametrize(("interval_s", "silent_s"), [(1e9, 3 * 60.0), (0.0, 3 * 0.01)])
def test_what_a_heartbeat_says_of_the_next_is_believed_within_bounds(interval_s: float, silent_s: float) -> None:
    it = joined()
    it.do(it.protocol.heartbeat(Heartbeat(NODE, it.epoch, interval_s, {}), SITE, it.now))
    it.wait(0.9 * silent_s)
    assert it.told == []
    it.wait(0.2 * silent_s)
    assert [type(notice) for notice in it.told] == [PublisherLost]


def test_a_publisher_that_was_never_heard_is_waited_for() -> None:
    it = line()
    it.wait(3.1)
    it.beat()

    assert [str(step) for step in it.told] == ["waiting for a publisher", "the publisher is there"]


def test_it_reconnects_again_and_again_while_nothing_is_heard() -> None:
    it = joined()
    it.beat()
    for _ in range(20):
        it.wait(1.0)

    assert it.steps.count(Reconnect()) == 4
    assert sum(isinstance(step, PublisherLost) for step in it.steps) == 1


def test_once_the_protocol_is_there_requests_are_connected_at_once_and_asked_again() -> None:
    it = line()
    it.wait(0.0)
    it.wait(1.0)
    it.beat()

    assert it.steps == [Reconnect(requests_only=True)]
    assert [request.query for request in it.requests] == [SnapshotQuery(), SnapshotQuery()]


def test_a_request_that_was_lost_is_asked_again() -> None:
    it = joined()
    it.publish()
    it.take(message(3))
    it.requests.clear()
    it.log += [message(2), message(3)]
    it.wait(1.0)
    assert it.requests == []
    it.wait(1.5)
    it.answer()

    assert numbers(it.given) == [1, 2, 3]


def test_an_old_publisher_that_answers_nothing_is_heard_all_the_same() -> None:
    it = line()
    it.wait(0.0)
    it.take(message(7))
    it.wait(OLD_ANSWER_TIMEOUT_S)  # it may be a new one that has died
    it.take(message(8))
    it.wait(0.0)  # no, as it speaks on without a heartbeat
    it.take(message(10))
    it.take(message(4, camera="door"))
    it.take(message(3, epoch=2))

    assert [(sent.epoch, sent.sequence) for sent in it.given] == [(1, 7), (1, 8), (1, 10), (1, 4), (2, 3)]
    assert it.told == [
        PublisherLost(3.0),
        PublisherReconnected(3.0),
        Missed("yard", "event", 9, 9),
        PublisherRestarted(2, renumbered=True),
        Missed("yard", "event", 1, 2),
    ]


def test_a_publisher_that_was_heard_once_and_answers_nothing_is_given_more_time() -> None:
    it = line()
    it.wait(0.0)
    it.take(message(7))
    it.wait(ANSWER_TIMEOUT_S - 1)
    assert it.given == []
    it.wait(1.0)

    assert numbers(it.given) == [7]


def test_one_that_dies_again_and_again_before_it_beats_or_answers_is_waited_for() -> None:
    it = line(from_s=0.0)
    for _ in range(30):
        it.publish()
        it.wait(2.0)
        it.restart(keeping=True)
        it.wait(2.0)
    it.heal()

    assert numbers(it.given) == list(range(1, 31))
    assert not [step for step in it.told if isinstance(step, Missed)]


def test_a_publisher_that_beats_and_answers_nothing_is_given_more_time() -> None:
    it = joined()
    it.publish()
    it.take(message(3))
    for _ in range(round(ANSWER_TIMEOUT_S) - 1):
        it.beat()
        it.wait(1.0)
    assert numbers(it.given) == [1]
    for _ in range(2):
        it.beat()
        it.wait(1.0)

    assert numbers(it.given) == [1, 3]
    assert it.told == [Missed("yard", "event", 2, 2)]


def test_where_there_is_no_room_the_log_is_the_buffer() -> None:
    it = joined()
    it.room = it.protocol.room = 10
    for _ in range(500):
        it.publish()
    assert numbers(it.given) == list(range(1, 11))
    assert it.protocol.num_behind == 490
    it.heal()

    assert numbers(it.given) == list(range(1, 501))
    assert it.told == []


def test_cameras_and_kinds_that_were_not_chosen_are_not_given_or_asked_for() -> None:
    it = line("event", cameras=["yard"])
    it.wait(0.0)
    assert [request.query for request in it.requests] == [SnapshotQuery(("yard",))]
    it.answer()
    it.publish("door")
    it.publish(kind="health")
    it.cut = True
    it.publish("door")
    it.publish(kind="health")
    it.cut = False
    it.beat()
    it.publish()

    assert [(sent.topic.camera, sent.topic.kind) for sent in it.given] == [("yard", "event")]
    assert it.requests == []


def test_few_requests_are_on_their_way_at_the_same_time() -> None:
    it = joined()
    it.cut = True
    for number in range(100):
        it.publish(f"camera {number}")
    it.cut = False
    it.beat()
    assert len(it.requests) == 8
    it.heal()

    assert len(it.given) == 100


CAMERAS = ("yard", "door")


@given(st.randoms(use_true_random=False), st.booleans(), st.booleans())
def test_whatever_happens_nothing_is_lost_unsaid_or_given_twice_or_out_of_order(chance: random.Random, keeping: bool, with_cursor: bool) -> None:
    it = line("event", "state", resume=ResumePoint(1, {}) if with_cursor else None, from_s=None if with_cursor else 0.0)
    it.beat()  # so that it is no old one that answers nothing
    for _ in range(chance.randint(1, 120)):
        match chance.choice(
            ["publish"] * 8 + ["cut", "mend", "mend", "beat", "answer", "answer", "lose", "wait", "silence", "full", "restart", "again"]
        ):
            case "publish":
                it.publish(chance.choice(CAMERAS), chance.choice(("event", "state")))
            case "cut":
                it.cut = True
            case "mend":
                it.cut = False
            case "beat":
                it.beat()
            case "answer":
                it.answer()
            case "lose":
                it.requests.clear()
            case "wait":
                it.beat()
                it.wait(0.2)
            case "silence":
                it.cut = True
                it.wait(4.0)
            case "full":
                it.room = it.protocol.room = chance.choice((0, 3, ROOM))
            case "restart":
                it.restart(keeping=keeping)
            case "again" if it.log:
                it.take(chance.choice(it.log))
    it.heal()

    for camera in CAMERAS:
        for kind in ("event", "state"):
            key = SequenceKey(SITE, camera, kind)
            given_here = [position_of(sent) for sent in it.given if key_of(sent) == key]
            published = [position_of(sent) for sent in it.published if key_of(sent) == key]
            assert given_here == sorted(set(given_here))
            if keeping:
                assert given_here == published
            assert given_here[-1:] == published[-1:] or published[-1] not in map(position_of, it.log)
            kept = [position_of(sent) for sent in it.log if key_of(sent) == key]
            assert set(kept) <= set(given_here)
    if keeping:
        assert not [step for step in it.told if isinstance(step, Missed)]
