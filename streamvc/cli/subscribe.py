"""`streamvc subscribe`."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from streamvc.cli import options
from streamvc.cli.events import KINDS, moment, span

if TYPE_CHECKING:
    from streamvc.publish.notices import Notice


def _since(context: click.Context, parameter: click.Parameter, text: str | None) -> float | Literal["beginning"] | None:
    """The beginning, a span of time until now, or a date and time."""
    if text == "beginning":
        return "beginning"
    if text and text[-1:].isalpha() and text[-1:] != "Z":
        seconds = span(context, parameter, text)
        return None if seconds is None else time.time() - seconds
    return moment(context, parameter, text)


@click.command()
@click.argument("endpoint", default=options.ENDPOINT)
@click.option("--camera", "cameras", multiple=True, metavar="NAME", help="Only this camera; may be given several times.")
@click.option("--label", "labels", multiple=True, metavar="NAME", help="Only events of this label; may be given several times.")
@click.option("--kind", "kinds", type=click.Choice(KINDS), multiple=True, default=["event"], show_default=True, help="May be given several times.")
@click.option("--site", metavar="NAME", help="Only this site.")
@click.option("--since", callback=_since, metavar="WHEN", help="Begin with what was published since then: `beginning`, 15m, 2h, 2026-11-22T07:40.")
@click.option(
    "--cursor",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Remember there what was printed, and go on behind it next time.",
)
@click.option("--keys", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Your key, where the publisher asks for one.")
@click.option("--server-key", metavar="KEY", help="The publisher's public key.  [default: the one in your key's file]")
@click.option("--count", type=click.IntRange(1), help="Leave after so many.")
@click.option("--timeout", "timeout_s", type=click.FloatRange(0, min_open=True), help="Leave after so many seconds without any.")
@click.option("--json", "as_json", is_flag=True, help="Print each as one line of JSON, as it was published.")
def subscribe(endpoint: str, cameras: tuple[str, ...], labels: tuple[str, ...], count: int | None, as_json: bool, **choices: Any) -> None:
    """Print the events of a running `streamvc watch` or `streamvc node`, one line each.

    Events that were missed on the way are fetched from its log first. Those that the log has no more, and that the publisher was lost, is back or was
    restarted, are reported on standard error.

    \b
    Examples:
      streamvc subscribe
      streamvc subscribe tcp://192.0.2.7:7788 --camera front_door --label fight --keys me.key
      streamvc subscribe --json --cursor seen.db >> events.jsonl
      streamvc subscribe --kind state --kind health
    """
    from itertools import islice

    from streamvc.events import Event, Health, State, describe
    from streamvc.publish.subscriber import Subscriber
    from streamvc.text import printable_json

    subscriber: Subscriber[Event | State | Health] = Subscriber(endpoint, cameras=cameras, labels=labels, on_notice=_print_notice, **choices)
    with subscriber:
        for item in islice(subscriber, count):
            click.echo(printable_json(subscriber.body.decode()) if as_json else describe(item, time.time()))


def _print_notice(notice: "Notice") -> None:
    from streamvc.text import printable

    click.echo(printable(str(notice)), err=True)
