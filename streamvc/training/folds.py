"""Splits by group: whole groups go to one side or the other, so that no person and no room is both learned from and tested on."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streamvc.errors import DataError
from streamvc.training.dataset import Clip

IntArray = NDArray[np.int64]


def group_folds(clips: Sequence[Clip], num_folds: int, seed: int) -> IntArray:
    """Deal whole groups into folds, each label as evenly as the groups allow.

    A fold is given to a group, never to a clip, so a group cannot be in two. Large groups are dealt first, each to the fold where it makes the counts
    of the labels most even; the seed decides among equals.

    Returns:
        (N,) the fold of each clip, 0 to `num_folds` - 1.

    Raises:
        DataError: There are fewer groups than folds, or fewer than two folds are asked for.
    """
    groups, group_of = np.unique([clip.group for clip in clips], return_inverse=True)
    if num_folds < 2 or len(groups) < num_folds:
        raise DataError(f"{len(groups)} groups cannot make {num_folds} folds; ask for 2 to {len(groups)}")
    labels, label_of = np.unique([clip.label for clip in clips], return_inverse=True)
    counts = np.zeros((len(groups), len(labels)))
    np.add.at(counts, (group_of, label_of), 1)
    return _deal(counts / counts.sum(axis=0), num_folds, seed)[group_of]


def hold_out(clips: Sequence[Clip], share: float, seed: int) -> NDArray[np.bool_]:
    """Choose whole groups, about `share` of the clips and of each label, to watch training by.

    Returns:
        (N,) True for a clip that is held out.

    Raises:
        DataError: There are fewer than two groups.
    """
    num_groups = len({clip.group for clip in clips})
    return np.asarray(group_folds(clips, max(2, min(round(1 / share), num_groups)), seed) == 0)


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
