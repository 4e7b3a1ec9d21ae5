"""`streamvc events`."""

import csv
import re
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from streamvc.cli import options
from streamvc.cli.node import require_node

if TYPE_CHECKING:
    from streamvc.publish.wire import Message

UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
KINDS = ["event", "state", "health"]
# Where a spreadsheet would see a formula: at the start of a cell, or behind what it may take for the start of another.
FORMULA = re.compile(r"""(^|[;,|"\t\r\n])(?=\s*[=+@\-\uff1d\uff0b\uff20\uff0d])|^(?=[\t\r\n])""")
COLUMNS = ["time", "kind", "camera", "phase", "label", "score", "t_start", "t_end"]
COLUMNS += ["stream_start_s", "stream_end_s", "duration_s", "reason", "status", "detail", "event_id", "seq", "epoch", "snapshot", "clip"]
PHASES = ["start", "update", "end"]
CONFIGURATIONS = (".yaml", ".yml")


def moment(_context: click.Context, _parameter: click.Parameter, text: str | None) -> float | None:
    """A date and time, local if it does not say where, in Unix seconds."""
    try:
        return None if text is None else datetime.fromisoformat(text).timestamp()
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not a time; write it as 2026-11-22, '2026-11-22 07:40' or 2026-11-22T07:40:00Z") from error


def span(_context: click.Context, _parameter: click.Parameter, text: str | None) -> float | None:
    """A span of time in seconds."""
    if text is None:
        return None
    if found := re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text):
        return float(found[1]) * UNITS_S[found[2]]
    raise click.BadParameter(f"{text!r} is not a span of time; write it as 90s, 15m, 2h or 7d")


@click.command()
@click.argument("endpoint", default=options.ENDPOINT, metavar="[ENDPOINT|CONFIG]")
@click.option("--log", type=click.Path(path_type=Path), metavar="PATH", help="The log to read.  [default: that of ENDPOINT or CONFIG]")
@click.option("--from", "start_s", callback=moment, metavar="TIME", help="Only what was published then or later.")
@click.option("--to", "end_s", callback=moment, metavar="TIME", help="Only what was published before.")
@click.option("--last", "last_s", callback=span, metavar="SPAN", help="Only what was published within the last 90s, 15m, 2h, 7d, ...")
@click.option("--camera", "cameras", multiple=True, metavar="NAME", help="Only this camera; may be given several times.")
@click.option("--label", "labels", multiple=True, metavar="NAME", help="Only this label; may be given several times.")
@click.option("--phase", "phases", type=click.Choice(PHASES), multiple=True, help="Only these of events; may be given several times.")
@click.option("--kind", "kinds", type=click.Choice(KINDS), multiple=True, default=["event"], show_default=True, help="May be given several times.")
@click.option("--json", "form", flag_value="json", help="Print each as one line of JSON, as it was published.")
@click.option("--csv", "form", flag_value="csv", help="Print a table for spreadsheets; text that they would execute has a ' before it.")
def events(
    endpoint: str,
    log: Path | None,
    start_s: float | None,
    end_s: float | None,
    last_s: float | None,
    cameras: tuple[str, ...],
    labels: tuple[str, ...],
    phases: tuple[Any, ...],
    kinds: tuple[Any, ...],
    form: str | None,
) -> None:
    """Print the events that a `streamvc watch` or `streamvc node` which publishes on ENDPOINT has logged, the oldest first. It may still be running.

    A node may also be named by its configuration. In a table for spreadsheets, stills and clips are named that are there now.

    \b
    Examples:
      streamvc events --last 2h
      streamvc events node.yaml --last 1d --phase end
      streamvc events --from 2026-11-22 --to '2026-11-22 18:00' --camera front_door --csv > today.csv
      streamvc events --kind health --last 7d
      streamvc events --log events.db --json | jq .data.label
    """
    from streamvc.publish.log import query
    from streamvc.publish.records import Criteria
    from streamvc.sinks.sink import SinkFilter
    from streamvc.text import printable_json

    if last_s is not None:
        if start_s is not None or end_s is not None:
            raise click.UsageError("--last says from when to when: leave --from and --to out")
        start_s = time.time() - last_s
    wanted = Criteria(start_s, end_s, cameras or None, labels or None, kinds)
    messages = query(log or _log_of(endpoint), wanted)
    if phases:
        chosen = SinkFilter(frozenset(kinds), frozenset(phases))
        messages = (message for message in messages if chosen.wants(message))
    if form == "csv":
        _print_csv(messages)
    else:
        for message in messages:
            click.echo(printable_json(message.body.decode()) if form == "json" else _line(message))


def _log_of(endpoint: str) -> Path:
    """The log of what publishes on an endpoint, or of a node's configuration."""
    from streamvc.publish.log import default_log

    if not endpoint.endswith(CONFIGURATIONS) or "://" in endpoint:
        return default_log(endpoint)
    require_node()
    from streamvc.node.config import read_log_path

    return read_log_path(Path(endpoint))


def _line(message: "Message") -> str:
    from streamvc.events import describe
    from streamvc.publish.cloudevents import open_envelope

    envelope = open_envelope(message.body)
    return describe(envelope.data, written=datetime.fromisoformat(envelope.time).timestamp())


def _print_csv(messages: Iterable["Message"]) -> None:
    from streamvc.links import existing
    from streamvc.publish.cloudevents import open_envelope

    writer = csv.DictWriter(sys.stdout, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for message in messages:
        envelope = open_envelope(message.body)
        data = asdict(envelope.data)
        running = ", ".join(activity["label"] for activity in data.get("activities", ()))
        data |= {name: existing(link) for name, link in data.get("media", {}).items()}
        row = {"label": running, **data, "time": envelope.time, "kind": message.topic.kind}
        writer.writerow({column: _inert(value) for column, value in row.items()})


def _inert(value: object) -> object:
    """What a spreadsheet shows and does not execute: text that it would take for a formula gets an apostrophe before it."""
    return FORMULA.sub(r"\1'", value) if isinstance(value, str) else value
