"""Adds, changes and removes cameras of a configuration; a running node takes it up.

A camera that is added gets a file of its own in `cameras.d`. What is there already is changed where it stands, in the configuration's own file too,
and what does not concern it stays as it is, comments and all. What cannot be changed so is left to its author.
"""

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from difflib import SequenceMatcher, get_close_matches
from io import StringIO
from itertools import takewhile
from operator import eq
from pathlib import Path
from typing import Any
from unicodedata import normalize

from filelock import FileLock
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError
from ruamel.yaml.util import load_yaml_guess_indent

from streamvc.errors import NodeError
from streamvc.node.config import interpret, require_models
from streamvc.node.document import CAMERA_FOLDER, SUFFIXES, Document, Documents, Place, camera_files, parse_document, read_documents
from streamvc.node.key_changes import KeyChange, key_change, look_up

KEY = re.compile(r"[a-z_]+(\.[a-z_]+)*")
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # names of devices on Windows, with any suffix
STEM = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_. -]{0,58}[A-Za-z0-9_-])?")  # means the same file on every file system
BEGUN = f"# The cameras are in {CAMERA_FOLDER}, a file each.\ndefaults: {{}}\n"


def add_camera(path: Path, name: str, source: str, models: Sequence[str] = ()) -> Path:
    """Add a camera behind the others, in a file of its own.

    Args:
        path: The configuration; one that is not there is begun.
        name: Of the camera.
        source: As the configuration has it: `${NAME}` stands for an environment variable.
        models: Those of `defaults` if none is given.

    Returns:
        The file.

    Raises:
        NodeError: A file cannot be read, changed or written, or would not be right with it; then all stays as it was.
    """
    with _alone(path, path.parent):
        is_new = not path.exists()
        documents = Documents(parse_document(path, BEGUN)) if is_new else read_documents(path)
        file = _own_file(path, name)
        camera = {"name": name} if name != file.stem else {}
        text = "".join(_line(key, value) for key, value in (camera | {"source": source} | ({"models": list(models)} if models else {})).items())
        _require_right(replace(documents, cameras=(*documents.cameras, parse_document(file, text))))
        if is_new:
            _write(path, BEGUN)
        _write(file, text, like=path)
        return file


def remove_camera(path: Path, name: str) -> Path:
    """Remove a camera: its own file, or what is said of it in the configuration's, with the comments right above it.

    Returns:
        The file that it stood in.

    Raises:
        NodeError: There is none of this name; or as for `add_camera`.
    """
    with _alone(path, path):
        documents = read_documents(path)
        number, document, place = documents.find(("cameras", _index(documents, name)))
        if number:
            _require_right(replace(documents, cameras=tuple(each for each in documents.cameras if each is not document)))
            with _explained(document.path):
                document.path.unlink()
            return document.path

        def remove(data: Any) -> None:
            del data["cameras"][place[1]]
            data["cameras"] = data["cameras"] or None

        changed = _changed(document, remove)
        _require_right(replace(documents, main=changed))
        _write(path, changed.text)
        return path


@dataclass(frozen=True, slots=True)
class CameraChange:
    """The file that a camera stands in, and what was changed there."""

    path: Path
    keys: tuple[KeyChange, ...]


def set_camera(path: Path, name: str, changes: Mapping[str, str]) -> CameraChange:
    """Change keys of a camera, all of them or none.

    Args:
        path: The configuration.
        name: Of the camera.
        changes: YAML by key, where `thresholds.enter` is a key within another; empty text removes the key.

    Returns:
        What has changed, without those that were so already.

    Raises:
        NodeError: There is none of this name; or as for `add_camera`.
    """
    with _alone(path, path):
        documents = read_documents(path)
        number, document, place = documents.find(("cameras", _index(documents, name)))
        before = document
        for key, text in changes.items():
            document = _with_key(document, place, key, text)
        cameras = tuple(document if each.path == document.path else each for each in documents.cameras)
        _require_right(replace(documents, cameras=cameras) if number else replace(documents, main=document))
        _write(document.path, document.text)
        defaults = look_up(documents.main.data, ["defaults"])
        told = [key_change(key, look_up(before.data, place), look_up(document.data, place), defaults) for key in changes]
        return CameraChange(document.path, tuple(change for change in told if change))


