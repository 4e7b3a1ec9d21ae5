"""Frames in, scores out: when a prediction is due, what it is made of, and what it never is."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from streamvc.errors import InferenceError
from streamvc.inference.backbone import Backbone
from streamvc.inference.bundle import Bundle
from streamvc.inference.head import StepHead
from streamvc.inference.recognizer import Recognizer
from streamvc.inference.runtime import TensorSpec
from streamvc.sampling import Sampler
from streamvc.types import Array, Feature, Frame, Prediction
from tests.inference.gru import FLOAT, Floats, Gru
from tests.inference.settings import LABELS, backbone_manifest, picture

W, WARM_UP = 6, 3


class Tiles:
    """A backbone's model whose features are the mean colours of tiles of the picture, and that counts its runs."""

    input = TensorSpec((1, 224, 224, 3), FLOAT)
    output = TensorSpec((1, 1280), FLOAT)

    def __init__(self) -> None:
        self.num_runs = 0
        self._picture = np.zeros(self.input.shape, FLOAT)

    def run(self, fill: Callable[[Array], None]) -> Floats:
        self.num_runs += 1
        fill(self._picture)
        tiles = self._picture.reshape(14, 16, 14, 16, 3).mean(axis=(1, 3))
        return np.resize(tiles, self.output.shape)


@pytest.fixture
def tiles() -> Tiles:
    return Tiles()


@pytest.fixture
def backbone(tiles: Tiles) -> Backbone:
    return Backbone(backbone_manifest(), tiles)


@pytest.fixture
def make(bundle: Bundle, backbone: Backbone, small_gru: Gru) -> Callable[..., Recognizer]:
    """Makes a recognizer of 5 Hz, a window of 6, a prediction per sample after 3, or with other settings."""

    def make(**changes: object) -> Recognizer:
        changed = replace(bundle, manifest=bundle.manifest.model_copy(update=changes))
        return Recognizer(changed, backbone, StepHead(changed.manifest, *small_gru.models()))

    return make


def frame(index: int, timestamp: float) -> Frame:
    return Frame(index, timestamp, np.roll(picture(80, 60), 3 * index, axis=1))


def run(recognizer: Recognizer, frames: list[Frame]) -> list[Prediction]:
    return [prediction for each in frames if (prediction := recognizer.step(each))]


def softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max())
    scores: Floats = powers / powers.sum()
    return scores


def same(one: list[Prediction], other: list[Prediction]) -> bool:
    pairs = zip(one, other, strict=True)
    return all((a.index, a.timestamp) == (b.index, b.timestamp) and np.array_equal(a.scores, b.scores) for a, b in pairs)


def test_a_prediction_is_the_scores_of_the_last_window(make: Callable[..., Recognizer], backbone: Backbone, small_gru: Gru) -> None:
    frames = [frame(index, index / 5) for index in range(10)]
    features = np.array([backbone.features(each.image) for each in frames])
    recognizer = make()
    predictions = run(recognizer, frames)
    assert recognizer.labels == LABELS
    assert [prediction.index for prediction in predictions] == list(range(WARM_UP - 1, 10))
    for prediction in predictions:
        seen = features[: prediction.index + 1]
        assert prediction.timestamp == prediction.index / 5
        assert prediction.scores == pytest.approx(softmax(small_gru.logits(seen[-W:])), abs=1e-5)


def test_a_stateful_prediction_is_the_scores_of_all_since_the_start(make: Callable[..., Recognizer], backbone: Backbone, small_gru: Gru) -> None:
    frames = [frame(index, index / 5) for index in range(10)]
    features = np.array([backbone.features(each.image) for each in frames])
    for prediction in run(make(mode="stateful"), frames):
        assert prediction.scores == pytest.approx(softmax(small_gru.logits(features[: prediction.index + 1])), abs=1e-5)


