"""Encrypts sockets (CURVE) and lets in those whose keys are in the folder (ZAP, ZeroMQ's RFC 27)."""

import logging
import os
import time
from pathlib import Path

import zmq
from zmq.utils import z85
from zmq.utils.monitor import parse_monitor_message

from streamvc.errors import PublishError
from streamvc.publish import keys

logger = logging.getLogger(__name__)

ZAP_ENDPOINT = "inproc://zeromq.zap.01"  # where libzmq asks
ZAP_VERSION = b"1.0"
ZAP_DOMAIN = b"streamvc"
KEY_BYTES = 32
ZAP_PARTS = 7  # version, request, domain, address, identity, mechanism, key
QUIET_S = 60.0  # a stranger is logged once in this time
MAX_STRANGERS = 100  # and no more than so many


def secure_server(socket: zmq.Socket[bytes], folder: Path) -> None:
    """Before it binds: encrypt a socket, and let nobody in whom the `Authenticator` of its context does not know.

    Raises:
        PublishError: The folder has no server's key, or others can read it.
    """
    pair = keys.load_server(folder)
    assert pair.secret is not None
    socket.curve_server = True
    socket.curve_secretkey = pair.secret.encode()
    socket.zap_domain = ZAP_DOMAIN
    # Without it, libzmq lets everybody in where no authenticator answers.
    socket.set(zmq.ZAP_ENFORCE_DOMAIN, 1)


def secure_client(socket: zmq.Socket[bytes], key_file: Path, server_key: str | None = None) -> None:
    """Before it connects: encrypt a socket, and speak with the owner of the server's key alone.

    Args:
        socket: Any socket that connects.
        key_file: The file that `streamvc keys new` made for this client.
        server_key: The server's public key (Z85), if not that of the file.

    Raises:
        PublishError: The file cannot be used.
    """
    own = keys.load_client(key_file, server_key)
    assert own.secret is not None
    assert own.server is not None
    socket.curve_secretkey = own.secret.encode()
    socket.curve_publickey = own.public.encode()
    socket.curve_serverkey = own.server.encode()


def watch_refusals(socket: zmq.Socket[bytes]) -> zmq.Socket[bytes]:
    """Before it connects: a socket that can be read when this one was not let in; give what it says to `refusal`.

    libzmq does not try again by itself after that: disconnect and connect to do so. Close with `socket.disable_monitor()` and `close` on it.
    """
    return socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL)


def refusal(parts: list[bytes]) -> str:
    """Why a socket was not let in, in words for its user."""
    said = parse_monitor_message(parts)
    if said["event"] == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
        return "the publisher refuses this key: it is not allowed, or was revoked (`streamvc keys list` on its machine)"
    return "no handshake with the publisher: one side uses keys and the other does not, or the server's key is not its own"


class Authenticator:
    """Tells libzmq, for all sockets of one context, which clients may in. Belongs to the thread that owns these sockets.

    The folder of keys is looked at anew at each question, so what is allowed there may in at once. libzmq asks only when a client connects: one that
    is revoked stays until the sockets are closed and opened again, which `expelled` says.

    Attributes:
        socket: Poll it for reading, and call `answer` when it is readable.
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], folder: Path) -> None:
        """Begin to answer; before any socket of the context is bound."""
        self._folder = folder
        self._seen: object = None
        self._allowed: dict[str, str] = {}
        self._let_in: dict[str, str] = {}
        self._strangers = _Strangers()
        self.socket = context.socket(zmq.REP)
        self.socket.linger = 0
        self.socket.bind(ZAP_ENDPOINT)

    def answer(self) -> None:
        """Answer all that is asked by now."""
        while self.socket.poll(0):
            self.socket.send_multipart(self._reply(self.socket.recv_multipart()))

    def expelled(self) -> list[str]:
        """Names of clients that were let in since the start and are no longer allowed: their connections are to be cut.

        None where the whole folder has gone, as an unmounted disk has: then nobody new gets in, and sockets could not be opened again.
        """
        self._look()
        if not (self._folder / "server.key").exists():
            return []
        return sorted(name for public, name in self._let_in.items() if public not in self._allowed)

    def close(self) -> None:
        self.socket.close()

    def _reply(self, parts: list[bytes]) -> list[bytes]:
        if len(parts) != ZAP_PARTS or parts[0] != ZAP_VERSION:
            return [ZAP_VERSION, b"", b"500", b"not a request", b"", b""]
        _, request, _, address, _, mechanism, key = parts
        self._look()
        public = z85.encode(key).decode() if mechanism == b"CURVE" and len(key) == KEY_BYTES else ""
        if (name := self._allowed.get(public)) is None:
            self._strangers.refused(keys.fingerprint(public) if public else "no key", address.decode("ascii", "replace"))
            return [ZAP_VERSION, request, b"400", b"not allowed", b"", b""]
        logger.info("client %s joins from %s", name, address.decode("ascii", "replace"))
        self._let_in[public] = name
        return [ZAP_VERSION, request, b"200", b"OK", name.encode(), b""]

    def _look(self) -> None:
        """Read the folder, if it is not as it was."""
        seen = _signature(self._folder)
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self._allowed = keys.allowed(self._folder)
        except PublishError as error:
            logger.error("no client is let in: %s", error)
            self._allowed = {}


class _Strangers:
    """Logs who was refused: each once a minute, and not more than a log can bear."""

    def __init__(self) -> None:
        self._logged: set[str] = set()
        self._until = 0.0

    def refused(self, fingerprint: str, address: str) -> None:
        now = time.monotonic()
        if now >= self._until:
            self._logged.clear()
            self._until = now + QUIET_S
        if fingerprint in self._logged or len(self._logged) > MAX_STRANGERS:
            return
        self._logged.add(fingerprint)
        if len(self._logged) > MAX_STRANGERS:
            logger.warning("refused more than %d strangers within a minute; the rest of it is not logged", MAX_STRANGERS)
        else:
            logger.warning("refused a client from %s: its key is not allowed or was revoked (fingerprint %s)", address, fingerprint)


def _signature(folder: Path) -> object:
    """What changes when a file of the folder does. Not the folders' own times: two changes within a tick of the clock would look like one."""
    found = []
    for inner in (folder / "clients", folder / "revoked"):
        try:
            entries = sorted(os.scandir(inner), key=lambda entry: entry.name)
            found.append([(entry.name, entry.inode(), entry.stat().st_mtime_ns, entry.stat().st_size) for entry in entries])
        except OSError as error:  # there is none yet, or none any more
            found.append([(error.strerror or "", 0, 0, 0)])
    return found
