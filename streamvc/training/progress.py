"""Progress of long work, and bars that show it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

Advance = Callable[[str, int, int], None]  # what is being done, how much of it is done, how much there is


def silent(_what: str, _num_done: int, _num: int) -> None:
    """Show nothing."""


@contextmanager
def progress_bars(shown: bool) -> Iterator[Advance]:
    """A bar with the time left for each kind of work, on standard error; yields what to call as the work goes on."""
    if not shown:
        yield silent
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        tasks = {}

        def advance(what: str, num_done: int, num: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=num)
            progress.update(tasks[what], completed=num_done, total=num)

        yield advance
