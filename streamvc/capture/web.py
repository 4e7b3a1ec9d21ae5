"""What lies behind a web address that leads elsewhere: a playlist that names segments, an answer that says where the video is now.

Whoever can answer for a camera could have this machine ask any other for something. So an address, and what it leads to, may lead to

- the same host and port, or another port of the same host, unless that is this machine itself;
- any public address of the internet;
- never another host of a private network, nor anything but `http` and `https`.

Each connection is made to the very address that was checked. A login is sent to the host and port alone that it was given for.
"""

import http.client
import re
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from http.cookiejar import CookieJar
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit
from weakref import WeakSet

from streamvc.capture.address import redact
from streamvc.errors import AccessError, SourceError

PORTS = {"http": 80, "https": 443}
AGENT = "streamvc"

REASONS = {
    401: "the user name or password is wrong or missing (401); give them in the address, as in http://user:password@host",
    403: "access is forbidden (403)",
    404: "there is no such stream (404)",
}

REDIRECTIONS = (301, 302, 303, 307, 308)

IpAddress = IPv4Address | IPv6Address


class ForbiddenError(SourceError):
    """It leads to where it may not."""


class Web:
    """Reads what a web address leads to, for FFmpeg. For one thread.

    Attributes:
        problem: Why what was asked for last is not there; None where all was.
        opened: What has been given out and may be open.
    """

    def __init__(self, url: str, timeout_s: float) -> None:
        """Nothing is asked for yet; `url` is the user's own, `timeout_s` how long an answer, or more of it, may take."""
        self.problem: SourceError | None = None
        self.opened = WeakSet[Body]()
        self._origin = _authority(urlsplit(url))
        self._timeout_s = timeout_s
        self._passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
        self._opener = urllib.request.OpenerDirector()
        handlers = (
            _Handler(self._connect),
            urllib.request.HTTPDefaultErrorHandler(),
            urllib.request.HTTPErrorProcessor(),
            urllib.request.HTTPRedirectHandler(),
            urllib.request.HTTPBasicAuthHandler(self._passwords),
            urllib.request.HTTPDigestAuthHandler(self._passwords),
            urllib.request.HTTPCookieProcessor(CookieJar()),
        )
        for handler in handlers:
            self._opener.add_handler(handler)

    def find(self, url: str) -> "Body":
        """What an address leads to in the end; `url` and `is_playlist` say where and what that is.

        Raises:
            AccessError: The login is refused.
            SourceError: It may not lead there, or there is nothing.
        """
        body = Body(self, url)
        body.close()
        if self.problem:
            raise self.problem
        return body

    def open(self, url: str, _flags: int = 0, options: dict[str, str] | None = None) -> "Body":
        """What FFmpeg asks for. Where it is not there it is empty: FFmpeg goes on with what follows; see `problem`.

        Raises:
            ForbiddenError: It may not be asked for.
        """
        options = options or {}
        body = Body(self, url, int(options.get("offset", 0)), int(options.get("end_offset", 0)))
        if isinstance(self.problem, ForbiddenError):
            raise self.problem
        return body

    def close(self) -> None:
        """Let go of all that is open."""
        for body in list(self.opened):
            body.close()

    def ask(self, url: str, begin: int = 0, end: int = 0) -> http.client.HTTPResponse | None:
        """The answer for the bytes from `begin` to `end`, 0 for all; None where there is none."""
        self.problem = None
        try:
            parts = urlsplit(url)
            if parts.scheme not in PORTS:
                kind = "encrypted segments are not supported" if parts.scheme.startswith("crypto") else "it leads to what is no web address"
                raise ForbiddenError(f"{kind}: {redact(url)[:200]}")
            if parts.username is not None:
                self._passwords.add_password(None, f"{parts.scheme}://{_host(parts)}", unquote(parts.username), unquote(parts.password or ""))
            request = urllib.request.Request(parts._replace(netloc=_host(parts)).geturl(), headers={"User-Agent": AGENT})
            if begin or end:
                request.add_header("Range", f"bytes={begin}-{end - 1 if end else ''}")
            answer: http.client.HTTPResponse = self._opener.open(request, timeout=self._timeout_s)
            return answer
        except SourceError as error:
            self.problem = error
        except urllib.error.HTTPError as error:
            reason = REASONS.get(error.code, f"the server refuses the request ({error.code})")
            self.problem = (AccessError if error.code in (401, 403) else SourceError)(reason)
            if error.code in REDIRECTIONS:  # another that the library did not follow
                self.problem = ForbiddenError("it leads to what is no web address")
            error.close()
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.note(error)
        return None

    def note(self, error: Exception) -> None:
        """What came of a connection that was lost."""
        cause = error.reason if isinstance(error, urllib.error.URLError) and isinstance(error.reason, Exception) else error
        if isinstance(cause, SourceError):
            self.problem = cause
        elif isinstance(cause, TimeoutError):
            self.problem = SourceError("no answer, timed out")
        elif isinstance(cause, ConnectionError):
            self.problem = SourceError("the connection was refused or broken off")
        else:
            self.problem = SourceError(f"it cannot be read ({re.sub(r'[^ -~]', ' ', redact(str(cause)))[:200]})")

    def _connect(self, host: str, port: int, timeout_s: float) -> socket.socket:
        """A connection to an address of that host that it may have."""
        addresses = _resolve(host, port)
        own = _resolve(*self._origin) if (host, port) != self._origin else []
        allowed = [each for each in addresses if (host, port) == self._origin or may_lead_to(each, own)]
        if not allowed:
            raise ForbiddenError(f"it leads to {host}:{port}, another place of a private network; give that address itself, if it is right")
        problem: OSError | None = None
        for address in allowed:
            try:
                return socket.create_connection((str(address), port), timeout_s)
            except OSError as error:
                problem = error
        raise problem or OSError("it has no address")


