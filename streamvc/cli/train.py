"""`streamvc train`."""

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from streamvc.cli import options
from streamvc.text import printable

if TYPE_CHECKING:
    from streamvc.inference.manifest import LabelThresholds
    from streamvc.training.open_set import OpenSet
    from streamvc.training.plan import TrainingPlan
    from streamvc.training.report import TrainingReport


NO_NOTHING = (
    "warning: the data shows nothing but activities, so that all else will be taken for one of them; give some minutes of ordinary life in such "
    "places, as video: --nothing PATH"
)
SPLITS = ("groups", "given", "given-leaky", "random-leaky")


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the new bundle; its last part is the bundle's name.")
@click.option("--background", metavar="LABEL", help="The label that stands for no activity.  [default: the data's own, or nothing]")
@click.option("--merge", multiple=True, metavar="LABEL=OTHER", help="Take a label of the data for another one.")
@click.option("--count", "counted", multiple=True, metavar="LABEL", help="Count repetitions of a label, by keypoints: with --backbone movenet+...")
@click.option(
    "--nothing",
    "background_videos",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Background videos, without any of the activities: a data set, a folder, a file.",
)
@click.option("--tune/--no-tune", default=None, help="Choose smoothing and thresholds on the folds.  [default: where the data shows nothing too]")
@click.option(
    "--false-per-hour",
    type=click.FloatRange(0),
    help="False events that the thresholds may let pass.  [default: 1 in --nothing, 1 with --alarm; untrimmed: as is best for F1]",
)
@click.option(
    "--alarm",
    "alarm_s",
    type=click.FloatRange(0),
    metavar="S",
    help="Choose the thresholds for alarms: what counts is that an event is published within so many seconds of the start.",
)
@click.option(
    "--leave-out",
    type=click.IntRange(1),
    metavar="ROUNDS",
    help="Choose the thresholds also by the events on activities that were never taught: the labels are left out in turn, in so many rounds.",
)
@click.option("--smoothing-s", type=click.FloatRange(0), help="Time constant of the scores' smoothing, where it is not chosen.  [default: 0.6]")
@click.option(
    "--thresholds",
    metavar="JSON",
    help="Thresholds of labels that are not to be chosen, and the default's, as in a bundle's model.json: "
    """'{"default": {"cooldown_s": 0}, "labels": {"lying": {"min_s": 5}}}'.""",
)
@click.option("--about", default="", metavar="TEXT", help="Where the data is from and under which licence, for the card.")
@click.option(
    "--recipe",
    metavar="NAME",
    shell_complete=options.complete_recipe,
    help="See `streamvc recipes`.  [default: linear and gru are trained, and the one that is better on the folds is kept]",
)
@click.option(
    "--backbone",
    metavar="NAME",
    help="See `streamvc backbones`; joined as in pose+efficientnet-lite0-f16:person; or pictures: colour:64, flow:112.  [default: the recipe's]",
)
@click.option("--rate-hz", type=click.FloatRange(0, min_open=True), help="Frames analysed per second.  [default: the recipe's]")
@click.option(
    "--min-rate-hz",
    type=click.FloatRange(1),
    metavar="RATE",
    help="Measure at this lower rate too, and with as many frames missing at random: the model may be used down to it.",
)
@click.option("--window", type=click.IntRange(1), help="Features that a prediction looks at.  [default: the recipe's]")
@click.option("--mode", type=click.Choice(["window", "stateful"]), help="A sliding window, or a state that is carried on.  [default: window]")
@click.option("--set", "changes", multiple=True, metavar="NAME=VALUE", help="Any setting of the recipe; see `streamvc recipes NAME`.")
@click.option("--augment", metavar="KIND,...", help="Vary the clips: flip, upend, crop, colour, speed; thin: at --min-rate-hz.")
@click.option("--split", type=click.Choice(SPLITS), help="How clips are split for measuring; given is the data's own.  [default: groups]")
@click.option("--group", metavar="PATTERN", help="Regular expression that finds a clip's group in its path; see `streamvc data check`.")
@click.option("--folds", "num_folds", type=click.IntRange(2), help="Folds by group that the figures are made with.  [default: 5]")
@click.option("--seed", type=int, help="The same seed and data give the same model.  [default: 0]")
@click.option(
    "--beside",
    multiple=True,
    metavar="RECIPE",
    shell_complete=options.complete_recipe,
    help="Measure this one on the same features too, for the card.",
)
@click.option("--curves", type=click.Path(dir_okay=False, path_type=Path), help="Draw the learning curves into this PNG file.")
@click.option("--overwrite", is_flag=True, help="Replace the bundle that is there.")
@options.cache
@options.as_json
def train(data: Path, out: Path, overwrite: bool, curves: Path | None, cache: Path | None, as_json: bool, **chosen: Any) -> None:
    """Teach streamvc the activities that the clips of DATA show.

    DATA is a folder per label, with or without train and test, a CSV, UCF101's lists or a segments.csv; see `streamvc data check`. Clips of a group
    (the same person or place) are never on both sides of a split, so that the figures hold for people and places that were never seen. A training
    that was interrupted or killed goes on where it was when the same command is given again. Needs the `train` extra.

    \b
    Examples:
      streamvc train my-clips --out models/mine
      streamvc train my-clips --out models/mine --nothing my-office --nothing street.mp4 --false-per-hour 0.5
      streamvc train my-clips --out models/mine --recipe stacked-lstm --set units=64,32 --augment flip,speed
    """
    from streamvc.training.preparation import check_bundle_folder, check_file, check_training, lacks_nothing
    from streamvc.training.progress import progress_bars

    plans = _plans(**chosen)
    check_bundle_folder(out, overwrite)
    if curves:
        check_file(curves)
    for plan in plans:
        check_training(data, plan, cache=cache)
    if lacks_nothing(data, plans[0]):
        click.echo(NO_NOTHING, err=True)
    from streamvc.training.train import train_best  # loads TensorFlow

    with progress_bars(shown=sys.stderr.isatty()) as advance:
        report = train_best(data, out, plans, overwrite=overwrite, cache=cache, advance=advance)
    for skipped in report.extraction.skipped:
        click.echo(printable(f"skipped: {skipped.reason}"), err=True)
    if curves:
        from streamvc.training.comparison.plots import save_curves

        history = report.fit.history
        save_curves([epoch.loss for epoch in history], [epoch.validation_loss for epoch in history], curves)
    click.echo(json.dumps(report.as_json()) if as_json else printable(summary(report, out), lines=True))


