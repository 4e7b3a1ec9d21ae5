"""Progress bars on standard error; nothing where it is not a terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamvc.live import Watch
    from streamvc.node.worker import Step


@contextmanager
def frame_progress(shown: bool) -> Iterator[Callable[["Step", "Watch"], None]]:
    """A bar over the frames of a watch; yields what to call with each step."""
    if not shown:
        yield lambda _step, _watch: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("frames"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("watching", total=None)

        def advance(step: "Step", watch: "Watch") -> None:
            if step.frame is not None:
                progress.update(task, completed=step.frame.index + 1, total=watch.num_frames)

        yield advance
