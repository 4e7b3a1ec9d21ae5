"""`streamvc compare`."""

import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from streamvc.cli import options

if TYPE_CHECKING:
    from streamvc.training.comparison.results import Comparison
    from streamvc.training.plan import TrainingPlan

# What fits a terminal; all columns are in the files.
SHOWN = ("recipe", "runs by", "clips right", "predictions right", "event after s", "head KB", "features ms/frame", "head ms/frame", "memory MB")


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--recipes", metavar="NAME,NAME", help="Which recipes; see `streamvc recipes`.")
@click.option("--all", "every", is_flag=True, help="All recipes.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder for the bundles, the tables and the report.")
@click.option("--background", metavar="LABEL", help="The label that stands for no activity.  [default: the data's]")
@click.option("--group", metavar="PATTERN", help="Regular expression that finds a clip's group in its path; see `streamvc data check`.")
@click.option("--folds", "num_folds", type=click.IntRange(2), default=5, show_default=True, help="Folds by group.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the folds and the trainings.")
@click.option("--set", "settings", multiple=True, metavar="[RECIPE.]NAME=VALUE", help="A setting of one recipe, or of all, in place of their own.")
@options.cache
@options.as_json
def compare(
    data: Path,
    recipes: str | None,
    every: bool,
    out: Path,
    background: str | None,
    group: str | None,
    num_folds: int,
    seed: int,
    settings: tuple[str, ...],
    cache: Path | None,
    as_json: bool,
) -> None:
    """Train many recipes on the same clips and folds, and show what each is good for and what it costs.

    Writes to --out, for each recipe, its bundle and its figures; and of all of them comparison.json, comparison.md and comparison.html, a page with
    plots that needs nothing else. A recipe that fails is named and the others go on. What was made before is not made again, so that a comparison
    can be interrupted, and more recipes be added. Needs the `train` extra.

    \b
    Examples:
      streamvc compare my-clips --recipes gru,lstm,mlp --out comparison
      streamvc compare my-clips --all --out comparison
      streamvc compare my-clips --recipes gru,c3d --out comparison --set c3d.backbone=colour:64 --set c3d.width=0.25
    """
    from streamvc.training.preparation import check_data, check_folder

    plans = _plans(recipes, every, settings, background=background, group=group, num_folds=num_folds, seed=seed)
    check_folder(out)
    check_data(data, plans[0])
    from streamvc.training.comparison.html import page  # loads what draws
    from streamvc.training.comparison.results import as_json as to_json
    from streamvc.training.comparison.results import markdown
    from streamvc.training.comparison.run import compare as compare_recipes
    from streamvc.training.comparison.run import write_whole

    found = compare_recipes(data, out, plans, cache=cache, shown=sys.stderr.isatty())
    write_whole(out / "comparison.json", json.dumps(to_json(found), indent=1) + "\n")
    write_whole(out / "comparison.md", markdown(found))
    write_whole(out / "comparison.html", page(found))
    if as_json:
        click.echo(json.dumps(to_json(found)))
        return
    _show(found)
    click.echo(f"Written: {out / 'comparison.md'}, {out / 'comparison.json'}, {out / 'comparison.html'}")


def _plans(recipes: str | None, every: bool, settings: tuple[str, ...], **rest: Any) -> list["TrainingPlan"]:
    from streamvc.training.recipes import RECIPES, plan_for

    if every and recipes:
        raise click.UsageError("say either --recipes or --all")
    names = list(RECIPES) if every else list(dict.fromkeys(name.strip() for name in (recipes or "").split(",") if name.strip()))
    if not names:
        raise click.UsageError("say which recipes to compare: --recipes gru,lstm, or --all")
    changes = options.read_settings(settings)
    if strange := sorted({recipe for recipe, dot, _ in (name.partition(".") for name in changes) if dot} - set(names)):
        raise click.UsageError(f"--set {strange[0]}.…: that recipe is not among those that are compared")
    plans = []
    for recipe in names:
        own = {name.removeprefix(f"{recipe}."): value for name, value in changes.items() if "." not in name or name.startswith(f"{recipe}.")}
        backbone, rate_hz = own.pop("backbone", None), own.pop("rate_hz", None)
        plans.append(plan_for(recipe, backbone=backbone, rate_hz=_rate(rate_hz), settings=own, **rest))
    return plans


def _rate(text: str | None) -> float | None:
    try:
        rate = None if text is None else float(text)
    except ValueError:
        rate = math.nan
    if rate is not None and not 0 < rate < math.inf:
        raise click.UsageError(f"--set rate_hz={text}: it must be a number above 0")
    return rate


def _show(found: "Comparison") -> None:
    """The table, to a terminal or a file, and below it what failed."""
    from rich.console import Console
    from rich.table import Table

    from streamvc.training.comparison.results import COLUMNS, cells

    table = Table(box=None, pad_edge=False)
    for name in SHOWN:
        table.add_column(name, justify="left" if name in ("recipe", "runs by") else "right", overflow="fold")
    for row in found.rows:
        by_name = dict(zip(COLUMNS, cells(row), strict=True))
        table.add_row(*(by_name[name] for name in SHOWN))
    Console(width=None if sys.stdout.isatty() else 160).print(table)
    for row in found.rows:
        if row.error:
            click.echo(f"{row.recipe}: {row.error}", err=True)
