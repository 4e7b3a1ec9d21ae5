"""What a user's word for a source means, and a name for it that is safe to show."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from unicodedata import normalize
from urllib.parse import urlsplit

from streamvc.errors import SourceError

Kind = Literal["camera", "file", "images", "url"]

SCHEMES = ("rtsp", "rtsps", "http", "https", "rtmp", "rtmps", "udp", "tcp", "srt")

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".jp2", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})

LOGIN = re.compile(r"(?<=://)[^/?#]*@")
# A password with an unescaped "/", "?" or "#" in it: no such URL can be opened, but the error that says so must not show it.
MISTYPED_LOGIN = re.compile(r"(?<=://)[^@]*:(?!\d*[/?#])[^@]*@")
# As far as the next parameter, or the `: ` behind which an error says what is wrong.
SECRET = re.compile(r"((?:pass\w*?|pwd|psw|token|secret|key|auth|sig)\w*=)(?:(?!: )[^&])*", re.IGNORECASE)


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
        return urlsplit(text).hostname or "stream"
    return Path(text).resolve().stem or "camera"


def redact(text: str) -> str:
    """Hide the logins, and the values of parameters that look like secrets, of all URLs in `text`."""
    return SECRET.sub(r"\1***", LOGIN.sub("***@", MISTYPED_LOGIN.sub("***@", text)))


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
        raise SourceError(f"{path}: there is no such file or folder; a camera is given by its number, a stream by its URL")
    if path.is_file() and path.stat().st_size == 0:
        raise SourceError(f"{path}: the file is empty")
    return Address("images" if path.suffix.lower() in IMAGE_SUFFIXES else "file", str(path), str(path))
