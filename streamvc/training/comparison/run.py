"""Trains many recipes on the same clips and folds, and measures what each costs."""

import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, replace
from functools import partial
from itertools import islice
from pathlib import Path

from pydantic import ValidationError

from streamvc._version import __version__
from streamvc.capture.source import open_source
from streamvc.errors import BundleError, DataError, SourceError, StreamvcError
from streamvc.inference.bundle import Bundle, load_bundle
from streamvc.training.augment import AS_IT_IS, variations
from streamvc.training.comparison.cost import Cost, Image, measure_costs
from streamvc.training.comparison.isolation import run_isolated
from streamvc.training.comparison.results import Comparison, ComparisonRow, TrainedRecipe, summarise
from streamvc.training.dataset import Clip, Dataset, load_dataset
from streamvc.training.feature_sequence import ExtractionSpec
from streamvc.training.feature_set import open_named
from streamvc.training.features import fill_cache
from streamvc.training.plan import TrainingPlan
from streamvc.training.progress import Advance, progress_bars, silent
from streamvc.training.recipes import find_recipe

NUM_IMAGES = 32  # that costs are measured with


def compare(
    data: Path,
    out: Path,
    plans: Sequence[TrainingPlan],
    *,
    cache: Path | None = None,
    num_workers: int | None = None,
    shown: bool = False,
    advance: Advance = silent,
) -> Comparison:
    """Train and measure recipes, each in a process of its own, one after the other; one that fails is reported, and the others go on.

    The bundle of a recipe goes to `out`/NAME, its figures to `out`/NAME.json. What lies there already is not made again, if data and plan are the
    same; so a comparison that was interrupted, or is asked for again with more recipes, goes on where it was.

    Args:
        data: A data set; see `load_dataset`.
        out: Folder of the bundles and the figures.
        plans: What to train: one plan a recipe, with the same folds and seed.
        cache: Folder of cached features; `cache_folder()` if not given.
        num_workers: How many clips are decoded at a time; as many as there are cores if not given.
        shown: Whether progress is shown on standard error.
        advance: Is called with the progress of all but the single trainings, where it is not shown.

    Raises:
        DataError: The data cannot be used, or nothing can be written to `out`.
    """
    dataset = load_dataset(data, plans[0].group)
    digest = _digest(dataset, data)
    keys = {plan.recipe: _key(plan, digest) for plan in plans}
    missing = [plan for plan in plans if _stored(out, plan.recipe, keys[plan.recipe]) is None]
    with progress_bars(shown) as bar:  # and closed behind it: each training has bars of its own
        errors = _look(dataset, missing, cache, num_workers, bar if shown else advance)
    for number, plan in enumerate(missing):
        advance("recipes", number, len(missing))
        work = partial(_train, data, out, plan, keys[plan.recipe], cache, num_workers, shown)
        if plan.recipe not in errors and (error := run_isolated(work)):
            errors[plan.recipe] = error
    advance("recipes", len(missing), len(missing))
    rows = [_row(plan, _stored(out, plan.recipe, keys[plan.recipe]), errors.get(plan.recipe)) for plan in plans]
    costs = _costs(out, rows, _images(dataset.clips))
    rows = [replace(row, cost=found) if isinstance(found := costs.get(row.recipe), Cost) else replace(row, error=row.error or found) for row in rows]
    first = plans[0]
    return Comparison(str(data), len(dataset.clips), dataset.num_groups, first.num_folds, first.seed, tuple(rows))


def write_whole(path: Path, content: str) -> None:
    """Write a file that is there whole, or not at all.

    Raises:
        DataError: It cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as scratch:
            Path(scratch, path.name).write_text(content, encoding="utf-8")
            Path(scratch, path.name).replace(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror}") from error


def _digest(dataset: Dataset, data: Path) -> str:
    """Stands for the clips: their bytes, their labels and their groups, wherever the data lies."""
    whole = hashlib.sha256()
    for path in dict.fromkeys(clip.path for clip in dataset.clips):
        try:
            with path.open("rb") as file:
                whole.update(hashlib.file_digest(file, "sha256").digest())
        except OSError as error:
            whole.update(repr(error.errno).encode())
    for clip in dataset.clips:
        whole.update(repr((*astuple(clip)[1:], os.path.relpath(clip.path, data))).encode())
    return whole.hexdigest()


def _key(plan: TrainingPlan, digest: str) -> str:
    return hashlib.sha256(f"{__version__} {digest} {replace(plan, about='', command='')!r}".encode()).hexdigest()


def _stored(out: Path, recipe: str, key: str) -> TrainedRecipe | None:
    """The figures of an earlier training; None if there was none, or of another plan."""
    try:
        trained = TrainedRecipe.model_validate_json((out / f"{recipe}.json").read_bytes())
        load_bundle(out / recipe)
    except (OSError, ValidationError, BundleError):
        return None
    return trained if trained.key == key else None


def _look(dataset: Dataset, plans: Sequence[TrainingPlan], cache: Path | None, num_workers: int | None, advance: Advance) -> dict[str, str]:
    """Let all extractors look at each clip while it is decoded; returns why a recipe has none."""
    errors: dict[str, str] = {}
    looks: dict[ExtractionSpec, None] = {}
    for plan in plans:
        try:
            open_named(plan.backbone, plan.rate_hz)
        except StreamvcError as error:
            errors[plan.recipe] = str(error)
            continue
        for variation in (AS_IT_IS, *variations(plan.head.augment, plan.head.num_variations, plan.seed)):
            looks[ExtractionSpec(plan.backbone, plan.rate_hz, variation)] = None
    if looks:
        fill_cache(dataset.clips, list(looks), cache=cache, num_workers=num_workers, advance=advance)
    return errors


def _train(data: Path, out: Path, plan: TrainingPlan, key: str, cache: Path | None, num_workers: int | None, shown: bool) -> None:
    from streamvc.training.train import train  # loads TensorFlow, which would disturb the measurements beside it

    with progress_bars(shown) as advance:
        advance(plan.recipe, 0, 1)
        report = train(data, out / plan.recipe, plan, overwrite=True, cache=cache, num_workers=num_workers, advance=advance)
        advance(plan.recipe, 1, 1)
    write_whole(out / f"{plan.recipe}.json", summarise(report, key).model_dump_json(indent=1))


def _row(plan: TrainingPlan, trained: TrainedRecipe | None, error: str | None) -> ComparisonRow:
    return ComparisonRow(plan.recipe, find_recipe(plan.recipe).streams, plan.backbone, plan.rate_hz, trained, error=error)


def _costs(out: Path, rows: Sequence[ComparisonRow], images: Sequence[Image]) -> Mapping[str, Cost | str]:
    bundles = {row.recipe: load_bundle(out / row.recipe) for row in rows if row.trained}
    try:
        return dict(measure_costs(bundles, images))
    except StreamvcError:  # one of them cannot run: the others are measured alone, since their times are no longer side by side
        return {name: _cost(name, bundle, images) for name, bundle in bundles.items()}


def _cost(name: str, bundle: Bundle, images: Sequence[Image]) -> Cost | str:
    try:
        return measure_costs({name: bundle}, images)[name]
    except StreamvcError as error:
        return str(error)


def _images(clips: Sequence[Clip]) -> list[Image]:
    """Some frames of the first clip that can be read."""
    for clip in clips:
        try:
            return list(_frames(clip.path))
        except SourceError:
            continue
    raise DataError(f"not one of {len(clips)} clips can be read")


def _frames(path: Path) -> Iterator[Image]:
    with open_source(path, policy="every") as source:
        for frame in islice(source, NUM_IMAGES):
            yield frame.image.copy()
