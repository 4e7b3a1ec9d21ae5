"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from streamvc.alarms import Alarm
    from streamvc.training.evaluate import Quiet

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


def false_events(quiet: "Quiet") -> str:
    """What was heard where nothing goes on, for people."""
    labels = ", ".join(f"{label} {num}" for label, num in quiet.events.items())
    return f"{quiet.false_events_per_hour:.2f} false events an hour, in {quiet.hours:.2f} h of it" + (f": {labels}" if labels else "")


def alarm(figures: "Alarm") -> str:
    """What a label's events tell of in time, and how often they tell of nothing, for people."""
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


def tuning(command: F) -> F:
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
    return command
