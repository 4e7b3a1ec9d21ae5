"""Many settings at once give the events that each gives alone."""

from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from streamvc.inference.bundle import Bundle
from streamvc.inference.manifest import BundleManifest, LabelThresholds, Threshold
from streamvc.training.prediction_trace import PredictionTrace, detect
from streamvc.training.sweep import Grid, sweep
from streamvc.types import Prediction
from tests.inference.settings import settings as bundle_settings

FILES = dict.fromkeys(("project.tflite", "step.tflite", "CARD.md"), "0" * 64)
LABELS = ("Walk", "Jump", "Nothing")
GRID = Grid((0.6, 0.0, 2.0), np.array([0.7, 0.5, 0.4, 0.9]), np.array([0.4, 0.5, 0.1, 0.7]), np.array([0.5, 0.0, 1.0, 0.2]), cooldown_s=0.6)

rows = st.lists(st.tuples(st.floats(0.15, 0.4), st.lists(st.integers(0, 10), min_size=3, max_size=3)), max_size=40)


def predictions(drawn: list[list[tuple[float, list[int]]]]) -> list[list[Prediction]]:
    """Stretches of predictions at uneven times; scores have few values, so that many are equal."""
    stretches: list[list[Prediction]] = []
    now = 0.0
    for stretch in drawn:
        stretches.append([])
        for hop_s, weights in stretch:
            now += hop_s
            scores = np.array(weights, np.float32) + np.float32(0.01)
            stretches[-1].append(Prediction(0, now, scores / scores.sum()))
        now += 3.0
    return stretches


def alone(stretches: list[list[Prediction]], smoothing_s: float, threshold: Threshold, background: str | None) -> set[tuple[float, ...]]:
    fields = bundle_settings(smoothing_s=smoothing_s, thresholds=LabelThresholds(default=threshold), background=background).model_dump(by_alias=True)
    bundle = Bundle(Path(), BundleManifest(**fields, files=FILES), "0" * 64)
    return {(event.label, event.start_s, event.end_s, event.published_s) for event in detect(bundle, PredictionTrace(stretches, (), 1.0)).events}


@settings(max_examples=40)
@given(st.lists(rows, max_size=3), st.sampled_from([None, "Nothing"]))
def test_a_sweep_finds_the_events_of_each_setting(drawn: list[list[tuple[float, list[int]]]], background: str | None) -> None:
    stretches = predictions(drawn)
    swept = sweep(stretches, GRID, len(LABELS), None if background is None else LABELS.index(background))
    for s, smoothing_s in enumerate(GRID.smoothing_s):
        for e in range(len(GRID.enter)):
            threshold = Threshold(enter=GRID.enter[e], leave=GRID.leave[e], min_s=GRID.min_s[e], cooldown_s=GRID.cooldown_s)
            mine = (swept.setting[0] == s) & (swept.setting[2] == e)
            columns = (swept.label, swept.start_s, swept.end_s, swept.published_s)
            found = list(zip(*(column[mine].tolist() for column in columns), strict=True))
            assert len(found) == len(set(found))
            assert set(found) == alone(stretches, smoothing_s, threshold, background)