def test_each_frame_that_is_due_passes_the_backbone_once_and_no_other_does(make: Callable[..., Recognizer], tiles: Tiles) -> None:
    predictions = run(make(), [frame(index, index / 25) for index in range(51)])  # 2 s at 25 fps: ticks 0 to 10
    assert tiles.num_runs == 11
    assert len(predictions) == 11 - WARM_UP + 1


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_a_prediction_is_due_every_stride(make: Callable[..., Recognizer], stride: int) -> None:
    predictions = run(make(stride=stride), [frame(index, index / 5) for index in range(16)])
    samples = [prediction.index + 1 for prediction in predictions]
    assert samples == [number for number in range(1, 17) if number % stride == 0 and number >= WARM_UP]


@pytest.mark.parametrize("mode", ["window", "stateful"])
def test_a_missing_frame_is_filled_with_the_next(make: Callable[..., Recognizer], mode: str) -> None:
    whole = [frame(index, index / 5) for index in range(9)]
    holding = [replace(each, image=whole[6].image) if each.index in (4, 5) else each for each in whole]
    missing = [each for each in whole if each.index not in (4, 5)]
    held, lost = run(make(mode=mode), holding), run(make(mode=mode), missing)
    assert [prediction.index for prediction in lost] == [2, 3, 6, 7, 8]
    assert same(lost, [prediction for prediction in held if prediction.index not in (4, 5)])


def test_a_held_frame_predicts_once_where_it_passes_a_multiple_of_the_stride(make: Callable[..., Recognizer]) -> None:
    frames = [frame(index, index / 5) for index in (0, 1, 2, 6, 7)]  # samples 1, 2, 3, 7, 8
    assert [prediction.index for prediction in run(make(stride=4, min_rate_hz=1.0), frames)] == [6, 7]


@pytest.mark.parametrize("mode", ["window", "stateful"])
def test_after_a_gap_nothing_from_before_is_known(make: Callable[..., Recognizer], mode: str) -> None:
    before = [frame(index, index / 5) for index in range(7)]
    after = [frame(index, index / 5 + 3) for index in range(7, 16)]
    predictions = run(make(mode=mode), before + after)
    assert same(predictions, run(make(mode=mode), before) + run(make(mode=mode), after))
    assert [prediction.index for prediction in predictions] == [2, 3, 4, 5, 6, *range(9, 16)]


def test_reset_is_total(make: Callable[..., Recognizer]) -> None:
    used = make()
    run(used, [frame(index, index / 5) for index in range(8)])
    used.reset()
    again = [frame(index, 0.07 + index / 5) for index in range(8)]
    assert same(run(used, again), run(make(), again))


def test_forgetting_keeps_the_samplers_place(make: Callable[..., Recognizer]) -> None:
    recognizer = make()
    frames = [frame(index, index / 25) for index in range(26)]
    run(recognizer, frames[:13])
    recognizer.forget()
    assert [prediction.index for prediction in run(recognizer, frames[13:])] == [25]


def test_known_features_give_what_their_frames_give(make: Callable[..., Recognizer], backbone: Backbone, tiles: Tiles) -> None:
    frames = [frame(index, index / 5) for index in (0, 1, 2, 3, 6, 7, 8)]
    live, replayed = make(), make()
    expected = run(live, frames)
    samples = [sample for each in frames if (sample := replayed.sampler.step(each))]
    features = [backbone.features(sample.frame.image) for sample in samples]
    num_runs = tiles.num_runs
    results = [
        replayed.observe_feature(Feature(feature, sample.num_ticks), sample.frame.index, sample.timestamp)
        for feature, sample in zip(features, samples, strict=True)
    ]
    assert same([prediction for prediction in results if prediction], expected)
    assert tiles.num_runs == num_runs


def test_scores_are_the_callers_own(make: Callable[..., Recognizer]) -> None:
    predictions = run(make(), [frame(index, index / 5) for index in range(8)])
    assert len({id(prediction.scores) for prediction in predictions}) == len(predictions)
    assert [float(prediction.scores.sum()) for prediction in predictions] == pytest.approx([1.0] * len(predictions))


