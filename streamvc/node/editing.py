"""Changes the cameras of a configuration in place; a running node takes it up. What does not concern them stays as it is, comments and all."""

import fcntl
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from copy import deepcopy
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

from streamvc.errors import NodeError
from streamvc.node.config import interpret, require_models
from streamvc.node.document import Document, find, parse_document, read_document
from streamvc.node.splicing import add_item, drop_item, drop_key, put_value

KEY = re.compile(r"[a-z_]+(\.[a-z_]+)*")


def add_camera(path: Path, name: str, source: str, models: Sequence[str] = ()) -> None:
    """Add a camera behind the others.

    Args:
        path: The configuration; one that is not there is begun.
        name: Of the camera.
        source: As the configuration has it: `${NAME}` stands for an environment variable.
        models: Those of `defaults` if none is given.

    Raises:
        NodeError: The file cannot be read, changed or written, or would not be right with it; then it stays as it was.
    """
    camera: dict[str, Any] = {"name": name, "source": source} | ({"models": list(models)} if models else {})
    lines = [_line(key, value) for key, value in camera.items()]

    def add(document: Document) -> Document:
        data = deepcopy(document.data) or {}
        if isinstance(data, dict):
            data["cameras"] = [*(data.get("cameras") or ()), camera]
        return _checked(document, data, partial(add_item, document.text, document.root, "cameras", lines))

    _edit(path, add, may_begin=True)


def remove_camera(path: Path, name: str) -> None:
    """Remove a camera, with the comments right above it.

    Raises:
        NodeError: There is none of this name; or as for `add_camera`.
    """

    def remove(document: Document) -> Document:
        index = _index(document, name)
        data = deepcopy(document.data)
        del data["cameras"][index]
        data["cameras"] = data["cameras"] or None
        return _checked(document, data, partial(drop_item, document.text, find(document.root, "cameras")[1], index))

    _edit(path, remove)


def set_camera(path: Path, name: str, changes: Mapping[str, str]) -> None:
    """Change keys of a camera, all of them or none.

    Args:
        path: The configuration.
        name: Of the camera.
        changes: YAML by key, where `thresholds.enter` is a key within another; empty text removes the key.

    Raises:
        NodeError: There is none of this name; or as for `add_camera`.
    """

    def change(document: Document) -> Document:
        index = _index(document, name)
        for key, text in changes.items():
            document = _set_key(document, index, key, text)
        return document

    _edit(path, change)


def _set_key(document: Document, index: int, key: str, text: str) -> Document:
    if not KEY.fullmatch(key):
        raise NodeError(f"{key!r} is not a key; write it as rate_hz, or thresholds.enter")
    keys = key.split(".")
    _, camera = find(find(document.root, "cameras")[1], index)
    data = deepcopy(document.data)
    if not text.strip():
        _drop(data["cameras"][index], keys)
        return _checked(document, data, partial(drop_key, document.text, camera, keys))
    value = _read(text)
    _put(data["cameras"][index], keys, value)
    ways = (text.strip(), json.dumps(value, ensure_ascii=False, default=str))
    return _checked(document, data, *(partial(put_value, document.text, camera, keys, written) for written in ways))


def _put(values: dict[str, Any], keys: Sequence[str], value: Any) -> None:
    for key in keys[:-1]:
        if not isinstance(values.get(key), dict):
            values[key] = {}
        values = values[key]
    values[keys[-1]] = value


def _drop(values: Any, keys: Sequence[str]) -> None:
    if not isinstance(values, dict) or keys[0] not in values:
        return
    if keys[1:]:
        was_there = bool(values[keys[0]])
        _drop(values[keys[0]], keys[1:])
        if values[keys[0]] or not was_there:
            return
    del values[keys[0]]


def _read(text: str) -> Any:
    """What text is as the value of a key: what YAML takes it for, or else just text."""
    with suppress(NodeError):
        data = parse_document(Path(), f"key: {text}").data
        if isinstance(data, dict) and list(data) == ["key"]:
            return data["key"]
    return text


def _line(key: str, value: str | list[str]) -> str:
    """A line of YAML, without quotes where it says the same."""
    plain = f"{key}: {value if isinstance(value, str) else '[' + ', '.join(value) + ']'}"
    with suppress(NodeError):
        if parse_document(Path(), plain).data == {key: value}:
            return plain
    return f"{key}: {json.dumps(value, ensure_ascii=False)}"


def _index(document: Document, name: str) -> int:
    data = document.data
    cameras = data.get("cameras") if isinstance(data, dict) else None
    names = [str(camera.get("name")) if isinstance(camera, dict) else "" for camera in cameras] if isinstance(cameras, list) else []
    if name not in names:
        close = get_close_matches(name, names, n=1)
        advice = f"did you mean {close[0]}?" if close else f"there are {', '.join(names) or 'none'}"
        raise NodeError(f"{document.path}: there is no camera {name}; {advice}")
    return names.index(name)


def _checked(document: Document, data: Any, *ways: Callable[[], str]) -> Document:
    """The document as the first way makes it that leads to this data."""
    for way in ways:
        with suppress(NodeError, ValueError):
            changed = parse_document(document.path, way())
            if changed.data == data:
                return changed
    raise NodeError(f"{document.path}: is written in a way that cannot be changed from here; change it by hand (the node takes it up)")


def _edit(path: Path, change: Callable[[Document], Document], *, may_begin: bool = False) -> None:
    with _alone(path):
        document = change(parse_document(path, "") if may_begin and not path.exists() else read_document(path))
        try:
            require_models(document, interpret(document, None))
        except NodeError as error:
            raise NodeError(f"{path} was not changed, it would not be right:\n{error}") from error
        _replace(path, document.text)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One edit at a time, in all programs: the next reads what the last has written."""
    try:
        folder = os.open(path.resolve().parent, os.O_RDONLY)
    except OSError as error:
        raise NodeError(f"{path}: cannot be changed: {error.strerror}") from error
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _replace(path: Path, text: str) -> None:
    """Put a new file in the place of the old one, of the same owner and with the same rights; whoever reads it reads one of both."""
    target = path.resolve()
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        try:
            line_end = "\r\n" if target.exists() and b"\r\n" in target.read_bytes() else "\n"
            with os.fdopen(descriptor, "w", encoding="utf-8", newline=line_end) as file:
                file.write(text)
                file.flush()
                if target.exists():
                    _take_rights(target, file.fileno())
                os.fsync(file.fileno())
            Path(name).replace(target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise NodeError(f"{path}: cannot be written: {error.strerror}") from error


def _take_rights(path: Path, descriptor: int) -> None:
    status = path.stat()
    with suppress(PermissionError):  # only the superuser may give files away
        os.fchown(descriptor, status.st_uid, status.st_gid)
    os.fchmod(descriptor, status.st_mode & 0o777)
