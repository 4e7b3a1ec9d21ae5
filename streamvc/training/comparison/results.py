"""The results of a comparison of recipes, and their table."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict

from streamvc.training.comparison.cost import BackboneSize, Cost
from streamvc.training.report import Spread, TrainingReport


class ScoreTimeline(BaseModel):
    """The scores along a clip, of a recogniser that had not seen its group.

    Attributes:
        clip: The file's name.
        label: What it shows.
        timestamps: (K) of the predictions, in seconds.
        scores: (K, L).
    """

    model_config = ConfigDict(frozen=True)

    clip: str
    label: str
    timestamps: tuple[float, ...]
    scores: tuple[tuple[float, ...], ...]


class TrainedRecipe(BaseModel):
    """The figures of one trained recipe, as they are kept on disk.

    Attributes:
        key: Stands for the data and the plan.
        labels: What it tells apart.
        clip_top1: Share of the clips that are right, over folds.
        window_top1: Share of single predictions that are right, over folds.
        num_clips: How many clips could be used.
        first_right_s: Median time from the start of an activity to the first right prediction, in seconds; None where most have none.
        delay_s: Median time from the start of an activity to its event, in seconds; None where no event was right.
        confusion: (L, L) clips of all folds, a row per right label.
        losses: Of each epoch of the last training, that on all groups.
        validation_losses: The same, on the validation clips.
        timelines: The scores along some clips: the first one of each label.
        num_parameters: Of the head, or of the whole network where there is no backbone.
        train_s: Seconds that all trainings took, without features.
    """

    model_config = ConfigDict(frozen=True)

    key: str
    labels: tuple[str, ...]
    clip_top1: Spread
    window_top1: Spread
    num_clips: int
    first_right_s: float | None
    delay_s: float | None
    confusion: tuple[tuple[int, ...], ...]
    losses: tuple[float, ...]
    validation_losses: tuple[float, ...]
    timelines: tuple[ScoreTimeline, ...]
    num_parameters: int
    train_s: float


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """One recipe: its figures, or why there are none.

    Attributes:
        recipe: Its name.
        streams: How it runs live: `step`, `window` or `clip`.
        extractor: What makes its features.
        rate_hz: Frames analysed per second.
        trained: The figures of its training.
        cost: What it costs to run.
        error: Why there is none of these.
    """

    recipe: str
    streams: str
    extractor: str
    rate_hz: float
    trained: TrainedRecipe | None = None
    cost: Cost | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Recipes on the same clips and folds, in the order in which they were asked for."""

    data: str
    num_clips: int
    num_groups: int
    num_folds: int
    seed: int
    rows: tuple[ComparisonRow, ...]


COLUMNS = (
    "recipe",
    "runs by",
    "clips right",
    "predictions right",
    "clips",
    "first right after s",
    "event after s",
    "features",
    "Hz",
    "head parameters",
    "head KB",
    "backbone parameters",
    "backbone KB",
    "features ms/frame",
    "head ms/frame",
    "memory MB",
    "trained in s",
)
ABSENT = "-"


def summarise(report: TrainingReport, key: str) -> TrainedRecipe:
    """The figures of a training that a comparison shows."""
    labels, stream = report.dataset.labels, report.pooled.stream.as_json()
    first = {clip.label: number for number, clip in reversed(list(enumerate(report.tested)))}
    return TrainedRecipe(
        key=key,
        labels=labels,
        clip_top1=report.clip_top1,
        window_top1=report.window_top1,
        num_clips=report.pooled.num_clips,
        first_right_s=stream["first_right_s"],
        delay_s=stream["delay_s"],
        confusion=tuple(map(tuple, report.pooled.confusion.tolist())),
        losses=tuple(epoch.loss for epoch in report.fit.history),
        validation_losses=tuple(epoch.validation_loss for epoch in report.fit.history),
        timelines=tuple(_timeline(report, first[label]) for label in labels if label in first),
        num_parameters=report.num_parameters,
        train_s=report.train_s,
    )


