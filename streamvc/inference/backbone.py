"""The network that turns frames into features."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from streamvc.errors import BundleError
from streamvc.inference.folders import check_sha256, find
from streamvc.inference.manifest import BackboneManifest, Crop, ImageInput, PictureKind, read_manifest
from streamvc.inference.pictures import PictureExtractor
from streamvc.inference.preprocessing import Preprocessor
from streamvc.inference.runtime import Model, Opener, open_model
from streamvc.types import Array, Feature, Focus

logger = logging.getLogger(__name__)

MANIFEST = "backbone.json"
SNIPPETS: dict[int, PictureKind] = {3: "colour", 2: "flow"}  # what a network of several frames sees, by its channels


class Extractor(Protocol):
    """Turns frames into features: a backbone, several parts, or the pictures themselves. It belongs to one stream and one thread at a time."""

    @property
    def input(self) -> ImageInput | None:
        """How images are brought into its form; None where it has parts, each of which has its own way."""

    @property
    def feature_size(self) -> int:
        """D."""

    @property
    def part_sizes(self) -> tuple[int, ...]:
        """How many numbers of a feature each of its parts makes, in their order; (D,) where there is one."""

    @property
    def feature_map(self) -> tuple[int, int, int] | None:
        """The shape (H, W, C) of the features, where they are pictures or maps."""

    @property
    def num_frames(self) -> int:
        """How many frames in a row a feature is made of."""

    @property
    def identity(self) -> str:
        """What says whether two of them give the same features."""

    @property
    def focus(self) -> Focus | None:
        """Where in the last frame it looked; None where it looks at all of it, or at nothing yet."""

    def step(self, image: NDArray[np.uint8], num_ticks: int = 1) -> Feature | None:
        """Take the next frame that is due; returns a feature where one is complete.

        Args:
            image: (H, W, 3) uint8, BGR, of any size.
            num_ticks: How many ticks of the model's clock it stands for.

        Raises:
            InferenceError: That is not an image, or the runtime failed.
        """

    def reset(self) -> None:
        """Forget the frames before, as after a gap."""


class Backbone:
    """An `Extractor` with a network, which makes a feature of each frame, or of each T frames in a row."""

    def __init__(self, manifest: BackboneManifest, model: Model) -> None:
        """Put a manifest and its model together.

        Raises:
            BundleError: The shapes of the model's tensors are not those of the manifest.
        """
        frames, size = manifest.num_frames, manifest.input.size_px
        channels = 2 if frames > 1 and model.input.shape[-1:] == (2,) else 3
        picture = (1, size, size, channels) if frames == 1 else (1, frames, size, size, channels)
        if (model.input.shape, model.output.shape) != (picture, (1, manifest.feature_size)):
            shapes = picture, (1, manifest.feature_size)
            raise BundleError(f"backbone {manifest.name}: its tensors are {model.input.shape} and {model.output.shape}, its manifest says {shapes}")
        if frames > 1 and (manifest.input.colour, manifest.input.mean, manifest.input.scale) != ("rgb", 0.0, 1.0):
            raise BundleError(f"backbone {manifest.name}: a network of several frames is given red, green and blue from 0 to 255, or flow as it is")
        self.manifest = manifest
        self._model = model
        self._type = np.float32 if manifest.feature_map is None else np.float16  # maps are large, and keep their meaning in half the bits
        self._preprocessor = Preprocessor(manifest.input, model.input)
        self._snippet = None if frames == 1 else _Snippet(PictureExtractor(SNIPPETS[channels], size, manifest.input.crop), frames)

    @classmethod
    def load(cls, name: str, *, runtime: str | None = None, threads: int = 1) -> Self:
        """Load a backbone by name.

        Raises:
            BundleError: There is none, or it is damaged.
            InferenceError: The runtime cannot run it.
        """
        return cls.open(find_backbone(name), runtime=runtime, threads=threads)

    @classmethod
    def open(cls, folder: Path, *, crop: Crop | None = None, runtime: str | None = None, threads: int = 1, opener: Opener = open_model) -> Self:
        """Load the backbone in a folder; `crop` takes the place of its own, `opener` opens the network. Raises as `load`."""
        manifest = sound_backbone(folder)
        if crop:
            manifest = manifest.model_copy(update={"input": manifest.input.model_copy(update={"crop": crop})})
        return cls(manifest, opener(folder / "backbone.tflite", runtime, threads))

    @property
    def input(self) -> ImageInput:
        """How images are brought into its form."""
        return self.manifest.input

    @property
    def feature_size(self) -> int:
        """D."""
        return self.manifest.feature_size

    @property
    def part_sizes(self) -> tuple[int, ...]:
        """(D,)."""
        return (self.feature_size,)

    @property
    def feature_map(self) -> tuple[int, int, int] | None:
        """The shape (H, W, C) of its features, where they are maps."""
        return self.manifest.feature_map

    @property
    def num_frames(self) -> int:
        """How many frames in a row a feature is made of."""
        return self.manifest.num_frames

    @property
    def identity(self) -> str:
        """What says whether two of them give the same features."""
        return f"{self.manifest.sha256} {self.manifest.input.model_dump_json()}"

    @property
    def focus(self) -> None:
        """None: it looks at all of a frame."""
        return

    def step(self, image: NDArray[np.uint8], num_ticks: int = 1) -> Feature | None:
        """Take the next frame that is due; see `Extractor.step`."""
        if self._snippet is None:
            return Feature(self.features(image), num_ticks)
        frames, num_complete = self._snippet.push(image, num_ticks)
        return Feature(self._run(lambda tensor: np.copyto(tensor[0], frames)), num_complete) if num_complete else None

    def features(self, image: NDArray[np.uint8]) -> Array:
        """The features of one image, for a network that sees one at a time.

        Args:
            image: (H, W, 3) uint8, BGR, of any size.

        Returns:
            (D,) float32, or float16 where they are a map; a fresh array.

        Raises:
            InferenceError: That is not an image, or the runtime failed.
        """
        return self._run(lambda tensor: self._preprocessor.write(image, tensor[0]))

    def difference(self, image: NDArray[np.uint8], before: NDArray[np.uint8] | None) -> Array:
        """The features of how an image differs from one before, None where there is none: see `Preprocessor.write_difference`. As `features`."""
        return self._run(lambda tensor: self._preprocessor.write_difference(image, before, tensor[0]))

    def greys(self, images: Sequence[NDArray[np.uint8]]) -> Array:
        """The features of three images in one picture, the newest first: see `Preprocessor.write_greys`. As `features`."""
        return self._run(lambda tensor: self._preprocessor.write_greys(images, tensor[0]))

    def reset(self) -> None:
        """Forget the frames before."""
        if self._snippet:
            self._snippet.reset()

    def _run(self, fill: Callable[[Array], None]) -> Array:
        features: Array = self._model.run(fill)[0].astype(self._type, copy=False)
        return features


class _Snippet:
    """Collects the pictures of T frames in a row."""

    def __init__(self, pictures: PictureExtractor, num_frames: int) -> None:
        self._pictures = pictures
        self._frames = np.zeros((num_frames, *pictures.shape), np.uint8)
        self._num_frames = 0

    def push(self, image: NDArray[np.uint8], num_ticks: int) -> tuple[NDArray[np.uint8], int]:
        """Take a frame that stands for so many ticks; returns (T, S, S, C) and how many snippets it completes, 0 to mean that this is none yet."""
        picture = self._pictures.step(image, num_ticks).values.reshape(self._pictures.shape)
        self._frames[self._num_frames : self._num_frames + num_ticks] = picture
        num_complete, self._num_frames = divmod(self._num_frames + num_ticks, len(self._frames))
        if not num_complete:
            return self._frames, 0
        complete = self._frames.copy() if num_complete == 1 else np.broadcast_to(picture, self._frames.shape)  # of several, the last
        self._frames[: self._num_frames] = picture
        return complete, num_complete

    def reset(self) -> None:
        self._pictures.reset()
        self._num_frames = 0


def find_backbone(name: str, *, sha256: str | None = None, beside: Path | None = None) -> Path:
    """The folder of a backbone.

    Args:
        name: Its name.
        sha256: Of several with this name, take the one whose file has this hash.
        beside: Look in this folder of models first.

    Raises:
        BundleError: There is none.
    """
    return choose(name, MANIFEST, beside, lambda folder: sha256 in (None, sound_backbone(folder).sha256))


def sound_backbone(folder: Path) -> BackboneManifest:
    """The manifest of a backbone, if its file is the one that the manifest names.

    Raises:
        BundleError: It is not, or one of them is missing or damaged.
    """
    manifest = read_manifest(folder / MANIFEST, BackboneManifest)
    check_sha256(folder / "backbone.tflite", manifest.sha256)
    return manifest


def choose(name: str, manifest: str, beside: Path | None, is_right: Callable[[Path], bool]) -> Path:
    """As `find_backbone`, for backbones of any kind.

    Args:
        name: Its name.
        manifest: The name of its file.
        beside: Look in this folder of models first.
        is_right: Tells the one that is looked for from others; raises `BundleError` of one that is damaged, which stands in the way of no other.

    Raises:
        BundleError: There is none, or none that is sound.
    """
    found = list(find(f"backbones/{name}", manifest, beside))
    problem: BundleError | None = None
    for folder in found:
        try:
            if is_right(folder):
                if problem:
                    logger.warning("%s; %s is used in its place", problem, folder)
                return folder
        except BundleError as error:
            problem = problem or error
    if problem:
        raise problem
    if found:
        raise BundleError(f"{found[0]}: not the backbone {name!r} that the bundle was trained on, its sha256 differs")
    raise BundleError(f"backbone {name!r} was not found in ./models/backbones, $STREAMVC_MODELS/backbones or the installed streamvc")
