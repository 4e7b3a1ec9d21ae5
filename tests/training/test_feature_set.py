"""What is learned from, what is watched, and what is kept apart."""

from pathlib import Path

import numpy as np
import pytest

from streamvc.training.augment import Augmentation
from streamvc.training.dataset import load_dataset
from streamvc.training.feature_set import FeatureSet, load_feature_set
from streamvc.training.plan import HeadSettings, TrainingPlan
from streamvc.training.progress import silent
from tests.training.clips import render
from tests.training.conftest import BACKBONE


@pytest.fixture(scope="module")
def plan() -> TrainingPlan:
    return TrainingPlan(head=HeadSettings(warm_up=3, augment=("flip", "colour"), num_variations=2))


@pytest.fixture(scope="module")
def feature_set(rendered: Path, cache: Path, plan: TrainingPlan) -> FeatureSet:
    return load_feature_set(load_dataset(rendered), plan, cache=cache, num_workers=2, advance=silent)


def test_learning_sees_the_variations_of_chosen_clips_and_of_no_others(feature_set: FeatureSet) -> None:
    chosen = np.array([clip.group != "g01" for clip in feature_set.clips])
    table, truth = feature_set.training(chosen)
    assert len(set(table.clips)) == len(truth) == 3 * chosen.sum()
    assert truth.tolist() == feature_set.truth[chosen].tolist() * 3
    own = [
        *(feature_set.own.stretches[index] for index in np.flatnonzero(chosen)),
        *(each.stretches[index] for each in feature_set.varied for index in np.flatnonzero(chosen)),
    ]
    np.testing.assert_array_equal(table.features, np.concatenate([stretch for stretches in own for stretch in stretches]))
    assert not table.before.any()
    plain, mirrored = feature_set.own.stretches[0][0], feature_set.varied[0].stretches[0][0]
    assert plain.shape == mirrored.shape
    assert not np.array_equal(plain, mirrored)


def test_clips_that_training_is_watched_by_are_as_they_are(feature_set: FeatureSet) -> None:
    chosen = np.array([clip.group == "g01" for clip in feature_set.clips])
    table, truth = feature_set.validation(chosen)
    own = [stretch for index in np.flatnonzero(chosen) for stretch in feature_set.own.stretches[index]]
    np.testing.assert_array_equal(table.features, np.concatenate(own))
    assert truth.tolist() == feature_set.truth[chosen].tolist()


def test_in_untrimmed_video_windows_reach_back_to_what_came_before(cache: Path, tmp_path: Path) -> None:
    render(tmp_path / "a.mp4", "cross", 0, seconds=4.0)
    (tmp_path / "segments.csv").write_text("video,start_s,end_s,label\na.mp4,0.4,1.2,cross\na.mp4,2,3,jump\n")
    settings = HeadSettings(window=5, warm_up=2, augment=("flip",), num_variations=1)
    feature_set = load_feature_set(load_dataset(tmp_path), TrainingPlan(backbone=BACKBONE, head=settings), cache=cache, num_workers=1, advance=silent)
    assert [(clip.start_s, clip.label) for clip in feature_set.clips] == [(0.4, "cross"), (2.0, "jump"), (3.0, "nothing")]
    assert feature_set.own.num_before == ([2], [4], [4])
    (file,) = feature_set.files.values()
    for (stretch,), (mirrored,), begin, end in zip(feature_set.own.stretches, feature_set.varied[0].stretches, (0, 6, 11), (6, 15, 20), strict=True):
        np.testing.assert_array_equal(stretch, file.features[begin:end])
        assert mirrored.shape == stretch.shape
        assert not np.array_equal(mirrored, stretch)


def test_one_label_is_thinned_out_evenly_to_a_share(feature_set: FeatureSet) -> None:
    chosen = np.full(len(feature_set.clips), True)
    thinned = feature_set.thin_out(chosen, 1, share=1 / 3)
    assert thinned[feature_set.truth == 0].all()
    assert thinned[feature_set.truth == 1].tolist() == [False, True, False, True]
    assert np.array_equal(feature_set.thin_out(chosen, 1, share=0.5), chosen)


