"""Keys: who may subscribe. A folder on the publisher's machine, and one file to carry to each client's.

    keys/                   0700
    ├── server.key          0600  the publisher's key pair
    ├── clients/
    │   ├── NAME.key        0600  a client's key pair and the server's public key: the file for the client's machine
    │   └── NAME.public           its public key: who is here is allowed
    └── revoked/                  who is here is not, whatever is in clients/

The files are ZeroMQ certificates (ZPL), as other programs of ZeroMQ read and write them; keys are CURVE25519, in 40 characters of Z85. Which clients
are allowed is read from the files' contents alone: names are for people.
"""

import errno
import hashlib
import logging
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

import zmq
from zmq.utils import z85

from streamvc.errors import PublishError

logger = logging.getLogger(__name__)

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
KEY = re.compile(r"[0-9A-Za-z.:+=^!/*?&<>()\[\]{}@%$#-]{40}")
ENTRY = re.compile(r'^\s*(public|secret|server)-key\s*=\s*"([^"]*)"\s*$', re.MULTILINE)
FINGERPRINT_LENGTH = 16


SHORTAGES = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS)


class KeysUnreadable(PublishError):  # noqa: N818 - a state of the machine, which may pass
    """The keys cannot be read now, as the machine is short of something. It says nothing about who is allowed."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a key file holds, in Z85; `secret` and `server` (the server's public key) are None where it has none."""

    public: str
    secret: str | None = field(default=None, repr=False)
    server: str | None = None


@dataclass(frozen=True, slots=True)
class Client:
    """A client that is allowed, or was once. `since` is when the file came to where it is, in Unix seconds."""

    name: str
    fingerprint: str
    allowed: bool
    since: float


