"""Asks a camera, and what it leads to, for something over HTTP or TCP: with its login, within a time, and nobody whom it may not lead to.

A login is sent to the host and port alone that it was given for, and to the same host by TLS.
"""

import io
import string
import time
import urllib.request
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from email.message import Message
from http.client import HTTPConnection, HTTPException, HTTPResponse
from http.cookiejar import CookieJar
from typing import Any, Protocol
from urllib.parse import quote, urljoin, urlsplit
from weakref import WeakSet

from streamvc._version import __version__
from streamvc.capture.address import redact
from streamvc.capture.login import Login
from streamvc.capture.web import PIECE_BYTES, PORTS, ForbiddenError, Place, connect, place_of
from streamvc.errors import AccessError, SourceError

REDIRECTIONS = (301, 302, 303, 307, 308)
MAX_REQUESTS = 8  # for one thing, with redirections and logins
MAX_COOKIES = 100
MAX_PLAYLIST_BYTES = 1 << 24

UNAUTHORIZED = "the user name or password is wrong or missing (401); give them in the address, as in rtsp://user:password@host"
FORBIDDEN = "access is forbidden (403)"
NOT_FOUND = "there is no such stream (404)"
SERVER_FAILED = "the server failed (5xx)"
REFUSED = "the server refuses the request (4xx)"
BROKEN_OFF = "the connection was refused or broken off"
UNREACHABLE = "it cannot be found, or not be read (input/output error)"
ANSWERS = {401: UNAUTHORIZED, 403: FORBIDDEN, 404: NOT_FOUND, 4: REFUSED, 5: SERVER_FAILED}

HEADERS = {"User-Agent": f"streamvc/{__version__}", "Accept": "*/*", "Cache-Control": "no-cache", "Connection": "close"}


class Readable(Protocol):
    """What bytes come from."""

    def read1(self, num_bytes: int, /) -> bytes: ...
    def close(self) -> None: ...


