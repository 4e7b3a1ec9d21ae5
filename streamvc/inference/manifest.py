"""What the manifests of backbones and bundles say (`backbone.json`, `model.json`), and how they are read."""

import math
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from streamvc.errors import BundleError
from streamvc.sampling import GAP_S, is_enough
from streamvc.text import is_plain, printable

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
# One component of a path: a manifest cannot name a file outside its folder.
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
Name = Annotated[str, StringConstraints(pattern=rf"^{NAME}$", max_length=100)]


def _plain(text: str) -> str:
    if not is_plain(text):
        raise ValueError("must hold no control characters, newlines or signs that turn the direction of text")
    return text


MOST_LABEL = 100  # characters
Label = Annotated[str, StringConstraints(min_length=1, max_length=MOST_LABEL), AfterValidator(_plain)]
Text = Annotated[str, StringConstraints(max_length=1000), AfterValidator(_plain)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
# Numbers of a manifest: what lies far beyond any model that makes sense would cost memory or time without end, or make scores that are no numbers.
Side = Annotated[int, Field(ge=1, le=2048)]
Size = Annotated[int, Field(ge=1, le=1 << 24)]
Samples = Annotated[int, Field(ge=1, le=4096)]
Span = Annotated[float, Field(ge=0, le=86400, allow_inf_nan=False)]
FeatureMap = tuple[Side, Side, Annotated[int, Field(ge=1, le=1 << 16)]]
MOST_KEPT = 1 << 27  # numbers that a head keeps of its window
MOST_MANIFEST_BYTES = 1 << 20

Form = Literal["step", "window", "clip"]
Crop = Literal["whole", "center", "person", "movement", "foreground"]
PictureKind = Literal["colour", "flow", "colour+flow"]
PartKind = Literal["pose", "foreground", "flow", "movenet", "fall", "posture", "picture", "difference", "greys"]

FOLLOWING: tuple[Crop, ...] = ("person", "movement", "foreground")  # those that depend on the frames before
HANDCRAFTED: tuple[PartKind, ...] = ("pose", "foreground", "flow")  # those that are numbers, of no backbone
PERSONAL: tuple[PartKind, ...] = ("fall", "posture")  # those that are numbers of each person whom a network finds
UNFRAMED: tuple[PartKind, ...] = ("movenet", *PERSONAL)  # those whose backbone brings pictures into its form by itself

UNMEASURED = 0.8  # share of its frames that a model needs of which nothing else is known: cameras lose some, now and then

# The files of a bundle by the form of its head; a window's head may have a `project.tflite` too.
BUNDLE_FILES: dict[Form, tuple[str, ...]] = {
    "step": ("project.tflite", "step.tflite", "CARD.md"),
    "window": ("network.tflite", "CARD.md"),
    "clip": ("network.tflite", "CARD.md"),
}


class Manifest(BaseModel):
    """A part of a manifest: immutable, and a field that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


M = TypeVar("M", bound=Manifest)


class ImageInput(Manifest):
    """How a picture is brought into a backbone's form.

    Attributes:
        size_px: Side of the square input.
        crop: `whole` stretches the picture to the square; `center` cuts the largest square out of its middle; `person`, `movement` and
            `foreground` follow who is in it, what moves most, and what stands out from the background.
        resize: Interpolation.
        colour: Order of the channels.
        mean: Taken from each value (0 to 255) ...
        scale: ... before it is divided by this.
    """

    size_px: Side
    crop: Crop
    resize: Literal["linear", "area"]
    colour: Literal["rgb", "bgr"]
    mean: Annotated[float, Field(ge=-1e4, le=1e4)]
    scale: Annotated[float, Field(ge=1e-4, le=1e4)]


class BackboneManifest(Manifest):
    """`backbone.json`. `sha256` is that of `backbone.tflite`.

    Attributes:
        feature_size: D, numbers of a feature.
        feature_map: Their shape (H, W, C), where they are a map rather than a vector.
        num_frames: T, how many frames in a row one feature is made of.
    """

    schema_: Literal[1] = Field(alias="schema")
    name: Name
    sha256: Sha256
    input: ImageInput
    feature_size: Size
    feature_map: FeatureMap | None = None
    num_frames: Annotated[int, Field(ge=1, le=256)] = 1
    licence: Text
    source: Text


class BackboneReference(Manifest):
    """The backbone that a bundle was trained on; `sha256` is that of its `backbone.tflite`."""

    name: Name
    sha256: Sha256


class PoseReference(Manifest):
    """The networks that find the person for a bundle, with the hashes of their files."""

    name: Name
    detect_sha256: Sha256
    landmark_sha256: Sha256


class FeaturePart(Manifest):
    """What makes a part of a feature.

    Attributes:
        kind: `pose`: the numbers of a pose; `movenet`: those of one that MoveNet finds, which is its backbone; `fall`: those of each of several
            whom it finds, which tell a fall from sitting down; `posture`: those of how each of them holds themselves and moves, which mean the
            same for other networks that find keypoints; `foreground`: those of what stands out from the background; `flow`: those of the optical
            flow; `picture`: a backbone looks at the frame; `difference`: at how it differs from the one before; `greys`: at it and the two before,
            in grey, as the three colours of one picture.
        backbone: Of any but `HANDCRAFTED`.
        input: How that is brought into the backbone's form; None of MoveNet, which looks where people are.
        feature_size: How many numbers of the feature it makes.
        every: Of a pose: somebody is looked for in every so many ticks, and what was found is held until then.
    """

    kind: PartKind
    backbone: BackboneReference | None
    input: ImageInput | None
    feature_size: Size
    every: Annotated[int, Field(ge=1, le=100)] = 1

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.every > 1 and self.kind != "pose":
            raise ValueError(f"a part of the kind {self.kind} is looked at in each tick: every must be 1")
        if (self.kind in HANDCRAFTED, self.kind in (*HANDCRAFTED, *UNFRAMED)) != (self.backbone is None, self.input is None):
            kinds = f"{' or '.join(HANDCRAFTED)} has no backbone and no input, {' or '.join(UNFRAMED)} has no input, any other has both"
            raise ValueError(f"a part of the kind {kinds}")
        return self

    @property
    def needs_pose(self) -> bool:
        """Whether somebody has to be found for it."""
        return self.kind == "pose" or self.crop == "person"

    @property
    def crop(self) -> Crop | None:
        """Where in a frame it looks; None of numbers."""
        return self.input.crop if self.input else None

    @property
    def name(self) -> str:
        """What it is called; see `streamvc.inference.extractors.open_extractor`."""
        if self.backbone is None:
            return self.kind if self.every == 1 else f"{self.kind}/{self.every}"
        if self.input is None:
            return f"{self.backbone.name}:{self.kind}" if self.kind in PERSONAL else self.backbone.name
        return f"{self.backbone.name}:{self.input.crop}" + ("" if self.kind == "picture" else f":{self.kind}")


class Threshold(Manifest):
    """When an activity begins and ends; see `streamvc.events.Decision`."""

    enter: Share = 0.7
    leave: Share = 0.4
    min_s: Span = 0.5
    cooldown_s: Span = 2.0

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.leave > self.enter:
            raise ValueError(f"leave ({self.leave}) must not be above enter ({self.enter})")
        return self


class LabelThresholds(Manifest):
    """The thresholds of all labels: `default`, unless `labels` has its own."""

    default: Threshold = Threshold()
    labels: dict[Label, Threshold] = {}


class OperatingFigures(Manifest):
    """A point of a bundle's operating curve, measured on video that the training did not see.

    Attributes:
        odds: By what the odds of all thresholds were multiplied; see `streamvc.thresholds.with_odds`.
        heard: Share of the activities that gave their event, and no other.
        wrong: Share of those that gave another event.
        num_false: Events where nothing goes on ...
        hours: ... in so many hours.
        delay_s: From the start of an activity to its event, median; None where there was none.
    """

    odds: Annotated[float, Field(gt=0, le=1e6)]
    heard: Share
    wrong: Share
    num_false: Annotated[int, Field(ge=0, le=1_000_000)]
    hours: Annotated[float, Field(ge=0, le=1e6)]
    delay_s: Annotated[float, Field(ge=-86400, le=86400)] | None


class BundleSettings(Manifest):
    """All of `model.json` but the hashes of the files.

    Attributes:
        recipe: Which training recipe made it.
        labels: What the scores are of, in their order.
        background: The label that means "nothing", if there is one.
        subject: What the labels are of: the scene as a whole, or each person in it, who has features and scores of their own.
        counted: Labels whose repetitions are counted, by the keypoints of a part of the kind `movenet`.
        merged: Other labels of the data that it was trained on, each with the one of `labels` that it was taken for.
        form: How the head runs: `step`, once per sample; `window`, over the features of the last W samples; `clip`, over their pictures or maps.
        backbone: What makes the features; None where `pictures` or `parts` say it.
        pictures: For a head that is given pictures themselves: colours, the optical flow since the picture before, or both.
        parts: What makes the parts of features that are joined, in their order.
        pose: The networks that find the person, where a part needs that.
        input: The backbone's, again, so that the manifest can be judged by itself; None where each part has its own.
        feature_size: D, numbers of a feature.
        feature_map: Their shape (H, W, C), where they are a picture or a map.
        rate_hz: Frames per second that the head was trained at.
        min_rate_hz: The lowest rate that it was measured at, with fewer frames; None where only `rate_hz` was. See `least_hz`.
        window: W, how many features the head looks at in mode `window`.
        stride: Samples from one prediction to the next.
        warm_up: Samples before the first prediction.
        mode: `window`: a prediction depends on the last W features alone; `stateful`: on all since the last gap.
        projection_size: P, numbers of a projected feature; D where there is no projection.
        state_size: S, numbers of the head's state; 0 but for the form `step`.
        temperature: The logits are divided by it before the softmax.
        smoothing_s: Time constant of the scores' exponential mean.
        curve: What it hears, and what it hears that is not there, with its thresholds moved.
    """

    schema_: Literal[1] = Field(default=1, alias="schema")
    name: Name
    version: Text
    recipe: Text
    labels: Annotated[tuple[Label, ...], Field(min_length=2, max_length=10_000)]
    background: Label | None
    subject: Literal["scene", "person"] = "scene"
    counted: tuple[Label, ...] = ()
    merged: Annotated[dict[Label, Label], Field(max_length=10_000)] = {}
    form: Form = "step"
    backbone: BackboneReference | None
    pictures: PictureKind | None = None
    parts: Annotated[tuple[FeaturePart, ...], Field(max_length=16)] = ()
    pose: PoseReference | None = None
    input: ImageInput | None
    feature_size: Size
    feature_map: FeatureMap | None = None
    rate_hz: Annotated[float, Field(ge=0.01, le=240)]
    min_rate_hz: Annotated[float, Field(ge=0.01, le=240)] | None = None
    window: Samples
    stride: Samples
    warm_up: Samples
    mode: Literal["window", "stateful"]
    projection_size: Size
    state_size: Annotated[int, Field(ge=0, le=1 << 20)]
    temperature: Annotated[float, Field(ge=0.01, le=100)]
    smoothing_s: Annotated[float, Field(ge=0, le=600)]
    thresholds: LabelThresholds
    curve: Annotated[tuple[OperatingFigures, ...], Field(max_length=100)] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.labels)) < len(self.labels):
            raise ValueError("labels holds a label twice")
        if self.background is not None and self.background not in self.labels:
            raise ValueError(f"background {self.background!r} is not one of the labels")
        if unknown := sorted(set(self.counted) - set(self.labels)):
            raise ValueError(f"counted names {unknown[0]!r}, which is not one of the labels")
        if self.counted and not any(part.kind == "movenet" for part in self.parts):
            raise ValueError("repetitions are counted by the keypoints of movenet, which is none of the parts")
        if unknown := sorted(set(self.merged.values()) - set(self.labels)):
            raise ValueError(f"merged names {unknown[0]!r}, which is not one of the labels")
        if unknown := sorted(set(self.thresholds.labels) - set(self.labels)):
            raise ValueError(f"thresholds.labels names {unknown[0]!r}, which is not one of the labels")
        self._check_extractor()
        if self.form == "clip" and self.feature_map is None:
            raise ValueError("a head of the form clip needs a feature_map")
        if self.form != "step" and (self.mode != "window" or self.state_size):
            raise ValueError(f"a head of the form {self.form} has the mode window and no state")
        if self.min_rate_hz is not None and not 1 / GAP_S <= self.min_rate_hz <= self.rate_hz:
            raise ValueError(f"min_rate_hz ({self.min_rate_hz:g}) must be from {1 / GAP_S:g} to rate_hz ({self.rate_hz:g})")
        if self.warm_up > self.window:
            raise ValueError(f"warm_up ({self.warm_up}) must not be above window ({self.window})")
        if self.window * max(self.feature_size if self.form == "clip" else 1, self.projection_size) > MOST_KEPT:
            raise ValueError(f"window ({self.window}) is too long for features of this size")
        return self

    def _check_extractor(self) -> None:
        if [self.backbone is None, self.pictures is None, not self.parts].count(False) != 1:
            raise ValueError("a bundle has either a backbone or pictures or parts")
        if (self.input is None) != bool(self.parts):
            raise ValueError("a bundle has an input, unless its parts have theirs")
        if self.input and self.input.crop in FOLLOWING:
            raise ValueError(f"input.crop is {self.input.crop}: only a part can look there")
        if (self.pose is None) == any(part.needs_pose for part in self.parts):
            raise ValueError("a bundle has pose where a part needs it, and only there")
        personal = {part.kind in PERSONAL for part in self.parts}
        if personal - {self.subject == "person"} or (self.subject == "person" and not personal):
            raise ValueError(f"subject is {self.subject}: all parts are of the kind {' or '.join(PERSONAL)} where it is person, and only there")
        if len({part.backbone for part in self.parts if part.kind in PERSONAL}) > 1:
            raise ValueError("parts of people are of one network, which finds them")
        if self.parts and (self.feature_map or sum(part.feature_size for part in self.parts) != self.feature_size):
            raise ValueError(f"feature_size ({self.feature_size}) is not that of the parts together, or they have a feature_map")
        if self.feature_map and math.prod(self.feature_map) != self.feature_size:
            raise ValueError(f"feature_size ({self.feature_size}) is not that of feature_map")

    @property
    def extractor(self) -> str:
        """What its extractor is called."""
        if self.input is None:
            return "+".join(part.name for part in self.parts)
        return f"{self.backbone.name if self.backbone else f'{self.pictures}:{self.input.size_px}'}:{self.input.crop}"

    @property
    def least_hz(self) -> float:
        """Frames per second below which there is no prediction: what comes of fewer was not measured."""
        return self.min_rate_hz or UNMEASURED * self.rate_hz

    def check_rate(self, rate_hz: float | None) -> None:
        """Refuse a rate that is set for it, frames per second, where that is too low.

        Raises:
            BundleError: It is below `least_hz`.
        """
        if rate_hz is not None and not is_enough(min(rate_hz, self.rate_hz), self.least_hz):
            raise BundleError(f"{self.name} needs {self.least_hz:g} frames/s at least, and rate_hz allows {rate_hz:g}: raise it, or leave it out")

    @property
    def first(self) -> int:
        """Features up to the first prediction: the warm-up, and on to where one is due."""
        return -(-self.warm_up // self.stride) * self.stride


S = TypeVar("S", bound=BundleSettings)


class BundleManifest(BundleSettings):
    """`model.json`. `files` has the sha256 of every other file of the bundle."""

    files: Annotated[dict[Name, Sha256], Field(max_length=16)]

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if missing := [name for name in BUNDLE_FILES[self.form] if name not in self.files]:
            raise ValueError(f"files does not name {missing[0]}")
        if unknown := [name for name in self.files if name not in (*BUNDLE_FILES[self.form], "project.tflite")]:
            raise ValueError(f"files names {unknown[0]}, which is no file of a bundle")
        return self


def read_manifest(path: Path, kind: type[M]) -> M:
    """Read a manifest file.

    Raises:
        BundleError: The file cannot be read, or a field is wrong; the first that is wrong is named.
    """
    try:
        return kind.model_validate_json(_read_short(path), strict=True)
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise refusal(path, error) from error


def _read_short(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(MOST_MANIFEST_BYTES + 1)
    if len(content) > MOST_MANIFEST_BYTES:
        raise BundleError(f"{path}: longer than any manifest; get it again")
    return content


def refusal(path: Path, error: ValidationError) -> BundleError:
    """One line that names the first field that is wrong."""
    first, *rest = error.errors(include_url=False)
    field = ".".join(map(str, first["loc"]))
    what = first["msg"].removeprefix("Value error, ")
    more = f" (and {len(rest)} more)" if rest else ""
    return BundleError(printable(f"{path}: {field + ': ' if field else ''}{what}{more}"))


def manifest_json(manifest: Manifest) -> bytes:
    """The manifest as it is written to its file."""
    return (manifest.model_dump_json(indent=1, by_alias=True) + "\n").encode()
