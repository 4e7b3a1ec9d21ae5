"""Finds the videos beneath a folder, and names the kinds of the other files."""

import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from streamvc.training.dataset.types import IgnoredFiles

VIDEO_SUFFIXES = (
    *(".3gp", ".asf", ".avi", ".divx", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov"),
    *(".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".vob", ".webm", ".wmv"),
)
SYSTEM_NAMES = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "system volume information", "@eadir"})  # in lower case
MAC_FOLDER = ".DS_Store"  # some tools write `music-3.DS_Store` where they number files
MAC_TWIN = "._"  # of a file on a disk that knows no resource forks
NUM_NAMED = 3  # how many culprits an error names


@dataclass(frozen=True, slots=True)
class IgnoredKind:
    """Of what kind a file is that is passed over; see `IgnoredFiles`."""

    what: str
    is_system: bool


@dataclass(frozen=True, slots=True, eq=False)
class VideoFiles:
    """The videos beneath a folder, sorted by folder and name, and what else there is."""

    videos: list[Path] = field(default_factory=list)
    others: Counter[IgnoredKind] = field(default_factory=Counter)


def find_files(folder: Path) -> VideoFiles:
    """Look for videos beneath a folder, at any depth. A hidden folder counts as one thing that was passed over, whatever is in it.

    Links are followed, but not back to a folder that holds them, and no folder is looked at twice.

    Raises:
        OSError: A folder cannot be read.
    """
    found = VideoFiles()
    seen = {folder.resolve()}
    for root, folders, names in os.walk(folder, onerror=_refuse, followlinks=True):
        for name in filter(is_hidden, folders):
            found.others[IgnoredKind(f"{name}/", is_system=True)] += 1
        folders[:] = [name for name in sorted(folders) if not is_hidden(name) and _is_new(Path(root, name), folder, seen)]
        for name in sorted(names):
            if kind := kind_of(name):
                found.others[kind] += 1
            else:
                found.videos.append(Path(root, name))
    return found


def _is_new(path: Path, top: Path, seen: set[Path]) -> bool:
    """Whether a folder beneath `top` is to be looked at; it counts as seen from now on."""
    target = path.resolve()
    is_new = target not in seen and not holds(target, path.parent) and not holds(target, top)
    seen.add(target)
    return is_new


def _refuse(error: OSError) -> NoReturn:
    raise error


def holds(folder: Path, inner: Path) -> bool:
    """Whether a folder, all links followed, is another one or holds it: a link to it from there leads in a circle."""
    return inner.resolve().is_relative_to(folder)


def folders_in(folder: Path) -> Iterator[Path]:
    """The folders in a folder that somebody meant, sorted; not links that lead back to where they are."""
    return (path for path in sorted(folder.iterdir()) if path.is_dir() and not is_hidden(path.name) and not holds(path.resolve(), folder))


def composed(name: str) -> str:
    """A name with its accents written as one letter each (NFC): macOS writes them apart, and looks the same."""
    return unicodedata.normalize("NFC", name)


def kind_of(name: str) -> IgnoredKind | None:
    """Of what kind a file is that has this name and is no video; None for a video."""
    if name.endswith(MAC_FOLDER):
        return IgnoredKind(MAC_FOLDER if name == MAC_FOLDER else f"*{MAC_FOLDER}", is_system=True)
    if name.startswith(MAC_TWIN):
        return IgnoredKind(f"{MAC_TWIN}*", is_system=True)
    if is_hidden(name):
        return IgnoredKind(name, is_system=True)
    suffix = Path(name).suffix.lower()
    return None if suffix in VIDEO_SUFFIXES else IgnoredKind(f"*{suffix}" if suffix else name, is_system=False)


def is_hidden(name: str) -> bool:
    """Whether a file or folder is one that a system or a tool left."""
    return name.startswith((".", "__")) or name.lower() in SYSTEM_NAMES


def tally(others: Counter[IgnoredKind]) -> tuple[IgnoredFiles, ...]:
    """What was passed over, what systems left last."""
    return tuple(
        IgnoredFiles(kind.what, kind.is_system, num) for kind, num in sorted(others.items(), key=lambda item: (item[0].is_system, item[0].what))
    )


def count_and_name(names: Iterable[str], noun: str) -> str:
    """`2 files (a, b)`, and of many only the first few."""
    names = list(names)
    more = ", ..." if len(names) > NUM_NAMED else ""
    return f"{len(names)} {noun}{'s' if len(names) > 1 else ''} ({', '.join(names[:NUM_NAMED])}{more})"