def _plans(
    changes: tuple[str, ...],
    merge: tuple[str, ...],
    window: int | None,
    mode: str | None,
    augment: str | None,
    thresholds: str | None,
    background_videos: tuple[Path, ...],
    recipe: str | None,
    **chosen: Any,
) -> "list[TrainingPlan]":
    """The recipe's plan, or those of all `CANDIDATES`, with what was chosen in its place."""
    from streamvc.training.recipes import CANDIDATES, plan_for

    own = {"window": window, "mode": mode, "augment": augment}
    settings = {**{name: value for name, value in own.items() if value is not None}, **options.read_settings(changes)}
    given = {name: value for name, value in chosen.items() if value is not None}
    if thresholds is not None:
        given["thresholds"] = _read_thresholds(thresholds)
    pairs = tuple(options.read_pair("--merge", "LABEL=OTHER", text) for text in merge)
    given |= {"merge": pairs, "settings": settings, "background_videos": background_videos, "command": shlex.join(["streamvc", *sys.argv[1:]])}
    return [plan_for(name, **given) for name in ([recipe] if recipe else CANDIDATES)]


def _read_thresholds(text: str) -> "LabelThresholds":
    """Thresholds as JSON."""
    from pydantic import ValidationError

    from streamvc.inference.manifest import LabelThresholds

    try:
        return LabelThresholds.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise click.BadParameter(f"{'.'.join(map(str, first['loc'])) or text}: {first['msg']}", param_hint="--thresholds") from error


def _active_lines(report: "TrainingReport") -> list[str]:
    """How good it is on activities, and how many false events it gives where there are none."""
    background_events = report.pooled.background_events
    return [
        f"activities   clip_top1 {report.active_clip_top1}, window_top1 {report.active_window_top1}   without the clips of {report.plan.background}",
        *([f"nothing      {options.false_events(background_events)}"] if background_events else []),
    ]


def _open_set_line(open_set: "OpenSet") -> str:
    return f"left out     {options.false_events(open_set.false_events)}; {open_set.silent:.1%} of the clips of activities never taught gave no event"


def summary(report: "TrainingReport", out: Path) -> str:
    """What was made, and how good it is."""
    from streamvc.training.card import chosen_from

    folds = len(report.folds)
    stream = report.pooled.stream
    events = f"F1 {report.event_f1} at overlap 0.3, {stream.false_events_per_hour:.1f} false an hour"
    split = {"groups": "folds by group", "random-leaky": "random folds, so that it is too high"}.get(report.plan.split, "fold as given")
    return "\n".join(
        (
            f"{out}: {', '.join(report.dataset.labels)}",
            f"clip_top1    {report.clip_top1}   mean and spread over {folds} {split}",
            f"window_top1  {report.window_top1}",
            *(_active_lines(report) if report.plan.background else []),
            *([_open_set_line(report.open_set)] if report.open_set else []),
            *(f"{each.rate}: {each.num_found} of {each.num} activities found, {each.num_false} false events" for each in report.rates),
            *([f"taken_top1   {report.taken}   frames taken as in the training, by {report.plan.head.take}"] if report.taken else []),
            *([f"as events    {events}; frame mAP {report.frame_map}"] if report.dataset.untrimmed else []),
            *filter(None, [chosen_from(report)]),
            f"trained in {report.train_s:.0f} s on {len(report.extraction.clips)} clips of {report.dataset.num_groups} groups; "
            f"the exported head differs from Keras by {report.difference:.1g} at most",
            f"Next: streamvc models show {out}",
        )
    )
