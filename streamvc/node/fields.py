"""The kinds of values that a configuration is made of, and how each is checked."""

import re
import unicodedata
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints, ValidationInfo

from streamvc.capture.address import SCHEMES
from streamvc.inference.manifest import Share
from streamvc.node.timetable import Rule, find_zone

HTTP = "127.0.0.1:7791"
HTTP_ADDRESS = re.compile(r"(?P<host>[^\s:/\[\]]+|\[[0-9A-Fa-f:.]+\]):(?P<port>\d{1,5})")
MAX_PORT = 65_535


def _beside_file(path: Path, info: ValidationInfo) -> Path:
    """A path in a configuration is relative to its file."""
    folder = (info.context or {}).get("folder", Path())
    return Path(folder, path.expanduser())


def _source_beside_file(source: str, info: ValidationInfo) -> str:
    _check_scheme(source)
    is_path = not source.isdecimal() and "://" not in source
    return str(_beside_file(Path(source), info)) if is_path else source


def _check_scheme(source: str) -> None:
    """A mistyped URL is told here with its line, and `rtsp:/me:PASSWORD@...` is never taken for a path: those are shown."""
    scheme, _, rest = source.partition(":")
    is_known = scheme.lower() in (*SCHEMES, "file")
    if is_known and not rest.startswith("//"):
        raise ValueError(f"an address is written {scheme}://HOST/PATH")
    if scheme.isalpha() and rest.startswith("//") and not is_known:
        raise ValueError(f"there is no kind of address {scheme}; known are {', '.join(SCHEMES)}")


def _model_beside_file(name: str, info: ValidationInfo) -> str:
    is_path = "/" in name or name.startswith(".")
    return str(_beside_file(Path(name), info)) if is_path else name


def _check_name(name: str) -> str:
    """It stands in topics, file names and tables, and is typed in commands. Its accents are one letter each, however they are written (NFC)."""
    name = unicodedata.normalize("NFC", name)
    if not name.isprintable() or name != name.strip():
        raise ValueError("must be letters, digits and the like in one line, with no space before or behind it")
    return name


def _check_rule(rule: str) -> str:
    Rule.parse(rule)
    return rule


def _check_zone(name: str) -> str:
    find_zone(name)
    return name


def _check_http(address: str) -> str:
    split_http(address)
    return address


Beside = Annotated[Path, AfterValidator(_beside_file)]
CameraName = Annotated[str, StringConstraints(min_length=1, max_length=100), AfterValidator(_check_name)]
SourceText = Annotated[str, StringConstraints(min_length=1), AfterValidator(_source_beside_file)]
ModelName = Annotated[str, StringConstraints(min_length=1), AfterValidator(_model_beside_file)]
RuleText = Annotated[str, AfterValidator(_check_rule)]
ZoneName = Annotated[str, AfterValidator(_check_zone)]
CheckedPolygon = Annotated[tuple[tuple[Share, Share], ...], Field(min_length=3)]
HttpAddress = Annotated[str, AfterValidator(_check_http)]


def split_http(address: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`; the host of `[::1]:7791` is `::1`.

    Raises:
        ValueError: It is not written so.
    """
    found = HTTP_ADDRESS.fullmatch(address)
    if not found or int(found["port"]) > MAX_PORT:
        raise ValueError(f"must be HOST:PORT, such as {HTTP}, not {address!r}")
    return found["host"].strip("[]"), int(found["port"])