def may_lead_to(address: IpAddress, own: Sequence[IpAddress]) -> bool:
    """Whether what is at some host may lead to an address; `own` are those of that host, which may have other ports."""
    return (address.is_global and not address.is_multicast) or (address in own and not address.is_loopback)


class Body:
    """What is read of an answer, as a file. Where the connection is lost, it ends there."""

    def __init__(self, web: Web, url: str, begin: int = 0, end: int = 0) -> None:
        self.url = url
        self._web = web
        self._begin, self._end, self._position = begin, end, begin
        self._answer = web.ask(url, begin, end)
        web.opened.add(self)
        self._size = 0
        self._may_seek = self.is_playlist = False
        if self._answer:
            self.url = self._answer.geturl()
            self.is_playlist = "mpegurl" in self._answer.headers.get("Content-Type", "").lower() or urlsplit(self.url).path.endswith(".m3u8")
            self._size = begin + int(self._answer.headers.get("Content-Length") or 0)
            self._may_seek = not end and self._size > begin and "bytes" in self._answer.headers.get("Accept-Ranges", "")

    def read(self, num_bytes: int) -> bytes:
        """The next bytes, as they come; none at the end."""
        self._answer = self._answer or (self._web.ask(self.url, self._position) if self._position < self._size else None)
        try:
            read = self._answer.read1(num_bytes) if self._answer else b""
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._web.note(error)
            return b""
        self._position += len(read)
        return read

    def seekable(self) -> bool:
        return self._may_seek

    def seek(self, offset: int, whence: int = 0) -> int:
        position = offset + (0, self._position, self._size)[whence]
        if position != self._position:
            self.close()
            self._position = position
        return position

    def tell(self) -> int:
        return self._position

    def close(self) -> None:
        answer, self._answer = self._answer, None
        if answer:
            with suppress(OSError):
                answer.close()


class _Connection(http.client.HTTPConnection):
    """One that is made by whoever decides where it may lead to."""

    def __init__(self, connect: Any, tls: ssl.SSLContext | None, host: str, timeout: float) -> None:
        if tls:
            self.default_port = PORTS["https"]
        super().__init__(host, timeout=timeout)
        self._connect = connect
        self._tls = tls

    def connect(self) -> None:
        """Connect, in place of what the library would do."""
        self.sock = self._connect(self.host, self.port, self.timeout)
        if self._tls:
            self.sock = self._tls.wrap_socket(self.sock, server_hostname=self.host)


class _Handler(urllib.request.AbstractHTTPHandler):
    def __init__(self, connect: Any) -> None:
        super().__init__()
        self._connect = connect
        self._tls = ssl.create_default_context()
        self._tls.check_hostname, self._tls.verify_mode = False, ssl.CERT_NONE  # cameras sign for themselves, and FFmpeg asks no more of them

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(partial(_Connection, self._connect, None), request)

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(partial(_Connection, self._connect, self._tls), request)

    http_request = https_request = urllib.request.AbstractHTTPHandler.do_request_


def _authority(parts: SplitResult) -> tuple[str, int]:
    return parts.hostname or "", parts.port or PORTS.get(parts.scheme, 0)


def _host(parts: SplitResult) -> str:
    """Host and port, without a login."""
    return parts.netloc.rpartition("@")[2]


def _resolve(host: str, port: int) -> list[IpAddress]:
    found = [ip_address(str(info[4][0]).partition("%")[0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    return [(each.ipv4_mapped or each) if isinstance(each, IPv6Address) else each for each in found]
