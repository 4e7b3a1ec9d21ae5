"""Commands whose standard output is full, closed, left by its reader, or cannot show all signs."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from streamvc.events import Health
from streamvc.publish.cloudevents import decode
from streamvc.publish.log import EventLog
from tests.publish.samples import END, START, message

STREAMVC = (sys.executable, "-c", "from streamvc.cli import main; main()")


def watching(clip: Path, folder: Path, *arguments: str) -> list[str]:
    where = ("--publish", f"ipc://{folder}/feed", "--log", str(folder / "events.db"))
    told = ("--headless", "--no-pace", "--update-s", "0")
    return [*STREAMVC, "watch", str(clip), "--model", "figure", "--camera", "Büro 🙂", *told, *where, *arguments]


def phases(folder: Path) -> list[str]:
    with EventLog(folder / "events.db") as log:
        return [body.phase for _, each in log.read(0, 1000) if each.topic.kind == "event" and (body := decode(each.body))]  # type: ignore[union-attr]


def healths(folder: Path, camera: str) -> list[Health]:
    with EventLog(folder / "events.db") as log:
        bodies = [decode(each.body) for _, each in log.read(0, 1000) if (each.topic.kind, each.topic.camera) == ("health", camera)]
    return [body for body in bodies if isinstance(body, Health)]


def test_where_nothing_can_be_printed_all_is_recognised_and_published(demo_clip: Path, tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(watching(demo_clip, tmp_path), stdout=full, stderr=subprocess.PIPE, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "No space left on device" in done.stderr.splitlines()[-1]
    assert phases(tmp_path) == ["start", "end"] * 3
    (degraded,) = (health for health in healths(tmp_path, socket.gethostname()) if health.status == "degraded")
    assert "sink standard_output has failed" in str(degraded.detail)
    assert [health.status for health in healths(tmp_path, "Büro 🙂")][-1] == "ended"


@pytest.mark.slow
def test_signs_that_a_terminal_does_not_know_are_escaped(demo_clip: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    done = subprocess.run(watching(demo_clip, tmp_path), capture_output=True, timeout=120, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Büro \\U0001f642".encode("latin-1")) == 6


def test_one_whose_reader_leaves_ends_quietly_and_tells_all_ends(demo_clip: Path, tmp_path: Path) -> None:
    with subprocess.Popen(watching(demo_clip, tmp_path, "--pace"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(120) == 141
        assert process.stderr.read() == ""
    assert phases(tmp_path)[-1] == "end"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    with EventLog(tmp_path / "events.db") as log:
        for sequence in range(1, 5_001, 2):
            log.append(message(START, sequence, log.epoch), START)
            log.append(message(END, sequence + 1, log.epoch), END)
    return tmp_path / "events.db"


@pytest.mark.parametrize(
    ("form", "target", "code", "said"),
    [
        ("--json", ">/dev/full", 1, "cannot write to standard output: No space left on device"),
        ("--csv", ">/dev/full", 1, "cannot write to standard output: No space left on device"),
        ("--json", "| head -n 1 >/dev/null", 141, ""),
        ("--csv", "| head -n 1 >/dev/null", 141, ""),
        ("--csv", ">&-", 0, ""),
    ],
)
def test_commands_end_in_a_line_at_most(log: Path, form: str, target: str, code: int, said: str) -> None:
    script = f"set -o pipefail; {sys.executable} -c 'from streamvc.cli import main; main()' events --log {log} {form} {target}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr.removeprefix("Error: ").strip()) == (code, said)


PRINT = """
from streamvc.cli.output import Printer
from streamvc.errors import SinkError
import sys, time
printer, longest_s, num_problems = Printer(), 0.0, 0
for number in range(20_000):
    began = time.monotonic()
    try:
        printer.print(f"line {number}")
    except SinkError:
        num_problems += 1
    longest_s = max(longest_s, time.monotonic() - began)
    if number == 15_000:
        time.sleep(1.2)
print(longest_s, num_problems, file=sys.stderr, flush=True)
printer.close()
"""


def test_one_who_reads_late_holds_nothing_up_and_gets_all_lines() -> None:
    with subprocess.Popen([sys.executable, "-c", PRINT], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        longest_s, num_problems = map(float, process.stderr.readline().split())
        lines = process.stdout.read().splitlines()
    assert lines == [f"line {number}" for number in range(20_000)]
    assert longest_s < 1.0
    assert num_problems > 0


def test_one_who_never_reads_is_given_up_in_the_end() -> None:
    began = time.monotonic()
    with subprocess.Popen([sys.executable, "-c", PRINT], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.wait(60) == 1
        assert process.stderr is not None
        assert "lines were not printed: nobody reads standard output" in process.stderr.read()
    assert time.monotonic() - began < 60


def test_an_error_that_nobody_has_caught_shows_no_password() -> None:
    script = "import click, streamvc.cli as cli\n@cli.main.command()\ndef defect(): raise KeyError('rtsp://admin:24#Xy@host/x')\ncli.main(['defect'])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "KeyError" in done.stderr
    assert "rtsp://***@host/x" in done.stderr
    assert "24#Xy" not in done.stderr
