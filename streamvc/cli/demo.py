"""`streamvc demo`."""

from pathlib import Path

import click


@click.command()
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("demo-output"),
    show_default=True,
    help="Folder for the video and the still.",
)
@click.option("--publish", "endpoint", metavar="ENDPOINT", help="ZeroMQ endpoint for the events.  [default: a free port of this machine]")
def demo(out: Path, endpoint: str | None) -> None:
    """See streamvc at work without a camera.

    A clip of half a minute that ships with streamvc (a rendered figure, not a person) plays through the pipeline of `streamvc watch`. A subscriber in
    another process prints the events as they arrive. An annotated video and a still are written.

    \b
    Examples:
      streamvc demo
      streamvc demo --out seen --publish tcp://127.0.0.1:7788
    """
    from streamvc.bench.latency import free_port
    from streamvc.demo.run import run_demo

    endpoint = endpoint or f"tcp://127.0.0.1:{free_port()}"
    click.echo(f"Watching the demo's clip (33 s) with the model `figure`; a subscriber at {endpoint} says:\n")
    shown = run_demo(out, endpoint, click.echo)
    click.echo(f"\n{shown.num_sent} events sent, {shown.num_received} received in another process.")
    click.echo(f"Annotated video: {shown.video}\nStill:           {shown.still}\n")
    click.echo("Next: streamvc watch 0       (a webcam)\n      streamvc watch --help")
    if shown.num_received != shown.num_sent:
        raise click.ClickException("events were lost between two processes of this machine")
