from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamvc.detection import Candidate, Detector
from streamvc.events import Decision, Detection
from streamvc.types import Prediction

DECISION = Decision(enter=0.7, leave=0.4, min_s=0.5, cooldown_s=2.0, smoothing_s=0.0)
EXACT = replace(DECISION, enter=0.75, leave=0.5)  # thresholds that a score of 32 bits can have
HOP_S = 0.2


def detector(update_s: float = 0.0, background: str | None = None) -> Detector:
    return Detector(["squat", "lunge"], [DECISION, DECISION], background=background, update_s=update_s)


def run(stage: Detector, scores: Iterable[float], start: float = 0.0) -> list[Detection]:
    found: list[Detection] = []
    for index, score in enumerate(scores):
        found += stage.step(Prediction(index, start + index * HOP_S, np.array([score, 1 - score], np.float32)))
    return found


def squats(found: list[Detection]) -> list[tuple[str, float]]:
    return [(item.phase, round(item.timestamp, 3)) for item in found if item.label == "squat"]


def test_a_start_is_said_after_the_minimum_duration_and_tells_when_it_began() -> None:
    stage = detector()
    found = run(stage, [0.5, 0.5, 0.8, 0.8, 0.8, 0.8])
    assert squats(found) == [("start", 1.0)]
    assert found[0].t_start == pytest.approx(0.4)
    assert found[0].score == pytest.approx(0.8)
    assert found[0].top[0] == ("squat", pytest.approx(0.8))
    assert found[0].decision == DECISION


def test_a_short_peak_is_not_an_activity() -> None:
    assert run(detector(), [0.5, 0.9, 0.9, 0.5, 0.9, 0.9, 0.5]) == []


def test_inside_the_band_nothing_is_said_and_below_it_ends() -> None:
    found = run(detector(), [0.9] * 4 + [0.5, 0.65, 0.45, 0.6] + [0.41, 0.39])
    assert squats(found) == [("start", 0.6), ("end", 1.8)]
    end = found[1]
    assert (end.t_start, end.t_end, end.reason) == (0.0, pytest.approx(1.8), "left")
    assert end.score == pytest.approx(0.9)


def test_a_score_at_a_threshold_is_not_below_it() -> None:
    found = run(Detector(["squat", "lunge"], [EXACT] * 2, update_s=0.0), [0.75] * 4 + [0.5] * 3 + [0.49])
    assert squats(found) == [("start", 0.6), ("end", 1.4)]


def test_a_minimum_duration_of_some_hops_ends_with_the_last_of_them_whenever_it_began() -> None:
    for first in range(50):
        stage = Detector(["squat", "lunge"], [replace(DECISION, min_s=3 * HOP_S, cooldown_s=0.0)] * 2, update_s=0.0)
        assert squats(run(stage, [0.5] * first + [0.9] * 4)) == [("start", pytest.approx((first + 3) * HOP_S))]


def test_no_new_start_within_the_cooldown() -> None:
    found = run(detector(), [0.9] * 4 + [0.5, 0.35] + [0.9] * 15)
    assert squats(found) == [("start", 0.6), ("end", 1.0), ("start", 3.0)]


def test_updates_come_at_their_own_pace() -> None:
    found = run(detector(update_s=1.0), [0.9] * 16)
    assert squats(found) == [("start", 0.6), ("update", 1.6), ("update", 2.6)]


def test_one_label_ends_before_the_next_starts() -> None:
    found = run(detector(), [0.9] * 4 + [0.1] * 5)
    assert [(item.phase, item.label) for item in found] == [("start", "squat"), ("end", "squat"), ("start", "lunge")]


def test_what_ends_with_a_prediction_is_told_before_what_starts_with_it() -> None:
    stage = Detector(["squat", "lunge"], [replace(DECISION, min_s=0.0)] * 2, update_s=0.0)
    found = run(stage, [0.1, 0.9, 0.1])
    assert [(item.phase, item.label) for item in found] == [("start", "lunge"), ("end", "lunge"), ("start", "squat"), ("end", "squat")]


def test_the_background_is_never_an_activity_and_ends_what_it_outscores() -> None:
    found = run(detector(background="lunge"), [0.1] * 6 + [0.9] * 4 + [0.45] + [0.1] * 6)
    assert squats(found) == [("start", 1.8), ("end", 2.0)]
    assert {item.label for item in found} == {"squat"}


def test_what_scores_no_more_than_the_background_is_none() -> None:
    assert squats(run(detector(background="lunge"), [0.9] * 4 + [0.5] * 3)) == [("start", 0.6), ("end", 0.8)]


