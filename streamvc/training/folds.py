"""Splits: which clips are learned from, and which are tested on.

By default whole groups go to one side or the other, so that no person and no room is both learned from and tested on. A split that parts groups is
made only where it is asked for by a name that says so.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from streamvc.errors import DataError
from streamvc.training.dataset.types import Clip

IntArray = NDArray[np.int64]
Split = Literal["groups", "given", "given-leaky", "random-leaky"]

ALWAYS_TRAINED = -1  # the fold of clips that are never tested on
NUM_NAMED = 5  # how many groups an error names


def make_folds(clips: Sequence[Clip], split: Split, num_folds: int, seed: int) -> IntArray:
    """Say in which fold each clip is tested.

    Args:
        clips: The clips.
        split: `groups`: whole groups are dealt into `num_folds` folds. `given`: the data set's own test side is the one fold; refused where it parts
            a group. `given-leaky`: the same, also where it does. `random-leaky`: clips are dealt at random, each label evenly, whatever their
            group, which shows what a leak does to figures.
        num_folds: How many folds are dealt; a given split is one.
        seed: For what is dealt.

    Returns:
        (N,) the fold of each clip, from 0; -1 for one that is always trained on.

    Raises:
        DataError: The clips cannot be split so.
    """
    match split:
        case "groups":
            return group_folds(clips, num_folds, seed)
        case "random-leaky":
            return _random_folds(clips, num_folds, seed)
        case "given":
            if leaks := leaking_groups(clips):
                raise DataError(
                    f"the data's own split puts {_some(leaks)} on both sides, so that its figures would be too high; split by groups, "
                    "or ask for given-leaky to do it all the same"
                )
            return _given(clips)
        case "given-leaky":
            return _given(clips)


def leaking_groups(clips: Iterable[Clip]) -> list[str]:
    """The groups that the data set itself puts on both sides, sorted."""
    clips = list(clips)
    return sorted({clip.group for clip in clips if clip.split == "train"} & {clip.group for clip in clips if clip.split == "test"})


def group_folds(clips: Sequence[Clip], num_folds: int, seed: int) -> IntArray:
    """Assign whole groups to folds, each label as evenly as the groups allow.

    A fold is given to a group, never to a clip, so a group cannot be in two. Large groups are dealt first, each to the fold where it makes the counts
    of the labels most even; the seed decides among equals.

    Returns:
        (N,) the fold of each clip, 0 to `num_folds` - 1.

    Raises:
        DataError: There are fewer groups than folds, or fewer than two folds are asked for.
    """
    groups, group_of = np.unique([clip.group for clip in clips], return_inverse=True)
    _refuse_number(num_folds, len(groups), "groups")
    labels, label_of = np.unique([clip.label for clip in clips], return_inverse=True)
    counts = np.zeros((len(groups), len(labels)))
    np.add.at(counts, (group_of, label_of), 1)
    return _deal(counts / counts.sum(axis=0), num_folds, seed)[group_of]


def split_labels(labels: Sequence[str], background: str | None, num_rounds: int) -> list[tuple[str, ...]]:
    """Split all labels but the background into rounds, as evenly as can be; no more rounds than labels.

    Raises:
        DataError: Where those of a round are left out, fewer than two labels are left to tell apart.
    """
    active = [label for label in labels if label != background]
    num_rounds = min(num_rounds, len(active))
    rounds = [tuple(active[number::num_rounds]) for number in range(num_rounds)]
    if any(len(labels) - len(each) < 2 for each in rounds):
        raise DataError(f"the data has {len(active)} activities: with {num_rounds} rounds too few are left to train on")
    return rounds


def choose_validation(clips: Sequence[Clip], share: float, seed: int) -> NDArray[np.bool_]:
    """Choose whole groups for validation, about `share` of the clips and of each label.

    Returns:
        (N,) True for a clip that is held out.

    Raises:
        DataError: There are fewer than two groups.
    """
    num_groups = len({clip.group for clip in clips})
    return np.asarray(group_folds(clips, max(2, min(round(1 / share), num_groups)), seed) == 0)


def _refuse_number(num_folds: int, num: int, what: str) -> None:
    if num_folds < 2 or num < num_folds:
        raise DataError(f"{num} {what} cannot make {num_folds} folds; ask for 2 to {num}" if num > 1 else f"{num} {what[:-1]} cannot make folds")


def _random_folds(clips: Sequence[Clip], num_folds: int, seed: int) -> IntArray:
    _refuse_number(num_folds, len(clips), "clips")
    shuffled = np.random.default_rng(seed).permutation(len(clips))
    # All clips of a label, then all of the next, dealt round and round: each label and the whole are as even as can be.
    order = shuffled[np.argsort(np.array([clip.label for clip in clips])[shuffled], kind="stable")]
    folds = np.empty(len(clips), np.int64)
    folds[order] = np.arange(len(clips)) % num_folds
    return folds


def _given(clips: Sequence[Clip]) -> IntArray:
    sides = {clip.split for clip in clips}
    if sides != {"train", "test"}:
        raise DataError("the data does not say of every clip whether it is for training or for testing, with some of both; split by groups")
    return np.array([0 if clip.split == "test" else ALWAYS_TRAINED for clip in clips])


def _deal(shares: NDArray[np.float64], num_folds: int, seed: int) -> IntArray:
    """The fold of each group, from (G, L): the share of each label's clips that it holds."""
    shuffled = np.random.default_rng(seed).permutation(len(shares))
    order = shuffled[np.argsort(-shares[shuffled].max(axis=1), kind="stable")]
    folds = np.zeros(len(shares), np.int64)
    held = np.zeros((num_folds, shares.shape[1]))
    for group in order:
        # The sum of squares grows least where these labels are rarest: the most even deal, one group at a time.
        growth = ((held + shares[group]) ** 2 - held**2).sum(axis=1)
        fold = np.lexsort((held.sum(axis=1), growth))[0]
        folds[group] = fold
        held[fold] += shares[group]
    return folds


def _some(groups: Sequence[str]) -> str:
    named = ", ".join(groups[:NUM_NAMED]) + (", ..." if len(groups) > NUM_NAMED else "")
    return f"the group{'s' if len(groups) > 1 else ''} {named}"
