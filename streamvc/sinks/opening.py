"""Makes a sink of its address. A new sink is added here."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from streamvc.capture.address import is_mistyped, redact
from streamvc.errors import SinkError
from streamvc.extras import install_command
from streamvc.sinks.jsonlines import JsonLinesFile, StandardOutput
from streamvc.sinks.mqtt_topics import Labels
from streamvc.sinks.positions import RetainedTopics
from streamvc.sinks.sink import Sink
from streamvc.sinks.webhook import Webhook

FORMS = "mqtt://HOST/PREFIX, mqtts://HOST/PREFIX, https://HOST/PATH, file:PATH, - (standard output), or @FILE that holds one of these"

NO_ADDRESS = f"this is not the address of a sink; write it as {FORMS}, with %2F for / and %40 for @ in a user"


def open_sink(address: str, *, site: str, node: str, labels: Callable[[], Labels] | None = None, memory: RetainedTopics | None = None) -> Sink:
    """The sink at an address.

    Args:
        address: `mqtt://user@host:1883/prefix?discovery=1`, `https://host/path`, `file:events.jsonl` or `-`; or `@FILE` with one of these in the
            file, for an address that others are not to see in the list of processes.
        site: The publisher's site.
        node: The publisher's machine.
        labels: Which cameras are watched now, for a sink that announces them; see `Mqtt`.
        memory: What it has announced before.

    Raises:
        SinkError: This is not an address, or an option of it is wrong.
    """
    return read_address(address, site=site, node=node, labels=labels, memory=memory)()


def read_address(
    address: str, *, site: str, node: str, labels: Callable[[], Labels] | None = None, memory: RetainedTopics | None = None
) -> Callable[[], Sink]:
    """What opens the sink at an address, which so far nobody has been connected to. As `open_sink`."""
    resolved = ""
    try:
        resolved = _resolve(address)
        return _read(resolved, site, node, labels, memory)
    except SinkError as error:
        why = NO_ADDRESS if is_mistyped(resolved) else redact(str(error))
        raise SinkError(f"{_shown(address)}: {why}") from None


def _shown(address: str) -> str:
    """Which sink it is, without what may be secret: a path or a query, too."""
    if is_mistyped(address):
        return "a sink"
    with suppress(ValueError):
        if host := urlsplit(address).hostname:
            return f"sink {urlsplit(address).scheme}://{host}"
    return f"sink {address}" if address.startswith(("@", "file:")) else "a sink"


def _resolve(address: str) -> str:
    if not address.startswith("@"):
        return address
    file = Path(address[1:])
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SinkError(f"cannot read the address of a sink in {file}") from error


def _read(address: str, site: str, node: str, labels: Callable[[], Labels] | None, memory: RetainedTopics | None) -> Callable[[], Sink]:
    if address == "-":
        return StandardOutput
    try:
        url = urlsplit(address)
        _ = url.port  # is read only now
    except ValueError:  # which quotes it, with a password in it perhaps
        raise SinkError(NO_ADDRESS) from None
    sink: Sink
    match url.scheme:
        case "file":
            sink = JsonLinesFile.from_url(url)
        case "http" | "https":
            sink = Webhook.from_url(url)
        case "mqtt" | "mqtts":
            try:
                from streamvc.sinks import mqtt
            except ImportError as error:
                raise SinkError(f"MQTT needs paho-mqtt; install it with: {install_command('mqtt')}") from error
            return mqtt.read_url(url, site=site, node=node, labels=labels, memory=memory)
        case _:
            raise SinkError(f"there is no sink for {url.scheme or 'this'!r}; write its address as {FORMS}")
    return lambda: sink
