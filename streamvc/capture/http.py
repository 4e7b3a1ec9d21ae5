"""Asks a camera for something over HTTP: with its login, within a time, and nobody but itself.

FFmpeg's HTTP tells neither what kind of thing comes nor whether it is new, and the library's waits for ever for one who sends a byte now and then.
"""

import re
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urljoin, urlsplit

from streamvc._version import __version__
from streamvc.capture.login import Login
from streamvc.errors import AccessError, SourceError

PIECE_BYTES = 1 << 16
MAX_HEAD_BYTES = 1 << 16  # of the status and the headers
MAX_REDIRECTS = 5
REDIRECTS = (301, 302, 303, 307, 308)
PORTS = {"http": 80, "https": 443}

UNAUTHORIZED = "the user name or password is wrong or missing (401); give them in the address, as in rtsp://user:password@host"
FORBIDDEN = "access is forbidden (403)"
NOT_FOUND = "there is no such stream (404)"
SERVER_FAILED = "the server failed (5xx)"
REFUSED = "the server refuses the request (4xx)"
BROKEN_OFF = "the connection was refused or broken off"
UNREACHABLE = "it cannot be found, or not be read (input/output error)"
ANSWERS = {401: UNAUTHORIZED, 403: FORBIDDEN, 404: NOT_FOUND, 4: REFUSED, 5: SERVER_FAILED}


class MovedError(SourceError):
    """It sends to another machine."""


class Connection:
    """Bytes of a connection, of which each has to come within some seconds.

    Attributes:
        until: `time.monotonic()` at which it is given up, in seconds; `patience_s` behind each piece that comes where that is set.
        patience_s: How long a piece may take; None where all has to be there by `until`.
    """

    def __init__(self, host: str, port: int, timeout_s: float, *, secure: bool = False) -> None:
        """Connect.

        Raises:
            OSError: Nobody answers, or not in time.
        """
        self.until = time.monotonic() + timeout_s
        self.patience_s: float | None = None
        self._held = b""
        self._socket = socket.create_connection((host, port), timeout_s)
        if secure:
            self._socket = _secured(self._socket, host)

    @property
    def connection(self) -> "Connection":
        """Itself, as that of an `Answer`."""
        return self

    def send(self, data: bytes) -> None:
        """Send all of it."""
        self._socket.sendall(data)

    def read(self, num_bytes: int = PIECE_BYTES) -> bytes:
        """The next bytes, so many at most; none where the other side has closed.

        Raises:
            OSError: It has broken off, or nothing came in time (`TimeoutError`).
        """
        if not self._held:
            left_s = (self.until - time.monotonic()) if self.patience_s is None else self.patience_s
            if left_s <= 0:
                raise TimeoutError
            self._socket.settimeout(left_s)
            self._held = self._socket.recv(PIECE_BYTES)
        data, self._held = self._held[:num_bytes], self._held[num_bytes:]
        return data

    def unread(self, data: bytes) -> None:
        """Put back what was read too much."""
        self._held = data + self._held

    def read_to(self, mark: bytes, most: int) -> bytes:
        """All up to a mark and with it, at most so many bytes.

        Raises:
            OSError: It does not come.
        """
        data = b""
        while (end := data.find(mark)) < 0:
            piece = self.read()
            if not piece or len(data) > most:
                raise ConnectionError("no answer that could be read")
            data += piece
        end += len(mark)
        self.unread(data[end:])
        return data[:end]

    def close(self) -> None:
        self._socket.close()


