"""What a user's word for a source means, and a name for it that is safe to show."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from unicodedata import normalize
from urllib.parse import quote, unquote, urlsplit

from streamvc.errors import SourceError

Kind = Literal["camera", "file", "images", "url"]

SCHEMES = ("rtsp", "rtsps", "http", "https", "rtmp", "rtmps", "udp", "tcp", "srt")

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".jp2", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})

# Where a URL begins in a text; another one begins only with a scheme that is known, as `://` may be in a password.
BEGINNING = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
ANOTHER = re.compile(rf"\b(?:{'|'.join(SCHEMES)}|mqtts?|ipc|file)://", re.IGNORECASE)
# What is sure to be a host, and no user in front of a password with an unescaped "/", "?" or "#" in it.
CERTAIN_HOST = re.compile(r"(?:localhost|\d{1,3}(?:\.\d{1,3}){3}|\[[0-9A-Fa-f:.%]*\])(?::\d{1,5})?(?=[/?#\s]|$)")
LOGIN = re.compile(r"[^\s/?#]*@")
# The end of a login with such a sign in it: no URL like that can be opened, but the error that says so must not show it.
MISTYPED_END = re.compile(r"@(?=\[|[^\s/?#@:]*[^\s/?#@:\d])")
LOGIN_ALONE = re.compile(r"(?<![\w/@])[^\s/:@'\"=]+:[^\s@/]+@(?=[\w\[])")  # of an address without its `rtsp://`
NAME = re.compile(r"([A-Za-z][A-Za-z0-9]*)=")
# Parameters that tell which stream is meant, and how; all others are hidden, as any name may stand for a password.
HARMLESS = re.compile(
    r"channels?|ch|chn|chno|cam|camera|subtype|stream|streamtype|profile|resolution|res|size|fps|framerate|rate|quality|width|height|codec|videocodec"
    r"|compression|transport|transportmode|proto|protocol|unicast|multicast|type|format|action|mode|track|timeout",
    re.IGNORECASE,
)
USER = re.compile(r"user|usr|username", re.IGNORECASE)
HARMLESS_VALUE = re.compile(r"[A-Za-z0-9.,:-]{0,16}(?=[&;_/?#\s'\")\]]|$)")
USER_VALUE = re.compile(r"[a-z]{0,12}(?=[&;_/?#\s'\")\]]|$)")
# As far as the next parameter, or the `: ` behind which an error says what is wrong.
VALUE = re.compile(r"(?:(?!: )[^&\n])+")
VALUE_IN_URL = re.compile(r"(?:(?!: |:$)[^&\s])+")
NO_VALUE = re.compile(r"[\s),'\"`]|VALUE\b|\$\{")  # behind a `=` that ends a name in a sentence
SECRET_NAME = re.compile(r"pas|pwd|psw|token|secret|key|auth|sig|cred|session|cookie", re.IGNORECASE)
PAIR_IN_PATH = re.compile(r"(?<=/)[^/?#\s&=:]*(?::|%3A)[^/?#\s&=]+", re.IGNORECASE)
TOKEN = re.compile(
    r"(?<=/)(?=[^/?#\s]*[0-9])(?=[^/?#\s]*[A-Za-z])"
    r"(?:[^/?#\s&=:]*[A-Za-z0-9]{16}[^/?#\s&=:]*|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}[^/?#\s&=:]*)"
)
HEADER = re.compile(r"((?:authorization|cookie|x-[\w-]*(?:key|token|auth)[\w-]*)['\"]?\s*[:=]\s*)[^\n]+", re.IGNORECASE)
QUOTED = re.compile(r"((?:pass\w*|pwd|secret|token|\w*_key)['\"]?\s*:\s*)(['\"]).*?\2", re.IGNORECASE)
MIN_PART = 4  # letters of a secret that is looked for wherever it stands; shorter ones stand everywhere


@dataclass(frozen=True, slots=True)
class Address:
    """Where a source is.

    Attributes:
        kind: How it is to be read.
        location: Path or URL to open, the latter with its password; for a camera its number.
        name: What to call it in messages and logs: no password in it.
    """

    kind: Kind
    location: str
    name: str


def find(source: str | int | Path) -> Address:
    """Tell what `source` is: a camera's number, a file, a folder of images, or a URL.

    Raises:
        SourceError: It is none of these, or an empty file.
    """
    text = str(source)
    if not text:
        raise SourceError("no source was named; give a camera's number, a file, a folder of images, or a URL")
    if text.isdecimal():
        return Address("camera", text, f"camera {text}")
    if "://" in text:
        return _find_url(text)
    return _find_path(Path(text).expanduser())


def camera_name(source: str | int | Path) -> str:
    """A camera's name in events, made from its source: `camera-0`, the host of a URL, the stem of a file."""
    text = str(source)
    if text.isdecimal():
        return f"camera-{text}"
    if "://" in text:
        try:
            return urlsplit(origin(text)).hostname or "stream"
        except ValueError:
            return "stream"
    return Path(text).resolve().stem or "camera"


