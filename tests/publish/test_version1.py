"""What earlier versions of streamvc have published and logged, where one field held both times."""

import csv
import json
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner

from streamvc.cli import main
from streamvc.errors import PublishError
from streamvc.events import Activity, Event, State
from streamvc.publish import schema, wire
from streamvc.publish.cloudevents import decode
from streamvc.publish.log import EventLog
from streamvc.publish.publisher import Publisher
from streamvc.publish.wire import Message
from tests.publish.bare import ANY_PORT, ask, asking
from tests.publish.samples import END, START, STATE, encoded_as_version_1, message, update

WALL, STREAM = START.t_start, 12.4


def written(event: Event | State, t_start: float, t_end: float | None = None) -> bytes:
    return encoded_as_version_1(event, t_start, t_end)


def logged(log: EventLog, event: Event, sequence: int, t_start: float) -> Message:
    """Write an event to a log as an earlier version would have done."""
    one = replace(message(event, sequence, log.epoch), body=written(replace(event, seq=sequence, epoch=log.epoch), t_start))
    log.append(one, event)
    return one


def test_the_events_of_a_camera_keep_their_wall_time() -> None:
    assert WALL is not None
    assert decode(written(START, WALL)) == replace(START, stream_start_s=0.0)
    assert decode(written(END, WALL, WALL + 8)) == replace(END, t_end=WALL + 8, stream_start_s=0.0, stream_end_s=8.0)


def test_the_events_of_a_recording_have_stream_time_alone() -> None:
    going_on = update(1.0)
    assert decode(written(going_on, STREAM)) == replace(going_on, t_start=None, stream_start_s=STREAM)
    assert decode(written(END, STREAM, 20.4)) == replace(END, t_start=None, t_end=None, stream_start_s=STREAM, stream_end_s=20.4)


@pytest.mark.parametrize(("t_start", "wall", "stream"), [(1795289575.12, 1795289575.12, 0.0), (STREAM, None, STREAM)])
def test_so_do_the_activities_of_a_state(t_start: float, wall: float | None, stream: float) -> None:
    understood = decode(written(STATE, t_start))
    assert understood == replace(STATE, activities=(Activity(START.event_id, "PushUps", None, 0.86, wall, stream),))


@pytest.mark.parametrize(
    "changes",
    [{"t_start": None}, {"t_start": "12"}, {"t_start": 10**400, "t_end": 1.5}, {"score": None}, {"t_end": [1]}],
    ids=lambda changes: str(changes)[:30],
)
def test_what_is_damaged_is_refused(changes: dict[str, Any]) -> None:
    whole = json.loads(written(START, STREAM))
    whole["data"].update(changes)
    with pytest.raises(PublishError, match="not an event: "):
        decode(json.dumps(whole).encode())


def test_the_schema_is_that_of_what_is_published_now() -> None:
    assert not jsonschema.Draft202012Validator(schema.event_schema()).is_valid(json.loads(written(START, STREAM)))


@pytest.mark.parametrize(("t_start", "t_end", "stream_end_s"), [(1795289575.12, 1795289576.62, 1.5), (STREAM, None, STREAM + 1.5)])
def test_what_an_earlier_version_left_unended_is_ended(tmp_path: Path, t_start: float, t_end: float | None, stream_end_s: float) -> None:
    with EventLog(tmp_path / "events.db") as log:
        logged(log, START, 1, t_start)
        logged(log, update(1.5), 2, t_start)
        before = log.epoch
    with Publisher(ANY_PORT, log=tmp_path / "events.db") as publisher, asking(publisher) as client:
        [ended], _ = ask(client, wire.SinceQuery("front_door", "event", before, 2))
    event = decode(ended.body)
    assert isinstance(event, Event)
    assert (event.phase, event.reason, event.t_end, event.stream_end_s, event.duration_s) == ("end", "restart", t_end, stream_end_s, 1.5)
    assert json.loads(ended.body)["type"] == "dev.streamvc.activity.end.v2"


def test_a_log_of_both_versions_is_printed(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    with EventLog(path) as log:
        logged(log, START, 1, STREAM)
        logged(log, START, 2, 1795289575.12)
        log.append(message(START, 3, log.epoch), START)
    table, lines, hour = (CliRunner().invoke(main, ["events", "--log", str(path), *more]).stdout for more in (["--csv"], [], ["--last", "1h"]))
    rows = list(csv.DictReader(StringIO(table)))
    assert [(row["t_start"], row["stream_start_s"]) for row in rows] == [("", "12.4"), ("1795289575.12", "0.0"), ("1795289575.12", "90000.5")]
    assert lines.splitlines()[0] == "  12.40 s  front_door  start   PushUps  0.86"
    assert lines.splitlines()[1] == lines.splitlines()[2]
    assert hour == lines  # they are chosen by when they were published