def _timeline(report: TrainingReport, number: int) -> ScoreTimeline:
    clip, stream = report.tested[number], report.pooled.results[number].stream
    return ScoreTimeline(
        clip=clip.path.name,
        label=clip.label,
        timestamps=tuple(stream.timestamps.round(3).tolist()),
        scores=tuple(map(tuple, stream.scores.astype(float).round(3).tolist())),
    )


def cells(row: ComparisonRow) -> list[str]:
    """The row as text, a cell per column; where there is nothing to say, `ABSENT`."""
    trained, cost = row.trained, row.cost
    accuracy = (
        [str(trained.clip_top1), str(trained.window_top1), f"{trained.num_clips}", *(_number(s, 2) for s in (trained.first_right_s, trained.delay_s))]
        if trained
        else [ABSENT] * 5
    )
    learned = [f"{trained.num_parameters:,}", f"{trained.train_s:.0f}"] if trained else [ABSENT] * 2
    head_kb, *run = (
        [
            f"{cost.head_bytes / 1000:,.0f}",
            *_backbone_cells(cost.backbone),
            f"{cost.extractor_ms:.2f}",
            f"{cost.head_ms:.3f}",
            f"{cost.memory_mb:.0f}",
        ]
        if cost
        else [ABSENT] * 6
    )
    return [row.recipe, row.streams, *accuracy, row.extractor, f"{row.rate_hz:g}", learned[0], head_kb, *run, learned[1]]


def markdown(comparison: Comparison) -> str:
    """The comparison as Markdown: what was compared, the table, and why rows are empty."""
    lines = [list(COLUMNS), ["---"] * len(COLUMNS), *(cells(row) for row in comparison.rows)]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    failures = [f"- `{row.recipe}`: {row.error}" for row in comparison.rows if row.error]
    return "\n\n".join([headline(comparison), table, *(["\n".join(failures)] if failures else [])]) + "\n"


def headline(comparison: Comparison) -> str:
    """What was compared, in a sentence."""
    return (
        f"{comparison.num_clips} clips of {comparison.num_groups} groups; the same {comparison.num_folds} folds by group (seed {comparison.seed}) "
        "for all. Mean and standard deviation over the folds; times are CPU time on one thread, medians, side by side on the same frames."
    )


def as_json(comparison: Comparison) -> dict[str, Any]:
    """The comparison in a form that JSON can hold."""
    return {
        "data": comparison.data,
        "num_clips": comparison.num_clips,
        "num_groups": comparison.num_groups,
        "num_folds": comparison.num_folds,
        "seed": comparison.seed,
        "recipes": [_row_json(row) for row in comparison.rows],
    }


def _row_json(row: ComparisonRow) -> dict[str, Any]:
    trained, cost = row.trained, row.cost
    found = {"recipe": row.recipe, "streams": row.streams, "extractor": row.extractor, "rate_hz": row.rate_hz, "error": row.error}
    if trained:
        found |= trained.model_dump(
            mode="json",
            include={"clip_top1", "window_top1", "num_clips", "first_right_s", "delay_s", "num_parameters", "confusion", "labels", "train_s"},
        )
    if cost:
        found |= {
            "head_bytes": cost.head_bytes,
            "backbone_parameters": cost.backbone.num_parameters if cost.backbone else 0,
            "backbone_bytes": cost.backbone.num_bytes if cost.backbone else 0,
            "extractor_ms": cost.extractor_ms,
            "head_ms": cost.head_ms,
            "memory_mb": cost.memory_mb,
        }
    return found


def _backbone_cells(size: BackboneSize | None) -> Sequence[str]:
    return (f"{size.num_parameters:,}", f"{size.num_bytes / 1000:,.0f}") if size else (ABSENT, ABSENT)


def _number(value: float | None, num_digits: int) -> str:
    return ABSENT if value is None else f"{value:.{num_digits}f}"
