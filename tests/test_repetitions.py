"""Repetitions of made movements, and of rendered ones as MoveNet sees them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from figure import render_clip
from streamvc.errors import InferenceError
from streamvc.inference.bundle import write_bundle
from streamvc.inference.extractors import open_extractor
from streamvc.inference.manifest import BundleSettings, read_manifest
from streamvc.inference.people.keypoint_features import FEATURE_SIZE, KeypointFeatures
from streamvc.inference.people.movenet import LIGHTNING_INT8, MANIFEST, MoveNetManifest, find_movenet
from streamvc.inference.runtime import Model, TensorSpec, open_model
from streamvc.repetitions import LEAD_S, MOST, POSTURE_SIZE, FloatArray, RepetitionCounter, num_repetitions
from streamvc.session import Session
from streamvc.types import Array

RATE_HZ = 5.0
# Of the rendered movement in 8 s: the person's tempo by the period of the activity.
CYCLES = [("Squat", 1, 3.9), ("Squat", 5, 2.8), ("JumpingJack", 2, 8.3), ("JumpingJack", 7, 6.6), ("Lunge", 3, 3.4)]


def moving(num: int, period_s: float, *, noise: float = 0.0, seed: int = 0, drift: float = 0.0, rate_hz: float = RATE_HZ) -> FloatArray:
    """(N, 51): somebody who bends their knees so often, and is back at the end."""
    random = np.random.default_rng(seed)
    time_s = np.arange(round(num * period_s * rate_hz) + 1) / rate_hz
    down = (1 - np.cos(2 * np.pi * time_s / period_s)) / 2
    postures = np.tile(random.uniform(-0.5, 0.5, POSTURE_SIZE), (len(time_s), 1))
    postures[:, 34:] = 0.8
    postures[:, 1:22:2] += 0.25 * down[:, None]
    postures[:, 27:34:2] -= 0.25 * down[:, None]
    postures[:, :34] += random.normal(0, noise, (len(time_s), 34)) + drift * time_s[:, None] / time_s[-1]
    return postures.astype(np.float32)


@given(st.integers(1, 40), st.floats(0.8, 5), st.integers(0, 1000))
def test_each_there_and_back_is_one(num: int, period_s: float, seed: int) -> None:
    assert num_repetitions(moving(num, period_s, noise=0.02, seed=seed)) == num


@pytest.mark.parametrize("rate_hz", [4.0, 5.0, 10.0, 25.0])
def test_it_is_the_same_at_any_rate(rate_hz: float) -> None:
    assert num_repetitions(moving(6, 1.7, noise=0.02, rate_hz=rate_hz)) == 6


def test_the_first_counts_as_soon_as_it_has_begun_and_the_next_when_it_is_under_way() -> None:
    postures = moving(4, 2.0)
    counts = [num_repetitions(postures[: 1 + round(RATE_HZ * time_s)]) for time_s in (1.0, 3.0, 4.6, 7.0)]

    assert counts == [1, 2, 2, 4]


def test_keypoints_that_are_not_seen_say_nothing() -> None:
    postures = moving(5, 2.0)
    postures[:, 14:18] = np.random.default_rng(0).uniform(-2, 2, (len(postures), 4))  # two elbows, anywhere
    postures[:, 34 + 7 : 34 + 9] = 0.0

    assert num_repetitions(postures) == 5


def test_what_came_long_before_the_activity_is_not_counted() -> None:
    counter = RepetitionCounter()
    for number, posture in enumerate(np.concatenate([moving(5, 2.0), moving(3, 2.0)])):
        counter.push(posture, number / RATE_HZ)

    assert counter.count(-1.0) == 8
    assert counter.count(10.2 + LEAD_S) == 3
    assert counter.count(100.0) == 0
    counter.clear()
    assert counter.count(0.0) == 0


def test_an_hour_of_it_is_counted_with_little_memory() -> None:
    counter = RepetitionCounter()
    postures = moving(10, 2.0)[:-1]
    for number in range(18_000):
        counter.push(postures[number % len(postures)], number / RATE_HZ)

    assert counter.count(0.0) == pytest.approx(1800, abs=4)
    assert len(counter._times_s) <= MOST


@pytest.mark.parametrize(("label", "seed", "num_cycles"), CYCLES)
def test_rendered_people_are_counted_as_movenet_sees_them(label: str, seed: int, num_cycles: float) -> None:
    extractor = open_extractor("movenet")
    features = [extractor.step(image) for image in render_clip(label, seed, 8.0, fps=int(RATE_HZ))]
    counted = num_repetitions(np.stack([feature.values[:POSTURE_SIZE] for feature in features if feature]))

    assert abs(counted - num_cycles) <= 1


class _Always:
    """Has the same scores whatever it is given: the first label is what goes on."""

    def __init__(self, size: int) -> None:
        self.input, self.output = (TensorSpec((1, width), np.dtype(np.float32)) for width in (size, 1 if size == FEATURE_SIZE else 3))

    def run(self, fill: Callable[[Array], None]) -> NDArray[np.float32]:
        fill(np.empty(self.input.shape, np.float32))
        return np.array([[0, 5, -5]], np.float32)[:, : self.output.shape[1]]


def squats(tmp_path: Path, **changes: Any) -> Path:
    reference = {"name": LIGHTNING_INT8, "sha256": read_manifest(find_movenet(LIGHTNING_INT8) / MANIFEST, MoveNetManifest).sha256}
    fields: dict[str, Any] = {
        "name": "squats",
        "version": "1",
        "recipe": "by hand",
        "labels": ("squat", "nothing"),
        "background": "nothing",
        "counted": ("squat",),
        "backbone": None,
        "parts": [{"kind": "movenet", "backbone": reference, "input": None, "feature_size": FEATURE_SIZE}],
        "input": None,
        "feature_size": FEATURE_SIZE,
        "rate_hz": RATE_HZ,
        "window": 1,
        "stride": 1,
        "warm_up": 1,
        "mode": "stateful",
        "projection_size": 1,
        "state_size": 1,
        "temperature": 1.0,
        "smoothing_s": 0.0,
        "thresholds": {},
    }
    files = {"project.tflite": b"by hand", "step.tflite": b"by hand", "CARD.md": b"# Squats\n"}
    return write_bundle(tmp_path / "squats", BundleSettings.model_validate(fields | changes), files).path


def opener(path: Path, runtime: str | None = None, threads: int = 1) -> Model:
    written: dict[str, Model] = {"project.tflite": _Always(FEATURE_SIZE), "step.tflite": _Always(2)}
    return written.get(path.name) or open_model(path, runtime, threads)


def test_events_say_how_often_and_count_anew_behind_a_gap(tmp_path: Path) -> None:
    images = list(render_clip("Squat", 1, 8.0, fps=int(RATE_HZ)))  # 3.9 of them
    with Session(squats(tmp_path), opener=opener) as session:
        events = [event for number, image in enumerate(images) for event in session.step(image, number / RATE_HZ)]
        events += session.gap()
        later = [event for number, image in enumerate(images[:20]) for event in session.step(image, 100 + number / RATE_HZ)]

    counts = [event.count for event in events]
    assert [event.phase for event in events] == ["start", *["update"] * 7, "end"]
    assert counts == sorted(counts, key=lambda count: count or 0)
    assert counts[-1] in (3, 4, 5)
    assert max(event.count or 0 for event in later) <= 3


def test_a_posture_that_is_no_number_costs_no_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.zeros((120, 160, 3), np.uint8)
    with Session(squats(tmp_path), opener=opener) as session:
        begun = [event for number in range(6) for event in session.step(image, number / RATE_HZ)]
        monkeypatch.setattr(KeypointFeatures, "step", lambda *_: np.full(FEATURE_SIZE, np.nan, np.float32))
        with pytest.raises(InferenceError, match="not finite numbers"):
            session.step(image, 6 / RATE_HZ)
        ended = session.close("error")

    assert begun[0].phase == "start"
    assert [(event.phase, event.event_id, event.count) for event in ended] == [("end", begun[0].event_id, begun[-1].count)]


def test_what_is_not_counted_has_no_count(tmp_path: Path) -> None:
    with Session(squats(tmp_path, counted=()), opener=opener) as session:
        events = [event for number in range(8) for event in session.step(np.zeros((120, 160, 3), np.uint8), number / RATE_HZ)]

    assert {event.count for event in events} == {None}


def test_only_labels_of_a_model_that_sees_keypoints_can_be_counted(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="counted names 'lunge', which is not one of the labels"):
        squats(tmp_path, counted=("lunge",))
    with pytest.raises(ValueError, match="repetitions are counted by the keypoints of movenet, which is none of the parts"):
        squats(tmp_path, parts=[{"kind": "flow", "backbone": None, "input": None, "feature_size": 44}], feature_size=44)
