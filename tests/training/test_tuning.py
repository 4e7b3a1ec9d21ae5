"""What is chosen on predictions made by hand."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from streamvc.alarms import count_alarms
from streamvc.inference.bundle import Bundle
from streamvc.inference.manifest import BundleManifest, LabelThresholds, Threshold
from streamvc.stream_metrics import EvaluatedStream, Segment, event_figures, false_events_per_hour
from streamvc.training.prediction_trace import PredictionTrace, detect
from streamvc.training.tuning import TuningObjective, make_grid, tune, with_margin
from streamvc.types import Prediction
from tests.inference.settings import settings
from tests.training.test_sweep import FILES, LABELS

ONLINE = TuningObjective(beta=1.0, overlap=0.3, false_per_hour=None, background_only=False)
CLIPS = TuningObjective(beta=0.5, overlap=0.0, false_per_hour=1.0, background_only=True)
DEFAULT = Threshold()


def stream(*parts: tuple[int, float], segments: Sequence[Segment] = ()) -> PredictionTrace:
    """Of each part: so many predictions, five a second, with this score for Walk, the rest being nothing."""
    scores = [score for num, score in parts for _ in range(num)]
    said = [Prediction(index, index / 5, np.array([score, 0.0, 1 - score], np.float32)) for index, score in enumerate(scores)]
    return PredictionTrace([said], segments, len(scores) / 5)


def publish(trace: PredictionTrace, smoothing_s: float, thresholds: LabelThresholds, background: str | None = None) -> EvaluatedStream:
    fields = settings(smoothing_s=smoothing_s, thresholds=thresholds, background=background).model_dump(by_alias=True)
    return detect(Bundle(Path(), BundleManifest(**fields, files=FILES), "0" * 64), trace)


def test_an_activity_of_low_scores_gets_a_low_threshold() -> None:
    trace = [stream((20, 0.1), (20, 0.55), (20, 0.1), segments=[Segment(0, 4.0, 8.0)])] * 3
    assert event_figures([publish(each, 0.6, LabelThresholds(), "Nothing") for each in trace], 0.3).f1 == 0
    smoothing_s, thresholds = tune(trace, LABELS, "Nothing", ONLINE, DEFAULT)
    assert event_figures([publish(each, smoothing_s, thresholds, "Nothing") for each in trace], 0.3).f1 == 1
    assert thresholds.default.enter <= 0.5


def test_what_is_equal_is_left_as_it_is() -> None:
    trace = [stream((20, 0.0), (30, 1.0), (20, 0.0), segments=[Segment(0, 4.0, 10.0)])]
    smoothing_s, thresholds = tune(trace, LABELS, "Nothing", ONLINE, Threshold(cooldown_s=1.0))
    assert smoothing_s == 0.6
    assert thresholds == LabelThresholds(default=Threshold(enter=0.7, leave=0.385, min_s=0.5, cooldown_s=1.0))


def test_an_alarm_is_to_come_in_time_however_long_it_goes_on() -> None:
    rise, fall = [(10, 0.0), (5, 0.45), (5, 0.75), (80, 0.92)], Segment(0, 2.0, 6.0)
    trace = [stream(*rise, segments=[fall])] * 3
    at_once = TuningObjective(2.0, 0.0, 3600.0, background_only=False, within_s=1.0)
    for objective, num_found in ((at_once, 3), (replace(at_once, within_s=None), 0)):
        smoothing_s, thresholds = tune(trace, LABELS, None, objective, DEFAULT)
        assert count_alarms([publish(each, smoothing_s, thresholds) for each in trace], 0, within_s=1.0).num_found == num_found


@pytest.mark.parametrize(("per_hour", "num_false"), [(0.0, 0), (3600.0, 2)])
def test_events_about_nothing_are_bounded(per_hour: float, num_false: int) -> None:
    clips = [stream((30, score), segments=[Segment(0, 0.0, 6.0)]) for score in (0.6, 0.65, 0.97, 0.97, 0.97)]
    nothing = [stream((10, 0.0), (30, 0.85), (40, 0.0)), stream((10, 0.0), (30, 0.75), (40, 0.0))]
    smoothing_s, thresholds = tune([*clips, *nothing], LABELS, "Nothing", TuningObjective(1.0, 0.0, per_hour, background_only=True), DEFAULT)
    assert sum(len(publish(each, smoothing_s, thresholds, "Nothing").events) for each in nothing) == num_false
    assert sum(bool(publish(each, smoothing_s, thresholds, "Nothing").events) for each in clips) == (5 if num_false else 3)


def shown(label: int, score: float, num: int = 30) -> PredictionTrace:
    """A clip of a label that has this score all along, the rest being nothing."""
    row = np.array([0.0, 0.0, 1 - score], np.float32)
    row[label] = score
    return PredictionTrace([[Prediction(index, index / 5, row) for index in range(num)]], [Segment(label, 0.0, num / 5)], num / 5)


def test_no_label_is_silenced_for_the_sake_of_another() -> None:
    sure, unsure = [shown(0, 0.99)] * 9, [shown(1, 0.72)] * 3
    nothing = [stream((10, 0.0), (30, 0.97), (40, 0.0))] * 9  # as walking: each label by itself, the one is best at 0.98, the other at 0.7
    smoothing_s, thresholds = tune([*sure, *unsure, *nothing], LABELS, "Nothing", CLIPS, DEFAULT)
    assert all(publish(each, smoothing_s, thresholds, "Nothing").events for each in (*sure, *unsure))


def test_a_label_keeps_near_the_common_setting() -> None:
    nothing = [stream((10, 0.0), (30, 0.85), (40, 0.0))] * 6  # as walking
    trace = [*[shown(0, 0.99)] * 6, *[shown(1, 0.65)] * 6, *nothing]  # each label by itself, the one is best at 0.9 or more, the other at 0.6 or less
    _, thresholds = tune(trace, LABELS, "Nothing", CLIPS, DEFAULT)
    assert all(abs(each.enter - thresholds.default.enter) <= 0.05 + 1e-9 for each in thresholds.labels.values())


def test_a_bound_holds_also_where_an_activity_begins_one_step_sooner() -> None:
    clips = [stream((30, 0.97), segments=[Segment(0, 0.0, 6.0)])] * 3
    nothing = [stream((10, 0.0), (60, 0.78), (10, 0.0))] * 2  # silent from 0.8 on, and so nearly false that 0.85 is taken
    _, thresholds = tune([*clips, *nothing], LABELS, None, TuningObjective(1.0, 0.0, 0.0, background_only=True), DEFAULT)
    assert thresholds.default.enter == 0.85


def test_a_bound_that_cannot_be_kept_is_missed_by_as_little_as_can_be() -> None:
    nothing = [stream((10, 0.0), (60, 1.0), (10, 0.0)), stream((10, 0.0), (30, 0.9), (40, 0.0))]
    smoothing_s, thresholds = tune([stream((30, 1.0), segments=[Segment(0, 0.0, 6.0)]), *nothing], LABELS, None, CLIPS, DEFAULT)
    assert sum(len(publish(each, smoothing_s, thresholds).events) for each in nothing) == 1


def random_stream(seed: int) -> PredictionTrace:
    rng = np.random.default_rng(seed)
    logits = np.cumsum(rng.normal(0, 0.8, (60, 3)), axis=0)
    scores = np.exp(logits - logits.max(axis=1, keepdims=True))
    said = [Prediction(index, index / 5, (row / row.sum()).astype(np.float32)) for index, row in enumerate(scores)]
    starts = rng.uniform(0, 8, 2)
    return PredictionTrace([said[:35], said[35:]], [Segment(label, start, start + 3.0) for label, start in enumerate(starts)], 12.0)


@pytest.mark.parametrize("most_false", [None, 1])
def test_no_other_choice_is_better(most_false: int | None) -> None:
    trace = [random_stream(seed) for seed in range(2)]
    per_hour = None if most_false is None else (most_false + 0.5) / 24 * 3600
    chosen = tune(trace, LABELS, "Nothing", TuningObjective(1.0, 0.3, per_hour, background_only=False), DEFAULT)
    streams = [publish(each, *chosen, "Nothing") for each in trace]
    grid = make_grid(DEFAULT.cooldown_s)
    thresholds = [Threshold(enter=enter, leave=leave, min_s=min_s) for enter, leave, min_s in zip(grid.enter, grid.leave, grid.min_s, strict=True)]
    # (S, E, L, 3) right events, events and false events
    counts = np.array([[_counts(trace, smoothing_s, threshold) for threshold in thresholds] for smoothing_s in grid.smoothing_s])
    counts[..., 2] = np.moveaxis(with_margin(np.moveaxis(counts[..., 2], 1, 2)), 2, 1)
    is_silent = (counts[..., 0] < counts[..., 0].max(axis=(0, 1)) / 2).any(axis=2)

    def f1(counted: np.ndarray) -> np.ndarray:
        return np.asarray(2 * counted[..., 0] / (counted[..., 1] + 4))

    together = counts.sum(axis=2)
    allowed = ~is_silent & (True if most_false is None else together[..., 2] <= most_false)
    best_common = f1(together)[allowed].max()
    assert event_figures(streams, 0.3).f1 >= best_common - 1e-9  # what a label has of its own makes it no worse
    smoothing, default = grid.smoothing_s.index(chosen[0]), thresholds.index(chosen[1].default.model_copy(update={"cooldown_s": 2.0}))
    assert allowed[smoothing, default]
    assert f1(together)[smoothing, default] == pytest.approx(best_common)
    if most_false is not None:
        assert round(false_events_per_hour(streams) * 24 / 3600) <= most_false


def _counts(trace: Sequence[PredictionTrace], smoothing_s: float, threshold: Threshold) -> list[tuple[int, int, int]]:
    """Right events, events and false events of Walk, and of Jump."""
    streams = [publish(each, smoothing_s, LabelThresholds(default=threshold), "Nothing") for each in trace]
    alone = [[_only(each, label) for each in streams] for label in (0, 1)]
    return [
        (
            round(event_figures(each, 0.3).recall * 2),
            sum(len(one.events) for one in each),
            round(false_events_per_hour(each) * 24 / 3600),
        )
        for each in alone
    ]


def _only(stream: EvaluatedStream, label: int) -> EvaluatedStream:
    segments = tuple(segment for segment in stream.segments if segment.label == label)
    events = tuple(event for event in stream.events if event.label == label)
    return replace(stream, segments=segments, events=events)
