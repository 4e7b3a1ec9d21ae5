"""`streamvc evaluate`."""

import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from streamvc.cli import options
from streamvc.text import printable

if TYPE_CHECKING:
    from streamvc.inference.manifest import BundleManifest
    from streamvc.training.evaluate import Evaluation, Outcomes, PredictedData


@click.command()
@click.argument("model", shell_complete=options.complete_model)
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--nothing", is_flag=True, help="DATA, any folder or file of videos, has none of MODEL's activities: count the false events.")
@click.option("--within", "within_s", type=click.FloatRange(0), default=3.0, show_default=True, metavar="S", help="Seconds that an alarm may take.")
@click.option("--sweep", is_flag=True, help="Move the thresholds, too: what is heard and what is false at each of seven settings.")
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), metavar="PNG", help="Draw that, too, beside the curve of MODEL's own card.")
@options.thresholds
@options.cache
@options.as_json
def evaluate(
    model: str, data: Path, nothing: bool, within_s: float, sweep: bool, plot: Path | None, cache: Path | None, as_json: bool, **chosen: Any
) -> None:
    """Measure how right MODEL is on the labelled videos of DATA.

    DATA is a folder per label, a CSV with the columns path, label and perhaps group, or a folder with a clips.csv; or, for untrimmed video, a folder
    with a segments.csv (video, start_s, end_s, label). The figures are honest only for people and places that the model was not trained on.

    Where DATA has none of the labels of MODEL, and with --nothing, each event is a false one, and they are counted.

    \b
    Examples:
      streamvc evaluate exercise my-clips
      streamvc evaluate ./models/mine test.csv --json
      streamvc evaluate exercise office.mp4 --nothing
      streamvc evaluate fall my-home --within 5
      streamvc evaluate exercise my-clips --sensitivity high
      streamvc evaluate exercise my-clips --sweep --plot curve.png
    """
    thresholds = options.take_thresholds(chosen)
    from streamvc.thresholds import put_into
    from streamvc.training.evaluate import is_unknown, measure_unknown, predict_data
    from streamvc.training.progress import progress_bars

    if nothing or is_unknown(model, data):
        if sweep or plot:
            raise click.UsageError("--sweep and --plot need clips of MODEL's activities: without any, there is nothing to hear")
        with progress_bars(shown=sys.stderr.isatty()) as advance:
            background_events = measure_unknown(model, data, thresholds=thresholds, cache=cache, advance=advance)
        click.echo(
            json.dumps(background_events.as_json()) if as_json else f"none of its activities is there: {options.false_events(background_events)}"
        )
        return
    with progress_bars(shown=sys.stderr.isatty()) as advance:
        predicted = predict_data(model, data, cache=cache, advance=advance)
    manifest = put_into(predicted.bundle.manifest, thresholds.apply)
    found = predicted.judge(manifest, within_s)
    for skipped in found.skipped:
        click.echo(printable(f"skipped: {skipped.reason}"), err=True)
    columns, *rows = _sweep(predicted, manifest, within_s, plot) if sweep or plot else [()]
    if as_json:
        click.echo(json.dumps(found.as_json() | ({"curve": [dict(zip(columns, row, strict=True)) for row in rows]} if rows else {})))
        return
    click.echo(printable(table(found), lines=True))
    if rows:
        click.echo("\n" + options.aligned([columns, *rows]))


def _sweep(predicted: "PredictedData", manifest: "BundleManifest", within_s: float, plot: Path | None) -> list[tuple[str, ...]]:
    """The table of the operating curve, its heading first; it is drawn too where a file is named."""
    from streamvc.thresholds import put_into, with_odds
    from streamvc.training.operating_curve import COLUMNS, curve_rows, operating_curve, plot_curve

    def measure(odds: float) -> "Evaluation":
        return predicted.judge(put_into(manifest, lambda decision: with_odds(decision, odds)), within_s)

    curve, own = operating_curve(measure, untrimmed=predicted.untrimmed), predicted.bundle.manifest.curve
    if plot:
        plot_curve({"here": curve} | ({"its card": own} if own else {}), plot)
    return [COLUMNS, *curve_rows(manifest.model_copy(update={"curve": curve}))]


def table(found: "Evaluation") -> str:
    """The figures for people."""
    width = max(map(len, found.per_label))
    stream = found.stream
    overlaps = "at overlaps of " + ", ".join(f"{overlap:g}" for overlap in stream.events)
    lines = [
        f"clip_top1    {found.clip_top1:.3f}   {found.num_clips} clips",
        f"clip_top5    {found.clip_top5:.3f}",
        f"window_top1  {found.window_top1:.3f}   {found.num_predictions} predictions",
        f"activities   {_number(found.active_clip_top1)} of their clips right, {_number(found.active_window_top1)} of their predictions",
        f"as events    {found.outcomes.right:.3f} right, {found.outcomes.wrong:.3f} wrong, {found.outcomes.silent:.3f} silent (shares of clips)",
        "",
        f"frame_map              {_number(stream.frame_map)}   mean average precision of the single predictions",
        *(
            f"event_{name:16} {' '.join(_number(getattr(figures, name)) for figures in stream.events.values())}   {overlaps}"
            for name in ("precision", "recall", "f1")
        ),
        f"delay_s                {_number(stream.delay_s, 2)}   from the start of an activity to its event, median",
        f"late_delay_s           {_number(stream.late_delay_s, 2)}   its 90th percentile",
        f"first_right_s          {_number(stream.first_right_s, 2)}   from its start to the first right prediction, median",
        f"flips_per_min          {_number(stream.flips_per_min, 1)}   changes of the best label",
        f"false_events_per_hour  {_number(stream.false_events_per_hour, 1)}",
        *([f"nothing                {options.false_events(found.background_events)}"] if found.background_events else []),
        f"accuracy_by_tenth      {' '.join(_number(share, 2) for share in stream.accuracy_by_tenth)}   of an activity seen",
        "",
        f"{'label':{width}}  precision  recall     F1  heard  wrong",
    ]
    lines += [
        f"{label:{width}}  {figures.precision:9.3f}  {figures.recall:6.3f}  {figures.f1:5.3f}{_heard(found.label_outcomes.get(label))}"
        for label, figures in found.per_label.items()
    ]
    lines += ["", f"{'as alarms':{width}}  begun within {found.within_s:g} s of the start; false"]
    lines += [f"{label:{width}}  {options.alarm(alarm)}" for label, alarm in found.alarms.items()]
    return "\n".join(lines)


def _heard(outcomes: "Outcomes | None") -> str:
    return f"  {outcomes.right:5.3f}  {outcomes.wrong:5.3f}" if outcomes else ""


def _number(value: float, num_digits: int = 3) -> str:
    """The figure; a dash where it is undefined."""
    return f"{value:.{num_digits}f}" if math.isfinite(value) else "-"
