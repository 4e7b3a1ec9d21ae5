"""Step by step is the whole clip, in both ways."""

from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamvc.errors import BundleError
from streamvc.inference.head import StepHead
from tests.inference.gru import Floats, FunctionModel, random_gru
from tests.inference.settings import settings_for

W = 6
GRU = random_gru(num_features=10, num_units=8, num_labels=3)
Mode = Literal["window", "stateful"]


def features(length: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(size=(length, 10)).astype(np.float32)


def head(mode: Mode, temperature: float = 1.0) -> StepHead:
    return StepHead(settings_for(GRU, mode=mode, window=W, temperature=temperature), *GRU.models())


def logits_after(recurrent: StepHead, clip: Floats) -> Floats:
    for feature in clip:
        recurrent.push(feature)
    return recurrent.logits()


@given(length=st.integers(1, 20), seed=st.integers(0, 100))
def test_a_stateful_head_gives_what_the_whole_stream_gives(length: int, seed: int) -> None:
    clip = features(length, seed)
    assert logits_after(head("stateful"), clip) == pytest.approx(GRU.logits(clip), abs=1e-5)


@given(length=st.integers(1, 20), seed=st.integers(0, 100))
def test_a_window_head_gives_what_the_last_window_alone_gives(length: int, seed: int) -> None:
    clip = features(length, seed)
    assert logits_after(head("window"), clip) == pytest.approx(GRU.logits(clip[-W:]), abs=1e-5)


def test_both_ways_agree_until_the_window_is_full() -> None:
    window, stateful = head("window"), head("stateful")
    for feature in features(W):
        window.push(feature)
        stateful.push(feature)
        assert window.scores() == pytest.approx(stateful.scores(), abs=1e-6)
    for recurrent in (window, stateful):
        recurrent.push(features(1, seed=1)[0])
    assert window.scores() != pytest.approx(stateful.scores(), abs=1e-6)


def test_a_window_does_not_know_what_was_before_it() -> None:
    one, other = head("window"), head("window")
    last = features(W)
    logits_after(one, features(9, seed=1))
    logits_after(other, features(4, seed=2))
    assert np.array_equal(logits_after(one, last), logits_after(other, last))


@pytest.mark.parametrize("mode", ["window", "stateful"])
@pytest.mark.parametrize("times", [2, 5, 9])
def test_a_feature_that_stands_for_several_samples_is_that_many_pushes(mode: Mode, times: int) -> None:
    held, repeated = head(mode), head(mode)
    before, feature = features(3), features(1, seed=1)[0]
    logits_after(held, before)
    held.push(feature, times)
    expected = logits_after(repeated, np.concatenate([before, [feature] * times]))
    assert np.array_equal(held.logits(), expected)


@pytest.mark.parametrize("mode", ["window", "stateful"])
def test_reset_is_total(mode: Mode) -> None:
    used = head(mode)
    logits_after(used, features(8, seed=1))
    used.reset()
    clip = features(4)
    assert np.array_equal(logits_after(used, clip), logits_after(head(mode), clip))


@pytest.mark.parametrize("mode", ["window", "stateful"])
def test_asking_twice_changes_nothing(mode: Mode) -> None:
    recurrent = head(mode)
    first = logits_after(recurrent, features(8))
    assert np.array_equal(recurrent.logits(), first)


def test_each_feature_is_projected_once_and_a_stateful_step_is_one_step() -> None:
    project, step = GRU.models()
    window = StepHead(settings_for(GRU, window=W), project, step)
    for feature in features(10):
        window.push(feature)
        window.scores()
    assert project.num_runs == 10
    project, step = GRU.models()
    stateful = StepHead(settings_for(GRU, window=W, mode="stateful"), project, step)
    for feature in features(10):
        stateful.push(feature)
        stateful.scores()
    assert (project.num_runs, step.num_runs) == (10, 10)


def test_scores_are_the_softmax_at_the_temperature() -> None:
    clip = features(8)
    logits = logits_after(head("window"), clip).astype(np.float64)
    hot = head("window", temperature=2.5)
    logits_after(hot, clip)
    expected = np.exp(logits / 2.5) / np.exp(logits / 2.5).sum()
    assert hot.scores() == pytest.approx(expected, abs=1e-6)


def test_scores_of_huge_logits_are_finite() -> None:
    project, step = GRU.models()
    shouting = FunctionModel(lambda row: np.concatenate([row[24:], [1e4, -1e4, 0]]), 32, 11)
    recurrent = StepHead(settings_for(GRU), project, shouting)
    recurrent.push(features(1)[0])
    assert recurrent.scores() == pytest.approx([1, 0, 0])
    assert step.num_runs == 0


def test_models_of_another_shape_are_refused() -> None:
    project, step = GRU.models()
    with pytest.raises(BundleError, match=r"step\.tflite: its tensors are .*\(1, 10\).* the manifest makes them \(1, 32\)"):
        StepHead(settings_for(GRU), project, project)
    with pytest.raises(BundleError, match=r"project\.tflite: .* makes them \(1, 11\)"):
        StepHead(settings_for(GRU).model_copy(update={"feature_size": 11}), project, step)
