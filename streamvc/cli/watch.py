"""`streamvc watch`."""

import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from streamvc.cli import options
from streamvc.cli.output import Printer
from streamvc.errors import SinkError

if TYPE_CHECKING:
    from streamvc.events import Event
    from streamvc.live import StartedAt, Watch
    from streamvc.node.worker import Step


def _read_zone(_context: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]) -> tuple[tuple[tuple[float, ...], ...], ...]:
    """Corners of polygons, each written `X,Y X,Y X,Y`."""
    try:
        return tuple(tuple(tuple(float(number) for number in corner.split(",")) for corner in text.split()) for text in texts)
    except ValueError as error:
        raise click.BadParameter("write the corners as shares of width and height: '0.1,0.2 0.9,0.2 0.9,1'") from error


def _read_time(_context: click.Context, _parameter: click.Parameter, text: str | None) -> "StartedAt | None":
    if text is None:
        return None
    if text == "file":
        return "file"
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError as error:
        raise click.BadParameter("write it as 2026-11-30T18:00:00, with +01:00 behind it for another time zone than this machine's") from error


@click.command()
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@click.option(
    "-m",
    "--model",
    "models",
    multiple=True,
    default=("exercise",),
    show_default=True,
    metavar="NAME|PATH",
    shell_complete=options.complete_model,
    help="Model bundle; see `streamvc models list`. May be given several times.",
)
@click.option("--camera", metavar="NAME", help="The camera's name in events.  [default: made from SOURCE]")
@click.option("--once", is_flag=True, help="A camera that is lost is an error.  [default: it is connected again]")
@click.option(
    "--policy",
    type=click.Choice(["latest", "every"]),
    help="`latest`: the newest frame wins, the others are dropped and counted. `every`: all are used.  [default: every for files, else latest]",
)
@click.option("--pace/--no-pace", default=None, help="Play a file at its own speed, as a camera would.  [default: only in a window]")
@click.option(
    "--started-at",
    callback=_read_time,
    metavar="TIME|file",
    help="When a recording was begun; `file`: as it says itself.",
)
@click.option("--zone", "include", multiple=True, callback=_read_zone, metavar="CORNERS", help="Look inside of this polygon: 'X,Y X,Y X,Y'.")
@click.option("--exclude-zone", "exclude", multiple=True, callback=_read_zone, metavar="CORNERS", help="Do not look inside of this one.")
@click.option("--schedule", multiple=True, metavar="RULE", help="When to watch: 'mon-fri 18:00-08:00'; repeatable.  [default: always]")
@click.option("--rate-hz", type=click.FloatRange(2), metavar="RATE", help="Analyse so many frames a second at most.  [default: the model's]")
@click.option(
    "--fps", type=click.FloatRange(0.1, 1000), help="Ask for a still image so often in a second (5), or play so many images of a folder (25)."
)
@click.option("--motion-gate", is_flag=True, help="Do not analyse frames while nothing moves.")
@click.option("--frozen-s", type=click.FloatRange(0), default=30.0, show_default=True, help="The same live picture for so long is a fault; 0: never.")
@click.option("--headless", is_flag=True, help="No window.")
@click.option("--save", type=click.Path(dir_okay=False, path_type=Path), metavar="VIDEO", help="Write the annotated video to this file.")
@options.publishing
@options.recording
@click.option(
    "--wait-for-subscriber", "wait_s", type=click.FloatRange(0), default=0.0, metavar="SECONDS", help="Start when one has joined, or after so long."
)
@click.option("--update-s", type=click.FloatRange(0), default=1.0, show_default=True, help="Seconds between updates of what runs; 0 for none.")
@options.thresholds
@options.runtime
@options.as_json
def watch(
    sources: tuple[str, ...],
    models: tuple[str, ...],
    camera: str | None,
    include: tuple[Any, ...],
    exclude: tuple[Any, ...],
    schedule: tuple[str, ...],
    rate_hz: float | None,
    fps: float | None,
    motion_gate: bool,
    frozen_s: float,
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

    SOURCE is a camera's number (0), a video file, a URL (rtsp://, http://, ...) or a folder of images; several are watched side by side. A still
    image (http://.../snap.jpg) is asked for again and again. Each event is printed as one line, published over ZeroMQ, and drawn on the picture. A
    network camera that is lost is connected again.

    \b
    Examples:
      streamvc watch 0
      streamvc watch rtsp://user:secret@192.0.2.7/stream --model cctv-fight --camera yard --headless
      streamvc watch 0 rtsp://192.0.2.7/stream --model exercise-fast --model cctv-fight-fast --headless
      streamvc watch clip.mp4 --headless --no-publish --json > events.jsonl
      streamvc watch clip.mp4 --headless --started-at 2026-11-30T18:00:00
      streamvc watch clip.mp4 --save annotated.mp4 --enter 0.8
      streamvc watch 0 --publish 'tcp://*:7788' --keys keys --sink mqtt://192.0.2.9
      streamvc watch rtsp://192.0.2.7/stream --headless --record events --pre-roll-s 10
      streamvc watch 0 --headless --zone '0,0.5 1,0.5 1,1 0,1' --schedule 'mon-fri 18:00-08:00'
    """
    from streamvc.view.window import share_xcb

    if not headless:
        share_xcb()
    from streamvc import app
    from streamvc.cli.progress import frame_progress
    from streamvc.live import camera_configs
    from streamvc.node.settings import Motion
    from streamvc.publish.log import default_log

    if no_publish and sinks:
        raise click.UsageError("--sink delivers what is published; leave --no-publish away")
    if chosen["save"] and len(sources) > 1:
        raise click.UsageError("--save writes the video of one source; give one")
    cameras = camera_configs(
        sources,
        models,
        camera=camera,
        thresholds=options.take_thresholds(chosen),
        zones={"include": include, "exclude": exclude},
        schedule=schedule,
        rate_hz=rate_hz,
        fps=fps,
        motion=Motion(gate=motion_gate),
        frozen_s=frozen_s,
    )
    settings = app.Options(
        cameras=tuple(cameras),
        headless=headless,
        publish=None if no_publish else publish,
        site=site,
        log=None if no_log else log or default_log(publish),
        sinks=sinks,
        recording=options.take_recording(chosen),
        **chosen,
    )
    printer = Printer()
    with frame_progress(shown=headless and sys.stderr.isatty()) as on_step:

        def step(done: "Step", watched: "Watch") -> None:
            on_step(done, watched)
            with suppress(OSError, SinkError):  # which is told with the next event
                printer.flush()
            if printer.is_closed:
                watched.stop()

        summary = app.run(settings, _printing(printer, as_json, site), step)
    printer.close()
    if not as_json:
        click.echo(
            f"{summary.num_frames} frames in {summary.wall_s:.1f} s, {summary.num_analysed} analysed, "
            f"{summary.num_dropped} dropped, {summary.num_corrupt} corrupt",
            err=True,
        )


def _printing(printer: Printer, as_json: bool, site: str) -> Callable[["Event"], None]:
    from streamvc.events import describe
    from streamvc.publish.cloudevents import encode

    def standard_output(event: "Event") -> None:
        printer.print(encode(event, site=site, node=socket.gethostname(), time=time.time()) if as_json else describe(event))

    return standard_output
