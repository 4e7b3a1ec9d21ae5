import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamvc.errors import PublishError
from streamvc.publish import wire
from tests.publish.singles import split_single

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
topics = st.builds(wire.Topic, site=names, camera=names, kind=st.sampled_from(["event", "state", "health", "heartbeat"]), label=names)
counts = st.integers(0, 2**63 - 1)
messages = st.builds(wire.Message, topic=topics, sequence=counts, epoch=counts, body=st.binary())
requests = st.builds(
    wire.Request,
    id=st.binary(min_size=1, max_size=32),
    query=st.builds(wire.SnapshotQuery, cameras=st.none() | st.lists(names).map(tuple), epoch=counts)
    | st.builds(
        wire.SinceQuery,
        camera=names,
        kind=st.sampled_from(["event", "state", "health"]),
        epoch=counts,
        seq=counts,
        limit=st.integers(1, 1000),
        from_s=st.floats(allow_nan=False, allow_infinity=False),
    ),
)
ends = st.builds(
    wire.AnswerEnd,
    command=st.sampled_from(["snapshot", "since"]),
    count=counts,
    epoch=counts,
    renumbered=st.booleans(),
    more=st.booleans(),
    first=counts,
    last=counts,
    site=st.none() | names,
    node=st.none() | names,
    sequences=st.dictionaries(names, st.dictionaries(st.sampled_from(["event", "state", "health"]), counts)),
)
answers = messages | ends | st.builds(wire.Refusal, reason=st.text(st.characters(exclude_categories=["Cs"])))


def test_the_bytes_on_the_wire() -> None:
    message = wire.Message(wire.Topic("site", "front door/2", "event", "Kniebeuge ä"), sequence=1042, epoch=7, body=b"{}")

    assert wire.join(message) == [
        b"sv1/site/front%20door%2F2/event/Kniebeuge%20%C3%A4/",
        bytes.fromhex("0000000000000412 0000000000000007"),
        b"{}",
    ]


@given(messages)
def test_what_is_joined_can_be_split_again(message: wire.Message) -> None:
    assert wire.split(wire.join(message)) == message


@given(messages)
def test_topics_are_plain_ascii_whatever_the_names(message: wire.Message) -> None:
    topic = wire.join(message)[0].decode("ascii")

    assert topic.isprintable()
    assert " " not in topic
    assert topic.count("/") == 5


@given(topics, names)
def test_a_subscription_gets_its_camera_and_no_other(topic: wire.Topic, camera: str) -> None:
    sent = wire.join(wire.Message(topic, 1, 1, b""))[0]

    assert sent.startswith(wire.subscription(topic.site, camera, topic.kind)) == (camera == topic.camera)


def test_a_subscription_ends_at_the_first_name_left_out() -> None:
    assert wire.subscription() == b"sv1/"
    assert wire.subscription("a b") == b"sv1/a%20b/"
    assert wire.subscription(None, "camera") == b"sv1/"


@given(st.lists(st.binary(max_size=40), max_size=4) | st.tuples(st.binary(), st.binary(min_size=16, max_size=16), st.binary()).map(list))
def test_garbage_is_refused(parts: list[bytes]) -> None:
    with pytest.raises(PublishError):
        wire.split(parts)


@pytest.mark.parametrize(
    "topic",
    [
        b"sv2/site/camera/event/label/",
        b"sv1/site/camera/event/label",
        b"sv1/site/camera/event/label//",
        b"sv1/site//event/label/",
        b"sv1/site/camera/gossip/label/",
        b"sv1/site/camera/event/",
        b"sv1/site/cam\xc3\xa9ra/event/label/",
        b"sv1/site/cam%C3ra/event/label/",
    ],
)
def test_a_topic_that_is_not_ours_is_refused(topic: bytes) -> None:
    with pytest.raises(PublishError, match="not a topic"):
        wire.split([topic, bytes(16), b"{}"])


@pytest.mark.parametrize("header", [b"", bytes(15), bytes(17)])
def test_a_header_of_another_size_is_refused(header: bytes) -> None:
    with pytest.raises(PublishError, match="16 bytes"):
        wire.split([b"sv1/site/camera/event/label/", header, b"{}"])


@pytest.mark.parametrize("header", [wire.HEADER.pack(2**63, 1), wire.HEADER.pack(1, 2**64 - 1)])
def test_a_number_that_no_log_can_hold_is_refused(header: bytes) -> None:
    with pytest.raises(PublishError, match="numbers up to"):
        wire.split([b"sv1/site/camera/event/label/", header, b"{}"])


