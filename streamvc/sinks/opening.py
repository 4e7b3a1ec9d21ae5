"""Makes a sink of its address. A new sink is added here."""

from contextlib import suppress
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from streamvc.errors import SinkError
from streamvc.sinks.jsonlines import JsonLines, StandardOutput
from streamvc.sinks.sink import Sink
from streamvc.sinks.webhook import Webhook

FORMS = "mqtt://HOST/PREFIX, mqtts://HOST/PREFIX, https://HOST/PATH, file:PATH, - (standard output), or @FILE that holds one of these"


def open_sink(address: str, *, site: str, node: str) -> Sink:
    """The sink at an address.

    Args:
        address: `mqtt://user@host:1883/prefix?discovery=1`, `https://host/path`, `file:events.jsonl` or `-`; or `@FILE` with one of these in the
            file, for an address that others are not to see in the list of processes.
        site: The publisher's site.
        node: The publisher's machine.

    Raises:
        SinkError: This is not an address, or an option of it is wrong.
    """
    try:
        if address.startswith("@"):
            return _open(_read(Path(address[1:])), site, node)
        return _open(address, site, node)
    except SinkError as error:
        raise SinkError(f"{_shown(address)}: {error}") from error


def _shown(address: str) -> str:
    """Which sink it is, without what may be secret: a path or a query, too."""
    with suppress(ValueError):
        if host := urlsplit(address).hostname:
            return f"sink {address.partition(':')[0]}://{host}"
    return f"sink {address}" if address.startswith(("@", "file:")) else "a sink"


def _open(address: str, site: str, node: str) -> Sink:
    if address == "-":
        return StandardOutput()
    try:
        url = urlsplit(address)
        _ = url.port  # is read only now
    except ValueError as error:
        raise SinkError(f"this is not the address of a sink ({error}); write it as {FORMS}") from error
    return _of(url, site, node)


def _of(url: SplitResult, site: str, node: str) -> Sink:
    match url.scheme:
        case "file":
            return JsonLines.from_url(url)
        case "http" | "https":
            return Webhook.from_url(url)
        case "mqtt" | "mqtts":
            try:
                from streamvc.sinks.mqtt import Mqtt
            except ImportError as error:
                raise SinkError("MQTT needs paho-mqtt; install it with `pip install 'streamvc[mqtt]'`") from error
            return Mqtt.from_url(url, site=site, node=node)
    raise SinkError(f"there is no sink for {url.scheme or 'this'!r}; write its address as {FORMS}")


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SinkError(f"cannot read the address of a sink in {file}") from error
