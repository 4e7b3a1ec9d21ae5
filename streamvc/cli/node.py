"""`streamvc node`."""

import json
import logging
import sys
import time
from dataclasses import asdict
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from streamvc.cli import options
from streamvc.errors import NodeError
from streamvc.extras import install_command
from streamvc.text import printable

if TYPE_CHECKING:
    from rich.console import RenderableType

    from streamvc.node.check import CameraFound, Findings
    from streamvc.node.node import Node

logger = logging.getLogger(__name__)

HTTP = "127.0.0.1:7791"
REFRESH_S = 1.0
PRINTED_WIDTH = 160  # columns of a table that goes to a file or another program
EXTRA = ("prometheus_client", "ruamel.yaml", "starlette", "uvicorn")  # modules that the extra `node` installs

config = click.argument("config", type=click.Path(dir_okay=False, path_type=Path))


class NodeCommands(click.Group):
    """`run` may be left away: `streamvc node node.yaml` is `streamvc node run node.yaml`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            if not Path(args[0]).exists() and (close := get_close_matches(args[0], self.commands, n=1)):
                raise click.UsageError(f"there is no file {args[0]}; did you mean `streamvc node {close[0]}`?", ctx)
            args = ["run", *args]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        require_node()
        return super().invoke(ctx)


def require_node() -> None:
    """Refuse where a node cannot run, and say what to do."""
    if sys.platform == "win32":
        raise NodeError("a node does not run on Windows; run it on Linux, or watch single cameras with `streamvc watch`")
    if missing := [module for module in EXTRA if not find_spec(module.partition(".")[0]) or not find_spec(module)]:
        raise NodeError(f"a node needs {', '.join(missing)}; install it with: {install_command('node')}")


@click.group(cls=NodeCommands, options_metavar="", subcommand_metavar="[run] CONFIG | COMMAND [ARGS]...")
def node() -> None:
    """Watch many cameras with one program: `streamvc node CONFIG.yaml`.

    \b
    A configuration, as short as it can be:
      defaults: {models: [cctv-fight-fast]}
      cameras:
        - name: yard
          source: rtsp://${CAM_USER}:${CAM_PASSWORD}@192.0.2.7/stream

    All that it may hold is told in docs/node.md. A camera may have a file of its own beside it, cameras.d/NAME.yaml. When a file changes, its cameras
    are changed while the others run on.

    \b
    Examples:
      streamvc node check node.yaml                     is all of it right? can each camera be read?
      streamvc node node.yaml                           watch, until Ctrl-C or SIGTERM
      streamvc node status                              what does it do?
      streamvc node add node.yaml door rtsp://192.0.2.8/stream
      streamvc node set node.yaml door rate_hz=5 thresholds.enter=0.8
      streamvc node remove node.yaml door
    """


@node.command()
@config
@click.option("--log-json", is_flag=True, help="Log lines of JSON.")
def run(config: Path, log_json: bool) -> None:
    """Watch the cameras of CONFIG until stopped (Ctrl-C, SIGTERM). `run` may be left away.

    Changes of it, and of cameras.d/ beside it, are taken up within two seconds, or at once on SIGHUP. One that cannot be used is logged, and all
    stays as it was.

    \b
    Examples:
      streamvc node node.yaml
      streamvc node --log-json /etc/streamvc/node.yaml
    """
    from streamvc.node import logs
    from streamvc.node.run import run

    logs.configure(min(logging.getLogger().getEffectiveLevel(), logging.INFO), as_json=log_json)
    run(config, _log_start)


def _log_start(node: "Node") -> None:
    num_cameras = len(node.snapshot().cameras)
    logger.info("%d camera%s, events on %s, status on %s", num_cameras, "" if num_cameras == 1 else "s", node.endpoint, node.http or "no address")


@node.command()
@config
@options.as_json
def check(config: Path, as_json: bool) -> None:
    """Say what is wrong with CONFIG; then try each camera, and each model on a picture of it. Exit code 1 if anything is wrong.

    \b
    Examples:
      streamvc node check node.yaml
      streamvc node check node.yaml --json
    """
    from streamvc.node.check import check
    from streamvc.node.config import read_config

    findings = check(read_config(config))
    if as_json:
        click.echo(json.dumps(asdict(findings)))
    else:
        _print_findings(findings)
    if not findings.is_well:
        sys.exit(1)


def _print_findings(findings: "Findings") -> None:
    for problem in findings.problems:
        click.echo(printable(problem))
    for camera in findings.cameras:
        click.echo(printable(f"camera {camera.name}: {camera.problem or _describe(camera)}"))
    for model in findings.models:
        cost = "" if model.frame_s is None else f"{model.rate_hz:g} Hz, {1000 * model.frame_s:.1f} ms a frame"
        click.echo(printable(f"model {model.name}: {model.problem or cost}"))
    if failed := sum(camera.problem is not None for camera in findings.cameras):
        click.echo(f"{failed} of {len(findings.cameras)} cameras cannot be read")
    click.echo(f"all cameras together take {findings.load:.0%} of the time that there is for inference, at most")


def _describe(camera: "CameraFound") -> str:
    width, height = camera.size or (0, 0)
    parts = (f"{width}x{height}", camera.fps and f"{camera.fps:g} fps", camera.codec, f"a picture after {camera.first_picture_s:.1f} s")
    return ", ".join(part for part in parts if part)


@node.command()
@config
@click.argument("name")
@click.argument("source")
@click.option(
    "-m", "--model", "models", multiple=True, metavar="NAME|PATH", shell_complete=options.complete_model, help="In place of the defaults; repeatable."
)
def add(config: Path, name: str, source: str, models: tuple[str, ...]) -> None:
    """Add the camera NAME to CONFIG, which is made if it is not there; a running node begins to watch it.

    It gets a file of its own beside CONFIG, cameras.d/NAME.yaml. SOURCE is all that `streamvc watch` takes. Write a login as variables, so that it
    stands neither there nor in the list of processes.

    \b
    Examples:
      streamvc node add node.yaml yard rtsp://192.0.2.7/stream
      streamvc node add node.yaml door 'rtsp://${CAM_USER}:${CAM_PASSWORD}@192.0.2.8/stream' --model cctv-fight-fast
    """
    from streamvc.node.editing import add_camera

    click.echo(f"camera {name} added in {add_camera(config, name, source, models)}")


@node.command()
@config
@click.argument("name")
def remove(config: Path, name: str) -> None:
    """Remove the camera NAME from CONFIG; a running node ends what goes on there, and watches it no more.

    \b
    Examples:
      streamvc node remove node.yaml door
    """
    from streamvc.node.editing import remove_camera

    click.echo(f"camera {name} removed from {remove_camera(config, name)}")


@node.command("set")
@config
@click.argument("name")
@click.argument("changes", nargs=-1, required=True, metavar="KEY=VALUE...")
def set_(config: Path, name: str, changes: tuple[str, ...]) -> None:
    """Change keys of the camera NAME in CONFIG; a running node takes it up. Nothing behind the `=` removes a key.

    It says what each key was before. Where only thresholds are changed, the node does not connect to the camera anew.

    \b
    Examples:
      streamvc node set node.yaml door enabled=false
      streamvc node set node.yaml door rate_hz=5 thresholds.enter=0.8 'models=[cctv-fight-fast, exercise-fast]'
      streamvc node set node.yaml door rate_hz=
    """
    from streamvc.node.editing import set_camera

    pairs = dict(options.read_pair("set", "KEY=VALUE", change) for change in changes)
    done = set_camera(config, name, pairs)
    click.echo(f"camera {name} {'changed' if done.keys else 'is so already'} in {done.path}")
    for change in done.keys:
        click.echo(f"  {change.key}: {change.old} -> {change.new}")


@node.command()
@click.argument("where", default=HTTP, metavar="[CONFIG|HOST:PORT]")
@click.option("--once", is_flag=True, help="Print it once.  [default: where standard output is no terminal]")
@options.as_json
def status(where: str, once: bool, as_json: bool) -> None:
    """Show what a running node does: a table of its cameras, every second anew, until Ctrl-C.

    Which node is told by its configuration, or by where it answers; 127.0.0.1:7791 if by neither.

    \b
    Examples:
      streamvc node status
      streamvc node status node.yaml
      streamvc node status 192.0.2.5:7791 --once
      streamvc node status --json | jq '.cameras[] | select(.state != "running")'
    """
    from streamvc.node.status import fetch

    address = _address(where)
    if as_json:
        click.echo(fetch(address).to_json())
    elif once or not sys.stdout.isatty():
        _print_table(address)
    else:
        _show_live(address)


def _address(where: str) -> str:
    """The address itself, or that which a configuration names; the rest of it may be wrong, as the node may run with what was there before."""
    if not Path(where).is_file():
        if ":" not in where:
            raise NodeError(f"there is no file {where}; name a configuration, or HOST:PORT")
        return where
    from streamvc.node.document import read_document

    data = read_document(Path(where)).data
    address = data.get("http", HTTP) if isinstance(data, dict) else HTTP
    if address is None:
        raise NodeError(f"{where}: a node that runs from this answers nowhere (`http` is null)")
    return str(address)


def _print_table(address: str) -> None:
    from rich.console import Console

    from streamvc.node.status import fetch
    from streamvc.node.table import table

    console = Console(width=None if sys.stdout.isatty() else PRINTED_WIDTH)
    with console.capture() as printed:
        console.print(table(fetch(address)))
    for line in printed.get().splitlines():
        click.echo(line.rstrip())


def _show_live(address: str) -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from streamvc.node.status import fetch
    from streamvc.node.table import table

    console = Console()

    def now() -> "RenderableType":
        try:
            return table(fetch(address), console.height)
        except NodeError as error:  # it may be started again
            return Text(str(error))

    try:
        with Live(table(fetch(address), console.height), console=console, screen=True, auto_refresh=False) as live:
            while True:
                time.sleep(REFRESH_S)
                live.update(now(), refresh=True)
    except KeyboardInterrupt:
        pass  # the way to leave it
