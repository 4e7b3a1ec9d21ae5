"""`streamvc events` on logs that are, or were, written."""

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from streamvc.cli import main
from streamvc.events import Media
from streamvc.publish.log import EventLog
from tests.publish.samples import END, HEALTH, START, STATE, message


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["events", *(str(argument) for argument in arguments)])


@pytest.fixture
def state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def log(state_home: Path) -> Iterator[Path]:
    """The log of tcp://127.0.0.1:7788, which stays open for writing."""
    path = state_home / "streamvc" / "events-7788.db"
    with EventLog(path) as log:
        for sequence, event in enumerate((START, END, replace(START, label='Lunges, "deep"')), 1):
            log.append(message(event, sequence, log.epoch), event)
        log.append(message(replace(START, camera="yard"), 1, log.epoch))
        log.append(message(STATE, 1, log.epoch))
        log.append(message(HEALTH, 1, log.epoch))
        yield path


def test_help_has_examples() -> None:
    assert "streamvc events" in run("--help").output.split("Examples:")[1]


@pytest.mark.usefixtures("log")
def test_the_log_of_an_endpoint_is_found_and_printed_while_it_is_written() -> None:
    result = run()
    assert result.exit_code == 0, result.output
    assert [line.split()[2:5] for line in result.stdout.splitlines()] == [
        ["front_door", "start", "PushUps"],
        ["front_door", "end", "PushUps"],
        ["front_door", "start", "Lunges,"],
        ["yard", "start", "PushUps"],
    ]


def test_json_is_what_was_published(log: Path) -> None:
    printed = [json.loads(line) for line in run("--log", log, "--json", "--camera", "front_door", "--label", "PushUps").stdout.splitlines()]
    assert [(each["data"]["phase"], each["data"]["seq"]) for each in printed] == [("start", 1), ("end", 2)]
    assert printed[0]["specversion"] == "1.0"


def test_csv_is_a_table(log: Path) -> None:
    rows = list(csv.DictReader(StringIO(run("--csv", "--kind", "event", "--kind", "state", "--kind", "health").stdout)))
    assert [(row["kind"], row["camera"], row["label"]) for row in rows] == [
        ("event", "front_door", "PushUps"),
        ("event", "front_door", "PushUps"),
        ("event", "front_door", 'Lunges, "deep"'),
        ("event", "yard", "PushUps"),
        ("state", "front_door", "PushUps"),
        ("health", "front_door", ""),
    ]
    assert (rows[1]["reason"], rows[1]["duration_s"], rows[5]["status"]) == ("left", "12.38", "stalled")
    assert datetime.fromisoformat(rows[0]["time"]).tzinfo == UTC


FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", " =1", "\u00a0=1", "\uff1d1", "x;=1+1", 'x";"=1', "a\n=1", "=cmd|' /C calc'!A0"]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_spreadsheet_executes_nothing_of_a_table(state_home: Path, text: str) -> None:
    with EventLog(state_home / "streamvc" / "events-7788.db") as log:
        log.append(message(replace(START, camera="gate", label=text, score=0.5), 1, log.epoch))
        log.append(message(replace(HEALTH, detail=text), 1, log.epoch))
    printed = run("--csv", "--kind", "event", "--kind", "health").stdout
    rows = list(csv.DictReader(StringIO(printed, newline="")))
    cells = [rows[0]["label"], rows[1]["detail"]]
    assert all(cell.replace("'", "") == text.replace("'", "") for cell in cells)
    for separator in ",;\t":  # whatever the spreadsheet's country parts cells by
        for line in csv.reader(StringIO(printed, newline=""), delimiter=separator):
            assert not [cell for cell in line if cell.lstrip(' "\u00a0\t').startswith(("=", "+", "-", "@", "\uff1d"))]


@pytest.mark.usefixtures("log")
def test_numbers_and_names_are_in_a_table_as_they_are() -> None:
    rows = list(csv.DictReader(StringIO(run("--csv").stdout)))
    assert [row["camera"] for row in rows] == ["front_door"] * 3 + ["yard"]
    assert all(float(row["score"]) for row in rows)


@pytest.mark.usefixtures("log")
def test_states_and_health_are_told_too() -> None:
    state, health = run("--kind", "state", "--kind", "health").stdout.splitlines()
    assert state.endswith("front_door  state   PushUps  (up)")
    assert health.endswith("front_door  stalled  no picture has come for 5 s")


