"""`streamvc data`."""

import json
import sys
from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

from streamvc.cli import options
from streamvc.text import printable

if TYPE_CHECKING:
    from streamvc.training.check import DatasetCheck
    from streamvc.training.check.problems import DatasetProblem
    from streamvc.training.check.survey import DatasetSurvey

NUM_ITEMS = 5  # of a problem that are printed
GROUPED_BY = {
    "column": "named by the data",
    "pattern": "by --group",
    "name": "by file names (_g08_)",
    "folder": "by folders (subject1/)",
    "file": "each video by itself",
}


@click.group()
def data() -> None:
    """Look at data sets before training on them.

    \b
    Examples:
      streamvc data check my-clips
    """


@data.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--sheet", type=click.Path(dir_okay=False, path_type=Path), help="Write a contact sheet there: pictures of some clips of each label.")
@click.option("--group", metavar="PATTERN", help="Regular expression that finds a clip's group in its path.")
@options.as_json
def check(data: Path, sheet: Path | None, group: str | None, as_json: bool) -> None:
    """Open every video of DATA; print what there is, and what would spoil a training or its figures.

    DATA is laid out as `streamvc train` takes it: a folder per label, a CSV, UCF101's lists, segments of untrimmed video; see docs/data.md. Exit
    code 1 if nothing can be trained on it as it is.

    \b
    Examples:
      streamvc data check my-clips
      streamvc data check my-clips --sheet sheet.png --group 'person\\d+'
    """
    from streamvc.training.check import check_dataset, write_sheet
    from streamvc.training.dataset import load_dataset
    from streamvc.training.preparation import check_file
    from streamvc.training.progress import progress_bars
    from streamvc.view.video import STILL_SUFFIXES

    if sheet:
        check_file(sheet, STILL_SUFFIXES)
    dataset = load_dataset(data, group)
    with progress_bars(shown=sys.stderr.isatty()) as advance:
        found = check_dataset(dataset, advance=advance)
    click.echo(json.dumps(found.as_json()) if as_json else printable(table(found), lines=True))
    if sheet:
        write_sheet(sheet, found.survey)
    if not found.is_usable:
        sys.exit(1)


def table(found: "DatasetCheck") -> str:
    """What was found, for people."""
    blocks = (_labels(found.survey), _form(found.survey), "\n".join(map(_problem, found.problems)) or "no problems")
    return "\n\n".join(blocks)


def _labels(survey: "DatasetSurvey") -> str:
    """A row per label, and one for all."""
    rows = survey.labels
    has_split = any(counts.num_train or counts.num_test for counts in rows.values())
    width = max(map(len, [*rows, "together"]))
    lines = [f"{'label':{width}}  clips  groups  seconds{'  train   test' if has_split else ''}"]
    for label, counts in rows.items():
        split = f"  {counts.num_train:5}  {counts.num_test:5}" if has_split else ""
        lines.append(f"{label:{width}}  {counts.num_clips:5}  {counts.num_groups:6}  {counts.seconds:7.0f}{split}")
    seconds = sum(survey.lengths_s.values())
    lines.append(f"{'together':{width}}  {len(survey.lengths_s):5}  {survey.num_groups:6}  {seconds:7.0f}")
    return "\n".join(lines)


def _form(survey: "DatasetSurvey") -> str:
    """How long the clips are, in which form the videos, and what was passed over."""
    lengths = survey.lengths
    rows = [
        ("groups", GROUPED_BY[survey.dataset.grouping]),
        ("lengths", f"{lengths.min:.1f} to {lengths.max:.1f} s, median {lengths.median:.1f} s" if lengths else "none"),
        ("frames/s", _counted(survey.rates)),
        ("sizes", _counted(survey.sizes)),
        ("codecs", _counted(survey.codecs)),
        ("background", survey.dataset.background or ("none" if survey.dataset.untrimmed else "")),
    ]
    for is_system, kinds in groupby(survey.dataset.ignored, lambda ignored: ignored.is_system):
        rows.append(("left by systems" if is_system else "passed over", ", ".join(f"{kind.num} {kind.what}" for kind in kinds)))
    return "\n".join(f"{name:15}  {text}" for name, text in rows if text)


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{value} ({num})" for value, num in counts.items()) or "none"


def _problem(problem: "DatasetProblem") -> str:
    more = len(problem.items) - NUM_ITEMS
    lines = [f"{'error' if problem.is_fatal else 'warning'}: {problem.text}", *(f"  {item}" for item in problem.items[:NUM_ITEMS])]
    return "\n".join([*lines, *([f"  and {more} more; --json names all"] if more > 0 else [])])