@pytest.mark.parametrize(("name", "complaint"), [("", "empty name"), ("camera\udcff", "Unicode")])
def test_a_name_that_cannot_be_sent_is_refused(name: str, complaint: str) -> None:
    with pytest.raises(PublishError, match=complaint):
        wire.escape(name)


@given(messages)
def test_a_message_in_one_frame_can_be_split_again(message: wire.Message) -> None:
    frame = wire.single(wire.join(message))

    assert split_single(frame) == message
    assert frame.startswith(wire.subscription(message.topic.site, message.topic.camera, message.topic.kind))


def test_a_message_in_one_frame_byte_for_byte() -> None:
    message = wire.Message(wire.Topic("site", "yard", "state", "-"), sequence=2, epoch=7, body=b"{}")

    assert wire.single(wire.join(message)) == b"sv1/site/yard/state/-/\0" + bytes.fromhex("0000000000000002 0000000000000007") + b"{}"


def test_a_request_byte_for_byte() -> None:
    assert wire.join_request(wire.Request(b"1", wire.SinceQuery("yard", "event", 7, 1042))) == [
        b"1",
        b"since",
        b'{"camera":"yard","kind":"event","epoch":7,"seq":1042,"limit":1000,"from_s":0.0}',
    ]
    assert wire.join_request(wire.Request(b"2", wire.SnapshotQuery())) == [b"2", b"snapshot", b'{"epoch":0}']


@given(requests)
def test_a_request_can_be_split_again(request: wire.Request) -> None:
    assert wire.split_request(wire.join_request(request)) == request


@given(st.binary(min_size=1, max_size=32), answers)
def test_a_part_of_an_answer_can_be_split_again(identifier: bytes, answer: wire.Message | wire.AnswerEnd | wire.Refusal) -> None:
    assert wire.split_answer(wire.join_answer(identifier, answer)) == (identifier, answer)


def test_fields_that_are_not_known_are_ignored() -> None:
    request = wire.split_request([b"1", b"snapshot", b'{"cameras":["yard"],"mood":1}'])
    _, end = wire.split_answer([b"1", b"end", b'{"command":"since","count":0,"epoch":7,"mood":1}'])

    assert request.query == wire.SnapshotQuery(("yard",))
    assert end == wire.AnswerEnd("since", 0, 7)


@pytest.mark.parametrize(
    ("parts", "complaint"),
    [
        ([], "3 parts, not 0"),
        ([b"1", b"snapshot"], "3 parts, not 2"),
        ([b"", b"snapshot", b"{}"], "1 to 32 bytes"),
        ([bytes(33), b"snapshot", b"{}"], "1 to 32 bytes"),
        ([b"1", b"delete", b"{}"], "no command"),
        ([b"1", b"snapshot", b""], "snapshot"),
        ([b"1", b"snapshot", b"\xff"], "snapshot"),
        ([b"1", b"snapshot", b'{"cameras":"yard"}'], "cameras"),
        ([b"1", b"snapshot", b'{"epoch":-1}'], "epoch"),
        ([b"1", b"since", b"{}"], "camera"),
        ([b"1", b"since", b'{"camera":"yard","kind":"heartbeat","epoch":1,"seq":1}'], "kind"),
        ([b"1", b"since", b'{"camera":"yard","kind":"event","epoch":1,"seq":9223372036854775808}'], "seq"),
        ([b"1", b"since", b'{"camera":"yard","kind":"event","epoch":1,"seq":true}'], "seq"),
        ([b"1", b"since", b'{"camera":"yard","kind":"event","epoch":1,"seq":1,"limit":1001}'], "limit"),
        ([b"1", b"since", b'{"camera":"yard","kind":"event","epoch":1,"seq":1,"from_s":1e999}'], "from_s"),
        ([b"1", b"since", b"[" * 10_000], "since"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_in_words(parts: list[bytes], complaint: str) -> None:
    with pytest.raises(PublishError, match=complaint):
        wire.split_request(parts)


@given(st.lists(st.binary(max_size=40), max_size=5))
def test_garbage_is_no_answer_and_no_request(parts: list[bytes]) -> None:
    with pytest.raises(PublishError):
        wire.split_request(parts)
    with pytest.raises(PublishError):
        wire.split_answer(parts)


@given(st.binary(max_size=60))
def test_garbage_in_one_frame_is_refused(frame: bytes) -> None:
    with pytest.raises(PublishError):
        split_single(frame)
