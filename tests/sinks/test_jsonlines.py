import json
import resource
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from streamvc.errors import SinkError
from streamvc.sinks.jsonlines import JsonLinesFile
from tests.sinks.messages import EVENTS

BODIES = [message.body for message in EVENTS]


def lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines()


def test_each_message_is_a_line_in_a_file_of_ones_own(tmp_path: Path) -> None:
    sink = JsonLinesFile(tmp_path / "events.jsonl")
    sink.deliver(EVENTS[:2])
    sink.deliver(EVENTS[2:])
    assert lines(tmp_path / "events.jsonl") == BODIES
    assert stat.S_IMODE((tmp_path / "events.jsonl").stat().st_mode) == 0o600


def test_the_file_may_be_moved_away_or_cut_off_at_any_time(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    sink = JsonLinesFile(path)
    sink.deliver(EVENTS[:1])
    path.rename(tmp_path / "events.jsonl.1")
    sink.deliver(EVENTS[1:2])
    assert (lines(tmp_path / "events.jsonl.1"), lines(path)) == (BODIES[:1], BODIES[1:2])
    path.write_bytes(b"")
    sink.deliver(EVENTS[2:])
    assert lines(path) == BODIES[2:]


def test_of_a_batch_that_does_not_fit_no_part_is_written(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    sink = JsonLinesFile(path)
    sink.deliver(EVENTS[:1])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(BODIES[0]) + 100, hard))
    try:
        with pytest.raises(SinkError, match=r"cannot write to .*events\.jsonl"):
            sink.deliver(EVENTS[1:])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert lines(path) == BODIES[:1]
    sink.deliver(EVENTS[1:])
    assert lines(path) == BODIES


def test_a_folder_that_has_gone_is_said(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    sink = JsonLinesFile(tmp_path / "folder" / "events.jsonl")
    (tmp_path / "folder").rmdir()
    with pytest.raises(SinkError, match="No such file or directory"):
        sink.deliver(EVENTS)


STANDARD_OUTPUT = """
import sys
from streamvc.errors import SinkError
from streamvc.sinks.jsonlines import StandardOutput
from tests.sinks.messages import EVENTS
sink = StandardOutput(timeout_s=0.2)
batch = EVENTS * 100
while True:
    try:
        sink.deliver(batch)
        break
    except SinkError as error:
        print(error, file=sys.stderr, flush=True)
"""


def test_standard_output_gets_each_line_once_however_slowly_it_is_read() -> None:
    with subprocess.Popen([sys.executable, "-c", STANDARD_OUTPUT], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stderr.readline() == b"nobody reads standard output\n"  # the pipe is full
        written, _ = process.communicate(timeout=60)
    assert len(written.splitlines()) == 300
    assert {json.loads(line)["id"] for line in written.splitlines()} == {json.loads(body)["id"] for body in BODIES}


def test_a_reader_that_has_left_is_said() -> None:
    command = [sys.executable, "-c", STANDARD_OUTPUT.replace("while True", "for _ in range(2)")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == 2 * b"cannot write to standard output: Broken pipe\n"
