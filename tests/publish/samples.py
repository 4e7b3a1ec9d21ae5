"""What is published: an event, a state, health and a heartbeat, and messages for the log."""

import json
import time
from dataclasses import replace
from typing import Any

from streamvc.events import Activity, Decision, Event, Health, Heartbeat, Media, ModelInfo, State, StreamInfo, Timing
from streamvc.publish.cloudevents import encode
from streamvc.publish.wire import NO_LABEL, Kind, Message, Topic

START = Event(
    event_id="01JD7QXK3B0000000000000000",
    phase="start",
    camera="front_door",
    label="PushUps",
    subject=None,
    score=0.86,
    top=(("PushUps", 0.86), ("WallPushups", 0.09)),
    t_start=1795289575.12,
    t_end=None,
    stream_start_s=90000.5,
    stream_end_s=None,
    duration_s=None,
    count=None,
    reason=None,
    decision=Decision(enter=0.7, leave=0.4, min_s=0.5, cooldown_s=2.0, smoothing_s=0.6),
    timing=Timing(capture=1795289575.12, decoded_s=0.008, features_s=0.015, decided_s=0.016, published_s=None),
    stream=StreamInfo(fps_in=25.0, rate_hz=5.0, dropped=3, gap_s=0.0, clock="pts"),
    model=ModelInfo("exercise", "1", "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8"),
    media=Media(snapshot=None, clip=None),
    seq=None,
    epoch=None,
)

END = replace(START, phase="end", t_end=1795289587.5, stream_end_s=90012.88, duration_s=12.38, reason="left")
STATE = State("front_door", "up", (Activity(START.event_id, "PushUps", None, 0.86, 1795289575.12, 90000.5),), seq=4, epoch=7)
HEALTH = Health("front_door", "stalled", "gap", "no picture has come for 5 s", fps_in=25.0, rate_hz=5.0, dropped=3, seq=2, epoch=7)
HEARTBEAT = Heartbeat("node-1", epoch=7, interval_s=1.0, sequences={"front_door": {"event": 1042, "state": 4}})


def update(duration_s: float, **changes: Any) -> Event:
    """An update so many seconds after the start, captured just now."""
    timing = replace(START.timing, capture=time.time())
    return replace(START, phase="update", duration_s=duration_s, timing=timing, **changes)


def message(body: Event | State | Health, sequence: int, epoch: int, *, site: str = "site") -> Message:
    """What a publisher would log and send of it."""
    numbered = replace(body, seq=sequence, epoch=epoch)
    kind: Kind = "event" if isinstance(body, Event) else "state" if isinstance(body, State) else "health"
    topic = Topic(site, body.camera, kind, body.label if isinstance(body, Event) else NO_LABEL)
    return Message(topic, sequence, epoch, encode(numbered, site=site, node="node-1", time=time.time()))


def encoded_as_version_1(body: Event | State, t_start: float, t_end: float | None = None) -> bytes:
    """What version 1 of events had of it, with one time for all."""
    whole = json.loads(encode(body, site="site", node="node-1", time=1.0))
    whole["type"] = whole["type"].replace(".v2", ".v1")
    for times in whole["data"].get("activities", [whole["data"]]):
        times["t_start"] = t_start
        del times["stream_start_s"]
    if isinstance(body, Event):
        whole["data"]["t_end"] = t_end
        del whole["data"]["stream_end_s"]
    return json.dumps(whole).encode()
