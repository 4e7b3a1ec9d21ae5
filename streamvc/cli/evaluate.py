"""`streamvc evaluate`."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from streamvc.cli import options

if TYPE_CHECKING:
    from streamvc.training.evaluate import Evaluation


@click.command()
@click.argument("model", shell_complete=options.complete_model)
@click.argument("data", type=click.Path(path_type=Path))
@options.cache
@options.as_json
def evaluate(model: str, data: Path, cache: Path | None, as_json: bool) -> None:
    """Measure how right MODEL is on the labelled clips of DATA.

    DATA is a folder per label, a CSV with the columns path, label and perhaps group, or a folder with a clips.csv. The figures are honest only for
    clips whose people and places the model was not trained on.

    \b
    Examples:
      streamvc evaluate exercise my-clips
      streamvc evaluate ./models/mine test.csv --json
    """
    from streamvc.training.evaluate import evaluate as evaluate_model
    from streamvc.training.progress import bars

    with bars(shown=sys.stderr.isatty()) as advance:
        found = evaluate_model(model, data, cache=cache, advance=advance)
    for skipped in found.skipped:
        click.echo(f"skipped: {skipped.reason}", err=True)
    click.echo(json.dumps(found.as_json()) if as_json else table(found))


def table(found: "Evaluation") -> str:
    """The figures for people."""
    width = max(map(len, found.per_label))
    lines = [
        f"clip_top1    {found.clip_top1:.3f}   {found.num_clips} clips",
        f"window_top1  {found.window_top1:.3f}   {found.num_predictions} predictions",
        f"as events    {found.outcomes.right:.3f} right, {found.outcomes.wrong:.3f} wrong, {found.outcomes.silent:.3f} silent (shares of clips)",
        "",
        f"{'label':{width}}  precision  recall     F1",
    ]
    lines += [f"{label:{width}}  {figures.precision:9.3f}  {figures.recall:6.3f}  {figures.f1:5.3f}" for label, figures in found.per_label.items()]
    return "\n".join(lines)