def _secured(connected: socket.socket, host: str) -> socket.socket:
    """TLS as cameras have it: they sign their certificates themselves, and know what was usual ten years ago. FFmpeg does not check them either."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    try:
        return context.wrap_socket(connected, server_hostname=host)
    except BaseException:
        connected.close()
        raise


@dataclass(slots=True, eq=False)
class Answer:
    """What a server answers.

    Attributes:
        connection: From which its body is read.
        status: 200 or 304.
        headers: In lower case.
        length: Bytes of the body as they were announced; None where it goes on until the connection ends.
    """

    connection: Connection
    status: int
    headers: Mapping[str, str]
    length: int | None = None
    _left: int | None = None  # bytes of the body, or of this chunk of it
    _is_chunked: bool = False
    _is_over: bool = False
    _unread: bytes = b""

    def read(self, num_bytes: int = PIECE_BYTES) -> bytes:
        """The next bytes of the body; none at its end.

        Raises:
            OSError: As `Connection.read`; also where it ends before it was announced to.
        """
        if self._unread:
            data, self._unread = self._unread[:num_bytes], self._unread[num_bytes:]
            return data
        if self._is_chunked and self._left in (None, 0) and not self._is_over:
            self._begin_chunk()
        if self._is_over or self._left == 0:
            self._is_over = True
            return b""
        data = self.connection.read(num_bytes if self._left is None else min(num_bytes, self._left))
        if self._left is not None:
            if not data:
                raise ConnectionError("it was cut off")
            self._left -= len(data)
        return data

    def unread(self, data: bytes) -> None:
        """Put back what was read too much."""
        self._unread = data + self._unread

    def close(self) -> None:
        """Let the connection go."""
        self.connection.close()

    def _begin_chunk(self) -> None:
        if self._left == 0:
            self.connection.read_to(b"\r\n", MAX_HEAD_BYTES)
        size = self.connection.read_to(b"\n", MAX_HEAD_BYTES).partition(b";")[0].strip()
        try:
            self._left = int(size, 16)
        except ValueError as error:
            raise ConnectionError("it is not sent as it was announced") from error
        self._is_over = self._left == 0


@dataclass(slots=True, eq=False)
class HttpClient:
    """Asks one address, again and again, each time over a connection of its own.

    Attributes:
        url: With its login.
        name: What to call it in messages.
        timeout_s: Seconds until there has to be an answer.
    """

    url: str
    name: str
    timeout_s: float
    _login: Login = field(init=False)

    def __post_init__(self) -> None:
        self._login = Login(self.url)

    def ask(self, headers: Mapping[str, str] | None = None) -> Answer:
        """Ask for it; the answer has to be closed.

        Raises:
            AccessError: The login is refused.
            MovedError: It is at another machine now.
            SourceError: There is no answer, or one of a failure.
        """
        begun = time.monotonic()
        self._login.begin()
        try:
            for _ in range(MAX_REDIRECTS):
                answer = self._ask_once({**(headers or {}), **self._login.headers(self._target)})
                goes_on = True
                try:
                    goes_on = self._goes_on(answer)
                finally:
                    if goes_on:
                        answer.close()
                if not goes_on:
                    return answer
        except TimeoutError as error:
            raise SourceError(f"{self.name}: no answer within {self.timeout_s:g} s") from error
        except (OSError, ValueError) as error:
            late = time.monotonic() - begun >= self.timeout_s
            why = f"no answer within {self.timeout_s:g} s" if late else BROKEN_OFF if isinstance(error, ConnectionError) else UNREACHABLE
            raise SourceError(f"{self.name}: {why}") from error
        raise SourceError(f"{self.name}: it sends from one address to the next without end")

    def _ask_once(self, headers: Mapping[str, str]) -> Answer:
        parts = urlsplit(self.url)
        host, port = parts.hostname or "", parts.port or PORTS[parts.scheme.lower()]
        connection = Connection(host, port, self.timeout_s, secure=parts.scheme.lower() == "https")
        try:
            lines = {
                "Host": parts.netloc.rpartition("@")[2],
                "User-Agent": f"streamvc/{__version__}",
                "Accept": "*/*",
                "Cache-Control": "no-cache",
                "Connection": "close",
                **headers,
            }
            request = "".join(f"{key}: {value}\r\n" for key, value in lines.items())
            connection.send(f"GET {self._target} HTTP/1.1\r\n{request}\r\n".encode())
            return _answer(connection)
        except BaseException:
            connection.close()
            raise

    @property
    def _target(self) -> str:
        parts = urlsplit(self.url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return re.sub(r"[^!-~]", lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), target)

    def _goes_on(self, answer: Answer) -> bool:
        """Whether there is something to ask again for; raises where it is no success."""
        if answer.status in REDIRECTS:
            return self._move(answer.headers.get("location", ""))
        if answer.status == 401 and self._login.learn(answer.headers.get("www-authenticate", "")):
            return True
        if answer.status in (200, 304):
            return False
        why = ANSWERS.get(answer.status) or ANSWERS.get(answer.status // 100) or f"the server answers {answer.status}"
        raise (AccessError if answer.status in (401, 403) else SourceError)(f"{self.name}: {why}")

    def _move(self, location: str) -> bool:
        """Follow a redirect within the camera; who is sent to another machine does not go there."""
        old, new = urlsplit(self.url), urlsplit(urljoin(self.url, location))
        moved = (new.hostname, new.port or PORTS.get(new.scheme))
        is_same = moved == (old.hostname, old.port or PORTS[old.scheme.lower()]) and new.scheme == old.scheme.lower()
        is_secured = (new.hostname, new.scheme, old.scheme.lower(), old.port) == (old.hostname, "https", "http", None)
        if not (is_same or is_secured):
            raise MovedError(f"{self.name}: it sends to another address, which is not followed; give that one, if it is right")
        login = old.netloc.rpartition("@")[0]
        self.url = new._replace(netloc=f"{login}@{new.netloc.rpartition('@')[2]}" if login else new.netloc, fragment="").geturl()
        return True


def _answer(connection: Connection) -> Answer:
    """Read the status and the headers."""
    head = connection.read_to(b"\n", MAX_HEAD_BYTES)
    found = re.match(rb"(?:HTTP|ICY|RTSP)\S* +(\d{3})", head)
    if not found:
        raise ConnectionError("this is no HTTP")
    headers: dict[str, str] = {}
    num_bytes = 0
    while line := connection.read_to(b"\n", MAX_HEAD_BYTES).strip():
        num_bytes += len(line)
        if num_bytes > MAX_HEAD_BYTES:
            raise ConnectionError("its headers have no end")
        key, _, value = line.decode("latin-1").partition(":")
        before = headers.get(key.lower())
        headers[key.lower()] = value.strip() if before is None else f"{before}, {value.strip()}"
    status = int(found[1])
    is_chunked = "chunked" in headers.get("transfer-encoding", "").lower()
    told = headers.get("content-length", "")
    length = int(told) if told.isdecimal() and not is_chunked else None
    if status == 304:
        length = 0
    return Answer(connection, status, headers, length, _left=length, _is_chunked=is_chunked)
