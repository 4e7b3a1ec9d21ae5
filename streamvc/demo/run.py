"""Runs the demo."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from streamvc.app import Options, run
from streamvc.capture.source import open_source
from streamvc.demo import CLIP, MODEL
from streamvc.errors import StreamvcError
from streamvc.events import Event
from streamvc.live import camera_configs
from streamvc.view.video import write_still

JOIN_S = 30.0  # for the subscriber's process to come up
SUBSCRIBE = (sys.executable, "-c", "from streamvc.cli import main; main()", "subscribe")


@dataclass(frozen=True, slots=True)
class DemoResult:
    """The files that the demo made, and the lines that it printed."""

    num_sent: int
    num_received: int
    video: Path
    still: Path


def run_demo(out: Path, endpoint: str, say: Callable[[str], None]) -> DemoResult:
    """Watch the clip at its own speed, print what a subscriber in another process receives, and write an annotated video and a still.

    Args:
        out: Folder for the two files; made if it is not there.
        endpoint: Where to publish.
        say: Is called with each line that the subscriber prints.

    Raises:
        StreamvcError: The endpoint is taken, or a file cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StreamvcError(f"{out}: cannot be made: {error.strerror}") from error
    video, still = out / "annotated.mp4", out / "annotated.png"
    events: list[Event] = []
    cameras = tuple(camera_configs([CLIP], [MODEL], camera="demo"))
    options = Options(cameras, publish=endpoint, wait_s=JOIN_S, update_s=0.0, save=video, headless=True, pace=True)
    with _subscriber(endpoint) as process:
        run(options, events.append)
        num_received = sum(1 for _ in _lines(process, len(events), say))
    _write_still(video, still, events)
    return DemoResult(len(events), num_received, video, still)


@contextmanager
def _subscriber(endpoint: str) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen([*SUBSCRIBE, endpoint, "--timeout", str(JOIN_S)], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()


def _lines(process: "subprocess.Popen[str]", num_lines: int, say: Callable[[str], None]) -> Iterator[str]:
    """As many lines as events were sent; fewer if the subscriber gives up first."""
    assert process.stdout is not None
    for _, line in zip(range(num_lines), process.stdout, strict=False):  # in this order, or one line too many is waited for
        say(line.rstrip())
        yield line


def _write_still(video: Path, still: Path, events: list[Event]) -> None:
    """The picture in the middle of the longest activity."""
    ends = [event for event in events if event.phase == "end"]
    if not ends:
        raise StreamvcError("nothing was recognised in the demo's clip; check the model with: streamvc models check figure")
    longest = max(ends, key=lambda event: event.duration_s or 0.0)
    moment = longest.stream_start_s + (longest.duration_s or 0.0) / 2
    with open_source(video, policy="every") as source:
        write_still(still, next(frame.image for frame in source if frame.timestamp >= moment))
