"""A table of clips, or one for each side of a split."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from streamvc.errors import DataError
from streamvc.training.dataset.files import IgnoredKind, count_and_name, kind_of
from streamvc.training.dataset.finding import VideoFinder
from streamvc.training.dataset.listing import TEST_NAMES, ClipEntry, ClipListing, side_of
from streamvc.training.dataset.rows import ClipTable, TableRow


def read_clips(tables: Sequence[ClipTable]) -> ClipListing:
    """Read the clips of tables that lie in one folder; the name of a table (`train.csv`) says which side its clips are on.

    Raises:
        DataError: A clip does not exist, or is named twice.
    """
    has_test = any(table.path.stem.lower() in TEST_NAMES for table in tables)
    others: Counter[IgnoredKind] = Counter()
    entries: list[ClipEntry] = []
    for table in tables:
        kinds = [kind_of(row.name.replace("\\", "/").rpartition("/")[2]) for row in table.rows]
        others.update(filter(None, kinds))
        rows = [row for row, kind in zip(table.rows, kinds, strict=True) if kind is None]
        paths = find_videos(table.path, rows)
        split = side_of(table.path.stem, has_test)
        entries += [ClipEntry(path, row.label, row.group, row.split or split) for row, path in zip(rows, paths, strict=True)]
    root = tables[0].path.parent
    if repeated := [inside(path, root) for path, num in Counter(entry.path for entry in entries).items() if num > 1]:
        raise DataError(f"{' and '.join(str(table.path) for table in tables)} names {count_and_name(repeated, 'file')} more than once")
    return ClipListing(root, entries, others)


def find_videos(table: Path, rows: Sequence[TableRow], finder: VideoFinder | None = None) -> list[Path]:
    """The files that the rows of a table name.

    Raises:
        DataError: Some do not exist, or it is not clear which is meant.
    """
    finder = finder or VideoFinder(table)
    found = [(row, finder.find(row.name, row.label)) for row in rows]
    if missing := list(dict.fromkeys(row.name for row, path in found if path is None)):
        raise DataError(f"{table} names {count_and_name(missing, 'file')} that {'does' if len(missing) == 1 else 'do'} not exist")
    return [path for _, path in found if path]


def inside(path: Path, root: Path) -> str:
    """How to call a path in the data's folder."""
    return str(path.relative_to(root) if path.is_relative_to(root) else path)