class HttpClient:
    """Asks for what the user's own address stands for, and for what that leads to. For one thread.

    Attributes:
        url: The user's own, with its login.
        name: What to call it in messages.
        timeout_s: How long an answer, or more of it, may take, in seconds.
        is_open: It has been read: what does not come from now on is lost.
        problem: Why what was asked for, or read, last is not there; None where all was.
    """

    def __init__(self, url: str, name: str, timeout_s: float) -> None:
        """Nothing is asked for yet. All together may take `timeout_s` seconds, until `within` is called.

        Raises:
            SourceError: It is no address.
        """
        self.url = url
        self.name = name
        self.timeout_s = timeout_s
        self.is_open = False
        self.problem: SourceError | None = None
        self._opened = WeakSet[Body]()
        self._held: Body | None = None
        self._logins: dict[Place, Login] = {}
        self._cookies = CookieJar()
        self.within(timeout_s)
        try:
            self._origin = place_of(urlsplit(url))
        except ValueError as error:
            raise SourceError(f"{name}: its port must be a number up to 65535") from error
        if urlsplit(url).username is not None:
            self._logins[self._origin] = Login(url)
            if self._origin[1] == PORTS["http"]:
                self._logins[self._origin[0], PORTS["https"]] = self._logins[self._origin]

    def within(self, seconds: float) -> None:
        """From now on, all may take so long until this is called again."""
        self._until = time.monotonic() + seconds

    def begin(self) -> None:
        """From now on, an answer, or more of it, is waited for."""
        self._by = min(self._until, time.monotonic() + self.timeout_s)

    def ask(self, url: str | None = None, headers: Mapping[str, str] | None = None, begin: int = 0, end: int = 0) -> "Body":
        """The answer of an address, or of that to which it leads: the bytes from `begin` to `end`, 0 for all.

        Raises:
            AccessError: The login is refused.
            ForbiddenError: It may not lead there.
            SourceError: There is no answer, or one of a failure.
        """
        self.problem = None
        self.begin()
        try:
            return self._ask(url or self.url, dict(headers or {}), begin, end)
        except SourceError as error:
            raise type(error)(f"{self.name}: {error}") from error.__cause__
        except (OSError, HTTPException, ValueError) as error:
            raise self.failure(error) from error

    def open(self, url: str, _flags: int = 0, options: Mapping[str, str] | None = None) -> "Body":
        """What FFmpeg asks for. Where it is not there it is empty: FFmpeg goes on with what follows; see `problem`.

        Raises:
            ForbiddenError: It may not be asked for.
        """
        if self._held and self._held.url == url:
            held, self._held = self._held, None
            return held
        options = options or {}
        try:
            return self.ask(url, begin=int(options.get("offset", 0)), end=int(options.get("end_offset", 0)))
        except ForbiddenError:
            raise
        except SourceError as error:
            self.problem = error
            return Body(self, url, io.BytesIO())

    def hand_over(self, body: "Body") -> None:
        """Let FFmpeg go on with what has come already, when it asks for it."""
        self._held = body

    def close(self) -> None:
        """Let go of all that is open."""
        for body in list(self._opened):
            body.close()

    def add(self, body: "Body") -> None:
        """It may be open."""
        self._opened.add(body)

    def failure(self, error: Exception, *, is_reading: bool = False) -> SourceError:
        """What a user is told of a connection that failed."""
        is_lost = is_reading and self.is_open
        why = BROKEN_OFF if isinstance(error, (ConnectionError, HTTPException)) else UNREACHABLE
        if isinstance(error, TimeoutError):
            why = f"{'nothing came for' if is_lost else 'no answer within'} {self.timeout_s:g} s"
        return SourceError(f"{self.name}: {'lost, ' if is_lost else ''}{why}")

    def _left_s(self) -> float:
        if (left_s := self._by - time.monotonic()) <= 0:
            raise TimeoutError
        return left_s

    def _ask(self, url: str, headers: dict[str, str], begin: int, end: int) -> "Body":
        if url == self.url and urlsplit(url).scheme == "tcp":
            return Body(self, url, connect(urlsplit(url), self._origin, self._left_s).makefile())
        if begin or end:
            headers["Range"] = f"bytes={begin}-{end - 1 if end else ''}"
        for login in self._logins.values():
            login.begin()
        for _ in range(MAX_REQUESTS):
            answer = self._ask_once(url, headers)
            if answer.status in (206, 304) or (answer.status == 200 and not begin):
                return Body(self, url, answer, begin, may_seek=not end)
            answer.close()
            known = self._logins.get(place_of(urlsplit(url)))
            if answer.status in REDIRECTIONS:
                url = urljoin(url, answer.headers.get("Location", ""))
            elif not (answer.status == 401 and known and known.learn(", ".join(answer.headers.get_all("WWW-Authenticate", [])))):
                why = ANSWERS.get(answer.status) or ANSWERS.get(answer.status // 100) or f"the server answers {answer.status}"
                raise (AccessError if answer.status in (401, 403) else SourceError)(why)
        raise SourceError("it leads from one address to the next without end")

    def _ask_once(self, url: str, headers: Mapping[str, str]) -> HTTPResponse:
        parts = urlsplit(url)
        if parts.scheme not in PORTS:
            kind = "encrypted segments are not supported" if parts.scheme.startswith("crypto") else "it leads to what is no web address"
            raise ForbiddenError(f"{kind}: {redact(url)[:200]}")
        place, host = place_of(parts), parts.netloc.rpartition("@")[2]
        if parts.username is not None:
            self._logins.setdefault(place, Login(url))
        target = quote((parts.path or "/") + (f"?{parts.query}" if parts.query else ""), safe=string.punctuation)
        login = self._logins[place].headers(target) if place in self._logins else {}
        request = urllib.request.Request(f"{parts.scheme}://{host}{target}", headers={"Host": host, **HEADERS, **headers, **login})
        self._cookies.add_cookie_header(request)
        with ExitStack() as opened:
            link: Any = connect(parts, self._origin, self._left_s)
            opened.callback(link.close)
            connection = HTTPConnection(*place)
            connection.sock = link
            connection.request("GET", target, headers=dict(request.header_items()))
            answer = HTTPResponse(link, method="GET")
            opened.callback(answer.close)  # first of the two: it looks at its file when it is let go of
            answer.begin()
            opened.pop_all()
        if len(self._cookies) < MAX_COOKIES:
            self._cookies.extract_cookies(answer, request)
        return answer


class Body:
    """What is read of an answer, as a file. Where the connection is lost, it ends there; see `HttpClient.problem`.

    Attributes:
        url: Where it is in the end.
        status: 200, 206 or 304.
        headers: Of the answer; none of what comes by TCP.
        size: Bytes, with those before the first that was asked for; None where it goes on until the connection ends.
        is_playlist: It names what is to be read.
    """

    def __init__(self, client: HttpClient, url: str, answer: Readable, begin: int = 0, *, may_seek: bool = False) -> None:
        told = answer if isinstance(answer, HTTPResponse) else None
        self.url = url
        self.status = told.status if told else 200
        self.headers = told.headers if told else Message()
        self.size = None if told is None or told.length is None else begin + told.length
        self.is_playlist = "mpegurl" in self.headers.get("Content-Type", "").lower() or urlsplit(url).path.lower().endswith(".m3u8")
        self._client = client
        self._answer: Readable | None = answer
        self._unread = b""
        self._at = self._position = begin  # of what was read of the answer, and of where is read next
        self._may_seek = may_seek and bool(self.size) and "bytes" in self.headers.get("Accept-Ranges", "")
        client.add(self)

    def read(self, num_bytes: int = PIECE_BYTES) -> bytes:
        """The next bytes, as they come; none at the end."""
        if self._position != self._at:
            self.close()
        data = self._unread or self._next()
        data, self._unread = data[:num_bytes], data[num_bytes:]
        self._at = self._position = self._position + len(data)
        return data

    def unread(self, data: bytes) -> None:
        """Put back what was read too much."""
        self._unread = data + self._unread
        self._at = self._position = self._position - len(data)

    def seekable(self) -> bool:
        return self._may_seek

    def seek(self, offset: int, whence: int = 0) -> int:
        self._position = offset + (0, self._position, self.size or 0)[whence]
        return self._position

    def tell(self) -> int:
        return self._position

    def close(self) -> None:
        """Let the connection go."""
        answer, self._answer, self._unread = self._answer, None, b""
        if answer:
            with suppress(OSError):
                answer.close()

    def _next(self) -> bytes:
        left = PIECE_BYTES if self.size is None else self.size - self._position
        if left <= 0 or (self.is_playlist and self._position > MAX_PLAYLIST_BYTES):
            return b""
        try:
            if self._answer is None and self._may_seek:
                again = self._client.ask(self.url, begin=self._position)
                self._answer, again._answer = again._answer, None
            self._client.begin()
            data = self._answer.read1(min(PIECE_BYTES, left)) if self._answer else b""
            if not data and self.size is not None:
                raise ConnectionError("it was cut off")
        except SourceError as error:
            self._client.problem = error
        except (OSError, HTTPException, ValueError) as error:
            self._client.problem = self._client.failure(error, is_reading=True)
        else:
            return data
        return b""
