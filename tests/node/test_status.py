import io
import socket
from dataclasses import replace

import pytest
from rich.console import Console

from streamvc.errors import NodeError
from streamvc.node.status import Snapshot, fetch
from streamvc.node.table import duration, size, table
from streamvc.threads import Worker
from tests.node.statuses import GATE, SNAPSHOT, YARD, distribution


def shown(snapshot: Snapshot, width: int = 200, height: int | None = None) -> list[str]:
    """The lines of the table."""
    console = Console(file=io.StringIO(), width=width)
    console.print(table(snapshot, height))
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue().splitlines()


def test_a_status_comes_back_from_json_as_it_was() -> None:
    assert Snapshot.parse(SNAPSHOT.to_json()) == SNAPSHOT


def test_fields_of_later_versions_are_ignored() -> None:
    assert Snapshot.parse(b'{"added": 1, ' + SNAPSHOT.to_json()[1:]) == SNAPSHOT


@pytest.mark.parametrize("text", [b"", b"[]", b"<html>", b'{"site": "shop"}'])
def test_what_is_no_status_is_refused(text: bytes) -> None:
    with pytest.raises(NodeError, match="another program"):
        Snapshot.parse(text)


def test_that_no_node_answers_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(NodeError, match=rf"no node answers at 127.0.0.1:{port} \(Connection refused\)"):
        fetch(f"127.0.0.1:{port}")


def test_another_program_is_no_node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")  # a proxy is not asked
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            with server.accept()[0] as connection:
                connection.sendall(b"220 mail.example.org\r\n")
                connection.recv(1024)

        port = server.getsockname()[1]
        with Worker("greeting", greet, lambda: None), pytest.raises(NodeError, match=f"no node answers at 127.0.0.1:{port} .*is it running"):
            fetch(f"127.0.0.1:{port}")


def test_the_table_shows_each_camera_and_what_is_wrong() -> None:
    headline, _, yard, gate, footer = shown(SNAPSHOT)
    assert headline.startswith("shop/node-1  up  for 1 d 2 h")
    assert " ".join(yard.split()) == "yard running 1 h 1 min 640x360 h264 25.0 4.9/5.0 20% 10 1 52 MB fight"
    assert gate.split()[:2] == ["gate", "lost"]
    assert gate.endswith("the connection was refused")
    assert footer.startswith("1 of 2 cameras run  5 frames/s  latency 15 ms, 99 % 20 ms  17 events  202 MB")


def test_a_camera_where_nothing_goes_on_shows_what_comes_nearest() -> None:
    lines = shown(replace(SNAPSHOT, cameras=(replace(YARD, activities=()), replace(GATE, state="running")), latency={"total": distribution()}))
    assert lines[2].endswith("fight 0.91")
    assert "latency -, 99 % -" in lines[4]
    assert "beyond 2 s" in shown(replace(SNAPSHOT, latency={"total": distribution(5.0)}))[4]


def test_in_a_narrow_terminal_the_table_says_what_matters_most() -> None:
    lines = shown(SNAPSHOT, width=80)
    assert lines[1].split() == ["camera", "state", "for", "fps", "analysed", "dropped", "now"]
    assert "the connection was" in " ".join(lines)


def test_on_a_screen_that_is_too_low_cameras_where_nothing_goes_on_are_left_out_first() -> None:
    quiet = [replace(YARD, name=f"quiet {number}", activities=()) for number in range(40)]
    snapshot = replace(SNAPSHOT, cameras=(*quiet, YARD, replace(GATE, detail="the connection was refused, " * 9)))
    for width in (80, 200):
        lines = shown(snapshot, width, height=24)
        names = [line.split("  ")[0].rstrip() for line in lines]
        assert names[2:5] == ["yard", "gate", "quiet 0"]
        assert len(lines) == 24
        assert names[-2] == "and 22 more"
        assert lines[-1].startswith("41 of 42 cameras run")
    few = shown(replace(snapshot, cameras=snapshot.cameras[-2:]), 80, height=5)
    assert len(few) == 5
    assert few[-2].startswith("gate")


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (59.9, "59 s"), (200.0, "3 min 20 s"), (14400.0, "4 h 0 min"), (12 * 86400 + 3 * 3600, "12 d 3 h")]
)
def test_durations_are_short(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_sizes_are_short() -> None:
    assert [size(52_400_000), size(1_540_000_000)] == ["52 MB", "1.5 GB"]


def test_a_quantile_is_the_bound_that_holds_it() -> None:
    times = distribution(*[0.004] * 90, *[0.012] * 9, 7.0)
    assert [times.quantile(share) for share in (0.5, 0.9, 0.95, 0.99, 1.0)] == [0.005, 0.005, 0.015, 0.015, float("inf")]
    assert times.count == 100
    assert distribution().quantile(0.5) is None
