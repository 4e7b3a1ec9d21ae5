"""Whatever comes in: every parser returns a value or raises PublishError, and nothing else."""

from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamvc.errors import PublishError, SinkError
from streamvc.events import Heartbeat
from streamvc.publish import keys, wire
from streamvc.publish.buffered_log import BufferedLog
from streamvc.publish.cloudevents import decode, encode
from streamvc.publish.last_value_cache import LastValueCache
from streamvc.publish.log import EventLog
from streamvc.publish.replay_service import ReplayService
from streamvc.publish.subscriber_protocol import SubscriberProtocol, SubscriptionFilter
from streamvc.sinks.opening import open_sink
from streamvc.sinks.webhook import verify
from tests.publish.fuzzing import MESSAGES, altered_bytes, answers, bodies, fuzzed, garbage, messages, requests


@fuzzed
@given(bodies)
def test_a_body_is_understood_or_refused(body: bytes) -> None:
    with suppress(PublishError):
        understood = decode(body)
        assert decode(encode(understood, site="site", node="node", time=1.0)) == understood


@fuzzed
@given(messages | garbage)
def test_a_message_is_understood_or_refused(parts: list[bytes]) -> None:
    with suppress(PublishError):
        understood = wire.split(parts)
        assert wire.split(wire.join(understood)) == understood


@fuzzed
@given(answers | garbage)
def test_an_answer_is_understood_or_refused(parts: list[bytes]) -> None:
    with suppress(PublishError):
        identifier, understood = wire.split_answer(parts)
        assert wire.split_answer(wire.join_answer(identifier, understood)) == (identifier, understood)


@pytest.fixture(scope="module")
def replay() -> Iterator[ReplayService]:
    """Answers from a log with a little in it."""
    with EventLog() as log:
        for message in MESSAGES:
            log.append(message)
        yield ReplayService("site", "node", log.epoch, LastValueCache(log.sequences, MESSAGES), BufferedLog(log).since, log.knows)


@fuzzed
@given(parts=requests | garbage)
def test_a_request_is_answered_to_its_end_or_not_at_all(replay: ReplayService, parts: list[bytes]) -> None:
    replies = [wire.split_answer(reply) for reply in replay.reply(parts)]
    assert {identifier for identifier, _ in replies} <= {parts[0] if parts else b""}
    assert [isinstance(answer, wire.Message) for _, answer in replies] == [True] * (len(replies) - 1) + [False] * bool(replies)


LONG_S = 600.0  # a feed has something to look after more often than this, whatever a publisher says
numbers = st.integers(0, 5) | st.sampled_from([2**53, 2**63 - 1, 2**64 - 1])
cameras = st.sampled_from(["yard", "gate"])
kinds = st.sampled_from(["event", "state", "health"])
heard = st.builds(
    wire.Message, st.builds(wire.Topic, st.sampled_from(["site", "other"]), cameras, kinds, st.just("-")), numbers, numbers, st.just(b"{}")
)
sequences = st.dictionaries(cameras, st.dictionaries(kinds | st.text(max_size=3), st.integers(-1, 5) | numbers, max_size=3), max_size=2)
beats = st.builds(Heartbeat, st.just("node"), numbers | st.integers(-9, -1), st.floats(allow_nan=False, allow_infinity=False), sequences)
ends = st.builds(
    wire.AnswerEnd,
    st.sampled_from(["snapshot", "since"]),
    numbers,
    numbers,
    st.booleans(),
    st.booleans(),
    numbers,
    numbers,
    st.just("site"),
    sequences=sequences,
)
answered = st.tuples(st.integers(1, 20), st.lists(heard, max_size=5), ends)
happenings = st.lists(st.tuples(st.floats(0, 100), st.integers(0, 3), heard | beats | answered | st.none()), max_size=30)


@fuzzed
@given(happenings)
def test_a_feed_gets_over_whatever_is_said_to_it(said: list[tuple[float, int, object]]) -> None:
    feed = SubscriberProtocol(SubscriptionFilter({"event", "state", "health"}), 0.0)
    now, num_heard, num_given = 0.0, 0, 0
    for later_s, room, what in said:
        now += later_s
        feed.room = room
        if isinstance(what, wire.Message):
            steps = feed.message(what, now)
            num_heard += 1
        elif isinstance(what, Heartbeat):
            steps = feed.heartbeat(what, "site", now)
        elif isinstance(what, tuple):
            number, known, end = what
            steps = feed.answer(b"%d" % number, known, end, now)
            num_heard += len(known)
        else:
            steps = feed.tick(now)
        num_given += sum(isinstance(step, wire.Message) for step in steps)
        assert feed.num_behind >= 0
        assert feed.due_s is None or feed.due_s <= now + LONG_S
    assert num_given <= num_heard


KEY_FILE = b"".join(b'    %s-key = "%040d"\n' % (name, 0) for name in (b"public", b"secret", b"server"))


@fuzzed
@given(content=altered_bytes([KEY_FILE]) | st.binary() | st.text().map(str.encode))
def test_a_key_file_is_understood_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "fuzzed.key"
    file.write_bytes(content)
    file.chmod(0o600)
    with suppress(PublishError):
        assert len(keys.load_client(file).public) == 40
    with suppress(PublishError):
        assert len(keys.read_public(str(file))) == 40


@fuzzed
@given(st.text(), st.binary(max_size=50))
def test_no_signature_is_right_by_chance(signature: str, body: bytes) -> None:
    assert not verify(signature, body, "secret", 1.0)


schemes = st.sampled_from(["http://", "https://", "file:", "mqtt://u:p@", "", "ftp:"])


@fuzzed
@given(schemes, st.text(), st.sampled_from(["", "#", "?"]), st.text())
def test_the_address_of_a_sink_is_understood_or_refused(scheme: str, host: str, sign: str, options: str) -> None:
    with suppress(SinkError):
        open_sink(scheme + host + sign + options, site="site", node="node").close()
