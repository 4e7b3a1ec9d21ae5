"""`streamvc watch` as a process: signals, displays, a subscriber in another process."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from streamvc.cli import main
from streamvc.events import Event, Health
from streamvc.publish.cloudevents import decode
from streamvc.publish.log import EventLog
from streamvc.publish.publisher import Publisher
from streamvc.publish.subscriber import Subscriber

STREAMVC = (sys.executable, "-c", "from streamvc.cli import main; main()")
JOIN_S = "20"


@contextmanager
def paced_watch(clip: Path, endpoint: str, *options: str) -> Iterator["subprocess.Popen[str]"]:
    """Plays the clip at its own speed, and begins when a subscriber is there."""
    command = [*STREAMVC, "watch", str(clip), "--model", "figure", "--camera", "cam", "--pace", "--headless"]
    command += ["--publish", endpoint, "--log", str(log_of(endpoint)), *options, "--wait-for-subscriber", JOIN_S]
    command += ["--enter", "0", "--leave", "0", "--min-s", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def endpoint(tmp_path: Path) -> str:
    return f"ipc://{tmp_path}/events"


def log_of(endpoint: str) -> Path:
    return Path(endpoint.removeprefix("ipc://") + ".db")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_cleanly_and_ends_what_runs(demo_clip: Path, endpoint: str, number: signal.Signals, tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    with paced_watch(demo_clip, endpoint, "--sink", f"file:{file}") as process, Subscriber(endpoint, timeout_s=20.0) as subscriber:
        heard = [next(iter(subscriber))]
        process.send_signal(number)
        for event in subscriber:
            heard.append(event)
            if sum(event.phase == "end" for event in heard) == sum(event.phase == "start" for event in heard):
                break
        assert process.wait(timeout=10) == 0
        printed, said = process.communicate()
    with EventLog(log_of(endpoint)) as log:
        logged = [decode(message.body) for _, message in log.read(0, 10_000)]
    assert [body for body in logged if isinstance(body, Event)] == heard
    assert [decode(line) for line in file.read_bytes().splitlines()] == heard
    assert [body.status for body in logged if isinstance(body, Health)][-1] == "ended"
    assert {event.reason for event in heard if event.phase == "end"} == {"stop"}
    assert [event.seq for event in heard] == list(range(1, len(heard) + 1))
    assert len(printed.splitlines()) == len(heard)
    assert " frames in " in said
    assert "Traceback" not in said


def test_what_a_killed_watch_has_begun_is_ended_by_the_next_publisher(demo_clip: Path, endpoint: str) -> None:
    with paced_watch(demo_clip, endpoint) as process, Subscriber(endpoint, timeout_s=20.0) as subscriber:
        heard = [next(iter(subscriber))]
        process.kill()
        process.communicate()
    with Publisher(endpoint, log=log_of(endpoint)) as publisher:
        events = [body for body in (decode(message.body) for _, message in publisher.log.read(0, 10_000)) if isinstance(body, Event)]
    assert events[0] == heard[0]
    assert sorted(event.event_id for event in events if event.phase == "end") == sorted(event.event_id for event in events if event.phase == "start")
    assert {event.reason for event in events if event.epoch == publisher.epoch} == {"restart"}


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--publish", "tcp://*:7788"], 1, "other machines could read the events"),
        (["--no-publish", "--sink", "-"], 2, "--sink delivers what is published"),
    ],
)
def test_what_makes_no_sense_is_refused(demo_clip: Path, options: list[str], code: int, said: str) -> None:
    result = CliRunner().invoke(main, ["watch", str(demo_clip), "--model", "figure", "--headless", "--no-log", *options])
    assert result.exit_code == code
    assert said in result.output


def test_without_a_display_it_says_so_and_goes_on(demo_clip: Path, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    command = [*STREAMVC, "watch", str(demo_clip), "--model", "figure", "--no-publish", "--no-pace"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "no display was found" in done.stderr
    assert "start" in done.stdout


@pytest.mark.slow
def test_the_demo_shows_itself(tmp_path: Path) -> None:
    done = subprocess.run([*STREAMVC, "demo", "--out", str(tmp_path / "out")], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "annotated.mp4").stat().st_size > 100_000
    assert (tmp_path / "out" / "annotated.png").stat().st_size > 10_000
    events = [line.split() for line in done.stdout.splitlines() if " demo  " in line]
    assert [words[3] for words in events] == ["start", "end"] * (len(events) // 2)
    assert f"{len(events)} events sent, {len(events)} received" in done.stdout


@pytest.mark.parametrize("name", ["aborts_opencv.avi", "corrupted.mp4"])
def test_a_video_that_takes_other_programs_down_does_not_take_this_one(shared_data: Path, name: str) -> None:
    command = [*STREAMVC, "watch", str(shared_data / "broken" / name), "--model", "figure", "--no-publish", "--headless"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode in (0, 1)
    assert "Traceback" not in done.stderr
    assert done.stderr.strip()
