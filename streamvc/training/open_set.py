"""Is it silent about what it was never taught? Labels are left out of the training in turn, and what is heard of them is counted."""

import tempfile
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from streamvc.errors import DataError
from streamvc.training.dataset import Dataset, load_dataset
from streamvc.training.evaluate import Quiet, count_false
from streamvc.training.features import cache_folder, extract
from streamvc.training.folds import make_folds
from streamvc.training.material import gather
from streamvc.training.nothing import settle_background
from streamvc.training.plan import Plan
from streamvc.training.progress import Advance, silent
from streamvc.training.tracks import Track
from streamvc.training.train import Training, workbench


@dataclass(frozen=True, slots=True)
class Round:
    """What came of leaving labels out.

    Attributes:
        left_out: These labels.
        num_clips: How many clips of them there are.
        silent: Share of these of which no event was heard.
        strangers: What was heard of them.
        nothing: What was heard of held-out videos of nothing; None where there are none.
        right: Share of the held-out clips of the other labels of which the right event was heard, and no other: what the silence costs.
    """

    left_out: tuple[str, ...]
    num_clips: int
    silent: float
    strangers: Quiet
    nothing: Quiet | None
    right: float

    def as_json(self) -> dict[str, Any]:
        """The figures in a form that JSON can hold."""
        return {**asdict(self), "strangers": self.strangers.as_json(), "nothing": self.nothing.as_json() if self.nothing else None}


@dataclass(frozen=True, slots=True)
class OpenSet:
    """What came of all rounds: each label was left out once."""

    rounds: tuple[Round, ...]

    @property
    def silent(self) -> float:
        """Share of the left-out clips of which no event was heard."""
        return sum(each.silent * each.num_clips for each in self.rounds) / sum(each.num_clips for each in self.rounds)

    @property
    def false_events_per_hour(self) -> float:
        """How often an event was heard of left-out clips, per hour of them."""
        return sum(sum(each.strangers.events.values()) for each in self.rounds) / sum(each.strangers.hours for each in self.rounds)

    @property
    def right(self) -> float:
        """Mean share of the clips of labels that were not left out of which the right event was heard, and no other."""
        return float(np.mean([each.right for each in self.rounds]))

    def as_json(self) -> dict[str, Any]:
        """The figures in a form that JSON can hold."""
        whole = {"silent": self.silent, "false_events_per_hour": self.false_events_per_hour, "right": self.right}
        return {**whole, "rounds": [each.as_json() for each in self.rounds]}


def measure_open_set(
    data: Path, plan: Plan, *, num_rounds: int = 5, cache: Path | None = None, num_workers: int | None = None, advance: Advance = silent
) -> OpenSet:
    """Train without some labels, round by round, and hear what the recognisers say of these.

    In a round, the clips of its labels are neither learned from, nor are they material of nothing, nor do they count when thresholds are chosen. Each
    is heard by the recogniser of the fold that its group is held out of: neither what is done nor who does it was seen.

    Args:
        data: A data set; see `load_dataset`.
        plan: What to train; see `plan_for`.
        num_rounds: Into how many rounds the labels are dealt; at most one a label.
        cache: Folder of cached features and of trainings that go on; `cache_folder()` if not given.
        num_workers: How many clips are looked at at a time; as many as there are cores if not given.
        advance: Is told of the progress.

    Raises:
        DataError: The data or the plan cannot be used, the data is untrimmed, or too few labels are left to train.
        BundleError: The backbone is missing.
    """
    cache = cache or cache_folder()
    plan, dataset = settle_background(plan, load_dataset(data, plan.group), cache=cache, num_workers=num_workers, advance=advance)
    if dataset.untrimmed:
        raise DataError(f"{data} is untrimmed: what is left out would stay in its videos; give trimmed clips")
    labels = [label for label in dataset.labels if label != plan.background]
    num_rounds = min(num_rounds, len(labels))
    if len(dataset.labels) - -(-len(labels) // num_rounds) < 2:
        raise DataError(f"{data} has {len(labels)} activities: with {num_rounds} rounds too few are left to train on")
    measure_round = partial(_measure_round, dataset, plan, cache, num_workers, advance)
    return OpenSet(tuple(measure_round(tuple(labels[number::num_rounds])) for number in range(num_rounds)))


def _measure_round(dataset: Dataset, plan: Plan, cache: Path, num_workers: int | None, advance: Advance, left_out: tuple[str, ...]) -> Round:
    clips = tuple(clip for clip in dataset.clips if clip.label not in left_out)
    known = replace(dataset, clips=clips, labels=tuple(label for label in dataset.labels if label not in left_out))
    material = gather(known, plan, cache=cache, num_workers=num_workers, advance=advance)
    others = [clip for clip in dataset.clips if clip.label in left_out]
    found = extract(others, plan.backbone, plan.rate_hz, cache=cache, num_workers=num_workers, advance=advance).lasting(plan.head.first)
    folds = dict(zip((clip.group for clip in clips), make_folds(clips, plan.split, plan.num_folds, plan.seed).tolist(), strict=True))

    def strangers(number: int) -> list[Track]:
        # A group that none of the known clips is of was seen by no recogniser, and any may hear it.
        return [track for clip, track in zip(found.clips, found.tracks, strict=True) if folds.get(clip.group, 0) == number]

    bench = workbench(cache, plan, material)
    with tempfile.TemporaryDirectory(prefix="streamvc-") as scratch:
        held_out = Training("open-set", plan, known, material, bench, Path(scratch), advance).hold_out(strangers)
    bench.clear()
    streams, pooled = held_out.judge_strangers(), held_out.measure()[1]
    active = [replay for replay in pooled.replays if replay.stream.segments]
    return Round(
        left_out=left_out,
        num_clips=len(streams),
        silent=float(np.mean([not stream.events for stream in streams])),
        strangers=count_false(streams, known.labels) or Quiet(0.0, {}),
        nothing=pooled.quiet,
        right=float(np.mean([replay.started == {replay.truth} for replay in active])),
    )
