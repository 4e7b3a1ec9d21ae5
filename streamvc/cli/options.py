"""Options that several commands share."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from streamvc.alarms import AlarmFigures
    from streamvc.recording import RecordingSettings
    from streamvc.thresholds import Thresholds
    from streamvc.training.evaluate import BackgroundEvents

F = TypeVar("F", bound=Callable[..., Any])

RUNTIMES = ("litert", "tflite-runtime", "tensorflow")
ENDPOINT = "tcp://127.0.0.1:7788"


def complete_model(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Model names for shell completion."""
    from streamvc.inference.bundle import list_bundles

    return [name for name in list_bundles() if name.startswith(incomplete)]


def complete_recipe(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Recipe names for shell completion."""
    from streamvc.training.recipes import RECIPES

    return [name for name in RECIPES if name.startswith(incomplete)]


def read_settings(texts: tuple[str, ...]) -> dict[str, str]:
    """What `--set NAME=VALUE` was given; dashes in names are taken for underscores."""
    settings = {}
    for text in texts:
        name, value = read_pair("--set", "NAME=VALUE", text)
        recipe, dot, setting = name.rpartition(".")
        settings[recipe + dot + setting.replace("-", "_")] = value
    return settings


def read_pair(option: str, form: str, text: str) -> tuple[str, str]:
    """What stands on both sides of an `=`."""
    name, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError(f"{option} {text}: it is given as {form}")
    return name, value


def false_events(background_events: "BackgroundEvents") -> str:
    """The false events where there is no activity, for people."""
    labels = ", ".join(f"{label} {num}" for label, num in background_events.events.items())
    return f"{background_events.false_events_per_hour:.2f} false events an hour, in {background_events.hours:.2f} h of it" + (
        f": {labels}" if labels else ""
    )


def alarm(figures: "AlarmFigures") -> str:
    """How many segments of a label have an event in time, and how many events are false, for people."""
    return f"{figures.num_found} of {figures.num}; {figures.num_false} in {figures.hours:.2f} h" + (
        f", {figures.false_per_hour:.1f} an hour" if figures.hours else ""
    )


model = click.option(
    "-m",
    "--model",
    default="exercise",
    show_default=True,
    metavar="NAME|PATH",
    shell_complete=complete_model,
    help="Model bundle; see `streamvc models list`.",
)
cache = click.option(
    "--cache", type=click.Path(file_okay=False, path_type=Path), help="Folder that features of clips are kept in.  [default: ~/.cache/streamvc]"
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def runtime(command: F) -> F:
    """`--runtime` and `--threads`."""
    command = click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="Threads of the runtime.")(command)
    return click.option("--runtime", type=click.Choice(RUNTIMES), help="Inference runtime.  [default: the first that is installed, in this order]")(
        command
    )


def publishing(command: F) -> F:
    """Where events go, who may have them, and where they are kept."""
    for option in (
        click.option(
            "--sink",
            "sinks",
            multiple=True,
            metavar="URL",
            help="Deliver events there too: mqtt://[USER@]HOST[:PORT][/PREFIX], http(s)://..., file:PATH, - (standard output), or @FILE that "
            "holds one of these. May be given several times.",
        ),
        click.option("--insecure", is_flag=True, help="Let other machines subscribe without a key."),
        click.option(
            "--keys", type=click.Path(file_okay=False, path_type=Path), metavar="FOLDER", help="Let only those subscribe whose key is in this folder."
        ),
        click.option("--no-log", is_flag=True, help="Keep events in memory only."),
        click.option(
            "--log",
            type=click.Path(dir_okay=False, path_type=Path),
            metavar="PATH",
            help="Log of all that is published; see `streamvc events`.  [default: ~/.local/state/streamvc/events-PORT.db]",
        ),
        click.option("--site", default="site", show_default=True, help="First part of topics and event sources."),
        click.option("--no-publish", is_flag=True, help="Publish nothing, and keep no log."),
        click.option(
            "--publish",
            default=ENDPOINT,
            show_default=True,
            metavar="ENDPOINT",
            help="ZeroMQ endpoint for the events; the next two ports are used as well.",
        ),
    ):
        command = option(command)
    return command


def recording(command: F) -> F:
    """Stills and clips of events, and how long they are kept."""
    for option in (
        click.option("--keep-gib", type=click.FloatRange(0), default=10.0, show_default=True, help="Keep so much of them at most."),
        click.option("--keep-days", type=click.FloatRange(0), default=30.0, show_default=True, help="Remove stills and clips that are older."),
        click.option(
            "--pre-roll-s", type=click.FloatRange(0), default=5.0, show_default=True, help="Seconds before an activity that its clip shows."
        ),
        click.option("--clips/--no-clips", default=True, show_default=True, help="With --record: a clip of each activity beside the still."),
        click.option(
            "--record",
            type=click.Path(file_okay=False, path_type=Path),
            metavar="FOLDER",
            help="Keep a still and a clip of each activity in this folder; its events have the links.",
        ),
    ):
        command = option(command)
    return command


def thresholds(command: F) -> F:
    """The thresholds and times of detection, in place of the model's own."""
    share = click.FloatRange(0, 1)
    seconds = click.FloatRange(0)
    for name, kind, text in (
        ("--smoothing-s", seconds, "Time constant of the smoothing of scores, in seconds."),
        ("--cooldown-s", seconds, "After an end, no start of the same label for so many seconds."),
        ("--min-s", seconds, "An activity must last so many seconds before it is said to start."),
        ("--leave", share, "An activity ends when its score falls below this."),
        ("--enter", share, "An activity starts when its score stays at or above this."),
    ):
        command = click.option(name, type=kind, help=f"{text}  [default: the model's]")(command)
    levels = click.Choice(["low", "normal", "high"])  # `thresholds.ODDS`, which costs the time to load it
    told = "Hear more, and more that is not there (high), or less of both (low); the model's card has figures.  [default: normal]"
    return click.option("--sensitivity", type=levels, help=told)(command)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows of a table, their columns as wide as they need."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def take_thresholds(chosen: dict[str, Any]) -> "Thresholds":
    """What the options of `thresholds` were given, taken out of all that was."""
    from streamvc.thresholds import Thresholds

    try:
        return Thresholds(**{name: chosen.pop(name) for name in ("enter", "leave", "min_s", "cooldown_s", "smoothing_s", "sensitivity")})
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def take_recording(chosen: dict[str, Any]) -> "RecordingSettings | None":
    """What the options of `recording` were given, taken out of all that was; None where nothing is to be recorded."""
    from streamvc.recording import RecordingSettings

    folder, clips, pre_roll_s, days, gib = (chosen.pop(name) for name in ("record", "clips", "pre_roll_s", "keep_days", "keep_gib"))
    return RecordingSettings(folder, clips, pre_roll_s, keep_s=days * 86400, keep_bytes=round(gib * 2**30)) if folder else None