@pytest.mark.usefixtures("log")
def test_a_span_of_time() -> None:
    now, hour, day = datetime.now(), timedelta(hours=1), timedelta(days=1)
    for arguments in (
        ("--last", "90s"),
        ("--from", (now - hour).isoformat(), "--to", (now + hour).isoformat(" ")),
        ("--from", (datetime.now(UTC) - hour).isoformat()),
        ("--from", (now - day).date().isoformat()),
    ):
        assert len(run(*arguments).stdout.splitlines()) == 4, arguments
    for arguments in (("--to", (now - hour).isoformat()), ("--from", (now + day).date().isoformat())):
        assert run(*arguments).stdout == "", arguments


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--last", "2 hours"), "'2 hours' is not a span of time; write it as 90s"),
        (("--from", "yesterday"), "'yesterday' is not a time; write it as 2026-11-22"),
        (("--last", "2h", "--to", "2026-11-22"), "leave --from and --to out"),
        (("--kind", "heartbeat"), "heartbeat"),
    ],
)
def test_what_is_not_understood_is_a_usage_error(arguments: tuple[str, ...], complaint: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert complaint in result.stderr


def test_without_a_log_one_line_says_so(state_home: Path) -> None:
    result = run("tcp://127.0.0.1:7799")
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        f"Error: there is no event log {state_home / 'streamvc' / 'events-7799.db'}; `streamvc watch` writes it where it publishes"
    ]
    assert list(state_home.iterdir()) == []


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    """A node's, whose log lies beside it; with a fault that says nothing of the log."""
    path = tmp_path / "node.yaml"
    path.write_text("publish: ${ENDPOINT}\nkeys: keys\nlog: ${NAME}.db\ncameras: [{name: a, sauce: 0}]\n")
    with EventLog(tmp_path / "shop.db") as log:
        log.append(message(START, 1, log.epoch), START)
    return path


def test_a_node_is_named_by_its_configuration(configuration: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENDPOINT", "tcp://*:7788")
    monkeypatch.setenv("NAME", "shop")
    assert run(configuration).stdout.split()[2:5] == ["front_door", "start", "PushUps"]
    configuration.write_text("log: null\n")
    result = run(configuration)
    assert (result.exit_code, result.stderr) == (
        1,
        f"Error: {configuration}: a node that runs from this keeps its events in memory only (`log` is null)\n",
    )


@pytest.mark.usefixtures("log")
def test_a_configuration_that_says_nothing_of_a_log_has_that_of_its_endpoint(tmp_path: Path) -> None:
    (tmp_path / "node.yml").write_text("cameras: []\n")
    assert len(run(tmp_path / "node.yml").stdout.splitlines()) == 4


def test_a_configuration_that_cannot_be_used_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "node.yaml").write_text("log: ${NOWHERE}/x.db\n")
    for path, complaint in ((tmp_path / "none.yaml", "cannot be read"), (tmp_path / "node.yaml", "node.yaml:1: log: there is no variable NOWHERE")):
        result = run(path)
        assert result.exit_code == 1
        assert complaint in result.stderr
        assert len(result.stderr.splitlines()) == 1


@pytest.mark.usefixtures("log")
def test_phases_are_chosen_of_events_alone() -> None:
    assert [line.split()[3] for line in run("--phase", "end").stdout.splitlines()] == ["end"]
    assert len(run("--phase", "start", "--phase", "end").stdout.splitlines()) == 4
    assert len(run("--phase", "update", "--kind", "event", "--kind", "health").stdout.splitlines()) == 1


def test_the_table_names_stills_and_clips_that_are_there(state_home: Path) -> None:
    still = state_home / "a b.jpg"
    still.touch()
    media = Media(still.as_uri(), (state_home / "never.mp4").as_uri())
    with EventLog(state_home / "log.db") as log:
        log.append(message(replace(START, media=media), 1, log.epoch))
        log.append(message(replace(START, media=Media(None, "https://example.org/clip.mp4")), 2, log.epoch))
    rows = list(csv.DictReader(StringIO(run("--log", state_home / "log.db", "--csv").stdout)))
    assert [(row["snapshot"], row["clip"]) for row in rows] == [(still.as_uri(), ""), ("", "https://example.org/clip.mp4")]


@pytest.mark.parametrize("sign", ["\n", "\x1b[2J", "\u202e", "\x9b2J", "\u2028", "\U000e0001"])
def test_nothing_that_is_printed_of_a_log_is_obeyed_by_a_terminal(state_home: Path, sign: str) -> None:
    path = state_home / "streamvc" / "events-7788.db"
    event = replace(START, label=f"a{sign}b", camera=f"ya{sign}rd")
    with EventLog(path) as log:
        log.append(message(event, 1, log.epoch), event)
        log.append(message(replace(HEALTH, detail=sign), 1, log.epoch))
    printed = {form: run(*form, "--kind", "event", "--kind", "health").stdout.splitlines() for form in ((), ("--json",))}
    for lines in printed.values():
        assert len(lines) == 2
        assert all(line.isprintable() for line in lines)
    assert json.loads(printed["--json",][0])["data"]["label"] == event.label