def test_flush_ends_all_at_the_last_prediction_once() -> None:
    stage = detector()
    run(stage, [0.9] * 5)
    assert [item.label for item in stage.running] == ["squat"]
    (end,) = stage.flush("gap")
    assert (end.phase, end.t_end, end.reason) == ("end", pytest.approx(0.8), "gap")
    assert stage.running == []
    assert stage.flush("stop") == []


def test_what_was_about_to_start_before_a_gap_starts_behind_it_or_not_at_all() -> None:
    stage = detector()
    assert run(stage, [0.9] * 2) == []
    assert stage.flush("gap") == []
    assert [(item.phase, item.t_start) for item in run(stage, [0.9] * 4, start=60.0)] == [("start", 60.0)]


def test_after_a_flush_a_clock_that_starts_anew_is_no_obstacle() -> None:
    stage = detector()
    run(stage, [0.9] * 5, start=1000.0)
    stage.flush("gap")
    assert squats(run(stage, [0.9] * 5)) == [("start", 0.6)]


@given(st.lists(st.floats(0, 1, width=32), max_size=200))
def test_start_and_end_alternate_for_each_label(scores: list[float]) -> None:
    stage = detector(update_s=0.4)
    found = run(stage, scores) + stage.flush("end_of_stream")
    phases: dict[str, list[str]] = defaultdict(list)
    for item in found:
        phases[item.label].append(item.phase)
    for said in phases.values():
        outline = [phase for phase in said if phase != "update"]
        assert outline == ["start", "end"] * (len(outline) // 2)
        assert said[0] == "start"
        assert said[-1] == "end"


@given(st.lists(st.floats(0.4375, 0.6875, width=32), max_size=100))
def test_nothing_is_ever_said_inside_the_band(scores: list[float]) -> None:
    stage = Detector(["squat"], [DECISION], update_s=0.0)
    for index, score in enumerate(scores):
        assert stage.step(Prediction(index, index * HOP_S, np.array([score], np.float32))) == []


def test_scores_that_are_no_numbers_begin_nothing_and_end_what_runs() -> None:
    nan = float("nan")
    assert not Detector(["a"], [Decision(0.0, 0.0, 0.0, 0.0, 0.0)]).step(Prediction(0, 0.0, np.array([nan], np.float32)))
    running = Detector(["a"], [Decision(0.5, 0.4, 0.0, 0.0, 0.0)])
    found = [each for t, score in enumerate([0.9, nan]) for each in running.step(Prediction(t, float(t), np.array([score], np.float32)))]
    assert [(each.phase, each.score) for each in found] == [("start", pytest.approx(0.9)), ("end", pytest.approx(0.9))]


def test_the_candidate_is_the_best_label_that_does_not_go_on() -> None:
    stage = detector(background="lunge")
    assert stage.candidate is None
    run(stage, [0.6])
    assert stage.candidate == Candidate("squat", pytest.approx(0.6), 0.7, 0.5)  # type: ignore[arg-type]
    run(stage, [0.4])
    assert stage.candidate is None  # the background scores best
    run(stage, [0.9] * 4)
    assert stage.candidate is None  # it goes on


def test_a_threshold_is_that_of_the_next_decision_and_the_background_has_none() -> None:
    stage = detector(background="lunge")
    assert stage.thresholds == {"squat": 0.7}
    run(stage, [0.9] * 4)
    assert stage.thresholds == {"squat": 0.4}


def test_other_settings_hold_from_the_next_prediction_on_and_end_nothing_by_themselves() -> None:
    stage = detector(update_s=0.2)
    assert [each.phase for each in run(stage, [0.9] * 4)] == ["start"]
    stage.retune([replace(DECISION, enter=0.95, leave=0.5)] * 2)
    (update,) = run(stage, [0.6], start=4 * HOP_S)
    assert (update.phase, update.decision.leave, update.t_start) == ("update", 0.5, 0.0)
    stage.retune([replace(DECISION, enter=0.95, leave=0.7)] * 2)
    assert [(each.phase, each.reason) for each in run(stage, [0.6], start=5 * HOP_S)] == [("end", "left")]
    assert [each.phase for each in run(stage, [0.9] * 40, start=6 * HOP_S)] == []  # which was enough before


def test_other_smoothing_goes_on_from_the_mean_of_before() -> None:
    stage = detector()
    run(stage, [0.2] * 3)
    stage.retune([replace(DECISION, smoothing_s=HOP_S)] * 2)
    run(stage, [0.8], start=3 * HOP_S)
    assert dict(stage.top)["squat"] == pytest.approx(0.2 + 0.6 * (1 - np.exp(-1)), abs=1e-6)
