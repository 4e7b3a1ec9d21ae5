"""An extractor of several parts: handcrafted features of the pose, the foreground and the flow, and features of backbones."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from streamvc.errors import BundleError
from streamvc.inference import flow, foreground, views
from streamvc.inference.backbone import Backbone, choose
from streamvc.inference.flow import FlowFeatures
from streamvc.inference.folders import check_sha256
from streamvc.inference.foreground import Foreground, ForegroundView
from streamvc.inference.manifest import UNFRAMED, Crop, FeaturePart, ImageInput, PartKind, PoseReference, read_manifest
from streamvc.inference.model_cache import ModelCache
from streamvc.inference.people import keypoint_features
from streamvc.inference.people.keypoint_features import KeypointFeatures
from streamvc.inference.people.movenet import FILE as MOVENET_FILE
from streamvc.inference.people.single import PersonFollower
from streamvc.inference.person import Person, PersonSearch
from streamvc.inference.pose.features import FEATURE_SIZE, IDENTITY
from streamvc.inference.pose.tracker import MANIFEST as POSE_MANIFEST
from streamvc.inference.pose.tracker import PoseManifest, PoseTracker
from streamvc.inference.preprocessing import check_image
from streamvc.inference.runtime import Opener
from streamvc.inference.views import MovementView, Square
from streamvc.types import Array, Feature, Focus

POSE = "blazepose"
HANDCRAFTED_SIZES: dict[PartKind, int] = {
    "pose": FEATURE_SIZE,
    "foreground": foreground.FEATURE_SIZE,
    "flow": flow.FEATURE_SIZE,
    "movenet": keypoint_features.FEATURE_SIZE,
}
HANDCRAFTED_IDENTITIES: dict[PartKind, str] = {"pose": f"pose {IDENTITY}", "foreground": foreground.IDENTITY, "flow": flow.IDENTITY}
IDENTITIES: dict[Crop, str] = {**views.IDENTITIES, "foreground": foreground.IDENTITY}
NUM_BEFORE: dict[PartKind, int] = {"difference": 1, "greys": 2}  # ticks that a part of a kind looks back
BEFORE_VERSION = 2  # raise it when these make other pictures of the same frames


@dataclass(frozen=True, slots=True)
class LocatedPart:
    """A part, and the folder of its backbone, if it has one."""

    part: FeaturePart
    folder: Path | None

    @property
    def network(self) -> Path | None:
        """The file of its backbone."""
        return self.folder / (MOVENET_FILE if self.part.kind in UNFRAMED else "backbone.tflite") if self.folder else None


@dataclass(frozen=True, slots=True, eq=False)
class FrameContext:
    """A frame, and what the parts need to know of it.

    Attributes:
        image: (H, W, 3) uint8, BGR.
        before: The frames before it, as far back as any part looks.
        person: Who is there; None where no part needs it.
        movement: Where most of the movement is; None where no part needs it.
        foreground: What stands out from the background; None where no part needs it.
        num_ticks: How many ticks it is behind the frame before.
    """

    image: NDArray[np.uint8]
    before: "EarlierFrames"
    person: Person | None
    movement: Square | None
    foreground: Foreground | None
    num_ticks: int


class EarlierFrames:
    """The last frames of a stream, each with how many ticks ago it was: as many as are needed to look back so many ticks."""

    def __init__(self, num_ticks: int) -> None:
        self._frames: deque[NDArray[np.uint8]] = deque(maxlen=num_ticks)
        self._ages: deque[int] = deque(maxlen=num_ticks)

    def __iter__(self) -> Iterator[tuple[NDArray[np.uint8], int]]:
        return zip(self._frames, self._ages, strict=True)  # the newest first

    def __len__(self) -> int:
        return len(self._frames)

    def age(self, num_ticks: int) -> None:
        """So many ticks have passed."""
        self._ages = deque((age + num_ticks for age in self._ages), self._ages.maxlen)

    def keep(self, image: NDArray[np.uint8]) -> None:
        """Keep a copy of the frame of now."""
        if not self._frames.maxlen:
            return
        is_full = len(self._frames) == self._frames.maxlen
        picture = self._frames.pop() if is_full else np.empty_like(image)  # the oldest, to be written over
        np.copyto(picture, image)
        self._frames.appendleft(picture)
        self._ages.appendleft(0)

    def clear(self) -> None:
        """Forget them."""
        self._frames.clear()
        self._ages.clear()


View = Callable[[FrameContext, NDArray[np.uint8]], NDArray[np.uint8]]  # cuts out of a picture what a part looks at


class CompositeExtractor:
    """An `Extractor` of several parts, whose features it concatenates, as float32. The person is looked for once in each frame.

    A difference is that to what was seen one tick before, at any rate: where frames are missing, a blend of the two around that moment stands for it.
    It is taken of the same place in both frames, so that it shows what moves and not how the view follows. With the three frames in grey it is the
    same.

    Attributes:
        parts: The parts, in their order.
        pose: The networks that find the person; None where no part needs that.
    """

    def __init__(
        self, sources: Sequence[LocatedPart], pose: Path | None, runtime: str | None = None, threads: int = 1, *, opener: Opener | None = None
    ) -> None:
        """Load all parts; those of one network share it. See `streamvc.inference.bundle.Bundle.open_extractor`.

        Raises:
            BundleError: A part is damaged or cannot be joined.
            InferenceError: The runtime cannot run it.
        """
        self.parts = tuple(source.part for source in sources)
        self.pose = sound_pose(pose) if pose else None
        every = max(part.every for part in self.parts)
        opener = opener or ModelCache().open
        self._search = PersonSearch(PoseTracker.open(pose, runtime=runtime, threads=threads, opener=opener), every) if pose else None
        self._flow = FlowFeatures()
        self._followers: list[KeypointFeatures] = []
        self._movement = MovementView() if any(part.crop == "movement" for part in self.parts) else None
        self._foreground = ForegroundView() if any("foreground" in (part.crop, part.kind) for part in self.parts) else None
        self._looks = [self._open(source, runtime, threads, opener) for source in sources]
        self._before = EarlierFrames(max(NUM_BEFORE.get(part.kind, 0) for part in self.parts))
        self._shape: tuple[int, ...] | None = None
        self._focus: Focus | None = None

    @property
    def input(self) -> ImageInput | None:
        """None: each part has its own."""
        return None

    @property
    def feature_size(self) -> int:
        """D."""
        return sum(self.part_sizes)

    @property
    def part_sizes(self) -> tuple[int, ...]:
        """The feature size of each part."""
        return tuple(part.feature_size for part in self.parts)

    @property
    def feature_map(self) -> None:
        """None: the features are vectors."""
        return

    @property
    def num_frames(self) -> int:
        """1: each frame makes a feature."""
        return 1

    @property
    def identity(self) -> str:
        """What says whether two of them give the same features."""
        found = [self._search.identity] if self._search else []
        followed = {part.crop: IDENTITIES[part.crop] for part in self.parts if part.crop in IDENTITIES}
        return " + ".join([*(_identity(part) for part in self.parts), *found, *followed.values()])

    def step(self, image: NDArray[np.uint8], num_ticks: int = 1) -> Feature:
        """Take the next frame that is due; see `Extractor.step`."""
        check_image(image)
        if image.shape != self._shape:  # another camera, or another setting of it
            self.reset()
            self._shape = image.shape
        person = self._search.step(image, num_ticks) if self._search else None
        movement = self._movement.step(image, num_ticks) if self._movement else None
        standing_out = self._foreground.step(image, num_ticks) if self._foreground else None
        self._before.age(num_ticks)
        context = FrameContext(image, self._before, person, movement, standing_out, num_ticks)
        values = np.concatenate([look(context) for look in self._looks], dtype=np.float32)
        self._focus = self._focus_of(context)
        self._before.keep(image)
        return Feature(values, num_ticks)

    @property
    def mirrors(self) -> bool:
        """Whether `mirrored` can be told."""
        return {part.kind for part in self.parts} <= {"movenet", "flow"}

    def mirrored(self, features: Array) -> Array:
        """What it would make of the mirrored pictures, left for right, from what it made of them, (..., D). Flow's numbers know no left or right."""
        cut = np.split(features, np.cumsum(self.part_sizes)[:-1], axis=-1)
        pairs = zip(self.parts, cut, strict=True)
        return np.concatenate([keypoint_features.mirrored(each) if part.kind == "movenet" else each for part, each in pairs], axis=-1)

    def reset(self) -> None:
        """Forget the person, the movement, the background and the frames before."""
        if self._search:
            self._search.reset()
        self._flow.reset()
        for follower in self._followers:
            follower.reset()
        if self._movement:
            self._movement.reset()
        if self._foreground:
            self._foreground.reset()
        self._before.clear()
        self._focus = None

    @property
    def focus(self) -> Focus | None:
        """Where in the last frame it looked."""
        return self._focus

    def _focus_of(self, context: FrameContext) -> Focus | None:
        person, foreground = context.person, context.foreground
        around_person, around_foreground = person.square if person else None, foreground.square if foreground else None
        squares = {"person": around_person, "movement": context.movement, "foreground": around_foreground}
        crops = dict.fromkeys(part.crop or part.kind for part in self.parts)
        boxes = tuple(square.box(context.image.shape) for crop in crops if (square := squares.get(crop)))
        body = person.body if person else None
        return Focus(boxes, body.landmarks if body else None) if boxes or body else None

    def _open(self, source: LocatedPart, runtime: str | None, threads: int, opener: Opener) -> Callable[[FrameContext], Array]:
        part = source.part
        if source.folder is None:
            return self._handcrafted(part.kind)
        if part.kind == "movenet":
            follower = KeypointFeatures(PersonFollower.open(source.folder, runtime=runtime, threads=threads, opener=opener))
            self._followers.append(follower)
            return lambda context: follower.step(context.image, context.num_ticks)
        backbone = Backbone.open(source.folder, crop=part.crop, runtime=runtime, threads=threads, opener=opener)
        if backbone.feature_map or backbone.num_frames > 1:
            raise BundleError(f"{part.name}: maps, and features of several frames, cannot be joined, follow a person or be differences")
        sees = CUTS.get(part.crop, _whole)
        if part.kind == "picture":
            return lambda context: backbone.features(sees(context, context.image))
        if part.kind == "greys":
            return lambda context: backbone.greys([_ago(context, sees, num_ticks) for num_ticks in range(3)])
        return lambda context: backbone.difference(sees(context, context.image), _ago(context, sees, 1) if context.before else None)

    def _handcrafted(self, kind: PartKind) -> Callable[[FrameContext], Array]:
        if kind == "foreground":
            return lambda context: context.foreground.features if context.foreground else np.empty(0, np.float32)
        if kind == "flow":
            own = self._flow  # not `self`: what refers to itself keeps its networks in memory until the garbage is collected
            return lambda context: own.step(context.image, context.num_ticks)
        return lambda context: context.person.features if context.person else np.empty(0, np.float32)


