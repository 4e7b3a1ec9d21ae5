"""`streamvc watch`."""

import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
@options.publishing
@options.recording
@click.option(
    "--wait-for-subscriber", "wait_s", type=click.FloatRange(0), default=0.0, metavar="SECONDS", help="Start when one has joined, or after so long."
)
@click.option("--update-s", type=click.FloatRange(0), default=1.0, show_default=True, help="Seconds between updates of what runs; 0 for none.")
@options.tuning
@options.runtime
@options.as_json
def watch(
    source: str,
    headless: bool,
    publish: str,
    no_publish: bool,
    site: str,
    log: Path | None,
    no_log: bool,
    sinks: tuple[str, ...],
    as_json: bool,
    **chosen: Any,
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
      streamvc watch 0 --publish 'tcp://*:7788' --keys keys --sink mqtt://192.0.2.9
      streamvc watch rtsp://192.0.2.7/stream --headless --record events --pre-roll-s 10
    """
    from streamvc import live
    from streamvc.cli.progress import frame_progress
    from streamvc.publish.log import default_log

    if no_publish and sinks:
        raise click.UsageError("--sink delivers what is published; leave --no-publish away")
    settings = live.Options(
        source=source,
        headless=headless,
        publish=None if no_publish else publish,
        site=site,
        log=None if no_log else log or default_log(publish),
        sinks=sinks,
        tuning=options.take_tuning(chosen),
        recording=options.take_recording(chosen),
        **chosen,
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
