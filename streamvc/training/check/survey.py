"""What there is of a data set: how many clips of each label, how long, in which form."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from os.path import commonpath
from pathlib import Path
from statistics import median

from streamvc.training.check.probe import VideoFacts, probe_all
from streamvc.training.dataset import Clip, Dataset
from streamvc.training.progress import Advance, silent

MIN_BACKGROUND_S = 1.0  # seconds; what is left of a video behind its last segment is no clip where it is shorter


@dataclass(frozen=True, slots=True)
class LabelCounts:
    """What there is of a label; `num_train` and `num_test` are 0 where the data set has no split of its own."""

    num_clips: int
    num_groups: int
    seconds: float
    num_train: int
    num_test: int


@dataclass(frozen=True, slots=True)
class ClipLengths:
    """Lengths of clips, in seconds."""

    min: float
    median: float
    max: float


@dataclass(frozen=True, eq=False)
class DatasetSurvey:
    """What was found.

    Attributes:
        dataset: The data set.
        videos: What each video that can be used is.
        refused: Why each of the others cannot be used.
        lengths_s: The length of each clip that can be used, in seconds; 0 for a segment that begins where its video has ended.
    """

    dataset: Dataset
    videos: Mapping[Path, VideoFacts]
    refused: Mapping[Path, str]
    lengths_s: Mapping[Clip, float]

    @cached_property
    def labels(self) -> dict[str, LabelCounts]:
        """What can be used of each label."""
        return {label: self._count([clip for clip in self.lengths_s if clip.label == label]) for label in self.dataset.labels}

    def _count(self, clips: Sequence[Clip]) -> LabelCounts:
        sides = Counter(clip.split for clip in clips)
        seconds = sum(self.lengths_s[clip] for clip in clips)
        return LabelCounts(len(clips), len({clip.group for clip in clips}), seconds, sides["train"], sides["test"])

    @property
    def num_groups(self) -> int:
        """How many groups the clips that can be used are from."""
        return len({clip.group for clip in self.lengths_s})

    @property
    def lengths(self) -> ClipLengths | None:
        """How long clips are; None where none can be used."""
        lengths_s = self.lengths_s.values()
        return ClipLengths(min(lengths_s), median(lengths_s), max(lengths_s)) if lengths_s else None

    @property
    def rates(self) -> dict[str, int]:
        """How many videos have which frame rate, the most frequent first; so too `sizes` and `codecs`."""
        return _counted(f"{video.fps:.4g}" if video.fps else "unknown" for video in self.videos.values())

    @property
    def sizes(self) -> dict[str, int]:
        return _counted(f"{video.width_px}x{video.height_px}" for video in self.videos.values())

    @property
    def codecs(self) -> dict[str, int]:
        return _counted(video.codec for video in self.videos.values())

    @cached_property
    def _root(self) -> str:
        return commonpath([clip.path.parent for clip in self.dataset.clips])

    def name(self, path: Path) -> str:
        """What to call a video: its path below the folder that all have in common."""
        return str(path.relative_to(self._root))


def survey(dataset: Dataset, *, num_workers: int | None = None, advance: Advance = silent) -> DatasetSurvey:
    """Open every video of a data set.

    Args:
        dataset: The data set.
        num_workers: How many videos are decoded at a time; as many as there are cores if not given.
        advance: Is called with the progress.
    """
    looked = probe_all(list(dict.fromkeys(clip.path for clip in dataset.clips)), num_workers, advance)
    videos = {path: facts for path, facts in looked.items() if isinstance(facts, VideoFacts)}
    refused = {path: reason for path, reason in looked.items() if isinstance(reason, str)}
    lengths_s = {clip: _length_s(clip, videos[clip.path]) for clip in dataset.clips if clip.path in videos}
    is_clip = {
        clip: not clip.start_s or clip.end_s or clip.label != dataset.background or length_s >= MIN_BACKGROUND_S
        for clip, length_s in lengths_s.items()
    }
    return DatasetSurvey(dataset, videos, refused, {clip: length_s for clip, length_s in lengths_s.items() if is_clip[clip]})


def _length_s(clip: Clip, video: VideoFacts) -> float:
    end_s = video.length_s if clip.end_s is None else min(clip.end_s, video.length_s)
    return max(0.0, end_s - clip.start_s)


def _counted(values: Iterable[str]) -> dict[str, int]:
    return dict(Counter(values).most_common())
