"""What is asked of a training. Loads no TensorFlow."""

from dataclasses import dataclass, field
from typing import Literal

from streamvc.inference.manifest import Thresholds


@dataclass(frozen=True, slots=True)
class GruSettings:
    """How a GRU head is built and trained.

    Attributes:
        window: W, ticks that it looks at.
        warm_up: Ticks before the first prediction.
        mode: `window` or `stateful`; see `streamvc.inference.head.Head`.
        num_units: Size of the GRU's state.
        num_seen: How many principal components of the features it is given.
        num_moving: Of how many principal components of their changes it is given the size.
        feature_dropout: Share of both that is hidden from a window, from all its ticks alike.
        state_dropout: Share of the state that is hidden from the dense layer.
        label_smoothing: Share of the target that is spread over all labels.
        learning_rate: At the start; it falls by half a cosine.
        weight_decay: Of AdamW.
        windows_per_clip: How many windows of each clip are drawn per epoch.
        partial: Share of the windows that are cut to a random length.
        max_epochs: When to stop at the latest.
        patience: Stop after so many epochs without a lower loss on the clips that training is watched by.
    """

    window: int = 16
    warm_up: int = 5
    mode: Literal["window", "stateful"] = "window"
    num_units: int = 48
    num_seen: int = 64
    num_moving: int = 64
    feature_dropout: float = 0.5
    state_dropout: float = 0.5
    label_smoothing: float = 0.05
    learning_rate: float = 3e-3
    weight_decay: float = 0.3
    windows_per_clip: int = 4
    partial: float = 0.2
    max_epochs: int = 40
    patience: int = 8


@dataclass(frozen=True, slots=True)
class Plan:
    """What to train, and how to measure it.

    Attributes:
        backbone: Name of the backbone.
        rate_hz: Samples per second; at 5, cameras of 10, 15, 25 and 30 frames/s alike have a frame at every tick.
        head: The head's size and training.
        background: The label that means "nothing", if there is one.
        smoothing_s: Time constant of the smoothing of scores.
        thresholds: When an activity begins and ends.
        num_folds: How many times a part of the groups is kept apart and measured on.
        seed: For splits and training.
        version: Of the bundle.
        about: Of the data: where it is from, its licence, what it lacks. Goes into the card as it stands.
        command: The command that trains it again, for the card.
    """

    backbone: str = "efficientnet-lite0-f16"
    rate_hz: float = 5.0
    head: GruSettings = field(default_factory=GruSettings)
    background: str | None = None
    smoothing_s: float = 0.6
    thresholds: Thresholds = field(default_factory=Thresholds)
    num_folds: int = 5
    seed: int = 0
    version: str = "1"
    about: str = ""
    command: str = ""