def _own_file(path: Path, name: str) -> Path:
    """A new file for a camera: of its name where that can be one, and else of one like it."""
    with _explained(path):
        taken = {file.stem.lower() for file in camera_files(path)}
    stem = name
    if not STEM.fullmatch(name) or RESERVED.fullmatch(name):
        stem = f"{re.sub(r'[^A-Za-z0-9_]+', '-', name)[:40].strip('-') or 'camera'}-{hashlib.sha256(name.encode(errors='replace')).hexdigest()[:8]}"
    while stem.lower() in taken:
        stem += "-1"
    return path.parent / CAMERA_FOLDER / f"{stem}{SUFFIXES[0]}"


def _with_key(document: Document, place: Place, key: str, text: str) -> Document:
    """The document with a key of the camera at this place changed."""
    if not KEY.fullmatch(key):
        raise NodeError(f"{key!r} is not a key; write it as rate_hz, or thresholds.enter")
    keys = key.split(".")
    value = text.strip() and _read(text)
    if keys == ["name"] and not isinstance(value, str):  # 007 is a name as well
        value = text.strip()

    def change(data: Any) -> None:
        camera = data
        for step in place:
            camera = camera[step]
        if text.strip():
            _put(camera, keys, value)
        else:
            _drop(camera, keys)

    return _changed(document, change)


def _changed(document: Document, change: Callable[[Any], object]) -> Document:
    """The document with a change of its data, in which all lines that it does not concern are as they were.

    Raises:
        NodeError: It is written in a way that does not allow it.
    """
    wanted = _copy(document.data)
    change(wanted)
    yaml = _round_trip()
    with suppress(NodeError, YAMLError, LookupError, ValueError, TypeError):
        _, indent, dash = load_yaml_guess_indent(document.text)
        yaml.indent(sequence=indent, offset=dash)
        data = yaml.load(document.text)
        before = _dump(yaml, data)
        change(data)
        changed = parse_document(document.path, _carry_over(document.text, before, _dump(yaml, data)))
        if changed.data == wanted:
            return changed
    raise NodeError(f"{document.path}: is written in a way that cannot be changed from here; change it by hand (the node takes it up)")


def _round_trip() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 1_000_000
    return yaml


def _dump(yaml: YAML, data: Any) -> str:
    written = StringIO()
    yaml.dump(data, written)
    return written.getvalue()


def _carry_over(text: str, before: str, after: str) -> str:
    """Make a change in a text that leads from `before`, which is the text as a library writes it, to `after`. Lines of comments all stay.

    Raises:
        LookupError: The library has rewritten the lines that are to be changed.
    """
    ours, old, new = (each.splitlines(keepends=True) for each in (text, before, after))
    if old == new:
        return text
    start = _num_equal(old, new)
    num_after = _num_equal(old[start:][::-1], new[start:][::-1])
    words = [[" ".join(line.split()) for line in lines] for lines in (old, ours)]
    blocks = SequenceMatcher(None, words[0], words[1]).get_matching_blocks()
    where = {block.a + number: block.b + number for block in blocks for number in range(block.size)} | {len(old): len(ours)}
    first, last = where[start], where[len(old) - num_after]
    put = [line for line in new[start : len(new) - num_after] if not _is_remark(line)]
    while first == last and first and _is_remark(ours[first - 1]):  # not between remarks and what they belong to, which mostly comes next
        first = last = first - 1
    column = _column(ours[first]) if first < last else 0
    kept = [line for line in ours[first:last] if _is_remark(line) and (put or _column(line) <= column)]
    while not put and first and ours[first - 1].lstrip().startswith("#") and _column(ours[first - 1]) == column:
        first -= 1  # the remarks right above go with it
    if first and not ours[first - 1].endswith("\n"):
        ours[first - 1] += "\n"
    return "".join(ours[:first] + put + kept + ours[last:])


