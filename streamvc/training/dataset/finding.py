"""Finds the videos that a table names, where tables say little of where these lie."""

from collections import defaultdict
from collections.abc import Collection
from functools import cached_property
from pathlib import Path

from streamvc.errors import DataError
from streamvc.training.dataset.files import count_and_name, find_files
from streamvc.training.dataset.listing import TEST_NAMES, TRAIN_NAMES, VALIDATION_NAMES

SIDES = (TRAIN_NAMES, TEST_NAMES, VALIDATION_NAMES)


class VideoFinder:
    """Finds videos by what a table says: relative to the table, by the end of a path of another machine, or, a bare name, anywhere beneath."""

    def __init__(self, table: Path) -> None:
        self._root = table.parent
        self._side: Collection[str] = next((names for names in SIDES if table.stem.lower() in names), ())

    def find(self, name: str, label: str | None = None) -> Path | None:
        """The file of a name; None if there is none. Of several with a bare name, that in the folder of the table's side or of the label.

        Raises:
            DataError: Several are left.
        """
        if (path := self._root / name).is_file():
            return path
        parts = name.replace("\\", "/").split("/")
        if len(parts) == 1:
            return self._search(name, label)
        is_foreign = not parts[0] or parts[0] == ".." or parts[0].endswith(":")  # /content/run/a.mp4, ../input/run/a.mp4, C:\run\a.mp4
        starts = range(1, len(parts)) if is_foreign else (0,)
        tails = (self._root.joinpath(*parts[start:]) for start in starts)
        return next((path for path in tails if path.is_file()), None)

    @cached_property
    def videos(self) -> list[Path]:
        """All videos beneath the folder of the table."""
        return find_files(self._root).videos

    @cached_property
    def _by_name(self) -> dict[str, list[Path]]:
        named = defaultdict(list)
        for path in self.videos:
            named[path.name].append(path)
        return dict(named)

    def _search(self, name: str, label: str | None) -> Path | None:
        found = self._by_name.get(name, [])
        for is_right in (lambda folder: folder.lower() in self._side, lambda folder: folder == label):
            found = [path for path in found if any(map(is_right, path.relative_to(self._root).parts[:-1]))] or found
        if len(found) > 1:
            raise DataError(
                f"{self._root} holds {count_and_name([str(path.relative_to(self._root)) for path in found], 'file')} of the name {name}; say which"
            )
        return found[0] if found else None
