"""A node as a program of its own: it is stopped by signals, and follows its file."""

import math
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from streamvc.events import Health
from streamvc.node.editing import add_camera, remove_camera
from streamvc.testing import Play, ScriptedCamera
from tests.node.nodes import PATIENCE_S, Ear, listening

PROGRAM = """
import sys
from pathlib import Path
from streamvc.node import logs
from streamvc.node.run import run
logs.configure("INFO", as_json=False)
run(Path(sys.argv[1]), lambda node: print(node.endpoint, flush=True))
"""

INSISTENT = PROGRAM.replace("logs.configure", "from streamvc.node import run as module; module.INSIST_S = 0.3; logs.configure")

SETTINGS = """
site: site
node: node
publish: tcp://127.0.0.1:*
log: null
http: null
defaults: {models: [figure]}
cameras:
"""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with ScriptedCamera([Play(math.inf)]) as camera:
        yield camera.url


def write(file: Path, *cameras: str) -> None:
    """As editors do: in two steps."""
    with file.open("w", encoding="utf-8") as output:
        output.write(SETTINGS)
        output.flush()
        output.write("\n".join(f"  - {camera}" for camera in cameras) + "\n")


@contextmanager
def program(file: Path, text: str = PROGRAM) -> Iterator[tuple["subprocess.Popen[str]", Ear]]:
    """A node that runs, and what it says."""
    command = [sys.executable, "-c", text, str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            with listening(process.stdout.readline().strip()) as ear:
                yield process, ear
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_stops_when_it_is_told_to(tmp_path: Path, url: str, number: signal.Signals) -> None:
    file = tmp_path / "node.yaml"
    write(file, f"{{name: yard, source: '{url}'}}")
    with program(file) as (process, ear):
        ear.health("yard", "up")
        process.send_signal(number)
        _, log = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, log
        assert ear.health("yard", "ended").reason == "stop"
    assert "stopping" in log


def test_a_second_signal_that_comes_at_once_changes_nothing(tmp_path: Path, url: str) -> None:
    file = tmp_path / "node.yaml"
    write(file, f"{{name: yard, source: '{url}'}}")
    with program(file) as (process, ear):
        ear.health("yard", "up")
        process.send_signal(signal.SIGINT)
        assert process.stderr
        assert any("stopping" in line for line in process.stderr)
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, log
        assert ear.health("yard", "ended").reason == "stop"


def test_one_that_comes_later_ends_a_stop_that_takes_too_long(tmp_path: Path, url: str) -> None:
    file = tmp_path / "node.yaml"
    with socket.create_server(("127.0.0.1", 0)) as server:  # never answers: the stop waits for what it is to be told
        write(file, f"{{name: yard, source: '{url}'}}")
        sink = "http://{}:{}/".format(*server.getsockname())
        file.write_text(f"sinks: ['{sink}']\n{file.read_text()}")
        with program(file, INSISTENT) as (process, ear):
            ear.health("yard", "up")
            process.send_signal(signal.SIGTERM)
            deadline = time.monotonic() + PATIENCE_S
            while process.poll() is None and time.monotonic() < deadline:
                process.send_signal(signal.SIGTERM)
                time.sleep(0.1)
    assert process.returncode == -signal.SIGTERM


@pytest.mark.slow
def test_it_follows_its_file_and_goes_on_where_that_cannot_be_used(tmp_path: Path, url: str) -> None:
    file = tmp_path / "node.yaml"
    yard, gate = (f"{{name: {name}, source: '{url}'}}" for name in ("yard", "gate"))
    write(file, yard)
    with program(file) as (process, ear):
        ear.health("yard", "up")
        write(file, yard, gate)
        ear.health("gate", "up")
        write(file, yard, "{name: gate, sauce: 0}")
        process.send_signal(signal.SIGHUP)
        assert process.stderr
        log = next(line for line in process.stderr if "cannot be used" in line)
        write(file, yard)
        assert ear.health("gate", "ended").reason == "stop"
        hall = add_camera(file, "hall", url)
        ear.health("hall", "up")
        remove_camera(file, "hall")
        assert ear.health("hall", "ended").reason == "stop"
        assert not hall.exists()
        hall.symlink_to("nowhere")
        log += next(line for line in process.stderr if "cannot be used" in line)
        hall.unlink()
        hall.with_name("back.yaml").write_text(f"source: {url}\n")
        ear.health("back", "up")
        process.terminate()
        process.communicate(timeout=PATIENCE_S)
    assert "sauce" in log
    assert "hall.yaml: cannot be read" in log
    assert {body.status for body in ear.heard if isinstance(body, Health) and body.camera == "yard"} <= {"up", "ended"}
