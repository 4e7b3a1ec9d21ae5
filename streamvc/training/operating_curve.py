"""What a recogniser hears, and what it hears that is not there, as its thresholds are moved: its operating curve."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from streamvc.errors import DataError
from streamvc.events import Decision
from streamvc.inference.manifest import BundleSettings, OperatingFigures
from streamvc.thresholds import ODDS, with_odds
from streamvc.training.evaluate import Evaluation

CURVE_ODDS = (1 / 27, 1 / 9, 1 / 3, 1.0, 3.0, 9.0, 27.0)
CONFIDENCE = 0.95
NAMES = {factor: name for name, factor in ODDS.items()}
COLUMNS = ("sensitivity", "enter", "heard right", "heard wrong", "false an hour", "at most", "delay, s")


def operating_figures(odds: float, found: Evaluation, *, untrimmed: bool) -> OperatingFigures:
    """The figures of an evaluation whose thresholds had their odds multiplied.

    Of trimmed clips, heard are those that give their event and no other; of untrimmed video, the segments with an event in time. False are events
    where nothing goes on, or, in untrimmed video, those that meet no segment.
    """
    alarms = found.alarms.values()
    if untrimmed:
        num = sum(alarm.num for alarm in alarms)
        heard, wrong = (sum(alarm.num_found for alarm in alarms) / num if num else 0.0), 0.0
        num_false, hours = sum(alarm.num_false for alarm in alarms), max((alarm.hours for alarm in alarms), default=0.0)
    else:
        heard, wrong = (0.0 if math.isnan(share) else share for share in (found.active_outcomes.right, found.active_outcomes.wrong))
        nothing = found.background_events
        num_false, hours = (sum(nothing.events.values()), nothing.hours) if nothing else (0, 0.0)
    delay_s = found.stream.delay_s
    return OperatingFigures(
        odds=odds, heard=heard, wrong=wrong, num_false=num_false, hours=hours, delay_s=delay_s if math.isfinite(delay_s) else None
    )


def operating_curve(measure: Callable[[float], Evaluation], *, untrimmed: bool) -> tuple[OperatingFigures, ...]:
    """The curve by what is measured with the odds of all thresholds multiplied by `CURVE_ODDS`."""
    return tuple(operating_figures(odds, measure(odds), untrimmed=untrimmed) for odds in CURVE_ODDS)


def most_false_per_hour(num: int, hours: float) -> float:
    """How many false events an hour there may be at most, with `CONFIDENCE`, where so many were seen in so many hours (Poisson)."""

    def chance(expected: float) -> float:
        """Of so few, or fewer."""
        return sum(math.exp(-expected + k * math.log(expected) - math.lgamma(k + 1)) for k in range(num + 1))

    low, high = 1e-9, num + 10 * math.sqrt(num + 1) + 10
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if chance(middle) > 1 - CONFIDENCE else (low, middle)
    return high / hours if hours else math.inf


def curve_rows(settings: BundleSettings) -> list[tuple[str, ...]]:
    """The rows of a table with `COLUMNS`; empty where the curve was not measured."""
    return [_row(each, settings) for each in settings.curve]


def _row(figures: OperatingFigures, settings: BundleSettings) -> tuple[str, ...]:
    default = settings.thresholds.default
    decision = Decision(default.enter, default.leave, default.min_s, default.cooldown_s, settings.smoothing_s)
    false = (
        (f"{figures.num_false / figures.hours:.1f}", f"{most_false_per_hour(figures.num_false, figures.hours):.1f}") if figures.hours else ("-", "-")
    )
    return (
        NAMES.get(figures.odds, ""),
        f"{with_odds(decision, figures.odds).enter:.3f}",
        f"{figures.heard:.3f}",
        f"{figures.wrong:.3f}",
        *false,
        "-" if figures.delay_s is None else f"{figures.delay_s:.1f}",
    )


def plot_curve(curves: Mapping[str, Sequence[OperatingFigures]], path: Path) -> None:
    """Draw curves, by name, as PNG: what is heard right against false events an hour, each point with its delay.

    Raises:
        DataError: There is nothing to draw, matplotlib is not installed, or the file cannot be written.
    """
    if not any(curves.values()):
        raise DataError("there is no operating curve to draw: the bundle was made without one; `streamvc evaluate --sweep` measures one")
    from streamvc.training.comparison.plots import png

    def draw(figure: "object") -> None:
        axes = figure.subplots()  # type: ignore[attr-defined]
        for name, curve in curves.items():
            per_hour = [each.num_false / each.hours if each.hours else 0.0 for each in curve]
            (line,) = axes.plot(per_hour, [each.heard for each in curve], marker="o", markersize=3, label=name)
            for each, x in zip(curve, per_hour, strict=True):
                delay = "" if each.delay_s is None else f" {each.delay_s:.1f} s"
                axes.annotate(
                    f"{NAMES.get(each.odds, '')}{delay}",
                    (x, each.heard),
                    fontsize=7,
                    color=line.get_color(),
                    xytext=(4, -8),
                    textcoords="offset points",
                )
        axes.set_xlabel("false events an hour")
        axes.set_ylabel("heard right")
        axes.set_xscale("symlog", linthresh=1)
        axes.set_xlim(left=-0.05)
        axes.set_ylim(0, 1)
        axes.grid(alpha=0.4)
        axes.legend()

    try:
        path.write_bytes(png(draw, 6, 4, dark=False))
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror})") from error
