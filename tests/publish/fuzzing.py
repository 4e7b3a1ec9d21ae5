"""Inputs that somebody might send: plain garbage, and what is almost right.

`STREAMVC_FUZZ_INPUTS` says how many of each; scripts/fuzz_events.py asks for many.
"""

import json
import os
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from streamvc.events import Event, Health, Heartbeat, State
from streamvc.publish import wire
from streamvc.publish.cloudevents import encode
from tests.publish.samples import END, HEALTH, HEARTBEAT, START, STATE, encoded_as_version_1, message

NUM_INPUTS = int(os.environ.get("STREAMVC_FUZZ_INPUTS", "50"))
fuzzed = settings(max_examples=NUM_INPUTS, deadline=None, database=None, suppress_health_check=list(HealthCheck))

BODIES: tuple[Event | State | Health | Heartbeat, ...] = (START, END, STATE, HEALTH, HEARTBEAT)
TEXTS = [encode(body, site="site", node="node", time=1.0) for body in BODIES]
TEXTS += [encoded_as_version_1(body, t_start) for body in (START, STATE) for t_start in (1.5, 1e9)]
MESSAGES = [message(body, 1, 1) for body in (START, STATE, HEALTH)]
TOPICS = [*(wire.join(one)[0] for one in MESSAGES), b"sv1/site/node/heartbeat/-/"]
ASKED: list[wire.SnapshotQuery | wire.SinceQuery] = [
    wire.SnapshotQuery(),
    wire.SnapshotQuery(("front_door",), 7),
    wire.SinceQuery("front_door", "event", 7, 3, 10),
]
EPOCH = 7
END_OF_ANSWER = wire.AnswerEnd("snapshot", 1, EPOCH, site="site", node="node", sequences={"front_door": {"event": 3}})

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([2**31, 2**53, 2**63 - 1, 2**63, 2**64, -1, 10**400]),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["", "\0", "/", "..", "sv1/", "event", "\ud800", "NaN", "%2F", "x" * 5_000]),
)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=10), inner, max_size=5), max_leaves=10)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The ways to all values within a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for name, one in inner for place in places(one, (*path, name)))]


@st.composite
def altered_json(draw: st.DrawFn, texts: list[bytes]) -> bytes:
    """JSON in which one value is another one, or is missing."""
    value = json.loads(draw(st.sampled_from(texts)))
    *way, last = draw(st.sampled_from([place for place in places(value) if place]))
    inner = value
    for step in way:
        inner = inner[step]
    if draw(st.booleans()):
        del inner[last]
    else:
        inner[last] = draw(values)
    return json.dumps(value).encode("utf-8", "surrogatepass")


@st.composite
def altered_bytes(draw: st.DrawFn, texts: list[bytes]) -> bytes:
    """A text of which a part is cut out, and another put in its place."""
    text = draw(st.sampled_from(texts))
    start, end = sorted(draw(st.tuples(*[st.integers(0, len(text))] * 2)))
    return text[:start] + draw(st.binary(max_size=40)) + text[end:]


def nearly(texts: list[bytes]) -> st.SearchStrategy[bytes]:
    """Almost one of these JSON texts."""
    return altered_json(texts) | altered_bytes(texts) | st.sampled_from(texts)


nested = st.sampled_from([b"[" * 9_999, b'{"data":' * 9_999, b'"' + b"\\" * 9_999, b"1" * 9_999])
bodies = nearly(TEXTS) | st.binary(max_size=200) | nested
topics = altered_bytes(TOPICS) | st.sampled_from(TOPICS) | st.binary(max_size=50)
headers = st.binary(max_size=40) | st.binary(min_size=16, max_size=16) | st.just(wire.HEADER.pack(1, EPOCH))
garbage = st.lists(st.binary(max_size=100), max_size=6)
messages = st.tuples(topics, headers, bodies).map(list)
requests = st.tuples(
    st.binary(max_size=40),
    st.sampled_from([b"snapshot", b"since", b"end", b""]),
    nearly([wire.join_request(wire.Request(b"id", one))[2] for one in ASKED]),
).map(list)
ends = st.tuples(st.sampled_from([b"end", b"error"]), nearly([wire.join_answer(b"", END_OF_ANSWER)[2], b'{"reason":"no"}'])).map(list)
answers = (ends | messages).map(lambda parts: [b"1", *parts])
