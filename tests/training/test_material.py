"""What is learned from, what is watched, and what is kept apart."""

from pathlib import Path

import numpy as np
import pytest

from streamvc.training.dataset import load_dataset
from streamvc.training.material import Material, gather
from streamvc.training.plan import HeadSettings, Plan
from streamvc.training.progress import silent
from tests.training.clips import render
from tests.training.conftest import BACKBONE


@pytest.fixture(scope="module")
def plan() -> Plan:
    return Plan(head=HeadSettings(warm_up=3, augment=("flip", "colour"), num_variations=2))


@pytest.fixture(scope="module")
def material(rendered: Path, cache: Path, plan: Plan) -> Material:
    return gather(load_dataset(rendered), plan, cache=cache, num_workers=2, advance=silent)


def test_learning_sees_the_variations_of_chosen_clips_and_of_no_others(material: Material) -> None:
    chosen = np.array([clip.group != "g01" for clip in material.clips])
    ticks, truth = material.learned(chosen)
    assert len(set(ticks.clips)) == len(truth) == 3 * chosen.sum()
    assert truth.tolist() == material.truth[chosen].tolist() * 3
    own = [
        *(material.segments[index] for index in np.flatnonzero(chosen)),
        *(each[index] for each in material.varied for index in np.flatnonzero(chosen)),
    ]
    np.testing.assert_array_equal(ticks.features, np.concatenate([stretch for stretches in own for stretch in stretches]))
    assert not ticks.before.any()
    plain, mirrored = material.segments[0][0], material.varied[0][0][0]
    assert plain.shape == mirrored.shape
    assert not np.array_equal(plain, mirrored)


def test_clips_that_training_is_watched_by_are_as_they_are(material: Material) -> None:
    chosen = np.array([clip.group == "g01" for clip in material.clips])
    ticks, truth = material.watched(chosen)
    own = [stretch for index in np.flatnonzero(chosen) for stretch in material.segments[index]]
    np.testing.assert_array_equal(ticks.features, np.concatenate(own))
    assert truth.tolist() == material.truth[chosen].tolist()


def test_in_untrimmed_video_windows_reach_back_to_what_came_before(cache: Path, tmp_path: Path) -> None:
    render(tmp_path / "a.mp4", "cross", 0, seconds=4.0)
    (tmp_path / "segments.csv").write_text("video,start_s,end_s,label\na.mp4,0.4,1.2,cross\na.mp4,2,3,jump\n")
    settings = HeadSettings(window=5, warm_up=2, augment=("flip",), num_variations=1)
    material = gather(load_dataset(tmp_path), Plan(backbone=BACKBONE, head=settings), cache=cache, num_workers=1, advance=silent)
    assert [(clip.start_s, clip.label) for clip in material.clips] == [(0.4, "cross"), (2.0, "jump"), (3.0, "nothing")]
    assert material.num_before.tolist() == [2, 4, 4]
    (file,) = material.files.values()
    for (stretch,), (mirrored,), begin, end in zip(material.segments, material.varied[0], (0, 6, 11), (6, 15, 20), strict=True):
        np.testing.assert_array_equal(stretch, file.features[begin:end])
        assert mirrored.shape == stretch.shape
        assert not np.array_equal(mirrored, stretch)


def test_one_label_is_thinned_out_evenly_to_a_share(material: Material) -> None:
    chosen = np.full(len(material.clips), True)
    thinned = material.thin_out(chosen, 1, share=1 / 3)
    assert thinned[material.truth == 0].all()
    assert thinned[material.truth == 1].tolist() == [False, True, False, True]
    assert np.array_equal(material.thin_out(chosen, 1, share=0.5), chosen)


def test_whole_groups_watch_over_the_training(material: Material) -> None:
    chosen = np.array([clip.group != "g03" for clip in material.clips])
    held = material.hold_out(chosen, HeadSettings(watched_share=1 / 3), seed=0)
    groups = {clip.group for clip, is_held in zip(material.clips, held, strict=True) if is_held}
    assert len(groups) == 1
    assert not held[~chosen].any()
    assert {clip.group for clip, is_left in zip(material.clips, chosen & ~held, strict=True) if is_left}.isdisjoint(groups)


def test_the_fault_of_notebooks_is_to_watch_by_the_last_rows_which_are_one_label(material: Material) -> None:
    chosen = np.full(len(material.clips), True)
    held = material.hold_out(chosen, HeadSettings(watch="last-rows", watched_share=0.5), seed=0)
    assert {clip.label for clip, is_held in zip(material.clips, held, strict=True) if is_held} == {"jump"}
    assert {clip.label for clip, is_held in zip(material.clips, held, strict=True) if not is_held} == {"cross"}


def test_features_are_those_of_the_backbone_asked_for(material: Material) -> None:
    assert Plan().backbone == BACKBONE
    assert material.segments[0][0].shape == (15, 1280)
    assert not material.files
