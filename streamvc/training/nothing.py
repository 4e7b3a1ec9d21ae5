"""Material of "nothing": videos of people who do none of the activities, or of nobody, cut into clips of the background label."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from streamvc.errors import DataError
from streamvc.training.dataset import Clip, Dataset, load_videos
from streamvc.training.dataset.segments import BACKGROUND
from streamvc.training.features import extract
from streamvc.training.folds import group_folds
from streamvc.training.hearing import length_s
from streamvc.training.plan import Plan
from streamvc.training.progress import Advance
from streamvc.training.tracks import Track

PIECE_S = 10.0  # seconds of a long video that make a clip; the last one is up to half as long again, or half as long


def settle_background(plan: Plan, dataset: Dataset, *, cache: Path, num_workers: int | None, advance: Advance) -> tuple[Plan, Dataset]:
    """The plan with the label that stands for no activity, and the data with the videos of `plan.nothing` as clips of it.

    Videos of the data itself are no such material, and left out of it.

    Raises:
        DataError: The label is not one of the data's, though nothing else has it, or not one of the videos can be used.
        BundleError: The backbone is missing or damaged.
    """
    background = plan.background or dataset.background or (BACKGROUND if plan.nothing else None)
    plan = replace(plan, background=background)
    if plan.nothing:
        return plan, _with_nothing(dataset, plan, cache=cache, num_workers=num_workers, advance=advance)
    if background not in (None, *dataset.labels):
        raise DataError(f"the background label {background} is not one of {', '.join(dataset.labels)}")
    return plan, dataset


def _with_nothing(dataset: Dataset, plan: Plan, *, cache: Path, num_workers: int | None, advance: Advance) -> Dataset:
    own = {clip.path.resolve() for clip in dataset.clips}
    videos = list({clip.path.resolve(): clip for path in plan.nothing for clip in load_videos(path)}.items())
    if not (foreign := [clip for path, clip in videos if path not in own]):
        raise DataError(f"{', '.join(map(str, plan.nothing))}: all videos there are those of the data itself")
    found = extract(foreign, plan.backbone, plan.rate_hz, cache=cache, num_workers=num_workers, advance=advance)
    label = plan.background or ""
    pieces = [piece for clip, track in zip(found.clips, found.tracks, strict=True) for piece in _cut(replace(clip, label=label), track)]
    unusable = [replace(skipped.clip, label=label) for skipped in found.skipped]  # they are told of where all others are
    clips = (*dataset.clips, *_sided([*pieces, *unusable], dataset, plan))
    return replace(dataset, clips=clips, labels=tuple(sorted({*dataset.labels, label})))


def _cut(clip: Clip, track: Track) -> Iterator[Clip]:
    num_pieces = max(1, round(length_s(track) / PIECE_S)) if len(track.features) else 1
    for number in range(num_pieces):
        yield replace(clip, start_s=number * PIECE_S, end_s=None if number + 1 == num_pieces else (number + 1) * PIECE_S)


def _sided(clips: Sequence[Clip], dataset: Dataset, plan: Plan) -> list[Clip]:
    """Where the data says which side each clip is on, a fold of the groups is for testing here too."""
    if any(clip.split is None for clip in dataset.clips):
        return list(clips)
    num_folds = min(plan.num_folds, len({clip.group for clip in clips}))
    tested = group_folds(clips, num_folds, plan.seed) == 0 if num_folds > 1 else [False] * len(clips)
    return [replace(clip, split="test" if is_tested else "train") for clip, is_tested in zip(clips, tested, strict=True)]
