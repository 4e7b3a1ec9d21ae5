"""Reads events and states of version 1, which earlier versions of streamvc have published and logged.

They knew activities of the whole scene alone. They had one field for two times: `t_start` was wall time for a camera and stream time for a recording,
and only its size said which. Stream time was not told for a camera, and is read as 0.0 at the start of the activity.
"""

from typing import Any

from pydantic_core import from_json, to_json

EARLIEST_WALL_TIME = 631_152_000.0  # 1990-01-01T00:00:00Z in Unix seconds: what is less is stream time
TYPES = {
    "dev.streamvc.activity.start.v1": "dev.streamvc.activity.start.v2",
    "dev.streamvc.activity.update.v1": "dev.streamvc.activity.update.v2",
    "dev.streamvc.activity.end.v1": "dev.streamvc.activity.end.v2",
    "dev.streamvc.camera.state.v1": "dev.streamvc.camera.state.v2",
}


def from_version_1(body: bytes) -> bytes | None:
    """A message of version 1 as one of version 2, which is still to be checked; None where it is none."""
    try:
        envelope: dict[str, Any] = from_json(body, allow_inf_nan=False)
        envelope["type"] = TYPES[envelope["type"]]
        for times in envelope["data"].get("activities", [envelope["data"]]):
            _separate(times)
        return to_json(envelope)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):  # garbage, or another type
        return None


def _separate(times: dict[str, Any]) -> None:
    """Put wall time and stream time in fields of their own."""
    start, end = times["t_start"], times.get("t_end")
    is_wall = start >= EARLIEST_WALL_TIME
    times["subject"] = None
    times["count"] = None
    times["stream_start_s"] = 0.0 if is_wall else start
    times["stream_end_s"] = None if end is None else times["stream_start_s"] + end - start
    if not is_wall:
        times["t_start"] = times["t_end"] = None
