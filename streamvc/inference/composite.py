"""An extractor of several parts: handcrafted features of the pose, the foreground and the flow, and features of backbones."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamvc.errors import BundleError
from streamvc.inference import flow, foreground, views
from streamvc.inference.backbone import Backbone, choose
from streamvc.inference.flow import FlowFeatures
from streamvc.inference.foreground import Foreground, ForegroundView
from streamvc.inference.manifest import Crop, FeaturePart, ImageInput, PartKind, PoseReference, read_manifest
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
from streamvc.types import Array, Feature

POSE = "blazepose"
HANDCRAFTED_SIZES: dict[PartKind, int] = {
    "pose": FEATURE_SIZE,
    "foreground": foreground.FEATURE_SIZE,
    "flow": flow.FEATURE_SIZE,
    "movenet": keypoint_features.FEATURE_SIZE,
}
HANDCRAFTED_IDENTITIES: dict[PartKind, str] = {"pose": f"pose {IDENTITY}", "foreground": foreground.IDENTITY, "flow": flow.IDENTITY}
IDENTITIES: dict[Crop, str] = {**views.IDENTITIES, "foreground": foreground.IDENTITY}
NUM_BEFORE: dict[PartKind, int] = {"difference": 1, "greys": 2}  # frames before that a part of a kind looks at


@dataclass(frozen=True, slots=True)
class LocatedPart:
    """A part, and the folder of its backbone, if it has one."""

    part: FeaturePart
    folder: Path | None

    @property
    def network(self) -> Path | None:
        """The file of its backbone."""
        return self.folder / (MOVENET_FILE if self.part.kind == "movenet" else "backbone.tflite") if self.folder else None


@dataclass(frozen=True, slots=True, eq=False)
class FrameContext:
    """A frame, and what the parts need to know of it.

    Attributes:
        image: (H, W, 3) uint8, BGR.
        before: The frames before that are kept, of the same shape, the newest first.
        person: Who is there; None where no part needs it.
        movement: Where most of the movement is; None where no part needs it.
        foreground: What stands out from the background; None where no part needs it.
        num_ticks: How many ticks it is behind the frame before.
    """

    image: NDArray[np.uint8]
    before: Sequence[NDArray[np.uint8]]
    person: Person | None
    movement: Square | None
    foreground: Foreground | None
    num_ticks: int


class CompositeExtractor:
    """An `Extractor` of several parts, whose features it concatenates, as float32. The person is looked for once in each frame.

    A difference is that to the last frame there was, also where frames are missing between the two: then it is as large as what happened since. It
    is taken of the same place in both frames, so that it shows what moves and not how the view follows. With the three frames in grey it is the same.

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
        self.pose = _pose_reference(pose) if pose else None
        every = max(part.every for part in self.parts)
        opener = opener or ModelCache().open
        self._search = PersonSearch(PoseTracker.open(pose, runtime=runtime, threads=threads, opener=opener), every) if pose else None
        self._flow = FlowFeatures()
        self._followers: list[KeypointFeatures] = []
        self._movement = MovementView() if any(part.crop == "movement" for part in self.parts) else None
        self._foreground = ForegroundView() if any("foreground" in (part.crop, part.kind) for part in self.parts) else None
        self._looks = [self._open(source, runtime, threads, opener) for source in sources]
        self._before: deque[NDArray[np.uint8]] = deque(maxlen=max(NUM_BEFORE.get(part.kind, 0) for part in self.parts))
        self._shape: tuple[int, ...] | None = None

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
        context = FrameContext(image, tuple(self._before), person, movement, standing_out, num_ticks)
        values = np.concatenate([look(context) for look in self._looks], dtype=np.float32)
        self._keep(image)
        return Feature(values, num_ticks)

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

    def _keep(self, image: NDArray[np.uint8]) -> None:
        kept = self._before
        if not kept.maxlen:
            return
        picture = kept.pop() if len(kept) == kept.maxlen else np.empty_like(image)  # the oldest, to be written over
        np.copyto(picture, image)
        kept.appendleft(picture)

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
            return lambda context: backbone.greys([sees(context, image) for image in _three(context)])
        return lambda context: backbone.difference(sees(context, context.image), sees(context, context.before[0]) if context.before else None)

    def _handcrafted(self, kind: PartKind) -> Callable[[FrameContext], Array]:
        if kind == "foreground":
            return lambda context: context.foreground.features if context.foreground else np.empty(0, np.float32)
        if kind == "flow":
            return lambda context: self._flow.step(context.image, context.num_ticks)
        return lambda context: context.person.features if context.person else np.empty(0, np.float32)


def find_pose(reference: PoseReference | None = None, beside: Path | None = None) -> Path:
    """The folder of the networks that find a person: of those that a bundle names, or of those that ship with streamvc.

    Raises:
        BundleError: They are missing, or others.
    """
    name = reference.name if reference else POSE
    return choose(name, POSE_MANIFEST, beside, lambda folder: reference in (None, _pose_reference(folder)))


def handcrafted_part(kind: PartKind, every: int = 1) -> FeaturePart:
    """A handcrafted part, of one of the kinds `HANDCRAFTED`; `every` is for a pose, which is looked for in every so many ticks."""
    return FeaturePart(kind=kind, backbone=None, input=None, feature_size=HANDCRAFTED_SIZES[kind], every=every)


def _pose_reference(folder: Path) -> PoseReference:
    manifest = read_manifest(folder / POSE_MANIFEST, PoseManifest)
    return PoseReference(name=manifest.name, detect_sha256=manifest.detect_sha256, landmark_sha256=manifest.landmark_sha256)


def _identity(part: FeaturePart) -> str:
    if part.backbone is None:
        return HANDCRAFTED_IDENTITIES[part.kind]
    if part.input is None:
        return f"{part.kind} {part.backbone.sha256} {keypoint_features.IDENTITY}"
    return f"{part.kind} {part.backbone.sha256} {part.input.model_dump_json()}"


def _three(context: FrameContext) -> list[NDArray[np.uint8]]:
    """The frame and the two before, the newest first; the oldest that there is stands for those that are missing."""
    images = [context.image, *context.before[:2]]
    return images + images[-1:] * (3 - len(images))


def _whole(_: FrameContext, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return image


def _person(context: FrameContext, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return context.person.square.cut(image) if context.person and context.person.square else image


def _movement(context: FrameContext, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return context.movement.cut(image) if context.movement else image


def _foreground(context: FrameContext, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return context.foreground.cut(image) if context.foreground else image


CUTS: dict[Crop | None, Callable[[FrameContext, NDArray[np.uint8]], NDArray[np.uint8]]] = {
    "person": _person,
    "movement": _movement,
    "foreground": _foreground,
}
