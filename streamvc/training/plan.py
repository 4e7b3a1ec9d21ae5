"""What is asked of a training. Loads no TensorFlow."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from streamvc.inference.manifest import Count, LabelThresholds, Positive, Share
from streamvc.training.augment import Augmentation
from streamvc.training.folds import Split

Take = Literal["time", "first", "even"]
InputKind = Literal["basis", "parts", "standard", "unit", "raw"]


@dataclass(frozen=True, slots=True)
class HeadSettings:
    """How a head is built and trained. A recipe uses what concerns it.

    Attributes:
        window: W, features that it looks at.
        warm_up: Features before the first prediction.
        stride: Features from one prediction to the next.
        mode: `window` or `stateful`; see `streamvc.inference.head.StepHead`.
        take: Which windows it learns from: windows at random moments of a clip, as they occur live (`time`); the clip's first W features (`first`);
            or W of them evenly from all of the clip, repeated where it has fewer (`even`).
        inputs: What it is given: principal components of the features and of their changes (`basis`); each part of the features by itself, so that
            there are principal components of what a backbone makes beside a pose's numbers with mean 0 and deviation 1 (`parts`); features of mean 0
            and deviation 1 (`standard`), scaled to 0..1 (`unit`), or as they are (`raw`).
        num_static: With `basis`: how many principal components of the features it is given; with `parts`: of each part.
        num_delta: With `basis`: how many principal components of the features' changes; it is given their absolute values.
        units: Sizes of the layers: of the recurrent ones, of the convolutions, or of the dense ones where there are no others.
        dense: Sizes of dense layers between these and the logits.
        embedding: Size of a dense layer that each feature goes through before GRU or LSTM layers; without one if None. Its inputs have no deltas.
        kernel: Features that a temporal convolution spans.
        causal: Whether a temporal convolution sees the past alone, so that it runs step by step.
        part: Features of a sub-sequence.
        vote: What the scores of the frames are made into: their mean, or the share of frames that each label is the best of (`mode`).
        width: Share of the published numbers of channels.
        weights: Path of a published checkpoint to begin with.
        feature_dropout: Share of the inputs that is hidden from a window, from all its features alike.
        noise: Standard deviation of what is added to the inputs of GRU and LSTM layers while they learn.
        dropout: Share that is hidden before each dense layer.
        label_smoothing: Share of the target that is spread over all labels.
        learning_rate: At the start; it falls by half a cosine.
        weight_decay: Of AdamW.
        l2: Penalty on the squares of a linear head's weights: they are then found exactly, without epochs and without clips kept for validation, from
            `windows_per_clip` windows of each clip, evenly spaced. By epochs if None.
        background_weight: What the background label counts for in that, by what each activity does.
        batch: Windows that are learned from at a time.
        windows_per_clip: How many windows of each clip are drawn per epoch.
        by_length: Whether that is the mean, and long clips have more, as they have live.
        validation_windows_per_clip: How many windows of each validation clip count; None for all.
        partial: Share of the windows that are cut to a random length.
        training_window: Learn from windows of so many features instead of W.
        class_weights: Whether all labels count alike, however many clips they have.
        background_share: At most this share of the training clips is of the background label; the rest of them is left out.
        augment: How clips are varied: `flip`, `upend`, `crop` and `colour` change the pictures, `speed` the pace; of `thin` frames are missing,
            as `min_rate_hz` says.
        num_variations: How many variations of its pictures are made of each clip.
        validation: Which clips are kept for validation: whole groups; the last rows of the table sorted by label (the fault of many notebooks); or
            none, by `training`: the loss on those that are learned from, without dropout, says which epoch is kept.
        validation_share: Share of the clips that are kept for it.
        max_epochs: When to stop at the latest.
        patience: Stop after so many epochs without a lower validation loss.
    """

    window: Count = 16
    warm_up: Count = 5
    stride: Count = 1
    mode: Literal["window", "stateful"] = "window"
    take: Take = "time"
    inputs: InputKind = "basis"
    num_static: Count = 64
    num_delta: Annotated[int, Field(ge=0)] = 64
    units: Annotated[tuple[Count, ...], Field(min_length=1)] = (48,)
    dense: tuple[Count, ...] = ()
    embedding: Count | None = None
    kernel: Count = 3
    causal: bool = True
    part: Count = 4
    vote: Literal["mean", "mode"] = "mean"
    width: Positive = 1.0
    weights: str | None = None
    feature_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    noise: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.05
    learning_rate: Positive = 3e-3
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.3
    l2: Positive | None = None
    background_weight: Positive = 1.0
    batch: Count = 64
    windows_per_clip: Count = 4
    by_length: bool = False
    validation_windows_per_clip: Count | None = None
    partial: Share = 0.2
    training_window: Count | None = None
    class_weights: bool = True
    background_share: Annotated[float, Field(gt=0, lt=1)] = 0.5
    augment: tuple[Augmentation, ...] = ()
    num_variations: Count = 2
    validation: Literal["groups", "last-rows", "training"] = "groups"
    validation_share: Annotated[float, Field(ge=0.01, le=0.9)] = 1 / 6
    max_epochs: Count = 40
    patience: Count = 8

    @property
    def first(self) -> int:
        """Features up to the first prediction: the warm-up, and on to where one is due."""
        return -(-self.warm_up // self.stride) * self.stride


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """What to train, and how to measure it. `streamvc.training.recipes.plan_for` makes the plan of a recipe.

    Attributes:
        recipe: Name of the recipe.
        backbone: Name of the extractor; see `streamvc.inference.extractors.open_extractor`.
        rate_hz: Samples per second; at 5, cameras of 10, 15, 25 and 30 frames/s alike have a frame at every tick.
        min_rate_hz: It is also measured at this lower rate, and with as many frames missing at random, and makes predictions down to it.
            At `rate_hz` alone if None.
        head: The head's size and training.
        background: The label that means "nothing", if there is one; if not given, the data's own, or "nothing" where there is material of it.
        merge: Pairs of labels: the first of each is replaced by the second; see `merge_labels`.
        counted: Labels whose repetitions are counted.
        background_videos: Videos of people who do nothing of it, or of nobody: data sets, folders or files; see `load_videos`.
        smoothing_s: Time constant of the smoothing of scores.
        thresholds: When an activity begins and ends.
        tune: Whether smoothing and thresholds are chosen on the folds, in place of these two, but for labels that are named in `thresholds`; if not
            given, where the data shows "nothing" too.
        leave_out: Into how many rounds the labels are split; in each round one more training leaves its labels out; 0 for none. An event for an
            activity that was never taught counts as false for that choice too.
        false_per_hour: How often an event may be about nothing, for that choice. If not given: once where there are background videos beside
            trimmed clips, and once for alarms; without a bound in untrimmed video, where the F1 of the events decides.
        alarm_s: Choose them for alarms: an event is right if it is published within so many seconds of the start, however long the activity goes on.
        group: A regular expression that finds a clip's group in its path; as the data says if None. See `load_dataset`.
        split: How clips are parted for measuring; see `streamvc.training.folds.make_folds`.
        num_folds: How many times a part of the groups is kept apart and measured on.
        seed: For splits and training.
        version: Of the bundle.
        about: Of the data: where it is from, its licence, what it lacks. Goes into the card as it stands.
        command: The command that trains it again, for the card.
        beside: Other recipes that are measured on the same features and folds, for the card.
    """

    recipe: str = "gru"
    backbone: str = "efficientnet-lite0-f16"
    rate_hz: float = 5.0
    min_rate_hz: float | None = None
    head: HeadSettings = field(default_factory=HeadSettings)
    background: str | None = None
    merge: tuple[tuple[str, str], ...] = ()
    counted: tuple[str, ...] = ()
    background_videos: tuple[Path, ...] = ()
    smoothing_s: float = 0.6
    thresholds: LabelThresholds = field(default_factory=LabelThresholds)
    tune: bool | None = None
    leave_out: int = 0
    false_per_hour: float | None = None
    alarm_s: float | None = None
    group: str | None = None
    split: Split = "groups"
    num_folds: int = 5
    seed: int = 0
    version: str = "1"
    about: str = ""
    command: str = ""
    beside: tuple[str, ...] = ()
