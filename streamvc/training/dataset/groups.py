"""Groups of clips that name none: from the names of files or folders."""

import re

from streamvc.errors import DataError
from streamvc.training.dataset.listing import ClipEntry, ClipListing
from streamvc.training.dataset.types import Clip, Grouping

UCF_GROUP = re.compile(r"_(g\d+)_")  # v_PushUps_g08_c01.avi: the group of UCF11, UCF50 and UCF101
PERSON_FOLDER = re.compile(r"(?:^|/)((?:subject|person|actor)[ _-]?\d+)/", re.IGNORECASE)
STRENGTH: tuple[Grouping, ...] = ("column", "pattern", "name", "folder", "file")  # the surest first


def group_clips(listing: ClipListing, pattern: str | None) -> tuple[tuple[Clip, ...], Grouping]:
    """Settle the group of each clip; returns the clips, and the weakest of the ways in which their groups were found.

    Args:
        listing: The clips.
        pattern: A regular expression that is looked for in each clip's path below the data's folder. Its first group is the clip's, or all that it
            matches. None: the groups that the data names, else those that well-known names show.

    Raises:
        DataError: The pattern is none, or does not occur in a path.
    """
    asked = None if pattern is None else _compile(pattern)
    found = [_group(entry, _inside(entry, listing), asked) for entry in listing.entries]
    clips = tuple(
        Clip(entry.path, entry.label, group, entry.start_s, entry.end_s, entry.split)
        for entry, (group, _) in zip(listing.entries, found, strict=True)
    )
    return clips, max({grouping for _, grouping in found}, key=STRENGTH.index)


def _compile(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise DataError(f"the pattern of groups {pattern!r} is no regular expression: {error}") from error


def _inside(entry: ClipEntry, listing: ClipListing) -> str:
    """The path of a clip below the data's folder; what lies above says nothing of it."""
    path = entry.path
    return (path.relative_to(listing.root) if path.is_relative_to(listing.root) else path).as_posix()


def _group(entry: ClipEntry, inside: str, asked: re.Pattern[str] | None) -> tuple[str, Grouping]:
    if asked:
        if not (match := asked.search(inside)):
            raise DataError(f"the pattern of groups {asked.pattern!r} does not occur in {inside}")
        return next((group for group in match.groups() if group), match[0]), "pattern"
    if entry.group:
        return entry.group, "column"
    if match := UCF_GROUP.search(entry.path.name):
        return match[1], "name"
    if match := PERSON_FOLDER.search(inside):
        return match[1], "folder"
    return str(entry.path), "file"
