"""Where a web address may lead, and the connections there.

Whoever can answer for a camera could have this machine ask any other for something. So an address, and what it leads to (a redirection, what a
playlist names), may lead to

- the same host and port, or another port of the same host, unless that is this machine itself;
- any public address of the internet;
- never another host of a private network, nor anything but `http` and `https`.

Each connection is made to the very address that was checked.
"""

import io
import socket
import ssl
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import SplitResult

from streamvc.errors import SourceError

PORTS = {"http": 80, "https": 443}
PIECE_BYTES = 1 << 16  # that are read at once, at most

IpAddress = IPv4Address | IPv6Address
Place = tuple[str, int]  # host and port


class ForbiddenError(SourceError):
    """It leads to where it may not."""


class Link(io.RawIOBase):
    """A connection of which each byte has to come in time. To `http.client`, it is a socket."""

    def __init__(self, connected: socket.socket, left_s: Callable[[], float]) -> None:
        """Of what may still take `left_s()` seconds, or raises `TimeoutError`."""
        self._socket = connected
        self._left_s = left_s

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        self._socket.settimeout(self._left_s())
        return self._socket.recv_into(buffer)

    def sendall(self, data: bytes) -> None:
        self._socket.settimeout(self._left_s())
        self._socket.sendall(data)

    def makefile(self, *_: object) -> io.BufferedReader:
        return io.BufferedReader(self, PIECE_BYTES)

    def close(self) -> None:
        self._socket.close()
        super().close()


def connect(parts: SplitResult, origin: Place, left_s: Callable[[], float]) -> Link:
    """Connect to an address of a host, by TLS for `https`.

    Args:
        parts: What is asked for.
        origin: What the user has named.
        left_s: As for `Link`.

    Raises:
        ForbiddenError: What is at `origin` may not lead there.
        OSError: Nobody answers, or not in time.
    """
    host, port = place_of(parts)
    own = _resolve(*origin) if (host, port) != origin else []
    allowed = [each for each in _resolve(host, port) if (host, port) == origin or may_lead_to(each, own)]
    if not allowed:
        raise ForbiddenError(f"it leads to {host}:{port}, another place of a private network; give that address itself, if it is right")
    problem: OSError | None = None
    for address in allowed:
        try:
            connected = socket.create_connection((str(address), port), left_s())
            return Link(_secured(connected, host, left_s()) if parts.scheme == "https" else connected, left_s)
        except OSError as error:
            problem = error
    raise problem or OSError("it has no address")


def place_of(parts: SplitResult) -> Place:
    """Host and port of an address."""
    return parts.hostname or "", parts.port or PORTS.get(parts.scheme, 0)


def may_lead_to(address: IpAddress, own: Sequence[IpAddress]) -> bool:
    """Whether what is at some host may lead to an address; `own` are those of that host, which may have other ports."""
    return (address.is_global and not address.is_multicast) or (address in own and not address.is_loopback)


def _secured(connected: socket.socket, host: str, timeout_s: float) -> socket.socket:
    """TLS as cameras have it: they sign their certificates themselves, and know what was usual ten years ago. FFmpeg does not check them either."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    connected.settimeout(timeout_s)
    try:
        return context.wrap_socket(connected, server_hostname=host)
    except BaseException:
        connected.close()
        raise


def _resolve(host: str, port: int) -> list[IpAddress]:
    found = [ip_address(str(info[4][0]).partition("%")[0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    return [(each.ipv4_mapped or each) if isinstance(each, IPv6Address) else each for each in found]
