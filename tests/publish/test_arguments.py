"""What callers pass: paths as text or as `Path`, and wrong types refused at once. A program that hangs would never end these tests."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any

import pytest

import streamvc
import streamvc.errors
from streamvc.errors import PublishError
from streamvc.publish.keys import new_client
from streamvc.publish.log import query
from streamvc.publish.records import Criteria
from tests.publish.bare import ANY_PORT, PATIENCE_S
from tests.publish.samples import HEALTH, START

ENDPOINT = "tcp://127.0.0.1:7788"


@dataclass(frozen=True)
class OwnPath:
    """Neither text nor a `Path`, but what Python calls path-like."""

    path: str

    def __fspath__(self) -> str:
        return self.path


@pytest.mark.parametrize("kind", [str, Path, lambda path: OwnPath(str(path))], ids=["text", "Path", "path-like"])
def test_a_path_may_be_text(tmp_path: Path, kind: Callable[[Path], Any]) -> None:
    key = new_client(tmp_path / "keys", "me")
    with (
        streamvc.Publisher(ANY_PORT, log=kind(tmp_path / "e.db"), keys=kind(tmp_path / "keys")) as publisher,
        streamvc.Subscriber(publisher.endpoint, since="beginning", cursor=kind(tmp_path / "x.db"), keys=kind(key)) as subscriber,
    ):
        publisher.publish(START)
        event = subscriber.receive(PATIENCE_S)
        assert publisher.log.path == tmp_path / "e.db"
    assert event is not None
    assert [message.sequence for message in query(kind(tmp_path / "e.db"), Criteria(kinds=["event"]))] == [1]
    with streamvc.EventLog(kind(tmp_path / "other.db")) as log:
        assert log.path == tmp_path / "other.db"
    with streamvc.Cursor(kind(tmp_path / "x.db")) as cursor:
        assert cursor.resume_point is not None


def test_a_key_file_that_is_not_there_is_said_and_nothing_hangs() -> None:
    with pytest.raises(PublishError, match=r"cannot read the key file me\.key: No such file"):
        streamvc.Subscriber(ENDPOINT, keys="me.key")
    with pytest.raises(PublishError, match="there are no keys in nowhere"):
        streamvc.Publisher(ANY_PORT, keys="nowhere")


@pytest.mark.parametrize(
    "name",
    [*signature(streamvc.Subscriber).parameters],
)
@pytest.mark.parametrize("value", [b"x", 1j, [5]], ids=["bytes", "complex", "list"])
def test_a_subscriber_refuses_what_is_of_the_wrong_type(name: str, value: object) -> None:
    with pytest.raises(TypeError, match=f"{name} must be .*, not "):
        streamvc.Subscriber(**{"endpoint": ENDPOINT, name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [name for name in signature(streamvc.Publisher).parameters if name != "insecure"])
@pytest.mark.parametrize("value", [b"x", 1j, [5]], ids=["bytes", "complex", "list"])
def test_a_publisher_refuses_what_is_of_the_wrong_type(name: str, value: object) -> None:
    with pytest.raises(TypeError, match=f"{name} must be .*, not "):
        streamvc.Publisher(**{"endpoint": ANY_PORT, name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "make",
    [
        lambda: streamvc.EventLog(5),  # type: ignore[arg-type]
        lambda: streamvc.EventLog(keep_s="30"),  # type: ignore[arg-type]
        lambda: streamvc.EventLog(keep_bytes="1"),  # type: ignore[arg-type]
        lambda: streamvc.Cursor(None),  # type: ignore[arg-type]
        lambda: query(5, Criteria()).__next__(),  # type: ignore[arg-type]
    ],
)
def test_so_do_the_others(make: Callable[[], object]) -> None:
    with pytest.raises(TypeError, match=r"(path|keep_s|keep_bytes) must be .*, not (int|str|NoneType)"):
        make()


@pytest.mark.parametrize(
    "make",
    [
        lambda: streamvc.Subscriber(ENDPOINT, queue_size=0),
        lambda: streamvc.Subscriber(ENDPOINT, timeout_s=-1),
        lambda: streamvc.Subscriber(ENDPOINT, timeout_s=math.nan),
        lambda: streamvc.Subscriber(ENDPOINT, since=math.inf),
        lambda: streamvc.Publisher(ANY_PORT, queue_size=0),
        lambda: streamvc.Publisher(ANY_PORT, heartbeat_s=0),
        lambda: streamvc.Publisher(ANY_PORT, heartbeat_s=math.nan),
        lambda: streamvc.EventLog(keep_s=-1),
    ],
)
def test_numbers_have_a_range(make: Callable[[], object]) -> None:
    with pytest.raises(PublishError, match="must be a number"):
        make()


def test_kinds_are_known_and_one_may_stand_alone(tmp_path: Path) -> None:
    for kinds in ("heartbeat", ["events"], []):
        with pytest.raises(PublishError, match=r"there is no kind .*; there are event, health, state"):
            streamvc.Subscriber(ENDPOINT, kinds=kinds)  # type: ignore[arg-type]
    with pytest.raises(PublishError, match="not 'befor'"):
        streamvc.Cursor(tmp_path / "x.db", commit="befor")  # type: ignore[arg-type]
    with streamvc.Publisher(ANY_PORT) as publisher:
        healths: streamvc.Subscriber[streamvc.Health] = streamvc.Subscriber(publisher.endpoint, kinds="health")  # type: ignore[arg-type]
        with healths:
            assert publisher.wait_for_subscriber(PATIENCE_S)
            publisher.report(HEALTH)
            health = healths.receive(PATIENCE_S)
    assert health is not None
    assert health.status == HEALTH.status


def test_what_is_no_event_is_not_published() -> None:
    with streamvc.Publisher(ANY_PORT) as publisher:
        with pytest.raises(TypeError, match="what is published must be Event, not dict"):
            publisher.publish({"label": "run"})  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="what is reported must be Health, not Event"):
            publisher.report(START)  # type: ignore[arg-type]
        publisher.publish(START)


def test_all_errors_are_exported() -> None:
    names = {name for name in streamvc.__all__ if name.endswith("Error")}
    assert names == {name for name in vars(streamvc.errors) if name.endswith("Error")}
    assert all(issubclass(getattr(streamvc, name), streamvc.StreamvcError) for name in names)