def find_pose(reference: PoseReference | None = None, beside: Path | None = None) -> Path:
    """The folder of the networks that find a person: of those that a bundle names, or of those that ship with streamvc.

    Raises:
        BundleError: They are missing, or others.
    """
    name = reference.name if reference else POSE
    return choose(name, POSE_MANIFEST, beside, lambda folder: reference in (None, sound_pose(folder)))


def handcrafted_part(kind: PartKind, every: int = 1) -> FeaturePart:
    """A handcrafted part, of one of the kinds `HANDCRAFTED`; `every` is for a pose, which is looked for in every so many ticks."""
    return FeaturePart(kind=kind, backbone=None, input=None, feature_size=HANDCRAFTED_SIZES[kind], every=every)


def sound_pose(folder: Path) -> PoseReference:
    """What names the networks that find a person, if their files are those of their manifest.

    Raises:
        BundleError: They are not, or one of them is missing or damaged.
    """
    manifest = read_manifest(folder / POSE_MANIFEST, PoseManifest)
    check_sha256(folder / "detect.tflite", manifest.detect_sha256)
    check_sha256(folder / "landmark.tflite", manifest.landmark_sha256)
    return PoseReference(name=manifest.name, detect_sha256=manifest.detect_sha256, landmark_sha256=manifest.landmark_sha256)


