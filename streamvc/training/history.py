"""How a training went."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Epoch:
    """After an epoch: the mean loss of the windows learned from, that of the watched clips, and the share of these clips' windows that are right."""

    loss: float
    watched_loss: float
    watched_top1: float


@dataclass(frozen=True, slots=True)
class Fit:
    """How a training went: one entry per epoch, and the epoch, from 0, whose weights were kept."""

    history: tuple[Epoch, ...]
    best_epoch: int
