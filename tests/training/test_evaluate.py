from pathlib import Path

import numpy as np
import pytest

from streamvc.inference.bundle import Bundle
from streamvc.inference.manifest import BundleManifest
from streamvc.training.evaluate import judge, measure
from streamvc.types import Prediction
from tests.inference.settings import settings

LABELS = ("Walk", "Jump", "Nothing")  # the last one is the background


@pytest.fixture
def bundle() -> Bundle:
    files = dict.fromkeys(("project.tflite", "step.tflite", "CARD.md"), "0" * 64)
    return Bundle(Path(), BundleManifest(**settings(smoothing_s=0.0).model_dump(by_alias=True), files=files), "0" * 64)


def predictions(*scores: tuple[float, float, float]) -> list[Prediction]:
    return [Prediction(index, index * 0.5, np.array(row, np.float32)) for index, row in enumerate(scores)]


WALKING, JUMPING, UNSURE, NOTHING = (0.9, 0.05, 0.05), (0.02, 0.96, 0.02), (0.5, 0.3, 0.2), (0.1, 0.1, 0.8)


def test_what_begins_is_decided_by_the_thresholds_of_the_bundle(bundle: Bundle) -> None:
    assert judge(bundle, "Walk", predictions(*[WALKING] * 3)).started == {"Walk"}
    assert judge(bundle, "Walk", predictions(WALKING)).started == frozenset()  # not long enough
    assert judge(bundle, "Walk", predictions(*[UNSURE] * 5)).started == frozenset()
    assert judge(bundle, "Walk", predictions(*[WALKING] * 3, *[JUMPING] * 3)).started == {"Walk", "Jump"}


def test_outcomes_tell_right_from_wrong_and_silent(bundle: Bundle) -> None:
    replays = [
        judge(bundle, "Walk", predictions(*[WALKING] * 3)),
        judge(bundle, "Walk", predictions(*[WALKING] * 3, *[JUMPING] * 3)),
        judge(bundle, "Jump", predictions(*[UNSURE] * 3)),
        judge(bundle, "Nothing", predictions(*[NOTHING] * 3)),
        judge(bundle, "Nothing", predictions(*[JUMPING] * 3)),
    ]
    outcomes = measure(replays, LABELS, "Nothing").outcomes
    assert (outcomes.right, outcomes.wrong, outcomes.silent) == pytest.approx((0.4, 0.4, 0.2))


def test_clips_count_alike_and_so_do_predictions(bundle: Bundle) -> None:
    replays = [
        judge(bundle, "Walk", predictions(*[WALKING] * 7, *[JUMPING] * 2)),  # right as a whole, 7 of 9
        judge(bundle, "Jump", predictions(UNSURE)),  # wrong, 0 of 1
    ]
    found = measure(replays, LABELS, "Nothing")
    assert (found.clip_top1, found.window_top1) == (0.5, 0.7)
    assert (found.num_clips, found.num_predictions) == (2, 10)
    assert found.confusion.tolist() == [[1, 0, 0], [1, 0, 0], [0, 0, 0]]
    assert (found.per_label["Walk"].recall, found.per_label["Walk"].precision, found.per_label["Jump"].recall) == (1.0, 0.5, 0.0)
