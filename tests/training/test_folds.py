from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamvc.errors import DataError
from streamvc.training.dataset import Clip
from streamvc.training.folds import Split, choose_validation, group_folds, make_folds, split_labels


def clips(*rows: tuple[str, str]) -> list[Clip]:
    return [Clip(Path(f"{index}.mp4"), label, group) for index, (label, group) in enumerate(rows)]


some_clips = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("123456789")), min_size=2, max_size=60).map(lambda rows: clips(*rows))


@given(some_clips, st.integers(2, 6), st.integers(0, 99))
def test_no_group_is_in_two_folds_and_no_fold_is_empty(some: list[Clip], num_folds: int, seed: int) -> None:
    groups = {clip.group for clip in some}
    if len(groups) < num_folds:
        with pytest.raises(DataError, match="cannot make"):
            group_folds(some, num_folds, seed)
        return
    folds = group_folds(some, num_folds, seed)
    assert all(len({fold for fold, clip in zip(folds, some, strict=True) if clip.group == group}) == 1 for group in groups)
    assert set(folds) == set(range(num_folds))
    np.testing.assert_array_equal(folds, group_folds(some, num_folds, seed))


@given(some_clips, st.floats(0.05, 0.5), st.integers(0, 99))
def test_what_is_held_out_shares_no_group_with_the_rest(some: list[Clip], share: float, seed: int) -> None:
    if len({clip.group for clip in some}) < 2:
        return
    held = choose_validation(some, share, seed)
    assert {clip.group for clip, out in zip(some, held, strict=True) if out}.isdisjoint(
        clip.group for clip, out in zip(some, held, strict=True) if not out
    )
    assert 0 < held.sum() < len(some)


def test_labels_are_spread_evenly_where_groups_allow_it() -> None:
    some = clips(*[(label, f"{label}{group}") for label in "abcd" for group in range(10) for _ in range(3)])
    folds = group_folds(some, 5, seed=1)
    for label in "abcd":
        assert [sum(fold == which and clip.label == label for fold, clip in zip(folds, some, strict=True)) for which in range(5)] == [6] * 5


def test_another_seed_gives_another_deal() -> None:
    some = clips(*[("ab"[index % 2], str(index)) for index in range(40)])
    assert (group_folds(some, 4, seed=1) != group_folds(some, 4, seed=2)).any()


sided = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("1234"), st.sampled_from(["train", "test"])), min_size=2, max_size=40)


def with_sides(rows: list[tuple[str, str, str]]) -> list[Clip]:
    return [replace(clip, split=row[2]) for clip, row in zip(clips(*[row[:2] for row in rows]), rows, strict=True)]  # type: ignore[arg-type]


@given(some_clips, st.integers(2, 6), st.integers(0, 99))
def test_by_default_whole_groups_are_dealt(some: list[Clip], num_folds: int, seed: int) -> None:
    if len({clip.group for clip in some}) >= num_folds:
        np.testing.assert_array_equal(make_folds(some, "groups", num_folds, seed), group_folds(some, num_folds, seed))


@given(some_clips, st.integers(2, 6), st.integers(0, 99))
def test_clips_dealt_at_random_are_spread_evenly_label_by_label(some: list[Clip], num_folds: int, seed: int) -> None:
    if len(some) < num_folds:
        with pytest.raises(DataError, match="cannot make"):
            make_folds(some, "random-leaky", num_folds, seed)
        return
    folds = make_folds(some, "random-leaky", num_folds, seed)
    for label in (None, *{clip.label for clip in some}):
        chosen = [clip.label == label or label is None for clip in some]
        nums = np.bincount(folds[chosen], minlength=num_folds)
        assert nums.max() - nums.min() <= 1
        assert len(nums) == num_folds
    np.testing.assert_array_equal(folds, make_folds(some, "random-leaky", num_folds, seed))


def test_clips_dealt_at_random_part_groups() -> None:
    some = clips(*[("ab"[group % 2], str(group)) for group in range(8) for _ in range(5)])
    folds = make_folds(some, "random-leaky", 4, seed=0)
    assert any(len({int(fold) for fold, clip in zip(folds, some, strict=True) if clip.group == group}) > 1 for group in "01234567")


@given(sided)
def test_a_given_split_is_one_fold_and_is_refused_where_it_parts_a_group(rows: list[tuple[str, str, str]]) -> None:
    some = with_sides(rows)
    leaks = {group for _, group, side in rows if side == "train"} & {group for _, group, side in rows if side == "test"}
    if len({side for *_, side in rows}) < 2:
        for split in ("given", "given-leaky"):
            with pytest.raises(DataError, match="does not say of every clip"):
                make_folds(some, split, 5, seed=0)
        return
    wanted = [0 if side == "test" else -1 for *_, side in rows]
    assert make_folds(some, "given-leaky", 5, seed=0).tolist() == wanted
    if leaks:
        with pytest.raises(DataError, match=f"puts the groups? {', '.join(sorted(leaks))} on both sides"):
            make_folds(some, "given", 5, seed=0)
    else:
        assert make_folds(some, "given", 5, seed=0).tolist() == wanted


def test_a_split_that_only_some_clips_name_is_refused() -> None:
    some = [*with_sides([("a", "1", "train"), ("b", "2", "test")]), *clips(("a", "3"))]
    with pytest.raises(DataError, match="does not say of every clip"):
        make_folds(some, "given", 5, seed=0)


def test_one_group_cannot_be_split() -> None:
    for split in get_args(Split):
        with pytest.raises(DataError):
            make_folds(clips(("a", "1")), split, 2, seed=0)
    with pytest.raises(DataError, match="1 group cannot make folds"):
        make_folds(clips(("a", "1"), ("b", "1")), "groups", 2, seed=0)


def test_labels_are_dealt_into_rounds() -> None:
    assert split_labels(("a", "b", "c", "nothing"), "nothing", 2) == [("a", "c"), ("b",)]
    assert split_labels(("a", "b", "c"), None, 9) == [("a",), ("b",), ("c",)]
    assert split_labels(("a", "b"), None, 0) == []
    with pytest.raises(DataError, match="too few are left"):
        split_labels(("a", "b"), None, 2)
