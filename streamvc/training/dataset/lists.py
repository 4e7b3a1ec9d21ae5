"""The lists of UCF101: `classInd.txt`, `trainlist01.txt`, `testlist01.txt`, and the videos beside them or a folder above."""

import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

from streamvc.errors import DataError
from streamvc.training.dataset.files import IgnoredKind, count_and_name, folders_in
from streamvc.training.dataset.listing import ClipEntry, ClipListing
from streamvc.training.dataset.rows import decode_text
from streamvc.training.dataset.types import Side

INDEX = "classInd.txt"
LIST_NAME = re.compile(r"(train|test)list(\d+)\.txt", re.IGNORECASE)


def find_list(folder: Path) -> Path | None:
    """The first list for training in a folder, or in one right beneath it; None where there is none."""
    for candidate in (folder, *folders_in(folder)):
        if (candidate / INDEX).is_file():
            return min(candidate.glob("trainlist*.txt"), default=None)
    return None


def is_list(path: Path) -> bool:
    """Whether a file is one of the lists, by its name."""
    return bool(LIST_NAME.fullmatch(path.name))


def read_lists(path: Path) -> ClipListing:
    """Read `trainlistNN.txt` and the `testlistNN.txt` beside it, or the latter alone.

    Labels whose folder is not there are left out and counted, so that a part of the videos can be used with the lists of all.

    Raises:
        DataError: A list is missing or makes no sense, or a video is missing.
    """
    labels = _read_index(path.parent / INDEX)
    named = [entry for side, file in _sides(path).items() for entry in _read_list(file, labels, side)]
    root = _find_videos(path.parent, labels.values())
    present = {folder.name for folder in folders_in(root)}
    entries = [replace(entry, path=root / entry.path) for entry in named if entry.label in present]
    if missing := [str(entry.path.relative_to(root)) for entry in entries if not entry.path.is_file()]:
        raise DataError(f"{root} lacks {count_and_name(missing, 'file')} that the lists name")
    absent = Counter(IgnoredKind("videos of labels that have no folder", is_system=False) for entry in named if entry.label not in present)
    return ClipListing(root, entries, absent)


def _sides(path: Path) -> dict[Side, Path]:
    if path.name.lower().startswith("test"):
        return {"test": path}
    test = path.with_name(path.name.replace("train", "test"))
    if not test.is_file():
        raise DataError(f"{path} has no {test.name} beside it")
    return {"train": path, "test": test}


def _read_index(path: Path) -> dict[str, str]:
    """The label of each number, as written."""
    rows = {number: line.split() for number, line in _lines(path)}
    if wrong := [str(number) for number, row in rows.items() if len(row) != 2]:
        raise DataError(f"{path} must give a number and a label, and does not in {count_and_name(wrong, 'row')}")
    return dict(rows.values())


def _read_list(path: Path, labels: dict[str, str], side: Side) -> Iterator[ClipEntry]:
    """The videos of a list; where it gives their numbers, these must be those of their folders."""
    known = set(labels.values())
    for row, line in _lines(path):
        name, *number = line.replace("\\", "/").split()
        label = name.partition("/")[0]
        if label not in known or (number and labels.get(number[0]) != label):
            raise DataError(f"{path}, row {row}: {line} does not agree with {INDEX}")
        yield ClipEntry(Path(name), label, split=side)


def _find_videos(lists: Path, labels: Collection[str]) -> Path:
    """The folder that holds a folder per label."""
    for folder in (lists, lists.parent):
        for candidate in (folder, *folders_in(folder)):
            if any((candidate / label).is_dir() for label in labels):
                return candidate
    raise DataError(f"neither {lists} nor the folder above it holds a folder of videos per label, as {INDEX} names them")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, with their number."""
    try:
        lines = decode_text(path.read_bytes()).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    return ((number, line) for number, line in enumerate(lines, start=1) if line.strip())
