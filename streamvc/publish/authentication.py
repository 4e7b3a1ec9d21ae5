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
LOG_INTERVAL_S = 60.0  # in which a client that is refused is logged once
MAX_LOGGED = 100  # of them, in this time


def secure_server(socket: zmq.Socket[bytes], folder: Path) -> None:
    """Encrypt a socket before it binds; only clients that the `Authenticator` of its context allows can connect.

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
    """Encrypt a socket before it connects; it will only connect to the owner of the server's key.

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
    """A socket that can be read when this one, which has not connected yet, is refused; give its messages to `refusal`.

    libzmq does not try again by itself after that: disconnect and connect to do so. Close it with `socket.disable_monitor()` and its own `close`.
    """
    return socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL)


def refusal(parts: list[bytes]) -> str:
    """Why a socket was refused, in words for its user."""
    message = parse_monitor_message(parts)
    if message["event"] == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
        return "the publisher refuses this key: it is not allowed, or was revoked (`streamvc keys list` on its machine)"
    return "no handshake with the publisher: one side uses keys and the other does not, or the server's key is not its own"


class Authenticator:
    """Tells libzmq, for all sockets of one context, which clients may connect. Used by the thread that owns these sockets.

    Each question is answered from the folder of keys as it is then, so a client that is allowed there can connect at once. libzmq asks only when a
    client connects: one that is revoked later stays connected until the sockets are closed. `revoked` names those.

    Attributes:
        socket: Poll it for reading, and call `answer` when it is readable.
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], folder: Path) -> None:
        """Begin to answer. Make it before any socket of the context is bound."""
        self._folder = folder
        self._signature: object = None
        self._allowed: dict[str, str] = {}
        self._connected: dict[str, str] = {}
        self._refusals = _RefusalLog()
        self.socket = context.socket(zmq.REP)
        self.socket.linger = 0
        self.socket.bind(ZAP_ENDPOINT)

    def answer(self) -> None:
        """Answer all questions that have come."""
        while self.socket.poll(0):
            self.socket.send_multipart(self._reply(self.socket.recv_multipart()))

    def revoked(self) -> list[str]:
        """Names of clients that have connected and are no longer allowed: their connections are to be closed.

        Empty where the whole folder is gone, as with an unmounted disk, or cannot be read now: then no client can connect, and sockets could not be
        opened again.
        """
        if not self._reload() or not (self._folder / "server.key").exists():
            return []
        return sorted(name for public, name in self._connected.items() if public not in self._allowed)

    def close(self) -> None:
        self.socket.close()

    def _reply(self, parts: list[bytes]) -> list[bytes]:
        if len(parts) != ZAP_PARTS or parts[0] != ZAP_VERSION:
            return [ZAP_VERSION, b"", b"500", b"not a request", b"", b""]
        _, request, _, address, _, mechanism, key = parts
        public = z85.encode(key).decode() if mechanism == b"CURVE" and len(key) == KEY_BYTES else ""
        if not self._reload():
            return [ZAP_VERSION, request, b"300", b"try again later", b"", b""]
        if (name := self._allowed.get(public)) is None:
            self._refusals.refused(keys.fingerprint(public) if public else "no key", address.decode("ascii", "replace"))
            return [ZAP_VERSION, request, b"400", b"not allowed", b"", b""]
        logger.info("client %s joins from %s", name, address.decode("ascii", "replace"))
        self._connected[public] = name
        return [ZAP_VERSION, request, b"200", b"OK", name.encode(), b""]

    def _reload(self) -> bool:
        """Read the folder, if it has changed; False where it cannot be read now, and so nothing is known of whom to let in."""
        try:
            if (signature := _signature(self._folder)) == self._signature:
                return True
            self._allowed = keys.allowed(self._folder)
        except (keys.KeysUnreadable, OSError) as error:  # this process has no descriptor left, for instance
            self._refusals.unreadable(str(error))
            return False
        except PublishError as error:
            logger.error("no client is let in: %s", error)
            self._allowed = {}
        self._signature = signature
        return True


class _RefusalLog:
    """Logs which clients were refused: each once a minute, and no more than a log can hold."""

    def __init__(self) -> None:
        self._logged: set[str] = set()
        self._until = 0.0

    def unreadable(self, reason: str) -> None:
        self._forget()
        if "" not in self._logged:
            self._logged.add("")
            logger.error("no new client is let in for now: %s", reason)

    def refused(self, fingerprint: str, address: str) -> None:
        self._forget()
        if fingerprint in self._logged or len(self._logged) > MAX_LOGGED:
            return
        self._logged.add(fingerprint)
        if len(self._logged) > MAX_LOGGED:
            logger.warning("refused more than %d clients within a minute; the rest of it is not logged", MAX_LOGGED)
        else:
            logger.warning("refused a client from %s: its key is not allowed or was revoked (fingerprint %s)", address, fingerprint)

    def _forget(self) -> None:
        if time.monotonic() >= self._until:
            self._logged.clear()
            self._until = time.monotonic() + LOG_INTERVAL_S


def _signature(folder: Path) -> object:
    """A value that changes when a file of the folder does. The folder's own time will not do: two changes in one tick of the clock look like one.

    Raises:
        OSError: It cannot be read now.
    """
    found: list[object] = []
    for inner in (folder / "clients", folder / "revoked"):
        try:
            with os.scandir(inner) as entries:
                found.append(sorted((entry.name, entry.inode(), entry.stat().st_mtime_ns, entry.stat().st_size) for entry in entries))
        except OSError as error:  # there is none yet, or none any more
            if error.errno in keys.SHORTAGES:
                raise
            found.append(error.strerror)
    return found