def _num_equal(lines: Sequence[str], others: Sequence[str]) -> int:
    return len(list(takewhile(bool, map(eq, lines, others))))


def _is_remark(line: str) -> bool:
    return line.lstrip()[:1] in ("#", "")


def _column(line: str) -> int:
    return len(line) - len(line.lstrip())


def _put(values: MutableMapping[str, Any], keys: Sequence[str], value: Any) -> None:
    for key in keys[:-1]:
        if not isinstance(values.get(key), dict):
            values[key] = CommentedMap()
            values[key].fa.set_flow_style()
        values = values[key]
    values[keys[-1]] = value


def _drop(values: Any, keys: Sequence[str]) -> None:
    """Remove a key, and a mapping that it was the only key of."""
    if not isinstance(values, dict) or keys[0] not in values:
        return
    if keys[1:]:
        was_there = bool(values[keys[0]])
        _drop(values[keys[0]], keys[1:])
        if values[keys[0]] or not was_there:
            return
    del values[keys[0]]


def _copy(value: Any) -> Any:
    """A copy in which nothing is there twice: what an alias stands for can be changed alone."""
    if isinstance(value, dict):
        return {key: _copy(part) for key, part in value.items()}
    return [_copy(part) for part in value] if isinstance(value, list) else value


def _read(text: str) -> Any:
    """What text is as the value of a key, written as it is there: what YAML takes it for, or else just text."""
    with suppress(NodeError, YAMLError, ValueError):
        if list(parse_document(Path(), f"key: {text}").data) == ["key"]:
            return _round_trip().load(f"key: {text}")["key"]
    return text


def _line(key: str, value: str | list[str]) -> str:
    """A line of YAML, without quotes where it says the same."""
    plain = f"{key}: {value if isinstance(value, str) else '[' + ', '.join(value) + ']'}"
    with suppress(NodeError):
        if parse_document(Path(), plain).data == {key: value}:
            return f"{plain}\n"
    return f"{key}: {json.dumps(value, ensure_ascii=False)}\n"


def _index(documents: Documents, name: str) -> int:
    data = documents.data
    cameras = data.get("cameras") if isinstance(data, dict) else None
    name = normalize("NFC", name)
    names = [normalize("NFC", str(camera.get("name"))) if isinstance(camera, dict) else "" for camera in cameras] if isinstance(cameras, list) else []
    if name not in names:
        close = get_close_matches(name, names, n=1)
        advice = f"did you mean {close[0]}?" if close else f"there are {', '.join(names) or 'none'}"
        raise NodeError(f"{documents.main.path}: there is no camera {name}; {advice}")
    return names.index(name)


def _require_right(documents: Documents) -> None:
    try:
        require_models(documents, interpret(documents, None))
    except NodeError as error:
        raise NodeError(f"{documents.main.path} was not changed, it would not be right:\n{error}") from error


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise NodeError(f"{path}: cannot be changed: {error.strerror}") from error


@contextmanager
def _alone(path: Path, needed: Path) -> Iterator[None]:
    """One edit at a time, in all programs: the next reads what the last has written. What is `needed` must be there."""
    target = path.resolve()
    with ExitStack() as held:
        with _explained(path):
            needed.stat()
            held.enter_context(FileLock(target.with_name(f".{target.name}.lock")))
        yield


def _write(path: Path, text: str, like: Path | None = None) -> None:
    """Put a new file in the place of the old one, with its owner and rights, or those of `like`; whoever reads it reads one of both."""
    target = path.resolve()
    with _explained(path):
        if not target.parent.exists():
            target.parent.mkdir()
            _take_rights(target.parent, target.parent.parent)
        line_end = "\r\n" if target.exists() and b"\r\n" in target.read_bytes() else "\n"
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline=line_end) as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            if target.exists() or like:
                _take_rights(Path(name), like if like and not target.exists() else target)
            Path(name).replace(target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def _take_rights(path: Path, other: Path) -> None:
    status = other.stat()
    with suppress(PermissionError):  # only the superuser may give files away
        os.chown(path, status.st_uid, status.st_gid)
    path.chmod(status.st_mode & 0o777)