def test_a_frame_without_an_image_is_refused(make: Callable[..., Recognizer]) -> None:
    with pytest.raises(InferenceError, match=r"must be \(H, W, 3\) uint8"):
        make().step(Frame(0, 0.0, np.zeros((0, 0, 3), np.uint8)))


@pytest.mark.train
def test_a_bundle_is_loaded_by_path_and_recognises(small_bundle: Bundle) -> None:
    recognizer = Recognizer.load(small_bundle.path)
    predictions = run(recognizer, [frame(index, index / 5) for index in range(8)])
    assert recognizer.bundle == small_bundle
    assert [prediction.index for prediction in predictions] == list(range(2, 8))
    assert np.ptp([prediction.scores for prediction in predictions], axis=0).max() > 1e-4


def test_a_window_with_too_few_frames_makes_no_prediction_and_one_with_enough_does(make: Callable[..., Recognizer]) -> None:
    recognizer = make(min_rate_hz=2.5)
    thin = [frame(index, index / 5) for index in range(40) if index < 10 or index % 2 == 0 or index >= 30]  # 5 Hz, 2.5 Hz, 5 Hz
    assert [prediction.index for prediction in run(recognizer, thin)] == [each.index for each in thin[WARM_UP - 1 :]]
    assert not recognizer.is_short
    thinner = [each for each in thin if not 10 <= each.index < 30 or each.index % 4 == 0]  # 1.25 Hz in the middle
    found = [prediction.index for prediction in run(make(min_rate_hz=2.5), thinner)]
    assert not {16, 20, 24, 28} & set(found)
    assert {*range(WARM_UP - 1, 10), *range(34, 40)} <= set(found)


def test_without_a_measured_rate_a_model_needs_four_fifths_of_its_frames(make: Callable[..., Recognizer]) -> None:
    steady = [index / 4 for index in range(40)]
    assert len(run(make(), [frame(index, time) for index, time in enumerate(steady)])) > 35
    slow = [index / 2.5 for index in range(40)]
    recognizer = make()
    assert len(run(recognizer, [frame(index, time) for index, time in enumerate(slow)])) <= 1  # of the first two frames, of which none is missing
    assert recognizer.is_short


@pytest.mark.parametrize("fps", [10.0, 12.5, 15.0, 25.0, 29.97])
@pytest.mark.parametrize("phase", [0.0, 0.03, 0.09])
def test_the_lowest_rate_itself_is_enough_for_cameras_of_any_rate(make: Callable[..., Recognizer], fps: float, phase: float) -> None:
    picked = Sampler(2.5)
    frames = [frame(index, phase + index / fps) for index in range(round(8 * fps))]
    given = [each for each in frames if picked.step(each)]
    recognizer = make(min_rate_hz=2.5)
    predictions = run(recognizer, given)
    assert len(predictions) >= len(given) - 2
    assert not recognizer.is_short


def test_what_went_on_may_be_over_when_there_were_too_few_frames_for_a_second(make: Callable[..., Recognizer]) -> None:
    recognizer = make()
    lapsed = {}
    for time in [*np.arange(0, 4, 0.2), *np.arange(4, 8, 0.8), *np.arange(8, 12, 0.2)]:
        recognizer.step(frame(0, float(time)))
        lapsed[round(float(time), 1)] = recognizer.has_lapsed
    assert next(time for time, has in lapsed.items() if has) == 5.6  # the first without a prediction came after 4.0
    assert not lapsed[4.8]
    assert not any(has for time, has in lapsed.items() if time > 9.2)


def test_gaps_that_follow_each_other_are_too_few_frames(make: Callable[..., Recognizer]) -> None:
    recognizer = make()
    short = []
    for number in range(5):
        recognizer.step(frame(number, 2.0 * number))
        short.append(recognizer.is_short)
    assert short == [False, False, True, True, True]