def _identity(part: FeaturePart) -> str:
    if part.backbone is None:
        return HANDCRAFTED_IDENTITIES[part.kind]
    if part.input is None:
        return f"{part.kind} {part.backbone.sha256} {keypoint_features.IDENTITY}"
    version = f" {BEFORE_VERSION}" if part.kind in NUM_BEFORE else ""
    return f"{part.kind}{version} {part.backbone.sha256} {part.input.model_dump_json()}"


def _ago(context: FrameContext, sees: View, num_ticks: int) -> NDArray[np.uint8]:
    """What a view shows of the frame so many ticks ago: of a blend where there was none, of the oldest where there was nothing yet."""
    newer, newer_age = context.image, 0
    for older, age in context.before:
        if age >= num_ticks:
            share = (num_ticks - newer_age) / (age - newer_age)
            return _blend(sees(context, newer), sees(context, older), share)
        newer, newer_age = older, age
    return sees(context, newer)


def _blend(newer: NDArray[np.uint8], older: NDArray[np.uint8], share: float) -> NDArray[np.uint8]:
    """So much of the older picture, and the rest of the newer."""
    if share in (0.0, 1.0):
        return older if share else newer
    return np.asarray(cv2.addWeighted(newer, 1 - share, older, share, 0), np.uint8)


def _whole(_: FrameContext, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return image


def _person(context: FrameContext, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return context.person.square.cut(image) if context.person and context.person.square else image


def _movement(context: FrameContext, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return context.movement.cut(image) if context.movement else image


def _foreground(context: FrameContext, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return context.foreground.cut(image) if context.foreground else image


CUTS: dict[Crop | None, View] = {
    "person": _person,
    "movement": _movement,
    "foreground": _foreground,
}