def test_whole_groups_watch_over_the_training(feature_set: FeatureSet) -> None:
    chosen = np.array([clip.group != "g03" for clip in feature_set.clips])
    held = feature_set.choose_validation(chosen, HeadSettings(validation_share=1 / 3), seed=0)
    groups = {clip.group for clip, is_held in zip(feature_set.clips, held, strict=True) if is_held}
    assert len(groups) == 1
    assert not held[~chosen].any()
    assert {clip.group for clip, is_left in zip(feature_set.clips, chosen & ~held, strict=True) if is_left}.isdisjoint(groups)


def test_all_may_be_learned_from(feature_set: FeatureSet) -> None:
    chosen = np.full(len(feature_set.clips), True)
    assert not feature_set.choose_validation(chosen, HeadSettings(validation="training"), seed=0).any()


def test_the_fault_of_notebooks_is_to_watch_by_the_last_rows_which_are_one_label(feature_set: FeatureSet) -> None:
    chosen = np.full(len(feature_set.clips), True)
    held = feature_set.choose_validation(chosen, HeadSettings(validation="last-rows", validation_share=0.5), seed=0)
    assert {clip.label for clip, is_held in zip(feature_set.clips, held, strict=True) if is_held} == {"jump"}
    assert {clip.label for clip, is_held in zip(feature_set.clips, held, strict=True) if not is_held} == {"cross"}


def test_features_are_those_of_the_backbone_asked_for(feature_set: FeatureSet) -> None:
    assert TrainingPlan().backbone == BACKBONE
    assert feature_set.own.stretches[0][0].shape == (15, 1280)
    assert not feature_set.files


def test_learning_may_see_the_clips_with_frames_missing_and_measuring_does(rendered: Path, cache: Path) -> None:
    def load(*augment: Augmentation) -> FeatureSet:
        plan = TrainingPlan(min_rate_hz=2.5, head=HeadSettings(warm_up=3, augment=augment))
        return load_feature_set(load_dataset(rendered), plan, cache=cache, num_workers=2, advance=silent)

    learned, measured = load("thin"), load()
    assert measured.varied == ()
    assert [str(thinning) for thinning in measured.thinned] == ["2.5 Hz", "50% dropped"]
    whole, (half, dropped) = learned.own.stretches[0][0], (each.stretches[0][0] for each in learned.varied)
    np.testing.assert_array_equal(half[1::2][:6], half[2::2][:6])  # each is held for two ticks, the first for one
    np.testing.assert_array_equal(half[::2], whole[::2])  # features of single pictures
    assert len(half) == len(whole)
    assert 3 <= len(np.unique(dropped, axis=0)) < len(whole)
    table, truth = learned.training(np.ones(len(learned.clips), bool))
    assert len(set(table.clips)) == len(truth) == 3 * len(learned.clips)


def test_in_untrimmed_video_a_clip_whose_frames_are_all_missing_is_learned_from_as_it_is(cache: Path, tmp_path: Path) -> None:
    render(tmp_path / "a.mp4", "cross", 0, seconds=4.0)
    (tmp_path / "segments.csv").write_text("video,start_s,end_s,label\na.mp4,0.2,0.4,cross\na.mp4,2,3,jump\n")
    settings = HeadSettings(window=5, warm_up=1, augment=("thin",))
    plan = TrainingPlan(backbone=BACKBONE, min_rate_hz=2.5, head=settings)
    feature_set = load_feature_set(load_dataset(tmp_path), plan, cache=cache, num_workers=1, advance=silent)
    table, _ = feature_set.training(np.ones(len(feature_set.clips), bool))
    assert table.lengths.min() > 0
    assert len(set(table.clips)) == 3 * len(feature_set.clips)
