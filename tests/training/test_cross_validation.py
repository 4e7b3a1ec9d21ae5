"""Operating points of folds, chosen on predictions that are made here: what a fold is judged by knows nothing of its own clips."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from streamvc.inference.bundle import Bundle
from streamvc.inference.manifest import BundleManifest, LabelThresholds, Threshold
from streamvc.training.cross_validation import CrossValidation, Fold, Stretches
from streamvc.training.dataset import Clip, Dataset
from streamvc.training.feature_set import ClipStretches, FeatureSet
from streamvc.training.features import Extraction
from streamvc.training.history import TrainingHistory
from streamvc.training.plan import TrainingPlan
from streamvc.types import Prediction
from tests.inference.settings import settings
from tests.training.test_sweep import FILES, LABELS

WALK, JUMP, NOTHING = 0, 1, 2
NUM_CLIPS = 4  # of Walk, then of Jump, in each of two folds
LONG, BRIEF, SHORT = 300, 20, 2  # predictions, five a second: an activity of a minute; of some seconds; and one that begins by low thresholds alone
CLIPS = tuple(Clip(Path(f"{fold}{label}{number}.mp4"), label, f"g{fold}") for fold in range(2) for label in LABELS[:2] for number in range(NUM_CLIPS))
PLAN = TrainingPlan(background="Nothing", tune=True)


def shown(label: int, num: int) -> Stretches:
    """Nothing, then so many predictions that are sure of a label, then nothing."""
    rows, on = np.full((num + 25, len(LABELS)), 0.01, np.float32), slice(5, 5 + num)
    rows[:, NOTHING], rows[on, NOTHING], rows[on, label] = 0.98, 0.01, 0.98
    return [[Prediction(index, index / 5, row) for index, row in enumerate(rows)]]


def fold(number: int, walks: Stretches | None, jumps: Stretches | None) -> Fold:
    """The predictions on the clips of a fold: the same on each of a label."""
    manifest = BundleManifest(**settings().model_dump(by_alias=True), files=FILES)
    first = 2 * NUM_CLIPS * number
    said = {first + index: walks if index < NUM_CLIPS else jumps for index in range(2 * NUM_CLIPS)}
    clips = {index: stretches for index, stretches in said.items() if stretches is not None}
    return Fold(Bundle(Path(), manifest, "0" * 64), clips, {}, TrainingHistory((), 0), None)


def cross_validation(folds: Sequence[Fold], left_out: Sequence[Fold] = (), plan: TrainingPlan = PLAN) -> CrossValidation:
    truth = np.array([LABELS.index(clip.label) for clip in CLIPS])
    feature_set = FeatureSet(Extraction(CLIPS, (), (), (), 0), ClipStretches((), ()), (), truth, {}, {})
    return CrossValidation(plan, Dataset(CLIPS, LABELS, "name"), feature_set, folds, left_out)


def two_folds(walk: int, jump: int) -> list[Fold]:
    """In the first, activities go on for so many predictions; in the other for a minute."""
    return [fold(0, shown(WALK, walk), shown(JUMP, jump)), fold(1, shown(WALK, LONG), shown(JUMP, LONG))]


def test_the_operating_point_of_a_fold_is_chosen_on_the_others() -> None:
    both = cross_validation(two_folds(SHORT, SHORT))
    assert both.choose().thresholds.default.min_s < 0.5  # by which the short ones would begin
    (short, long), _ = both.measure()
    assert (short.outcomes.silent, long.outcomes.right) == (1.0, 1.0)


def test_thresholds_that_are_set_by_hand_are_not_chosen() -> None:
    own = Threshold(enter=0.6, leave=0.5, min_s=8.0, cooldown_s=0.0)
    plan = replace(PLAN, thresholds=LabelThresholds(default=Threshold(cooldown_s=0.0), labels={"Jump": own}))
    both = cross_validation(two_folds(LONG, LONG), plan=plan)
    chosen = both.choose().thresholds
    assert chosen.labels["Jump"] == own
    assert {each.cooldown_s for each in (chosen.default, *chosen.labels.values())} == {0.0}
    (first, _), _ = both.measure()
    began = {event.label: event.published_s - event.start_s for result in first.results for event in result.stream.events}
    assert began[JUMP] == 8.0
    assert began[WALK] < 8.0


def heard(folds: Sequence[Fold], left_out: Sequence[Fold]) -> list[int]:
    """How many events there are on the clips of each round that left a label out."""
    return [sum(len(stream.events) for stream in streams) for _, streams in cross_validation(folds, left_out).left_out_streams()]


def joined(*folds: Fold) -> Fold:
    return replace(folds[0], clips={index: said for each in folds for index, said in each.clips.items()})


def round_without(label: int, *said: Stretches) -> Fold:
    """What was said of the clips of a label that was left out, fold by fold."""
    walks, jumps = (said, (None, None)) if label == WALK else ((None, None), said)
    return joined(*(fold(number, *stretches) for number, stretches in enumerate(zip(walks, jumps, strict=True))))


def test_a_round_is_judged_by_what_was_chosen_without_it() -> None:
    quiet = shown(NOTHING, BRIEF)
    loud = round_without(WALK, shown(JUMP, BRIEF), shown(JUMP, BRIEF))
    # By its own clips, thresholds would be so high that one of them is let begin at most.
    assert heard(two_folds(LONG, LONG), [loud, round_without(JUMP, quiet, quiet)]) == [2 * NUM_CLIPS, 0]


def test_the_clips_of_a_fold_in_a_round_are_judged_by_what_was_chosen_without_that_fold() -> None:
    quiet = shown(NOTHING, BRIEF)
    loud = round_without(WALK, shown(JUMP, SHORT), quiet)
    # By its own fold, where activities are short, thresholds would be so low that all of them begin.
    assert heard(two_folds(SHORT, SHORT), [loud, round_without(JUMP, quiet, quiet)]) == [0, 0]
