"""Events to publish."""

import time
from dataclasses import replace
from typing import Any

from streamvc.events import Decision, Event, ModelInfo, StreamInfo, Timing

START = Event(
    event_id="01JD7QXK3B0000000000000000",
    phase="start",
    camera="front_door",
    label="PushUps",
    score=0.86,
    top=(("PushUps", 0.86), ("WallPushups", 0.09)),
    t_start=1795289575.12,
    t_end=None,
    duration_s=None,
    reason=None,
    decision=Decision(),
    timing=Timing(capture=1795289575.12, decoded_s=0.008, features_s=0.015, decided_s=0.016),
    stream=StreamInfo(fps_in=25.0, rate_hz=5.0, dropped=3, gap_s=0.0, clock="pts"),
    model=ModelInfo("exercise", "1", "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8"),
)


def update(duration_s: float, **changes: Any) -> Event:
    """An update so many seconds after the start, captured just now."""
    timing = replace(START.timing, capture=time.time())
    return replace(START, phase="update", duration_s=duration_s, timing=timing, **changes)
