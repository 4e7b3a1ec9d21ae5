"""What a data set is: labelled clips, and where their groups are from."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from streamvc.errors import DataError
from streamvc.inference.manifest import MOST_LABEL
from streamvc.text import is_plain, printable

Grouping = Literal["column", "pattern", "name", "folder", "file"]
Side = Literal["train", "test"]

BACKGROUND = "nothing"
BACKGROUND_NAMES = frozenset({"background", BACKGROUND})


@dataclass(frozen=True, slots=True)
class Clip:
    """A video file that shows one activity, or the part of one that does, and the group it may not be parted from.

    Attributes:
        path: The video file.
        label: The activity.
        group: Clips of one group show the same people in the same place.
        start_s: Where it begins in the file, in seconds; above 0 for a segment of untrimmed video.
        end_s: Where it ends, in seconds; None for the end of the file.
        split: The side that the data set itself puts it on; None where it does not say.
    """

    path: Path
    label: str
    group: str
    start_s: float = 0.0
    end_s: float | None = None
    split: Side | None = None


@dataclass(frozen=True, slots=True)
class IgnoredFiles:
    """Files, or rows of a list, of one kind that were passed over.

    Attributes:
        what: The name (`.DS_Store`) or kind (`*.txt`) that they share.
        is_system: An operating system or a tool left them, nobody meant them.
        num: How many there are.
    """

    what: str
    is_system: bool
    num: int


@dataclass(frozen=True, slots=True)
class Dataset:
    """Labelled clips.

    Attributes:
        clips: The clips, sorted by label and path (a folder), in the order of the rows (a list), or by video and time (segments).
        labels: The labels, sorted.
        grouping: Where groups are from: the `group` column, the pattern that was asked for, the file names (`_g08_`), folders (`subject1/`), or
            none, each file being its own group. Where clips differ in this, the weakest.
        ignored: What was passed over, and how often.
        background: The label of what no segment covers, or that says so by its name (`nothing`, `background`); None where there is none.
        untrimmed: The clips are segments of longer videos.
    """

    clips: tuple[Clip, ...]
    labels: tuple[str, ...]
    grouping: Grouping
    ignored: tuple[IgnoredFiles, ...] = ()
    background: str | None = None
    untrimmed: bool = False

    def __post_init__(self) -> None:
        """Refuse, before anything is trained, a label that no bundle can have.

        Raises:
            DataError: There is one.
        """
        if bad := [label for label in self.labels if not is_plain(label) or len(label) > MOST_LABEL]:
            what = f"is longer than {MOST_LABEL} characters" if is_plain(bad[0]) else "holds control characters or turns the direction of text"
            raise DataError(f"the label {printable(bad[0])[:MOST_LABEL]} {what}; give it another name")

    @property
    def num_groups(self) -> int:
        """How many groups the clips are from."""
        return len({clip.group for clip in self.clips})


def background_of(labels: Iterable[str]) -> str | None:
    """The label that says by its name that nothing of interest is seen, as that of all shipped models does; None where none does, or several do."""
    labels = list(labels)
    named = [label for label in labels if label.lower() == BACKGROUND] or [label for label in labels if label.lower() in BACKGROUND_NAMES]
    return named[0] if len(named) == 1 else None
