"""Segments of untrimmed video, and the time between them, in which nothing of interest happens."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from streamvc.errors import DataError
from streamvc.training.dataset.files import IgnoredKind, find_files, folders_in
from streamvc.training.dataset.finding import VideoFinder
from streamvc.training.dataset.listing import ClipEntry, ClipListing
from streamvc.training.dataset.rows import ClipTable, TableRow
from streamvc.training.dataset.tables import find_videos, inside
from streamvc.training.dataset.types import BACKGROUND, BACKGROUND_NAMES

SHORTEST_S = 1.0  # seconds; less than that between two segments may well belong to one of them


def read_segments(table: ClipTable) -> ClipListing:
    """Read the segments of a table, as clips of their videos.

    What no segment of a video covers becomes clips of the label "nothing", and so do whole videos in a folder `background`. How long a video is, is
    not known here: its last clip of nothing may turn out to be empty. A table that has "nothing" as a label of its own has said where it is: the
    rest of its videos is not used.

    Raises:
        DataError: A video does not exist, or a row contradicts another.
    """
    finder = VideoFinder(table.path)
    paths = find_videos(table.path, table.rows, finder)
    by_video: defaultdict[Path, list[TableRow]] = defaultdict(list)
    for row, path in zip(table.rows, paths, strict=True):
        by_video[path].append(row)
    root = table.path.parent
    for path, rows in by_video.items():
        _refuse_contradictions(table.path, inside(path, root), rows)
    labels = {row.label for row in table.rows}
    background_events = [] if BACKGROUND in map(str.lower, labels) else [entry for path, rows in by_video.items() for entry in _uncovered(path, rows)]
    segments = [ClipEntry(path, row.label, row.group, row.split, row.start_s, row.end_s) for path, rows in by_video.items() for row in rows]
    empty = [ClipEntry(path, BACKGROUND) for path in _background_videos(root) if path not in by_video]
    entries = sorted([*segments, *background_events], key=lambda entry: (entry.path, entry.start_s)) + empty
    unused = len({*finder.videos} - {entry.path for entry in entries})
    others = Counter({IgnoredKind("videos without a segment", is_system=False): unused} if unused else {})
    return ClipListing(root, entries, others, BACKGROUND if background_events or empty else None, untrimmed=True)


def _refuse_contradictions(table: Path, name: str, rows: Sequence[TableRow]) -> None:
    if len({(row.group, row.split) for row in rows}) > 1:
        raise DataError(f"{table} puts {name} into more than one group, or on both sides of the split")
    said: dict[tuple[str, float, float | None], int] = {}
    for row in rows:
        if (first := said.setdefault((row.label, row.start_s, row.end_s), row.number)) != row.number:
            raise DataError(f"{table}, row {row.number}: the same segment as in row {first}")


def _uncovered(path: Path, rows: Sequence[TableRow]) -> Iterator[ClipEntry]:
    """The stretches of a video that no segment covers; the last one is open."""
    covered_s = 0.0
    for row in sorted(rows, key=lambda row: row.start_s):
        if row.start_s - covered_s >= SHORTEST_S:
            yield ClipEntry(path, BACKGROUND, row.group, row.split, covered_s, row.start_s)
        covered_s = max(covered_s, row.end_s or 0.0)
    yield ClipEntry(path, BACKGROUND, rows[0].group, rows[0].split, covered_s)


def _background_videos(root: Path) -> list[Path]:
    return [path for folder in folders_in(root) if folder.name.lower() in BACKGROUND_NAMES for path in find_files(folder).videos]
