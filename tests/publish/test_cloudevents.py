import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamvc.errors import PublishError
from streamvc.events import Activity, Body, Event, Health, Heartbeat, Media, State
from streamvc.publish import schema
from streamvc.publish.cloudevents import decode, encode, open_envelope
from streamvc.types import Subject
from tests.publish.samples import END as UNNUMBERED_END
from tests.publish.samples import HEALTH, HEARTBEAT, START, STATE, update

END = replace(UNNUMBERED_END, seq=3, epoch=7)
BODIES = [
    START,
    update(1.5, seq=2**63 - 1, epoch=1),
    END,
    replace(END, reason="restart", media=Media("file:///a.jpg", "file:///a.mp4")),
    replace(START, camera="Tür / 門", label="俯卧撑", top=()),
    STATE,
    State("yard", None, (), None, None),
    HEALTH,
    Health("node-1", "degraded", None, None, None, None, 0, None, None),
    HEARTBEAT,
    Heartbeat("node-1", 1, 0.5, {}),
]

numbers = st.floats(allow_nan=False, allow_infinity=False)
any_text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
counts = st.integers(0, 2**63 - 1)
numbering = st.none() | counts
rates = st.none() | numbers
subjects = st.none() | st.builds(Subject, track=counts, box=st.tuples(numbers, numbers, numbers, numbers), seen=numbers)
reasons = st.sampled_from([None, "left", "gone", "gap", "stop", "end_of_stream", "lost", "error", "restart"])
statuses = st.sampled_from(["up", "stalled", "down", "ended", "degraded"])
events = st.builds(
    Event,
    event_id=any_text,
    phase=st.sampled_from(["start", "update", "end"]),
    camera=any_text,
    label=any_text,
    subject=subjects,
    score=numbers,
    top=st.lists(st.tuples(any_text, numbers), max_size=3).map(tuple),
    t_start=st.none() | numbers,
    t_end=st.none() | numbers,
    stream_start_s=numbers,
    stream_end_s=st.none() | numbers,
    duration_s=st.none() | st.floats(0, 1e9),
    count=st.none() | counts,
    reason=reasons,
    decision=st.just(START.decision),
    timing=st.just(START.timing),
    stream=st.just(START.stream),
    model=st.just(START.model),
    seq=numbering,
    epoch=numbering,
)
activities = st.builds(
    Activity, event_id=any_text, label=any_text, subject=subjects, score=numbers, t_start=st.none() | numbers, stream_start_s=numbers
)
states = st.builds(State, any_text, st.none() | statuses, st.lists(activities, max_size=3).map(tuple), numbering, numbering)
healths = st.builds(Health, any_text, statuses, reasons, st.none() | any_text, rates, rates, counts, numbering, numbering)
last_sequences = st.dictionaries(any_text, st.dictionaries(st.sampled_from(["event", "state", "health"]), counts), max_size=3)
heartbeats = st.builds(Heartbeat, any_text, counts, numbers, last_sequences)


def encoded(body: Body) -> bytes:
    return encode(body, site="site", node="node-1", time=1795289575.1369)


def envelope(body: Body) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(encoded(body))
    return loaded


def test_the_envelope_is_that_of_cloudevents() -> None:
    whole = envelope(START)
    del whole["data"]

    assert whole == {
        "specversion": "1.0",
        "id": "01JD7QXK3B0000000000000000-start",
        "source": "streamvc://site/node-1",
        "type": "dev.streamvc.activity.start.v2",
        "subject": "front_door",
        "time": "2026-11-21T19:32:55.136Z",
        "datacontenttype": "application/json",
    }


def test_the_data_is_the_event() -> None:
    data = envelope(END)["data"]

    assert data["top"] == [["PushUps", 0.86], ["WallPushups", 0.09]]
    assert [data[name] for name in ("t_start", "t_end", "stream_start_s", "stream_end_s")] == [1795289575.12, 1795289587.5, 90000.5, 90012.88]
    assert data["timing"] == {"capture": 1795289575.12, "decoded_s": 0.008, "features_s": 0.015, "decided_s": 0.016, "published_s": None}
    assert (data["phase"], data["reason"], data["duration_s"], data["seq"], data["epoch"]) == ("end", "left", 12.38, 3, 7)


@pytest.mark.parametrize(
    ("body", "identifier", "kind", "subject"),
    [
        (STATE, "front_door-state-7-4", "dev.streamvc.camera.state.v2", "front_door"),
        (HEALTH, "front_door-health-7-2", "dev.streamvc.camera.health.v1", "front_door"),
        (HEARTBEAT, "node-1-heartbeat-7-1795289575137", "dev.streamvc.heartbeat.v1", "node-1"),
    ],
)
def test_each_kind_has_its_type_and_its_id(body: Body, identifier: str, kind: str, subject: str) -> None:
    whole = envelope(body)

    assert (whole["id"], whole["type"], whole["subject"]) == (identifier, kind, subject)


def test_a_state_names_what_goes_on() -> None:
    data = envelope(STATE)["data"]

    assert data["activities"] == [
        {"event_id": START.event_id, "label": "PushUps", "subject": None, "score": 0.86, "t_start": 1795289575.12, "stream_start_s": 90000.5}
    ]
    assert STATE.label == "PushUps"
    assert replace(STATE, activities=()).label is None


