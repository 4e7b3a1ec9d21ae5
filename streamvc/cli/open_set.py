"""`streamvc open-set`."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from streamvc.cli import options

if TYPE_CHECKING:
    from streamvc.training.open_set import OpenSet


@click.command("open-set")
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--recipe", default="gru", show_default=True, metavar="NAME", shell_complete=options.complete_recipe, help="See `streamvc recipes`.")
@click.option("--backbone", metavar="NAME", help="See `streamvc backbones`.  [default: the recipe's]")
@click.option("--set", "changes", multiple=True, metavar="NAME=VALUE", help="Any setting of the recipe; see `streamvc recipes NAME`.")
@click.option("--background", metavar="LABEL", help="The label that stands for no activity.  [default: the data's own, or nothing]")
@click.option("--nothing", multiple=True, type=click.Path(path_type=Path), metavar="PATH", help="Videos of none of it: a data set, a folder, a file.")
@click.option("--false-per-hour", type=click.FloatRange(0), help="False events in --nothing that the thresholds may let pass.  [default: 1]")
@click.option("--rounds", "num_rounds", type=click.IntRange(1), default=5, show_default=True, help="Into how many rounds the labels are dealt.")
@click.option("--folds", "num_folds", type=click.IntRange(2), default=5, show_default=True, help="Folds by group in each round.")
@click.option("--seed", type=int, default=0, show_default=True, help="For the folds and the training.")
@options.cache
@options.as_json
def open_set(
    data: Path,
    recipe: str,
    backbone: str | None,
    changes: tuple[str, ...],
    background: str | None,
    nothing: tuple[Path, ...],
    false_per_hour: float | None,
    num_rounds: int,
    num_folds: int,
    seed: int,
    cache: Path | None,
    as_json: bool,
) -> None:
    """Hear what is said of activities that were never taught.

    The labels of DATA are left out of the training in turn, a few in each round, and the recogniser that was trained on the others, by folds of
    groups and with thresholds chosen on the others, is given the clips of these: each event that it makes of them is false. Needs the `train` extra.

    \b
    Examples:
      streamvc open-set my-clips --nothing my-office
      streamvc open-set my-clips --rounds 10 --json
    """
    from streamvc.training.open_set import measure_open_set
    from streamvc.training.progress import bars
    from streamvc.training.recipes import plan_for

    plan = plan_for(
        recipe,
        backbone=backbone,
        settings=options.read_settings(changes),
        background=background,
        nothing=nothing,
        false_per_hour=false_per_hour,
        num_folds=num_folds,
        seed=seed,
    )
    with bars(shown=sys.stderr.isatty()) as advance:
        found = measure_open_set(data, plan, num_rounds=num_rounds, cache=cache, advance=advance)
    click.echo(json.dumps(found.as_json()) if as_json else table(found))


def table(found: "OpenSet") -> str:
    """The figures for people: a line for each round, and one for all."""
    lines = ["silent  false/hour  right   nothing: false/hour   left out"]
    for each in found.rounds:
        nothing = f"{each.nothing.false_events_per_hour:19.2f}" if each.nothing else f"{'-':>19}"
        heard = f"{each.silent:6.3f}  {each.strangers.false_events_per_hour:10.1f}  {each.right:5.3f}"
        lines.append(f"{heard}   {nothing}   {', '.join(each.left_out)}")
    return "\n".join(
        [
            *lines,
            f"{found.silent:6.3f}  {found.false_events_per_hour:10.1f}  {found.right:5.3f}   all rounds",
            "silent: share of the left-out clips without an event; false/hour: events in them, per hour of them;",
            "right: share of the held-out clips of the other labels that give the right event and no other",
        ]
    )
