"""What the reader of a format finds: clips whose groups are not settled yet."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from streamvc.training.dataset.files import IgnoredKind
from streamvc.training.dataset.types import Side

TRAIN_NAMES = frozenset({"train", "training"})
TEST_NAMES = frozenset({"test", "testing"})
VALIDATION_NAMES = frozenset({"val", "valid", "validation"})


@dataclass(frozen=True, slots=True)
class ClipEntry:
    """A clip as a format names it; `group` is None where the format says nothing of it. The rest as in `Clip`."""

    path: Path
    label: str
    group: str | None = None
    split: Side | None = None
    start_s: float = 0.0
    end_s: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ClipListing:
    """All that was found.

    Attributes:
        root: The folder that it lies in: what is above it says nothing of the clips.
        entries: The clips.
        others: What was passed over.
        background: As in `Dataset`.
        untrimmed: As in `Dataset`.
    """

    root: Path
    entries: list[ClipEntry]
    others: Counter[IgnoredKind] = field(default_factory=Counter)
    background: str | None = None
    untrimmed: bool = False


def is_side(name: str) -> bool:
    """Whether folders or tables of this name hold one side of a split."""
    return name.lower() in TRAIN_NAMES | TEST_NAMES | VALIDATION_NAMES


def side_of(name: str, has_test: bool) -> Side | None:
    """The side that a name stands for, if any. What is for validation belongs to training where something else is for testing."""
    name = name.lower()
    if name in TEST_NAMES or (name in VALIDATION_NAMES and not has_test):
        return "test"
    return "train" if is_side(name) else None
