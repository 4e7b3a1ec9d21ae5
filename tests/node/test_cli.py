"""`streamvc node`: a node as a process, and the commands that look at it and change it."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from prometheus_client import CollectorRegistry

from streamvc.cli import main
from streamvc.node.config import read_config
from streamvc.node.status import CameraStatus, Snapshot
from streamvc.node.web import Web
from tests.node.statuses import SNAPSHOT

STREAMVC = (sys.executable, "-c", "from streamvc.cli import main; main()")
PATIENCE_S = 60.0


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["node", *map(str, arguments)])


@pytest.fixture
def file(tmp_path: Path, demo_clip: Path) -> Path:
    """A configuration of one camera."""
    path = tmp_path / "node.yaml"
    path.write_text(
        f"publish: ipc://{tmp_path}/events\nlog: events.db\nhttp: 127.0.0.1:0\n"
        f"defaults: {{models: [figure], loop: true}}\ncameras:\n  - name: one\n    source: {demo_clip}\n"
    )
    return path


@contextmanager
def running(file: Path) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """The node, and where it answers."""
    with subprocess.Popen([*STREAMVC, "node", "--log-json", str(file)], stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr
            said = next(line for line in process.stderr if "status on" in line)
            yield process, json.loads(said)["message"].rpartition(" ")[2]
        finally:
            process.kill()


def wait_for(address: str, wanted: Callable[[dict[str, CameraStatus]], bool]) -> dict[str, CameraStatus]:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        cameras = {camera.name: camera for camera in Snapshot.parse(run("status", address, "--json").stdout).cameras}
        if wanted(cameras):
            return cameras
    raise AssertionError(f"still not so: {cameras}")


def test_cameras_are_watched_added_and_removed_and_a_signal_stops_it_cleanly(file: Path, demo_clip: Path) -> None:
    with running(file) as (process, address):
        before = wait_for(address, lambda cameras: cameras["one"].analysed > 0)
        assert run("add", file, "two", demo_clip).exit_code == 0
        wait_for(address, lambda cameras: "two" in cameras and cameras["two"].state == "running")
        assert run("set", file, "two", "enabled=false").exit_code == 0
        process.send_signal(signal.SIGHUP)
        after = wait_for(address, lambda cameras: cameras["two"].state == "disabled")
        assert after["one"].connections == before["one"].connections
        assert after["one"].analysed > before["one"].analysed
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
        assert process.stderr
        assert "Traceback" not in process.stderr.read()


def test_what_cannot_be_used_is_told_in_lines(file: Path) -> None:
    file.write_text("sites: shop\ncameras: [{name: a, source: 0}]\n")
    result = run(file)
    assert result.exit_code == 1
    assert result.stderr.replace(f"{file}", "node.yaml") == (
        "Error: node.yaml:1: sites: unknown key; did you mean site?\nnode.yaml:2: cameras[0].models: is missing\n"
    )
    assert run("run", file).stderr == run("check", file).stderr == result.stderr


def test_a_command_is_not_taken_for_a_file() -> None:
    for arguments in (["stauts"], ["stauts", "node.yaml"], ["stauts", "--json"]):
        result = run(*arguments)
        assert result.exit_code == 2
        assert "did you mean `streamvc node status`?" in result.stderr
    assert "cannot be read" in run("nothing.yaml").stderr


def test_what_was_found_is_told_in_lines_or_json(file: Path) -> None:
    good = run("check", file)
    assert good.exit_code == 0, good.output
    assert [line.partition(":")[0] for line in good.stdout.splitlines()][:2] == ["camera one", "model figure"]
    assert "640x480, 25 fps, h264, a picture after" in good.stdout
    assert run("set", file, "one", "source=none.mp4").exit_code == 0
    assert "1 of 1 cameras cannot be read" in run("check", file).stdout
    assert run("add", file, "two", "none.mp4", "-m", "figure").exit_code == 0
    assert "2 of 2 cameras cannot be read" in run("check", file).stdout
    assert run("remove", file, "two").exit_code == 0
    bad = run("check", file, "--json")
    assert bad.exit_code == 1
    findings: dict[str, Any] = json.loads(bad.stdout)
    assert "no such file" in findings["cameras"][0]["problem"]
    assert findings["models"][0]["problem"] is None


def test_the_file_is_edited(file: Path) -> None:
    own = file.parent / "cameras.d" / "two.yaml"
    assert run("add", file, "two", "rtsp://${U}:${P}@h/x", "--model", "fall", "-m", "figure").stdout == f"camera two added in {own}\n"
    assert run("set", file, "two", "rate_hz=4", "thresholds.enter=0.8", "loop=").stdout == (
        f"camera two changed in {own}\n  rate_hz: not set -> 4\n  thresholds.enter: not set -> 0.8\n"
    )
    assert run("remove", file, "one").stdout == f"camera one removed from {file}\n"
    (camera,) = read_config(file, {"U": "u", "P": "p"}).cameras
    assert (camera.name, camera.rate_hz, camera.thresholds.enter) == ("two", 4.0, 0.8)
    assert [use.name for use in camera.models] == ["fall", "figure"]


def test_what_a_change_did_is_told_key_by_key_and_without_passwords(file: Path) -> None:
    def lines(*changes: str) -> list[str]:
        first, *rest = run("set", file, "one", *changes).stdout.splitlines()
        assert first.startswith("camera one ")
        return [line.strip() for line in rest]

    assert lines("rate_hz=4", "loop=false") == ["rate_hz: not set -> 4", "loop: not set (default true) -> false"]
    assert lines("rate_hz=5", "loop=", "thresholds.enter=0.8") == [
        "rate_hz: 4 -> 5",
        "loop: false -> not set (default true)",
        "thresholds.enter: not set -> 0.8",
    ]
    assert lines("schedule=[mon-fri 18:00-08:00]", "enabled=false") == [
        'schedule: not set -> ["mon-fri 18:00-08:00"]',
        "enabled: not set -> false",
    ]
    told = "\n".join(lines("source=rtsp://root:secret@192.0.2.7/stream"))
    assert told.endswith("figure.mp4 -> rtsp://***@192.0.2.7/stream")
    assert lines("source=rtsp://root:hidden@192.0.2.7/stream") == [
        "source: rtsp://***@192.0.2.7/stream -> rtsp://***@192.0.2.7/stream (another login)"
    ]
    assert run("set", file, "one", "rate_hz=5").stdout == f"camera one is so already in {file}\n"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["add", "{}", "one", "0"], 1, "one was named before"),
        (["remove", "{}", "onr"], 1, "did you mean one?"),
        (["set", "{}", "one", "rate_hz"], 2, "KEY=VALUE"),
        (["set", "{}", "one", "rate=4"], 1, "did you mean rate_hz?"),
        (["set", "{}", "one"], 2, "Missing argument"),
        (["status", "{}"], 1, "no node answers"),
        (["status", "none.yaml"], 1, "there is no file none.yaml"),
    ],
)
def test_what_cannot_be_done_is_told(file: Path, arguments: list[str], code: int, words: str) -> None:
    before = file.read_text()
    result = run(*(argument.format(file) for argument in arguments))
    assert (result.exit_code, file.read_text()) == (code, before)
    assert words in result.stderr


def test_the_status_is_a_table_or_json_of_the_node_that_a_file_names(file: Path) -> None:
    with closing(Web("127.0.0.1:0", lambda: SNAPSHOT, lambda: None, CollectorRegistry())) as web:
        file.write_text(file.read_text().replace("http: 127.0.0.1:0", f"http: {web.address}").replace("loop:", "lop:"))
        table = run("status", file)
        assert Snapshot.parse(run("status", web.address, "--json").stdout) == SNAPSHOT
    assert table.exit_code == 0, table.output
    assert all(line == line.rstrip() for line in table.stdout.splitlines())
    assert all(words in table.stdout for words in ("shop/node-1", "yard", "gate", "running"))
    file.write_text("http: null\n")
    assert "answers nowhere" in run("status", file).stderr
