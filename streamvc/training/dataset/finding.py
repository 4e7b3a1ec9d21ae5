"""Finds the videos that a table names, where tables say little of where these lie."""

import re
from collections import defaultdict
from collections.abc import Collection, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path

from streamvc.errors import DataError
from streamvc.training.dataset.files import composed, count_and_name, find_files
from streamvc.training.dataset.listing import TEST_NAMES, TRAIN_NAMES, VALIDATION_NAMES

DRIVE = re.compile(r"^[A-Za-z]:")
# What the path of another machine begins with: /content/run/a.mp4, ../input/run/a.mp4, C:\run\a.mp4, file://run/a.mp4, %USERPROFILE%\run\a.mp4
FOREIGN = re.compile(r"$|\.\.$|file:|[%$~]")
SIDES = (TRAIN_NAMES, TEST_NAMES, VALIDATION_NAMES)

Spelling = tuple[int, str]
Index = dict[Spelling, list[Path]]


class VideoFinder:
    """Finds videos by what a table says: relative to the table, by the end of a path of another machine, or, a bare name, anywhere beneath.

    Where there is none that is written just so, one will do that is but for the way in which accents are, or else for the case of letters.
    """

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
        parts = [part for part in DRIVE.sub("/", name.replace("\\", "/")).split("/") if part != "."]
        if len(parts) == 1:
            return self._choose(name, parts[0], self._by_name, label)
        tails = ["/".join(parts[start:]) for start in (range(len(parts)) if FOREIGN.match(parts[0]) else (0,))]
        written = (self._root / tail for tail in tails)
        alike = (self._choose(name, tail, self._by_tail, label) for tail in tails)
        return next((path for path in chain(written, alike) if path and path.is_file()), None)

    @cached_property
    def videos(self) -> list[Path]:
        """All videos beneath the folder of the table."""
        return find_files(self._root).videos

    @cached_property
    def _by_name(self) -> Index:
        return _indexed(self.videos, [path.name for path in self.videos])

    @cached_property
    def _by_tail(self) -> Index:
        return _indexed(self.videos, [path.relative_to(self._root).as_posix() for path in self.videos])

    def _choose(self, name: str, key: str, index: Index, label: str | None) -> Path | None:
        """The video of a name, or of the end of a path. See `find`."""
        found = next((index[each] for each in _spellings(key) if each in index), [])
        for is_right in (lambda folder: folder.lower() in self._side, lambda folder: folder == label):
            found = [path for path in found if any(map(is_right, path.relative_to(self._root).parts[:-1]))] or found
        if len(found) > 1:
            raise DataError(
                f"{self._root} holds {count_and_name([str(path.relative_to(self._root)) for path in found], 'file')} of the name {name}; say which"
            )
        return found[0] if found else None


def _spellings(name: str) -> tuple[Spelling, ...]:
    """As it is written, without regard to how accents are, and without regard to the case of letters either; none is taken for another."""
    return (0, name), (1, composed(name)), (2, composed(name).casefold())


def _indexed(videos: Sequence[Path], names: Sequence[str]) -> Index:
    """The videos by their names in all spellings."""
    index = defaultdict(list)
    for path, name in zip(videos, names, strict=True):
        for spelling in _spellings(name):
            index[spelling].append(path)
    return dict(index)
