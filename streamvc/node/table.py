"""A node's status as a table in the terminal."""

from collections.abc import Sequence

from rich.console import Console, ConsoleOptions, JustifyMethod, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from streamvc.node.status import CameraStatus, Snapshot

STYLES = {
    "running": "green",
    "up": "green",
    "connecting": "cyan",
    "starting": "cyan",
    "stalled": "yellow",
    "frozen": "yellow",
    "degraded": "yellow",
    "lost": "bold red",
    "disabled": "dim",
}
COLUMNS = ("camera", "state", "for", "picture", "fps", "analysed", "still", "dropped", "gaps", "memory", "now")
LEFT = ("camera", "state", "picture", "now")  # the others are numbers
WIDE = ("picture", "still", "gaps", "memory")  # shown where there is room for them
WIDE_WIDTH = 110  # columns of such a terminal


def table(snapshot: Snapshot, height: int | None = None) -> RenderableType:
    """What a person wants to see of a node: its cameras in rows, as wide as the terminal is, and in no more lines than `height`."""
    return _Table(snapshot, height)


class _Table:
    def __init__(self, snapshot: Snapshot, height: int | None) -> None:
        self._snapshot = snapshot
        self._height = height

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        def height(part: RenderableType) -> int:
            return len(console.render_lines(part, options))

        cameras: Sequence[CameraStatus] = self._snapshot.cameras
        is_wide = options.max_width >= WIDE_WIDTH
        head, foot = _headline(self._snapshot), _footer(self._snapshot)
        rows = _rows(cameras, is_wide=is_wide)
        if self._height and height(rows) > (room := self._height - height(head) - height(foot)):
            if len(cameras) > room - 1:  # the header takes one line, and so does what is said here
                cameras = sorted(cameras, key=_is_quiet)[: max(0, room - 2)]
                foot = Text.assemble((f"and {len(self._snapshot.cameras) - len(cameras)} more\n", "bold"), foot)
            rows = _rows(cameras, is_wide=is_wide, in_one_line=True)
        yield head
        yield rows
        yield foot


def _rows(cameras: Sequence[CameraStatus], *, is_wide: bool, in_one_line: bool = False) -> Table:
    rows = Table(box=None, pad_edge=False, header_style="bold", expand=in_one_line)
    for column in COLUMNS:
        if is_wide or column not in WIDE:
            justify: JustifyMethod = "left" if column in LEFT else "right"
            is_last = column == "now"
            rows.add_column(column, justify=justify, no_wrap=in_one_line or not is_last, ratio=1 if is_last else None)
    for camera in cameras:
        cells = _cells(camera)
        rows.add_row(*(cells[str(column.header)] for column in rows.columns))
    return rows


def _is_quiet(camera: CameraStatus) -> bool:
    """Whether nothing goes on there, and nothing is wrong."""
    return not camera.activities and camera.state in ("running", "disabled")


def _headline(snapshot: Snapshot) -> Text:
    line = Text(f"{snapshot.site}/{snapshot.node}  ", style="bold")
    line.append(snapshot.state, style=STYLES[snapshot.state])
    line.append(f"  for {duration(snapshot.uptime_s)}  {snapshot.detail or ''}", style="not bold")
    return line


def _footer(snapshot: Snapshot) -> Text:
    total = snapshot.latency["total"]
    memory = snapshot.resources.memory_bytes + sum(camera.memory_bytes or 0 for camera in snapshot.cameras)
    running = sum(camera.state == "running" for camera in snapshot.cameras)
    words = [
        f"{running} of {len(snapshot.cameras)} cameras run",
        f"{sum(camera.rate_hz for camera in snapshot.cameras):.0f} frames/s",
        f"latency {_milliseconds(total.quantile(0.5))}, 99 % {_milliseconds(total.quantile(0.99))}",
        f"{snapshot.events} events",
        size(memory),
    ]
    return Text("  ".join(words), style="dim")


def _cells(camera: CameraStatus) -> dict[str, str | Text]:
    """What stands in each column."""
    picture = "{}x{} ".format(*camera.size) if camera.size else ""
    runs = camera.state == "running"
    dropped = sum(camera.dropped.values())
    due = camera.analysed + camera.still + dropped
    return {
        "camera": camera.name,
        "state": Text(camera.state, style=STYLES.get(camera.state, "")),
        "for": duration(camera.state_s),
        "picture": picture + (camera.codec or ""),
        "fps": f"{camera.fps_in:.1f}" if runs else "-",
        "analysed": f"{camera.rate_hz:.1f}/{camera.due_hz:.1f}" if runs else "-",
        "still": f"{camera.still / due:.0%}" if due else "-",
        "dropped": str(dropped),
        "gaps": str(camera.gaps),
        "memory": size(camera.memory_bytes) if camera.memory_bytes else "-",
        "now": _now(camera),
    }


def _now(camera: CameraStatus) -> Text:
    """What goes on; else what is wrong; else what comes nearest."""
    if camera.activities:
        return Text(", ".join(camera.activities), style="bold")
    if camera.state != "running":
        return Text(camera.detail or "", style=STYLES.get(camera.state, ""))
    return Text("{} {:.2f}".format(*camera.top[0]) if camera.top else "", style="dim")


def duration(seconds: float) -> str:
    """In two units at most: `5 s`, `3 min 20 s`, `4 h 0 min`, `12 d 3 h`."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def size(num_bytes: int) -> str:
    """In MB, of a million bytes, or GB."""
    return f"{num_bytes / 1e9:.1f} GB" if num_bytes >= 1e9 else f"{num_bytes / 1e6:.0f} MB"


def _milliseconds(duration_s: float | None) -> str:
    if duration_s is None:
        return "-"
    return "beyond 2 s" if duration_s == float("inf") else f"{1000 * duration_s:.0f} ms"