def origin(url: str) -> str:
    """The scheme, host and port of a URL: all of it that is no secret in any case."""
    scheme, sign, rest = url.partition("://")
    rest = rest[_login_end(rest) :]
    return scheme + sign + re.split(r"[/?#\s]", rest, maxsplit=1)[0]


def is_mistyped(url: str) -> bool:
    """Whether there is a login in it with a "/", "?" or "#" that should be escaped: then it is read as something else, and may be quoted so."""
    _, _, rest = url.partition("://")
    return re.search(r"[/?#\s]", rest[: _login_end(rest)]) is not None


def redact(text: str, *urls: str) -> str:
    """Hide what may be a secret in a text: logins, parameters and tokens of URLs, headers, `password=...`.

    Args:
        text: For people: an error, a line of a log, a URL.
        urls: Sources that it may be about. Parts of their secrets are hidden wherever they stand, as in an error that quotes half of a URL.
    """
    for part in sorted({part for url in urls for part in _secret_parts(url)}, key=len, reverse=True):
        text = text.replace(part, "***")
    return "\n".join(map(_redact_line, text.split("\n")))


def _redact_line(line: str) -> str:
    line = QUOTED.sub(r"\1***", HEADER.sub(r"\1***", line))
    found = BEGINNING.search(line)
    begins = sorted({each.end() for each in ANOTHER.finditer(line)} | ({found.end()} if found else set()))
    first, *others = (line[begin:end] for begin, end in zip([0, *begins], [*begins, len(line)], strict=True))
    return "".join([_hide_values(LOGIN_ALONE.sub("***@", first), 0), *map(_redact_rest, others)])


def _redact_rest(rest: str) -> str:
    """What follows the `://` of a URL, with the text behind it."""
    if end := _login_end(rest):
        rest = f"***@{rest[end:]}"
    url, *behind = re.split(r"(?=\s)", rest, maxsplit=1)
    url = TOKEN.sub("***", PAIR_IN_PATH.sub("***", url))
    return _hide_values("".join([url, *behind]), len(url))


def _login_end(rest: str) -> int:
    """Where the login ends in what follows the `://` of a URL; 0 where there is none."""
    found = LOGIN.match(rest)
    ends = [found.end() if found else 0]
    if found or not CERTAIN_HOST.match(rest):
        ends += (end.end() for end in MISTYPED_END.finditer(rest))
    return max(ends)


def _hide_values(text: str, url_end: int) -> str:
    """Hide values of parameters: up to the end of a URL of all that are not known to be harmless, then of those that are called like a secret."""
    shown, place = [], 0
    while found := NAME.search(text, place):
        shown.append(text[place : found.end()])
        name, place = found[1], found.end()
        is_secret = SECRET_NAME.search(name) is not None
        known = HARMLESS_VALUE if HARMLESS.fullmatch(name) else USER_VALUE if USER.fullmatch(name) else None
        kept = known.match(text, place) if known else None
        value = (VALUE if is_secret else VALUE_IN_URL).match(text, place) if is_secret or found.start() < url_end else None
        if not kept and value and not NO_VALUE.match(value[0]):
            shown.append("***")
            place = value.end()
    return "".join(shown) + text[place:]


def _secret_parts(url: str) -> set[str]:
    """What of a URL is not to be shown wherever it stands: its login, and the parts that a program that misreads it could quote."""
    _, sign, rest = url.partition("://")
    if not sign:
        return set()
    login = rest[: max(0, _login_end(rest) - 1)]
    _, _, password = login.partition(":")
    parts = [login, password or login, *re.split(r"[/?#@:]", password or login)]
    for found in NAME.finditer(rest):
        if not HARMLESS.fullmatch(found[1]) and not USER.fullmatch(found[1]) and (value := VALUE_IN_URL.match(rest, found.end())):
            parts.append(value[0])
    return {form for part in parts for form in (part, unquote(part), quote(part, safe="")) if len(form) >= MIN_PART}


def _find_url(url: str) -> Address:
    scheme, _, rest = url.partition("://")
    if scheme.lower() == "file":
        return _find_path(Path(rest))
    if scheme.lower() not in SCHEMES:
        raise SourceError(f"{redact(url)}: unknown kind of address; known are {', '.join(SCHEMES)}")
    return Address("url", url, redact(url))


def _find_path(path: Path) -> Address:
    if device := re.fullmatch(r"/dev/video(\d+)", str(path)):
        return Address("camera", device[1], f"camera {device[1]}")
    path = next((each for form in ("NFC", "NFD") if (each := Path(normalize(form, str(path)))).exists()), path) if not path.exists() else path
    if path.is_dir():
        return Address("images", str(path), str(path))
    if not path.exists():
        raise SourceError(redact(f"{path}: there is no such file or folder; a camera is given by its number, a stream by its URL"))
    if path.is_file() and path.stat().st_size == 0:
        raise SourceError(f"{path}: the file is empty")
    return Address("images" if path.suffix.lower() in IMAGE_SUFFIXES else "file", str(path), str(path))