@given(events | states | healths | heartbeats)
def test_what_is_encoded_can_be_decoded(body: Body) -> None:
    assert decode(encoded(body)) == body


def test_the_envelope_can_be_read_too() -> None:
    opened = open_envelope(encoded(HEALTH))

    assert (opened.time, opened.source, opened.data) == ("2026-11-21T19:32:55.136Z", "streamvc://site/node-1", HEALTH)


def test_each_event_has_an_id_of_its_own_and_the_same_one_in_a_replay() -> None:
    lived = [START, update(0.2), update(1.2), replace(END, duration_s=1.2)]

    identifiers = [envelope(event)["id"] for event in lived]

    assert len(set(identifiers)) == len(lived)
    assert identifiers == [envelope(replace(event, seq=99, epoch=99))["id"] for event in lived]


def test_names_in_the_source_are_escaped() -> None:
    assert json.loads(encode(START, site="Haus 2", node="a/b", time=0.0))["source"] == "streamvc://Haus%202/a%2Fb"


def test_the_shipped_schema_is_that_of_the_types() -> None:
    shipped = json.loads(schema.PATH.read_text(encoding="utf-8"))

    assert shipped == schema.event_schema(), "run `python -m streamvc.publish.schema`"


@pytest.mark.parametrize("body", BODIES, ids=lambda body: type(body).__name__)
def test_what_is_published_is_valid_by_the_schema(body: Body) -> None:
    jsonschema.Draft202012Validator(schema.event_schema()).validate(envelope(body))


def test_a_body_under_another_s_type_is_refused() -> None:
    whole = {**envelope(HEALTH), "type": "dev.streamvc.camera.state.v2"}

    with pytest.raises(PublishError, match="activities"):
        decode(json.dumps(whole).encode())
    assert not jsonschema.Draft202012Validator(schema.event_schema()).is_valid(whole)


def without_score(whole: dict[str, Any]) -> None:
    del whole["data"]["score"]


def with_score_in_words(whole: dict[str, Any]) -> None:
    whole["data"]["score"] = "0.9"


def with_unknown_phase(whole: dict[str, Any]) -> None:
    whole["data"]["phase"] = "pause"


def of_next_version(whole: dict[str, Any]) -> None:
    whole["type"] = "dev.streamvc.activity.start.v3"


def without_type(whole: dict[str, Any]) -> None:
    del whole["type"]


def with_local_time(whole: dict[str, Any]) -> None:
    whole["time"] = "2026-11-21T19:32:55"


@pytest.mark.parametrize("damage", [without_score, with_score_in_words, with_unknown_phase, of_next_version, without_type, with_local_time])
def test_reader_and_schema_refuse_the_same(damage: Callable[[dict[str, Any]], None]) -> None:
    whole = envelope(START)
    damage(whole)

    with pytest.raises(PublishError, match="not an event: "):
        decode(json.dumps(whole).encode())
    assert not jsonschema.Draft202012Validator(schema.event_schema()).is_valid(whole)


def test_fields_that_are_not_known_are_ignored() -> None:
    whole = envelope(END)
    whole["traceparent"] = "00-4bf92f"
    whole["data"]["mood"] = {"score": 1}
    whole["data"]["model"]["licence"] = "Apache-2.0"

    assert decode(json.dumps(whole).encode()) == END


@given(st.binary(max_size=200))
def test_garbage_is_refused(body: bytes) -> None:
    with pytest.raises(PublishError):
        decode(body)


@given(st.sampled_from([END, STATE, HEALTH, HEARTBEAT]), st.integers(0, len(encoded(END)) - 1), st.binary(max_size=3))
def test_a_damaged_event_is_refused_or_still_valid(whole: Body, position: int, scrap: bytes) -> None:
    body = encoded(whole)
    damaged = body[:position] + scrap + body[position + len(scrap) :]
    try:
        decode(damaged)
    except PublishError:
        return
    if b".v1" in damaged and b".v1" not in body:  # it is one of version 1 now
        return
    jsonschema.Draft202012Validator(schema.event_schema()).validate(json.loads(damaged))


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (replace(START, score=math.nan), "score: .*finite"),
        (replace(START, top=(("PushUps", math.inf),)), "top.*finite"),
        (replace(START, camera=""), "subject"),
        (replace(START, camera="camera\udcff"), "camera"),
        (replace(START, phase="pause"), "type"),  # type: ignore[arg-type]
        (replace(START, label=None), "label"),  # type: ignore[arg-type]
        (replace(STATE, activities=(Activity("x", "PushUps", None, math.nan, None, 0.0),)), "score: .*finite"),
        (replace(HEALTH, status="well"), "status"),  # type: ignore[arg-type]
        (replace(HEARTBEAT, interval_s=math.inf), "interval_s: .*finite"),
    ],
)
def test_what_no_reader_would_take_is_not_encoded(body: Body, complaint: str) -> None:
    with pytest.raises(PublishError, match=complaint):
        encoded(body)


def test_numbers_of_numpy_are_numbers() -> None:
    assert envelope(replace(START, score=np.float32(0.5)))["data"]["score"] == 0.5  # type: ignore[arg-type]
