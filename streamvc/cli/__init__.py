"""The command line: parses, calls one function, prints. Heavy imports stand inside the commands, so that `--help` is quick."""

import logging
import sys
from traceback import format_exception
from types import TracebackType
from typing import Any

import click

from streamvc._version import __version__
from streamvc.capture.address import redact
from streamvc.cli import output
from streamvc.cli.backbones import backbones
from streamvc.cli.bench import bench
from streamvc.cli.classify import classify
from streamvc.cli.compare import compare
from streamvc.cli.completion import completion
from streamvc.cli.data import data
from streamvc.cli.demo import demo
from streamvc.cli.evaluate import evaluate
from streamvc.cli.events import events
from streamvc.cli.keys import keys
from streamvc.cli.models import models
from streamvc.cli.node import node
from streamvc.cli.open_set import open_set
from streamvc.cli.recipes import recipes
from streamvc.cli.subscribe import subscribe
from streamvc.cli.train import train
from streamvc.cli.watch import watch
from streamvc.errors import StreamvcError
from streamvc.node.logs import configure
from streamvc.text import printable

EXIT_CODES = (
    "Exit codes: 0 done or stopped on request, 1 an error (one line says which), 2 wrong usage, 130 interrupted before it was done, "
    "141 nobody reads its output any more."
)
INTERRUPTED = 130  # the shells' code for a program ended by Ctrl-C


def _report(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """As Python itself reports what nobody has caught, without secrets."""
    sys.stderr.write(redact("".join(format_exception(kind, error, traceback))))


class Commands(click.Group):
    """Turns our errors into one line and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except StreamvcError as error:
            raise click.ClickException(printable(redact(str(error)), lines=True)) from error
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            ctx.exit(INTERRUPTED)
        except BrokenPipeError:
            output.silence()
            ctx.exit(output.BROKEN_PIPE)
        except OSError as error:
            if error.errno not in output.OUTPUT_ERRORS or error.filename is not None:
                raise
            output.silence()
            raise click.ClickException(f"cannot write to standard output: {error.strerror}") from error
        return result


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, "--version", prog_name="streamvc")
@click.option("-v", "--verbose", count=True, help="Log what happens; twice for details.")
def main(verbose: int) -> None:
    """Watch live video and say what people are doing, as it happens.

    \b
    Examples:
      streamvc demo                                  see it at work, without a camera
      streamvc watch 0 --model exercise              the first webcam
      streamvc watch rtsp://host/stream --headless   a network camera, without a window
      streamvc node node.yaml                        many cameras, as a file says
      streamvc subscribe                             print the events of a running watch
      streamvc events --last 2h                      print those that it has logged
      streamvc classify clip.mp4                     what does this clip show?
      streamvc train my-clips --out models/mine      teach it your own activities
    """
    output.prepare()
    sys.excepthook = _report
    level = [logging.WARNING, logging.INFO, logging.DEBUG][min(verbose, 2)]
    configure(level, as_json=False, force=False)


for command in (
    watch,
    node,
    classify,
    subscribe,
    events,
    keys,
    data,
    recipes,
    train,
    evaluate,
    open_set,
    compare,
    models,
    backbones,
    bench,
    demo,
    completion,
):
    main.add_command(command)


def _tell_exit_codes(told: click.Command) -> None:
    told.epilog = EXIT_CODES
    for below in told.commands.values() if isinstance(told, click.Group) else ():
        _tell_exit_codes(below)


_tell_exit_codes(main)
