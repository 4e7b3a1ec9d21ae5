from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamvc.errors import DataError
from streamvc.training.dataset import Clip
from streamvc.training.folds import group_folds, hold_out


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
    held = hold_out(some, share, seed)
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
