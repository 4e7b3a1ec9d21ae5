"""The login of a camera over HTTP, as it is or by a digest of it (RFC 7617, RFC 7616)."""

import hashlib
import re
import secrets
from base64 import b64encode
from collections.abc import Callable, Mapping
from urllib.parse import unquote, urlsplit

PARAMETER = re.compile(r'(\w+)=(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))')
NEXT = re.compile(r",\s*(?:digest|basic)\s", re.IGNORECASE)
HASHES: dict[str, Callable[[bytes], "hashlib._Hash"]] = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}


class Login:
    """Tells a server who asks, in the way that it wants, once it has said which that is."""

    def __init__(self, url: str) -> None:
        """The login is in `url`, or there is none."""
        parts = urlsplit(url)
        self._user = None if parts.username is None else unquote(parts.username)
        self._password = unquote(parts.password or "")
        self._challenge: dict[str, str] = {}
        self._count = 0  # how often it was told so
        self._num_learned = 0  # how often that was learned for this question

    def begin(self) -> None:
        """Another question is asked."""
        self._num_learned = 0

    def learn(self, told: str) -> bool:
        """Take in what `WWW-Authenticate` says; False where there is no login, or it was refused as that."""
        digest = told.lower().find("digest ")
        new = {"kind": "digest" if digest >= 0 else "basic"}
        if digest >= 0:
            said = NEXT.split(told[digest + len("digest ") :])[0]  # of several, the first is the server's choice
            new |= {found[1].lower(): found[2] or found[3] or "" for found in PARAMETER.finditer(said)}
        if self._user is None or self._num_learned > (new.get("stale", "").lower() == "true"):
            return False
        self._challenge, self._count, self._num_learned = new, 0, self._num_learned + 1
        return True

    def headers(self, target: str) -> dict[str, str]:
        """What is sent with the question for a path and query; nothing as long as it is not known how."""
        if self._user is None or not self._challenge:
            return {}
        if self._challenge["kind"] == "basic":
            return {"Authorization": "Basic " + b64encode(f"{self._user}:{self._password}".encode()).decode()}
        self._count += 1
        return {"Authorization": digest_login(self._user, self._password, target, self._challenge, self._count)}


def digest_login(user: str, password: str, target: str, challenge: Mapping[str, str], count: int, nonce: str | None = None) -> str:
    """The value of `Authorization` for a GET, by RFC 7616.

    Args:
        user: Who asks.
        password: Is only hashed.
        target: Path and query that are asked for.
        challenge: What the server has said: `realm`, `nonce`, and perhaps `qop`, `opaque`, `algorithm`.
        count: How often its nonce was used, this time included.
        nonce: Of the client; a new one if None.
    """
    algorithm = challenge.get("algorithm", "MD5")
    function = HASHES.get(algorithm.upper().removesuffix("-SESS"), hashlib.md5)

    def digest(text: str) -> str:
        return function(text.encode()).hexdigest()

    realm, theirs, ours = challenge.get("realm", ""), challenge.get("nonce", ""), nonce or secrets.token_hex(8)
    secret = digest(f"{user}:{realm}:{password}")
    if algorithm.upper().endswith("-SESS"):
        secret = digest(f"{secret}:{theirs}:{ours}")
    has_qop = "auth" in [each.strip() for each in challenge.get("qop", "").split(",")]
    proof = f"{theirs}:{count:08x}:{ours}:auth" if has_qop else theirs
    quoted = {"username": user, "realm": realm, "nonce": theirs, "uri": target, "response": digest(f"{secret}:{proof}:{digest(f'GET:{target}')}")}
    if "opaque" in challenge:
        quoted["opaque"] = challenge["opaque"]
    if has_qop:
        quoted["cnonce"] = ours
    words = [f'{key}="{value}"' for key, value in quoted.items()] + [f"algorithm={algorithm}"] * ("algorithm" in challenge)
    return "Digest " + ", ".join([*words, *([f"qop=auth, nc={count:08x}"] if has_qop else [])])
