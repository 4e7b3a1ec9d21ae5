"""How a training went."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Epoch:
    """After an epoch: the mean training loss, the mean validation loss, and the share of the validation windows that are right."""

    loss: float
    validation_loss: float
    validation_top1: float


@dataclass(frozen=True, slots=True)
class TrainingHistory:
    """How a training went.

    Attributes:
        history: One entry per epoch; none for a head whose weights were found exactly.
        best_epoch: The epoch, from 0, whose weights were kept.
        num_steps: Of a head whose weights were found exactly: in how many steps.
    """

    history: tuple[Epoch, ...]
    best_epoch: int
    num_steps: int = 0
