"""Data sets as people have them: a folder per label, a CSV, or a folder that holds a `clips.csv`.

A clip belongs to a group: clips of one group show the same people in the same place, so that they never stand on both sides of a split.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from streamvc.errors import DataError

CSV_NAME = "clips.csv"
VIDEO_SUFFIXES = (
    *(".3gp", ".asf", ".avi", ".divx", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov"),
    *(".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".vob", ".webm", ".wmv"),
)
UCF_GROUP = re.compile(r"_(g\d+)_")  # v_PushUps_g08_c01.avi: the group of UCF11, UCF50 and UCF101
NUM_NAMED = 3  # how many culprits an error names

Grouping = Literal["column", "name", "file"]


@dataclass(frozen=True, slots=True)
class Clip:
    """A video file that shows one activity, and the group it may not be parted from."""

    path: Path
    label: str
    group: str


@dataclass(frozen=True, slots=True)
class Dataset:
    """Labelled clips.

    Attributes:
        clips: The clips, sorted by label and path (a folder) or in the order of the rows (a CSV).
        labels: The labels, sorted.
        grouping: Where groups are from: the CSV's `group` column, the file names (`_g08_`), or none, each file being its own group.
        num_ignored: How many files were passed over because they are no videos.
    """

    clips: tuple[Clip, ...]
    labels: tuple[str, ...]
    grouping: Grouping
    num_ignored: int

    @property
    def num_groups(self) -> int:
        """How many groups the clips are from."""
        return len({clip.group for clip in self.clips})


def load_dataset(data: Path) -> Dataset:
    """Read the clips of a folder per label, of a CSV (`path`, `label` and perhaps `group`), or of a folder with a `clips.csv`.

    Raises:
        DataError: Nothing can be trained or evaluated on it; the text says why.
    """
    if data.is_dir():
        table = data / CSV_NAME
        return _from_csv(table) if table.is_file() else _from_folders(data)
    if data.is_file() and data.suffix.lower() == ".csv":
        return _from_csv(data)
    raise DataError(f"{data} is neither a folder of labels nor a CSV" if data.exists() else f"{data} does not exist")


def _from_folders(root: Path) -> Dataset:
    folders = sorted(path for path in root.iterdir() if path.is_dir() and not _is_hidden(path))
    if not folders:
        raise DataError(f"{root} holds no folders; make one folder of clips per label, or give a CSV with path and label")
    files = {folder: sorted(path for path in folder.iterdir() if path.is_file()) for folder in folders}
    clips = [(path, folder.name, None) for folder in folders for path in files[folder] if _is_video(path)]
    filled = {label for _, label, _ in clips}
    if empty := [folder.name for folder in folders if folder.name not in filled]:
        raise DataError(f"{root}: no clips in {_some(empty, 'label folder')}")
    loose = sum(path.is_file() for path in root.iterdir())
    return _dataset(root, clips, num_ignored=loose + sum(map(len, files.values())) - len(clips))


def _from_csv(table: Path) -> Dataset:
    rows = _read_rows(table)
    clips = [(table.parent / path, label, group) for path, label, group in rows if _is_video(Path(path))]
    if repeated := [path for path, num in Counter(str(path) for path, _, _ in clips).items() if num > 1]:
        raise DataError(f"{table} names {_some(_relative(repeated, table), 'file')} more than once")
    if missing := [str(path) for path, _, _ in clips if not path.is_file()]:
        raise DataError(f"{table} names {_some(_relative(missing, table), 'file')} that {'does' if len(missing) == 1 else 'do'} not exist")
    return _dataset(table, clips, num_ignored=len(rows) - len(clips))


def _read_rows(table: Path) -> list[tuple[str, str, str | None]]:
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            columns = [name.strip() for name in reader.fieldnames or []]
            reader.fieldnames = columns
            if lacking := [name for name in ("path", "label") if name not in columns]:
                raise DataError(f"{table} has no column {' and no column '.join(lacking)}; it must have path and label, and may have group")
            rows = [{name: (row[name] or "").strip() for name in ("path", "label", "group") if name in row} for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{table} cannot be read as a CSV: {error}") from error
    if blank := [str(number) for number, row in enumerate(rows, start=2) if not (row["path"] and row["label"])]:
        raise DataError(f"{table} lacks a path or a label in {_some(blank, 'row')}")
    return [(row["path"], row["label"], row.get("group") or None) for row in rows]


def _dataset(origin: Path, rows: Sequence[tuple[Path, str, str | None]], num_ignored: int) -> Dataset:
    if not rows:
        raise DataError(f"{origin} holds no video files")
    labels = tuple(sorted({label for _, label, _ in rows}))
    if len(labels) == 1:
        raise DataError(f"{origin} has the one label {labels[0]}; a recogniser needs two or more, so add clips of something else")
    clips = tuple(Clip(path, label, group or _group(path)) for path, label, group in rows)
    return Dataset(clips, labels, _grouping(rows), num_ignored)


def _group(path: Path) -> str:
    found = UCF_GROUP.search(path.name)
    return found[1] if found else str(path)


def _grouping(rows: Iterable[tuple[Path, str, str | None]]) -> Grouping:
    if all(group for _, _, group in rows):
        return "column"
    return "name" if all(group or UCF_GROUP.search(path.name) for path, _, group in rows) else "file"


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES and not _is_hidden(path)


def _is_hidden(path: Path) -> bool:
    return path.name.startswith((".", "__"))


def _relative(paths: Iterable[str], table: Path) -> list[str]:
    return [path.removeprefix(f"{table.parent}/") for path in paths]


def _some(names: Sequence[str], noun: str) -> str:
    """`2 files (a, b)`, and of many only the first few."""
    more = ", ..." if len(names) > NUM_NAMED else ""
    return f"{len(names)} {noun}{'s' if len(names) > 1 else ''} ({', '.join(names[:NUM_NAMED])}{more})"
