"""`streamvc open-set`."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from streamvc.cli import options

if TYPE_CHECKING:
    from streamvc.training.evaluate import BackgroundEvents
    from streamvc.training.open_set import OpenSet


@click.command("open-set")
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--recipe", default="gru", show_default=True, metavar="NAME", shell_complete=options.complete_recipe, help="See `streamvc recipes`.")
@click.option("--backbone", metavar="NAME", help="See `streamvc backbones`.  [default: the recipe's]")
@click.option("--rate-hz", type=click.FloatRange(0, min_open=True), help="Frames analysed per second.  [default: the recipe's]")
@click.option("--set", "changes", multiple=True, metavar="NAME=VALUE", help="Any setting of the recipe; see `streamvc recipes NAME`.")
@click.option("--background", metavar="LABEL", help="The label that stands for no activity.  [default: the data's own, or nothing]")
@click.option(
    "--nothing",
    "background_videos",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Background videos, without any of the activities: a data set, a folder, a file.",
)
@click.option("--false-per-hour", type=click.FloatRange(0), help="False events that the thresholds may let pass.  [default: 1]")
@click.option("--rounds", "num_rounds", type=click.IntRange(1), default=5, show_default=True, help="Into how many rounds the labels are split.")
@click.option("--folds", "num_folds", type=click.IntRange(2), default=5, show_default=True, help="Folds by group.")
@click.option("--seed", type=int, default=0, show_default=True, help="For the folds and the training.")
@options.cache
@options.as_json
def open_set(
    data: Path,
    recipe: str,
    backbone: str | None,
    rate_hz: float | None,
    changes: tuple[str, ...],
    num_rounds: int,
    cache: Path | None,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Count the events on clips of activities that were never taught.

    The labels of DATA are left out of a training in turn, a few in each round, and the events on their clips are counted: each of them is false.
    `streamvc train --leave-out ROUNDS` chooses its thresholds by that; here they are chosen the same way, for each clip on other labels and other
    groups. Needs the `train` extra.

    \b
    Examples:
      streamvc open-set my-clips --nothing my-office
      streamvc open-set my-clips --rounds 10 --false-per-hour 6 --json
    """
    from streamvc.training.preparation import check_training
    from streamvc.training.progress import progress_bars
    from streamvc.training.recipes import plan_for

    settings = options.read_settings(changes)
    plan = plan_for(recipe, backbone=backbone, rate_hz=rate_hz, settings=settings, leave_out=num_rounds, **chosen)
    check_training(data, plan, cache=cache)
    from streamvc.training.train import measure_open_set  # loads TensorFlow

    with progress_bars(shown=sys.stderr.isatty()) as advance:
        found, known = measure_open_set(data, plan, cache=cache, advance=advance)
    right, nothing = known.active_outcomes.right, known.background_events
    if as_json:
        click.echo(json.dumps({**found.as_json(), "right": right, "nothing": nothing.as_json() if nothing else None}))
    else:
        click.echo(
            "\n".join([*table(found), f"known activities  the right event and no other in {right:.1%} of the clips", *_background_line(nothing)])
        )


def table(found: "OpenSet") -> list[str]:
    """The figures for people: a line for each round, and one for all."""
    rounds = [
        f"{each.num_silent:4} of {each.num_clips:4}  {options.false_events(each.false_events)}   {', '.join(each.labels)}" for each in found.rounds
    ]
    return [
        "clips without an event, of labels that were left out",
        *rounds,
        f"{found.silent:12.1%}  {options.false_events(found.false_events)}   all",
    ]


def _background_line(nothing: "BackgroundEvents | None") -> list[str]:
    return [f"nothing           {options.false_events(nothing)}"] if nothing else []
