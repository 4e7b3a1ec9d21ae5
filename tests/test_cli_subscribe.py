"""`streamvc subscribe` on a publisher in this process."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from streamvc.cli import main
from streamvc.publish.publisher import Publisher
from tests.publish.samples import START, update

PATIENCE_S = "20"


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    """One that has published five events."""
    with Publisher("tcp://127.0.0.1:*", site="site", node="node") as publisher:
        publisher.publish(START)
        for number in range(1, 5):
            publisher.publish(update(float(number)))
        yield publisher


def subscribe(publisher: Publisher, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["subscribe", publisher.endpoint, "--timeout", PATIENCE_S, *arguments])


def numbers(result: Result) -> list[int]:
    assert result.exit_code == 0, result.output
    return [json.loads(line)["data"]["seq"] for line in result.stdout.splitlines()]


def test_from_the_beginning(publisher: Publisher) -> None:
    assert numbers(subscribe(publisher, "--since", "beginning", "--count", "5", "--json")) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("when", ["1h", "2026-01-01T00:00:00Z", "2026-01-01"])
def test_from_a_moment(publisher: Publisher, when: str) -> None:
    assert numbers(subscribe(publisher, "--since", when, "--count", "5", "--json")) == [1, 2, 3, 4, 5]


def test_it_goes_on_where_its_cursor_says(publisher: Publisher, tmp_path: Path) -> None:
    cursor = str(tmp_path / "cursor")
    runs = [numbers(subscribe(publisher, "--since", "beginning", "--cursor", cursor, "--count", count, "--json")) for count in ("2", "3")]

    assert runs == [[1, 2], [3, 4, 5]]


def test_the_present_states_for_people(publisher: Publisher) -> None:
    result = subscribe(publisher, "--kind", "state", "--count", "1")

    assert result.exit_code == 0
    assert time.strftime("%Y-%m-%d") in result.stdout
    assert "front_door" in result.stdout
    assert "PushUps" in result.stdout


def test_silence_is_told_on_standard_error() -> None:
    result = CliRunner().invoke(main, ["subscribe", "tcp://127.0.0.1:1", "--timeout", "4"])

    assert result.exit_code == 0
    assert result.stdout == ""
    assert result.stderr == "waiting for a publisher\n"


@pytest.mark.parametrize("when", ["yesterday", "5x", ""])
def test_a_moment_that_is_none(publisher: Publisher, when: str) -> None:
    assert subscribe(publisher, "--since", when).exit_code == 2
