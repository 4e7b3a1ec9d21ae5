"""`streamvc subscribe`."""

import click

from streamvc.cli import options


@click.command()
@click.argument("endpoint", default=options.ENDPOINT)
@click.option("--camera", "cameras", multiple=True, metavar="NAME", help="Only this camera; may be given several times.")
@click.option("--label", "labels", multiple=True, metavar="NAME", help="Only this label; may be given several times.")
@click.option("--count", type=click.IntRange(1), help="Leave after so many events.")
@click.option("--timeout", "timeout_s", type=click.FloatRange(0, min_open=True), help="Leave after so many seconds without an event.")
@click.option("--json", "as_json", is_flag=True, help="Print each event as one line of JSON.")
def subscribe(endpoint: str, cameras: tuple[str, ...], labels: tuple[str, ...], count: int | None, timeout_s: float | None, as_json: bool) -> None:
    """Print the events of a running `streamvc watch`, one line each.

    Missing events (holes in the sequence of a camera) are reported on standard error.

    \b
    Examples:
      streamvc subscribe
      streamvc subscribe tcp://192.0.2.7:7788 --camera front_door --label fight
      streamvc subscribe --json | jq .data.label
    """
    from itertools import islice

    from streamvc.events import describe
    from streamvc.publish.subscriber import Subscriber

    with Subscriber(endpoint, cameras=cameras or None, labels=labels or None, timeout_s=timeout_s) as subscriber:
        for event in islice(subscriber, count):
            click.echo(subscriber.body.decode() if as_json else describe(event))
