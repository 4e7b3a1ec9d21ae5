"""`streamvc watch` with sinks, as a process."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from streamvc.cli import main
from tests.sinks.test_webhook import Receiver

STREAMVC = (sys.executable, "-c", "from streamvc.cli import main; main()")


def watch(clip: Path, *arguments: str) -> list[str]:
    return ["watch", str(clip), "--model", "figure", "--headless", "--no-pace", "--update-s", "0", "--no-log", *arguments]


def test_all_sinks_get_all_events_before_it_ends(demo_clip: Path, tmp_path: Path) -> None:
    receiver = Receiver()
    with receiver.on() as address:
        sinks = ["--sink", f"file:{tmp_path}/events.jsonl", "--sink", address, "--sink", f"file:{tmp_path}/all.jsonl?kinds=event,state,health"]
        done = subprocess.run(
            [*STREAMVC, *watch(demo_clip, "--publish", f"ipc://{tmp_path}/feed", *sinks)], capture_output=True, text=True, timeout=120
        )
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "events.jsonl").read_bytes().splitlines()
    assert receiver.bodies == lines
    assert len(lines) == len(done.stdout.splitlines()) > 0
    types = {json.loads(line)["type"] for line in (tmp_path / "all.jsonl").read_bytes().splitlines()}
    assert types >= {"dev.streamvc.activity.end.v2", "dev.streamvc.camera.state.v2", "dev.streamvc.camera.health.v1"}


@pytest.mark.parametrize(
    ("sink", "word"), [("gopher://host", "gopher"), ("mqtt://user:secret@host", "password_file"), ("@/no/such/file", "/no/such/file")]
)
def test_a_wrong_sink_is_one_clear_line(demo_clip: Path, tmp_path: Path, sink: str, word: str) -> None:
    result = CliRunner().invoke(main, watch(demo_clip, "--publish", f"ipc://{tmp_path}/feed", "--sink", sink))
    assert result.exit_code == 1
    assert len(result.stderr.strip().splitlines()) == 1
    assert word in result.stderr
    assert "secret@" not in result.stderr