def default_keys() -> Path:
    """The folder of keys where none is named: `$XDG_CONFIG_HOME/streamvc/keys`, or that in `~/.config`."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "streamvc" / "keys"


def fingerprint(public: str) -> str:
    """A short name of a public key for logs and lists: the first 16 hex digits of its SHA-256."""
    return hashlib.sha256(z85.decode(public)).hexdigest()[:FINGERPRINT_LENGTH]


def new_client(keys: Path, name: str) -> Path:
    """Make a key pair for a client and allow it; makes the server's too, if there is none yet.

    Returns:
        The file to carry to the client's machine.

    Raises:
        PublishError: The name is taken or not fit for a file, or the folder cannot be written.
    """
    _check_free(keys, name)
    server = _server(keys)
    pair = _new_pair()
    carried = keys / "clients" / f"{name}.key"
    _write(carried, f"key of the client {name}: keep it secret, who has it may subscribe", Certificate(pair.public, pair.secret, server.public))
    _write(carried.with_suffix(".public"), f"public key of the client {name}", Certificate(pair.public))
    return carried


def allow(keys: Path, name: str, public: str | None = None) -> None:
    """Allow a client: one that was revoked, or one that made its key pair itself and gives its public key.

    Raises:
        PublishError: There is no such client, this is not a public key, or it is known already.
    """
    if public is None:
        _move(keys, name, "revoked", "clients")
        return
    if not _is_key(public):
        raise PublishError("this is not a public key; give the 40 characters of Z85 that it is written in, or a file that holds it")
    _check_free(keys, name)
    for path in _public_files(keys):
        if _load(path).public == public:
            raise PublishError(f"this key is known already: see {path}")
    _server(keys)
    _write(keys / "clients" / f"{name}.public", f"public key of the client {name}", Certificate(public))


def revoke(keys: Path, name: str) -> None:
    """Do not allow a client any more; a running publisher disconnects it within a heartbeat.

    Raises:
        PublishError: There is no such client among those that may in.
    """
    _move(keys, name, "clients", "revoked")


def list_clients(keys: Path) -> list[Client]:
    """All that are or were allowed, by name.

    Raises:
        PublishError: A file is not a key file.
    """
    may_in = allowed(keys)
    found = []
    for path in _public_files(keys):
        public = _load(path).public
        found.append(Client(path.stem, fingerprint(public), public in may_in, path.lstat().st_ctime))
    return sorted(found, key=lambda client: client.name)


def allowed(keys: Path) -> dict[str, str]:
    """The clients that are allowed: names by public key. A file that cannot be read allows nobody, and is logged.

    Raises:
        KeysUnreadable: They cannot be read now.
        PublishError: The file of a revoked key cannot be read: it is not known whom to keep out.
    """
    may_in = {}
    for path in _public_files(keys, "clients"):
        try:
            may_in[_load(path).public] = path.stem
        except KeysUnreadable:
            raise
        except PublishError as error:
            logger.error("a client is not let in: %s", error)
    for path in _public_files(keys, "revoked"):
        may_in.pop(_load(path).public, None)
    return may_in


def load_server(keys: Path) -> Certificate:
    """The publisher's key pair.

    Raises:
        PublishError: There is none, others can read it, or others could let themselves in.
    """
    path = keys / "server.key"
    if not path.exists():
        raise PublishError(f"there are no keys in {keys}; make them with `streamvc keys new NAME --keys {keys}`")
    for folder in (keys, keys / "clients", keys / "revoked"):
        if os.name == "posix" and folder.exists() and folder.stat().st_mode & 0o022:
            raise PublishError(f"others on this machine can write to {folder}, and so let themselves in; run `chmod 700 {folder}`")
    return _load_secret(path)


def load_client(path: Path, server_key: str | None = None) -> Certificate:
    """A client's key pair, and the server's public key: that which is given, or else the one in the file.

    Raises:
        PublishError: There is no such file, others can read it, or the server's key is not known.
    """
    if path.is_dir():
        raise PublishError(f"{path} is a folder; give the key file of this client, such as {path / 'clients' / 'NAME.key'}")
    own = _load_secret(path)
    server = server_key or own.server
    if server is None:
        raise PublishError(f"{path} does not name the server's public key; give it too (on its machine, `streamvc keys show-server` prints it)")
    if not _is_key(server):
        raise PublishError("the server's public key is not one; on its machine, `streamvc keys show-server` prints it")
    return Certificate(own.public, own.secret, server)


def read_public(text: str) -> str:
    """The public key in a file of this name, or the text itself where there is no such file.

    Raises:
        PublishError: The file is not a key file.
    """
    return text if _is_key(text) or not Path(text).is_file() else _load(Path(text)).public


def _server(keys: Path) -> Certificate:
    if not (keys / "server.key").exists():
        _write(keys / "server.key", "key of the publisher: keep it secret", _new_pair())
    return load_server(keys)


def _new_pair() -> Certificate:
    public, secret = zmq.curve_keypair()
    return Certificate(public.decode(), secret.decode())


def _check_free(keys: Path, name: str) -> None:
    if not NAME.fullmatch(name):
        raise PublishError(f"{name!a} cannot be a client's name; use up to 64 letters, digits, dots, dashes and underscores")
    for folder in ("clients", "revoked"):
        for taken in (keys / folder / f"{name}.key", keys / folder / f"{name}.public"):
            if taken.exists():
                raise PublishError(f"there is a client {name} already ({taken}); choose another name")


def _move(keys: Path, name: str, source: str, target: str) -> None:
    public = keys / source / f"{name}.public"
    if not NAME.fullmatch(name) or not public.is_file():
        known = ", ".join(path.stem for path in _public_files(keys, source)) or "none"
        raise PublishError(f"there is no client {name!a} in {keys / source} (there: {known})")
    try:
        _make_folder(keys / target)
        # The public key first: it is what counts, should this be interrupted.
        public.replace(keys / target / public.name)
        if (secret := public.with_suffix(".key")).exists():
            secret.replace(keys / target / secret.name)
    except OSError as error:
        raise PublishError(f"cannot move {public} to {keys / target}: {error.strerror}") from error


def _public_files(keys: Path, *folders: str) -> list[Path]:
    found: list[Path] = []
    for folder in folders or ("clients", "revoked"):
        try:
            found += (path for path in (keys / folder).iterdir() if path.suffix == ".public")
        except FileNotFoundError:  # nobody is in it
            pass
        except OSError as error:
            raise _unreadable(error)(f"cannot read the keys in {keys / folder}: {error.strerror}") from error
    return sorted(found)


def _unreadable(error: OSError) -> type[PublishError]:
    return KeysUnreadable if error.errno in SHORTAGES else PublishError


def _load_secret(path: Path) -> Certificate:
    """As ssh does, refuse a secret key that others can read.

    Raises:
        PublishError: The file cannot be read, holds no secret key, or others can read it too.
    """
    certificate = _load(path)
    if certificate.secret is None:
        raise PublishError(f"{path} holds no secret key; give the file of the client that ends in .key")
    if os.name == "posix" and path.stat().st_mode & 0o077:
        raise PublishError(f"{path} can be read by others on this machine; run `chmod 600 {path}` (and make new keys if somebody did)")
    return certificate


def _load(path: Path) -> Certificate:
    try:
        entries = dict(ENTRY.findall(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise _unreadable(error)(f"cannot read the key file {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise PublishError(f"{path} is not a key file") from error
    if "public" not in entries or not all(map(_is_key, entries.values())):
        raise PublishError(f"{path} is not a key file, or is damaged; make it anew")
    return Certificate(entries["public"], entries.get("secret"), entries.get("server"))


def _is_key(text: str) -> bool:
    return KEY.fullmatch(text) is not None


def _write(path: Path, title: str, certificate: Certificate) -> None:
    """Write a file that is not there yet."""
    entries = {"public": certificate.public, "secret": certificate.secret, "server": certificate.server}
    lines = [f"#   streamvc: {title}", "curve", *(f'    {name}-key = "{key}"' for name, key in entries.items() if key is not None)]
    try:
        _make_folder(path.parent)
        # Never readable by others, not even for a moment.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
    except OSError as error:
        raise PublishError(f"cannot write {path}: {error.strerror}") from error


def _make_folder(folder: Path) -> None:
    """Make a folder of keys that is for its owner alone, and the folder of keys around it."""
    for path in (folder.parent, folder):
        if not path.is_dir():
            path.mkdir(mode=0o700, parents=True)
