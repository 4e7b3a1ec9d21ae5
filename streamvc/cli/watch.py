"""`streamvc watch`."""

import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from streamvc.cli import options

if TYPE_CHECKING:
    from streamvc.events import Event


@click.command()
@click.argument("source")
@options.model
@click.option("--camera", metavar="NAME", help="The camera's name in events.  [default: made from SOURCE]")
@click.option(
    "--policy",
    type=click.Choice(["latest", "every"]),
    help="`latest`: the newest frame wins, the others are dropped and counted. `every`: all are used.  [default: every for files, else latest]",
)
@click.option("--pace/--no-pace", default=None, help="Play a file at its own speed, as a camera would.  [default: only in a window]")
@click.option("--headless", is_flag=True, help="No window.")
@click.option("--save", type=click.Path(dir_okay=False, path_type=Path), metavar="VIDEO", help="Write the annotated video to this file.")
@click.option("--publish", default=options.ENDPOINT, show_default=True, metavar="ENDPOINT", help="ZeroMQ endpoint for the events.")
@click.option("--no-publish", is_flag=True, help="Publish nothing.")
@click.option(
    "--wait-for-subscriber", "wait_s", type=click.FloatRange(0), default=0.0, metavar="SECONDS", help="Start when one has joined, or after so long."
)
@click.option("--site", default="site", show_default=True, help="First part of topics and event sources.")
@click.option("--update-s", type=click.FloatRange(0), default=1.0, show_default=True, help="Seconds between updates of what runs; 0 for none.")
@options.tuning
@options.runtime
@options.as_json
def watch(
    source: str,
    model: str,
    camera: str | None,
    policy: str | None,
    pace: bool | None,
    headless: bool,
    save: Path | None,
    publish: str,
    no_publish: bool,
    wait_s: float,
    site: str,
    update_s: float,
    as_json: bool,
    runtime: str | None,
    threads: int,
    **tuning: float | None,
) -> None:
    """Recognise activities in SOURCE, live, until it ends or is stopped (Ctrl-C, SIGTERM, `q` in the window).

    SOURCE is a camera's number (0), a video file, a URL (rtsp://, http://, ...) or a folder of images. Each event is printed as one line, published
    over ZeroMQ, and drawn on the picture.

    \b
    Examples:
      streamvc watch 0
      streamvc watch rtsp://user:secret@192.0.2.7/stream --model cctv-fight --camera yard --headless
      streamvc watch clip.mp4 --headless --no-publish --json > events.jsonl
      streamvc watch clip.mp4 --save annotated.mp4 --enter 0.8
    """
    from streamvc import live
    from streamvc.cli.progress import frame_progress
    from streamvc.pipeline import Tuning

    try:
        chosen = Tuning(**tuning)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    settings = live.Options(
        source=source,
        model=model,
        camera=camera,
        policy=policy,  # type: ignore[arg-type]  # click has checked the choice
        pace=pace,
        runtime=runtime,
        threads=threads,
        tuning=chosen,
        update_s=update_s,
        publish=None if no_publish else publish,
        wait_s=wait_s,
        site=site,
        save=save,
        headless=headless,
    )
    with frame_progress(shown=headless and sys.stderr.isatty()) as on_step:
        summary = live.run(settings, _printer(as_json, site), on_step)
    if not as_json:
        click.echo(
            f"{summary.num_frames} frames in {summary.wall_s:.1f} s, {summary.num_analysed} analysed, "
            f"{summary.num_dropped} dropped, {summary.num_corrupt} corrupt",
            err=True,
        )


def _printer(as_json: bool, site: str) -> Callable[["Event"], None]:
    from streamvc.events import describe
    from streamvc.publish.cloudevents import encode

    def print_event(event: "Event") -> None:
        click.echo(encode(event, site=site, node=socket.gethostname(), time=time.time()) if as_json else describe(event))

    return print_event
