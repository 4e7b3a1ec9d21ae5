"""Loads a data set, whichever way it is laid out."""

from pathlib import Path

from streamvc.errors import DataError
from streamvc.training.dataset.files import find_files, kind_of, tally
from streamvc.training.dataset.folders import read_folders
from streamvc.training.dataset.groups import group_clips
from streamvc.training.dataset.listing import ClipEntry, ClipListing, is_side
from streamvc.training.dataset.lists import find_list, is_list, read_lists
from streamvc.training.dataset.rows import read_table
from streamvc.training.dataset.segments import read_segments
from streamvc.training.dataset.tables import read_clips
from streamvc.training.dataset.types import Clip, Dataset, background_of

SUFFIXES = (".csv", ".tsv")
TABLES = tuple(f"{name}{suffix}" for name in ("clips", "segments") for suffix in SUFFIXES)  # a folder that holds one is read by it


def load_dataset(data: Path, group: str | None = None) -> Dataset:
    """Find the clips of a data set, their labels and their groups. No video is opened; `streamvc data check` does that.

    Args:
        data: A folder per label, at will within `train` and `test`; a CSV of clips (`path`, `label`, perhaps `group` and `split`) or of segments
            (`video`, `start_s`, `end_s`, `label`); a folder with a `clips.csv` or a `segments.csv`, or with `train.csv` and `test.csv`; or the
            lists of UCF101, as a folder or one of them.
        group: A regular expression that finds a clip's group in its path; see `group_clips`.

    Raises:
        DataError: Nothing can be trained or evaluated on it; the text says why.
    """
    listing = _read(data)
    if not listing.entries:
        raise DataError(f"{data} holds no video files")
    labels = tuple(sorted({entry.label for entry in listing.entries}))
    if len(labels) == 1:
        raise DataError(f"{data} has the one label {labels[0]}; a recogniser needs two or more, so add clips of something else")
    clips, grouping = group_clips(listing, group)
    return Dataset(clips, labels, grouping, tally(listing.others), listing.background or background_of(labels), listing.untrimmed)


def load_videos(path: Path, *, as_one: bool = False) -> tuple[Clip, ...]:
    """The videos of a data set, or those of any folder, or one video: each whole, without a label, and in a group that no other path has.

    Args:
        path: Where they are.
        as_one: Whether all of them are one group, unless a table names groups (cameras, say).

    Raises:
        DataError: There are none.
    """
    try:
        listing = _read_videos(path)
    except OSError as error:
        raise DataError(f"{error.filename or path} cannot be read ({error.strerror})") from error
    if not listing.entries:
        raise DataError(f"{path} holds no video files")
    clips, grouping = group_clips(listing, None)
    groups = {clip.path: str(path) if as_one and grouping != "column" else f"{path}:{clip.group}" for clip in clips}
    return tuple(Clip(video, label="", group=group) for video, group in groups.items())


def _read_videos(path: Path) -> ClipListing:
    if path.is_dir() and not any((path / name).is_file() for name in TABLES):
        return ClipListing(path, [ClipEntry(video, label="") for video in find_files(path).videos])
    if path.is_file() and kind_of(path.name) is None:
        return ClipListing(path.parent, [ClipEntry(path, label="")])
    return _read(path)


def _read(data: Path) -> ClipListing:
    try:
        if data.is_dir():
            return _read_folder(data)
        if data.is_file() and data.suffix.lower() in SUFFIXES:
            return _read_csv(data)
        if data.is_file() and is_list(data):
            return read_lists(data)
    except OSError as error:
        raise DataError(f"{error.filename or data} cannot be read ({error.strerror})") from error
    raise DataError(f"{data} is neither a folder of labels nor a CSV" if data.exists() else f"{data} does not exist")


def _read_folder(folder: Path) -> ClipListing:
    for name in TABLES:
        if (folder / name).is_file():
            return _read_csv(folder / name)
    if sides := sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and is_side(path.stem)):
        return read_clips([read_table(path) for path in sides])
    if first := find_list(folder):
        return read_lists(first)
    return read_folders(folder)


def _read_csv(path: Path) -> ClipListing:
    table = read_table(path)
    return read_segments(table) if table.has_times else read_clips([table])
