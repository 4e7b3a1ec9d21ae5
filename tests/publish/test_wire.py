import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamvc.errors import PublishError
from streamvc.publish import wire

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
topics = st.builds(wire.Topic, site=names, camera=names, kind=st.sampled_from(["event", "state", "health"]), label=names)
counts = st.integers(0, 2**64 - 1)
messages = st.builds(wire.Message, topic=topics, sequence=counts, epoch=counts, body=st.binary())


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


@pytest.mark.parametrize(("name", "complaint"), [("", "empty name"), ("camera\udcff", "Unicode")])
def test_a_name_that_cannot_be_sent_is_refused(name: str, complaint: str) -> None:
    with pytest.raises(PublishError, match=complaint):
        wire.escape(name)
