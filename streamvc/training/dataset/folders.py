"""A folder per label, at will within `train` and `test`."""

from collections import Counter
from pathlib import Path

from streamvc.errors import DataError
from streamvc.training.dataset.files import IgnoredKind, composed, count_and_name, find_files, folders_in, is_hidden, kind_of
from streamvc.training.dataset.listing import TEST_NAMES, ClipEntry, ClipListing, is_side, side_of
from streamvc.training.dataset.types import Side


def read_folders(root: Path) -> ClipListing:
    """Read a folder of labels, or of sides that hold a folder per label each. Clips may lie at any depth beneath their label.

    Raises:
        DataError: It is neither.
    """
    folders = list(folders_in(root))
    if not folders:
        raise DataError(f"{root} holds no folders; make one folder of clips per label, or give a CSV with path and label")
    others = _loose(root)
    if not all(is_side(folder.name) for folder in folders):
        return ClipListing(root, _read_labels(root, folders, None, others), others)
    entries = []
    has_test = any(folder.name.lower() in TEST_NAMES for folder in folders)
    for side in folders:
        others += _loose(side)
        entries += _read_labels(side, list(folders_in(side)), side_of(side.name, has_test), others)
    return ClipListing(root, entries, others)


def _read_labels(root: Path, folders: list[Path], split: Side | None, others: Counter[IgnoredKind]) -> list[ClipEntry]:
    if not folders:
        raise DataError(f"{root} holds no folders; make one folder of clips per label in it")
    files = {folder: find_files(folder) for folder in folders}
    if empty := [folder.name for folder, found in files.items() if not found.videos]:
        raise DataError(f"{root}: no clips in {count_and_name(empty, 'label folder')}")
    for found in files.values():
        others += found.others
    return [ClipEntry(path, composed(folder.name), split=split) for folder, found in files.items() for path in found.videos]


def _loose(folder: Path) -> Counter[IgnoredKind]:
    """What lies in a folder beside the folders that are meant; a video there has no label."""
    loose: Counter[IgnoredKind] = Counter()
    for path in folder.iterdir():
        if path.is_dir():
            loose += Counter([IgnoredKind(f"{path.name}/", is_system=True)] if is_hidden(path.name) else [])
        else:
            loose[kind_of(path.name) or IgnoredKind("videos outside the folders of labels", is_system=False)] += 1
    return loose
