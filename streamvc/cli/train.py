"""`streamvc train`."""

import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from streamvc.cli import options

if TYPE_CHECKING:
    from streamvc.training.plan import Plan
    from streamvc.training.report import Report


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the new bundle; its last part is the bundle's name.")
@click.option("--background", metavar="LABEL", help="The label that stands for no activity.")
@click.option("--about", default="", metavar="TEXT", help="Where the data is from and under which licence, for the card.")
@click.option("--backbone", metavar="NAME", help="One of models/backbones.  [default: efficientnet-lite0-f16]")
@click.option("--rate-hz", type=click.FloatRange(0, min_open=True), help="Frames analysed per second.  [default: 5]")
@click.option("--window", type=click.IntRange(2), help="Frames that a prediction looks at.  [default: 16]")
@click.option("--mode", type=click.Choice(["window", "stateful"]), help="A sliding window, or a state that is carried on.  [default: window]")
@click.option("--folds", "num_folds", type=click.IntRange(2), help="Folds by group that the figures are made with.  [default: 5]")
@click.option("--seed", type=int, help="The same seed and data give the same model.  [default: 0]")
@click.option("--overwrite", is_flag=True, help="Replace the bundle that is there.")
@options.cache
@options.as_json
def train(data: Path, out: Path, overwrite: bool, cache: Path | None, as_json: bool, window: int | None, mode: str | None, **chosen: Any) -> None:
    """Teach streamvc the activities that the clips of DATA show.

    DATA is a folder per label, a CSV with the columns path, label and perhaps group, or a folder with a clips.csv. Clips of a group (the same person
    or place) are never on both sides of a split, so that the figures hold for people and places that were never seen. Needs the `train` extra.

    \b
    Examples:
      streamvc train my-clips --out models/mine
      streamvc train clips.csv --out models/mine --background nothing --overwrite
    """
    from streamvc.training.progress import bars
    from streamvc.training.train import train as train_model

    plan = _plan(chosen, {"window": window, "mode": mode})
    with bars(shown=sys.stderr.isatty()) as advance:
        report = train_model(data, out, plan, overwrite=overwrite, cache=cache, advance=advance)
    for skipped in report.extraction.skipped:
        click.echo(f"skipped: {skipped.reason}", err=True)
    click.echo(json.dumps(report.as_json()) if as_json else summary(report, out))


def _plan(chosen: dict[str, Any], head: dict[str, Any]) -> "Plan":
    """The default plan with what was chosen in its place."""
    from streamvc.training.plan import Plan

    plan = Plan(command=shlex.join(["streamvc", *sys.argv[1:]]))
    shape = replace(plan.head, **{name: value for name, value in head.items() if value is not None})
    shape = replace(shape, warm_up=min(shape.warm_up, shape.window))
    return replace(plan, head=shape, **{name: value for name, value in chosen.items() if value is not None})


def summary(report: "Report", out: Path) -> str:
    """What was made, and how good it is."""
    folds = len(report.folds)
    return "\n".join(
        (
            f"{out}: {', '.join(report.dataset.labels)}",
            f"clip_top1    {report.clip_top1}   mean and spread over {folds} folds by group",
            f"window_top1  {report.window_top1}",
            f"trained in {report.train_s:.0f} s on {len(report.extraction.clips)} clips of {report.dataset.num_groups} groups; "
            f"the exported head differs from Keras by {report.difference:.1g} at most",
            f"Next: streamvc models show {out}",
        )
    )
