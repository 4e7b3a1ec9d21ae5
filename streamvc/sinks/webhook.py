"""A webhook: each message is an HTTP POST of its CloudEvent (structured mode), signed where there is a secret."""

import hashlib
import hmac
import json
import logging
import re
import socket
import ssl
import time
from collections.abc import Sequence
from contextlib import suppress
from http.client import HTTPException
from typing import Self
from urllib.parse import SplitResult

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from streamvc._version import __version__
from streamvc.capture.address import origin
from streamvc.errors import SinkError
from streamvc.publish.wire import Message
from streamvc.sinks.sink import SinkFilter, read_choice, read_options, read_secret, reason
from streamvc.threads import time_limit

logger = logging.getLogger(__name__)

SECRET_VARIABLE = "STREAMVC_WEBHOOK_SECRET"
CONNECT_S = 3.0  # which nothing can cut short, also where the program is to stop
TIMEOUT_S = 10.0  # for one post, from the first byte sent to the last one of the answer
MAX_ANSWER_BYTES = 65_536  # one that is longer is not read to its end, and the next post takes another connection
TOLERANCE_S = 300.0  # a signature that is older, or from the future, counts no more
NUM_REFUSALS = 5  # after so many in a row, what is refused is given up
FAILURES = (OSError, HTTPException, HTTPError)
SUCCESS = range(200, 300)
# The server is not able to, now; all else that is no success is an answer that will not change by itself.
PASSING = {408, 425, 429, *range(500, 600)}


class Webhook:
    """Posts messages one by one, over one connection for as long as the server keeps it. Proxies and redirects are not followed."""

    def __init__(self, url: SplitResult, *, secret: str | None = None, choice: SinkFilter | None = None, timeout_s: float = TIMEOUT_S) -> None:
        """Begin to post to `url`.

        Args:
            url: `http://` or `https://`, with a host.
            secret: Signs what is posted: see `sign`.
            choice: What is posted.
            timeout_s: For one post as a whole, however slowly the server goes on.

        Raises:
            SinkError: The URL has no host, or has a user in it.
        """
        if not url.hostname or "@" in url.netloc or not url.netloc.isascii() or not url.netloc.isprintable():
            raise SinkError("a webhook is written as https://HOST[:PORT]/PATH, without a user; to prove who sends, sign with a secret")
        self.name = origin(url.geturl())  # what follows may be a secret
        self.choice = choice or SinkFilter()
        self.batch_size = 1
        self._target = re.sub(r"[^!-~]", lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), url.path or "/")
        self._target += f"?{url.query}" if url.query else ""
        self._secret = secret
        self._timeout_s = timeout_s
        self._num_refusals = 0
        self._is_posting = self._is_late = self._closed = False
        self._connection = (
            HTTPSConnection(url.hostname, url.port, ssl_context=ssl.create_default_context())
            if url.scheme == "https"
            else HTTPConnection(url.hostname, url.port)
        )

    @classmethod
    def from_url(cls, url: SplitResult) -> Self:
        """The sink of `https://host/path#secret_file=PATH&kinds=event&phases=start,end`.

        Options stand behind the #, as what is before is the server's. The secret may be in the variable STREAMVC_WEBHOOK_SECRET instead.

        Raises:
            SinkError: The URL or an option cannot be used.
        """
        options = read_options(url.fragment, ("secret_file", "kinds", "phases"))
        secret = read_secret(options, "secret_file", SECRET_VARIABLE)
        return cls(url._replace(fragment=""), secret=secret, choice=read_choice(options, {"event"}))

    def deliver(self, messages: Sequence[Message]) -> None:
        """Post the messages, each on its own.

        Raises:
            SinkError: The server is not reached, is not able to take one, or has refused the last few.
        """
        for message in messages:
            self._judge(self._post(message.body), message.body)

    def close(self) -> None:
        self._closed = True
        if self._is_posting:
            self._hang_up()  # it is closed where it is used
        else:
            self._connection.close()

    def _judge(self, status: int, body: bytes) -> None:
        if status in SUCCESS:
            self._num_refusals = 0
            return
        if status in PASSING:
            raise SinkError(f"{self.name} is not able to: it answers {status}")
        self._num_refusals += 1
        if self._num_refusals < NUM_REFUSALS:
            raise SinkError(f"{self.name} refuses: it answers {status}; check the path and the secret")
        logger.error(
            "%s has refused %d times in a row (it answers %d): gave up event %s", self.name, self._num_refusals, status, json.loads(body)["id"]
        )

    def _post(self, body: bytes) -> int:
        """The status that the server answers with."""
        headers = {"Content-Type": "application/cloudevents+json; charset=utf-8", "User-Agent": f"streamvc/{__version__}"}
        if self._secret is not None:
            headers["Streamvc-Signature"] = sign(body, self._secret, int(time.time()))
        self._is_posting, self._is_late = True, False
        is_kept = False
        try:
            with time_limit(self._timeout_s, self._give_up):  # with the handshake of TLS, which a server may draw out too
                self._connect()
                self._connection.request("POST", self._target, body, headers, preload_content=False)
                with self._connection.getresponse() as answer:
                    if self._is_late:  # what was cut off amid its headers reads as if that were all
                        raise TimeoutError
                    with suppress(*FAILURES):  # the status is all that counts
                        answer.read(MAX_ANSWER_BYTES, decode_content=False)
                    is_kept = answer.closed and not self._is_late and not self._closed
            return answer.status
        except FAILURES as error:
            why = f"does not answer within {self._timeout_s:g} s" if self._is_late else f"cannot be reached: {reason(error.__cause__ or error)}"
            raise SinkError(f"{self.name} {why}") from error
        finally:
            self._is_posting = False
            if not is_kept:
                self._connection.close()

    def _connect(self) -> None:
        self._require_open()
        if self._connection.is_connected:
            return
        self._connection.close()  # the server may have closed its end
        self._connection.timeout = CONNECT_S
        self._connection.connect()
        self._connection.timeout = self._timeout_s  # of each read; `time_limit` sees to all of them
        self._require_open()  # it may have been closed meanwhile
        if self._is_late:
            raise TimeoutError

    def _give_up(self) -> None:
        self._is_late = True
        self._hang_up()

    def _hang_up(self) -> None:
        if (connected := self._connection.sock) is not None:
            with suppress(OSError):
                connected.shutdown(socket.SHUT_RDWR)

    def _require_open(self) -> None:
        if self._closed:
            raise SinkError(f"{self.name} was closed")


def sign(body: bytes, secret: str, timestamp: int) -> str:
    """The value of the header `Streamvc-Signature`: `t=TIMESTAMP,v1=HEX`.

    HEX is the HMAC-SHA256, with the secret as its key, of the timestamp (Unix seconds, decimal), a full stop, and the body.
    """
    digest = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"


def verify(signature: str, body: bytes, secret: str, now: float, tolerance_s: float = TOLERANCE_S) -> bool:
    """Whether a signature was made with this secret, of this body, within the last few minutes. For the receiver."""
    found = re.fullmatch(r"t=(\d{1,15}),v1=[0-9a-f]{64}", signature, re.ASCII)
    if found is None or abs(now - int(found[1])) > tolerance_s:
        return False
    return hmac.compare_digest(sign(body, secret, int(found[1])), signature)
