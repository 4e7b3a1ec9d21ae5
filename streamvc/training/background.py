"""Background videos, of people who do none of the activities, or of nobody, cut into clips of the background label."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from streamvc.errors import DataError
from streamvc.training.dataset import Clip, Dataset, load_videos
from streamvc.training.dataset.types import BACKGROUND
from streamvc.training.feature_sequence import FeatureSequence
from streamvc.training.features import extract
from streamvc.training.folds import group_folds
from streamvc.training.plan import TrainingPlan
from streamvc.training.prediction_trace import length_s
from streamvc.training.progress import Advance

PIECE_S = 10.0  # seconds of a long video that make a clip; the last one is up to half as long again, or half as long


def resolve_background(
    plan: TrainingPlan, dataset: Dataset, *, cache: Path, num_workers: int | None, advance: Advance
) -> tuple[TrainingPlan, Dataset]:
    """The plan with its background label, and the data with the background videos as clips of that label.

    Videos of the data itself are no background videos, and are left out of them. Where there are several sources of background videos (a room, a
    street), each of them is one group, unless its table names groups (cameras), so that the false events of a fold are counted in places that its
    training never saw.

    Raises:
        DataError: The label is not one of the data's, though nothing else has it, or not one of the videos can be used.
        BundleError: The backbone is missing or damaged.
    """
    plan = replace(plan, background=background_label(plan, dataset))
    if plan.background_videos:
        return plan, _with_nothing(dataset, plan, cache=cache, num_workers=num_workers, advance=advance)
    return plan, dataset


def background_label(plan: TrainingPlan, dataset: Dataset) -> str | None:
    """The label that means "nothing"; None where there is none.

    Raises:
        DataError: It is not one of the data's, though nothing else has it.
    """
    background = plan.background or dataset.background or (BACKGROUND if plan.background_videos else None)
    if background not in (None, *dataset.labels) and not plan.background_videos:
        raise DataError(f"the background label {background} is not one of {', '.join(dataset.labels)}")
    return background


def _with_nothing(dataset: Dataset, plan: TrainingPlan, *, cache: Path, num_workers: int | None, advance: Advance) -> Dataset:
    own = {clip.path.resolve() for clip in dataset.clips}
    sources = plan.background_videos
    videos = list({clip.path.resolve(): clip for path in sources for clip in load_videos(path, as_one=len(sources) > 1)}.items())
    if not (foreign := [clip for path, clip in videos if path not in own]):
        raise DataError(f"{', '.join(map(str, plan.background_videos))}: all videos there are those of the data itself")
    found = extract(foreign, plan.backbone, plan.rate_hz, cache=cache, num_workers=num_workers, advance=advance)
    label = plan.background or ""
    pieces = [piece for clip, sequence in zip(found.clips, found.sequences, strict=True) for piece in _cut(replace(clip, label=label), sequence)]
    unusable = [replace(skipped.clip, label=label) for skipped in found.skipped]  # they are reported where all others are
    clips = (*dataset.clips, *_sided([*pieces, *unusable], dataset, plan))
    return replace(dataset, clips=clips, labels=tuple(sorted({*dataset.labels, label})))


def _cut(clip: Clip, sequence: FeatureSequence) -> Iterator[Clip]:
    num_pieces = max(1, round(length_s(sequence) / PIECE_S)) if len(sequence.features) else 1
    for number in range(num_pieces):
        yield replace(clip, start_s=number * PIECE_S, end_s=None if number + 1 == num_pieces else (number + 1) * PIECE_S)


def _sided(clips: Sequence[Clip], dataset: Dataset, plan: TrainingPlan) -> list[Clip]:
    """Where the data says which side each clip is on, a fold of the groups is for testing here too."""
    if any(clip.split is None for clip in dataset.clips):
        return list(clips)
    num_folds = min(plan.num_folds, len({clip.group for clip in clips}))
    tested = group_folds(clips, num_folds, plan.seed) == 0 if num_folds > 1 else [False] * len(clips)
    return [replace(clip, split="test" if is_tested else "train") for clip, is_tested in zip(clips, tested, strict=True)]
