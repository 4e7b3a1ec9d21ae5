"""Tables of clips or segments, row by row."""

import codecs
import csv
import io
import math
import re
from dataclasses import dataclass
from pathlib import Path

from streamvc.errors import DataError
from streamvc.training.dataset.files import composed, count_and_name
from streamvc.training.dataset.listing import side_of
from streamvc.training.dataset.types import Side

# What tables call a column, the surest first: `video_name, tag` is what notebooks write, `clip_path` what is published of UCF101.
COLUMNS = {"path": ("path", "video", "clip_path", "video_name"), "label": ("label", "tag"), "group": ("group",), "split": ("split",)}
TIMES = ("start_s", "end_s")
SEPARATORS = (",", ";", "\t", "|")
SEPARATOR_LINE = re.compile(r'"?sep=(.)"?', re.IGNORECASE)  # spreadsheets write it above the head


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row: the video's name as it is written, its label and the rest. `number` is that of the line, the header being the first."""

    number: int
    name: str
    label: str
    group: str | None
    split: Side | None
    start_s: float
    end_s: float | None


@dataclass(frozen=True, slots=True)
class ClipTable:
    """All rows; `has_times` where they are segments."""

    path: Path
    rows: tuple[TableRow, ...]
    has_times: bool


def read_table(path: Path) -> ClipTable:
    """Read a CSV with columns for the path and the label of a clip, and perhaps for its group, its side of a split, its start and its end.

    Raises:
        DataError: It cannot be read, or a row of it makes no sense.
    """
    try:
        lines = _lines(decode_text(path.read_bytes()))
    except UnicodeDecodeError as error:
        raise DataError(f"{path} cannot be read as a CSV: it is not text in UTF-8; save it as that (`CSV UTF-8` in a spreadsheet)") from error
    except (OSError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as a CSV: {error}") from error
    head = [name.lower() for name in lines[0]] if lines else []
    places = _places(path, head)
    has_times = "start_s" in places
    cells = [(number, {name: line[place] if place < len(line) else "" for name, place in places.items()}) for number, line in _filled(lines)]
    if blank := [str(number) for number, row in cells if not all(row[name] for name in ("path", "label", *(TIMES if has_times else ())))]:
        what = "a path, a label or a time" if has_times else "a path or a label"
        raise DataError(f"{path} lacks {what} in {count_and_name(blank, 'row')}")
    return ClipTable(path, tuple(_row(path, number, row) for number, row in cells), has_times)


def decode_text(data: bytes) -> str:
    """Text as programs export it: in UTF-8, or in UTF-16, which begins with a mark or has a zero in each letter of this alphabet.

    Raises:
        UnicodeDecodeError: It is neither.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16")
    if 0 in data[:2]:
        return data.decode("utf-16-be" if data[0] == 0 else "utf-16-le")
    return data.decode("utf-8-sig")


def _lines(text: str) -> list[list[str]]:
    """The cells of each line. What parts them is what makes columns that are known of the first line, or what that says itself (`sep=;`)."""
    first, _, rest = text.partition("\n")
    if told := SEPARATOR_LINE.fullmatch(first.rstrip("\r")):
        return _split(rest, told[1])
    separator = max(SEPARATORS, key=lambda each: _num_known(_split(first, each)))  # of equals, the first
    return _split(text, separator)


def _split(text: str, separator: str) -> list[list[str]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    return [[composed(cell.strip()) for cell in line] for line in reader]


def _num_known(lines: list[list[str]]) -> int:
    known = {name for names in COLUMNS.values() for name in names} | {*TIMES}
    return len(known & {name.lower() for line in lines[:1] for name in line})


def _places(path: Path, head: list[str]) -> dict[str, int]:
    """At which place in a line each column is."""
    found = {what: next((name for name in names if name in head), None) for what, names in COLUMNS.items()}
    if lacking := [name for name in ("path", "label") if not found[name]]:
        raise DataError(f"{path} has no column {' and no column '.join(lacking)}; it must have path and label, and may have group")
    times = [name for name in TIMES if name in head]
    if len(times) == 1:
        raise DataError(f"{path} has a column {times[0]} alone; segments need start_s and end_s")
    return {what: head.index(name) for what, name in found.items() if name} | {name: head.index(name) for name in times}


def _filled(lines: list[list[str]]) -> list[tuple[int, list[str]]]:
    """The lines after the head that are not blank, with their number."""
    return [(number, line) for number, line in enumerate(lines[1:], start=2) if any(line)]


def _row(path: Path, number: int, cells: dict[str, str]) -> TableRow:
    side = cells.get("split", "")
    split = side_of(side, has_test=True) if side else None
    if side and not split:
        raise DataError(f"{path}, row {number}: {side} is no side of a split; train or test is")
    start_s, end_s = _times(path, number, cells) if "start_s" in cells else (0.0, None)
    return TableRow(number, cells["path"], cells["label"], cells.get("group") or None, split, start_s, end_s)


def _times(path: Path, number: int, cells: dict[str, str]) -> tuple[float, float]:
    try:
        start_s, end_s = (float(cells[name].replace(",", ".")) for name in TIMES)
    except ValueError:
        raise DataError(f"{path}, row {number}: {cells['start_s']} and {cells['end_s']} must be seconds") from None
    if not 0 <= start_s < end_s < math.inf:
        raise DataError(f"{path}, row {number}: a segment cannot last from {start_s:g} s to {end_s:g} s")
    return start_s, end_s
