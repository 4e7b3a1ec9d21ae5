"""What can be said of a training before TensorFlow loads, which takes seconds, and before the clips are looked at, which takes minutes."""

import os
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from streamvc.errors import DataError
from streamvc.inference.bundle import MANIFEST
from streamvc.inference.composite import CompositeExtractor
from streamvc.inference.manifest import Name
from streamvc.training.background import background_label
from streamvc.training.dataset import Dataset, load_dataset, load_videos, merge_labels
from streamvc.training.feature_set import open_named
from streamvc.training.features import cache_folder
from streamvc.training.folds import make_folds, split_labels
from streamvc.training.plan import TrainingPlan


def check_training(data: Path, plan: TrainingPlan, *, cache: Path | None = None) -> None:
    """Refuse what cannot be trained, as far as that can be seen without opening a video.

    Raises:
        DataError: The data or the plan cannot be used, or nothing can be kept in the cache.
        BundleError: The backbone is missing.
    """
    check_folder(cache or cache_folder())
    extractor = open_named(plan.backbone, plan.rate_hz)
    sees_keypoints = isinstance(extractor, CompositeExtractor) and any(part.kind == "movenet" for part in extractor.parts)
    if plan.counted and not sees_keypoints:
        raise DataError(f"--count needs keypoints, which {plan.backbone} does not give; add movenet, as in --backbone movenet+flow")
    check_data(data, plan)


def lacks_nothing(data: Path, plan: TrainingPlan) -> bool:
    """Whether a recogniser would see nothing but activities in its training."""
    dataset = merge_labels(load_dataset(data, plan.group), dict(plan.merge))
    return background_label(plan, dataset) is None and not dataset.untrimmed


def check_data(data: Path, plan: TrainingPlan) -> None:
    """As `check_training`, of the data alone: its labels, groups and background.

    Raises:
        DataError: It cannot be used so.
    """
    dataset = merge_labels(load_dataset(data, plan.group), dict(plan.merge))
    for path in plan.background_videos:
        load_videos(path)
    background = background_label(plan, dataset)
    if unknown := sorted(set(plan.counted) - set(dataset.labels)):
        raise DataError(f"--count {unknown[0]}: the data has no such label; it has {', '.join(dataset.labels)}")
    labels = {*dataset.labels, background} if background and plan.background_videos else dataset.labels
    rounds_of(plan, replace(dataset, labels=tuple(labels)), background)
    if not plan.background_videos:  # which may have groups that the data lacks
        make_folds(dataset.clips, plan.split, plan.num_folds, plan.seed)


def rounds_of(plan: TrainingPlan, dataset: Dataset, background: str | None) -> list[tuple[str, ...]]:
    """The labels that are left out in turn.

    Raises:
        DataError: They cannot be.
    """
    if not plan.leave_out:
        return []
    if dataset.untrimmed:
        raise DataError("the data is untrimmed: what is left out would stay in its videos; give trimmed clips")
    return split_labels(dataset.labels, background, plan.leave_out)


def check_bundle_folder(out: Path, overwrite: bool) -> None:
    """Refuse a folder that no bundle can be written to.

    Raises:
        DataError: Its name is none for a bundle, it is taken, or cannot be made.
    """
    try:
        TypeAdapter(Name).validate_python(out.name)
    except ValidationError as error:
        raise DataError(f"{out.name!r} cannot be a bundle's name; take letters, digits, dots, dashes and underscores") from error
    if out.exists() and not (out / MANIFEST).is_file():
        raise DataError(f"{out} exists and is not a bundle; choose another folder")
    if out.exists() and not overwrite:
        raise DataError(f"{out} exists; choose another folder, or allow it to be replaced with --overwrite")
    check_folder(out.parent)


def check_folder(folder: Path) -> None:
    """Refuse a folder that is not there and cannot be made, or cannot be written to.

    Raises:
        DataError: It is so.
    """
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if os.path.lexists(path))
    if not there.is_dir():
        raise DataError(f"{folder}: cannot be made: {there} is not a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise DataError(f"{folder}: cannot be written to: {os.strerror(13)}")


def check_file(file: Path, suffixes: Collection[str] = ()) -> None:
    """Refuse a file that cannot be written, or whose name is to end with one of these, and does not.

    Raises:
        DataError: It is so.
    """
    if suffixes and file.suffix.lower() not in suffixes:
        raise DataError(f"{file}: name it {', '.join(sorted(suffixes))}")
    if file.is_dir():
        raise DataError(f"{file}: cannot be written: it is a folder")
    if not file.parent.is_dir():
        raise DataError(f"{file}: cannot be written: there is no folder {file.parent}")
    if not os.access(file if file.exists() else file.parent, os.W_OK):
        raise DataError(f"{file}: cannot be written: {os.strerror(13)}")
