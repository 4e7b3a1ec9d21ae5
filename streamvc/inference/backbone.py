"""The network that turns a frame into features."""

from pathlib import Path
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from streamvc.errors import BundleError, InferenceError
from streamvc.inference.folders import check_sha256, find
from streamvc.inference.manifest import BackboneManifest, ImageInput, read_manifest
from streamvc.inference.runtime import Model, TensorSpec, open_model
from streamvc.types import Array

MANIFEST = "backbone.json"
INTERPOLATION = {"linear": cv2.INTER_LINEAR, "area": cv2.INTER_AREA}


class Preprocessor:
    """Brings images into a backbone's form; keeps its scratch pictures from one to the next."""

    def __init__(self, spec: ImageInput, tensor: TensorSpec) -> None:
        self._spec = spec
        size = (spec.size_px, spec.size_px)
        self._resized = np.empty((*size, 3), np.uint8)
        self._coloured = np.empty_like(self._resized) if spec.colour == "rgb" else self._resized
        # A pixel has 256 values, so that normalisation, and for an int8 backbone quantisation too, is a table.
        self._table = tensor.encode((np.arange(256) - spec.mean) / spec.scale)[None]

    def write(self, image: NDArray[np.uint8], picture: Array) -> None:
        """Write an image, (H, W, 3) uint8 BGR, into a picture, (size_px, size_px, 3) of the tensor's type.

        Raises:
            InferenceError: That is not an image.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
            raise InferenceError(f"an image must be (H, W, 3) uint8, not {image.shape} {image.dtype}")
        if self._spec.crop == "center":
            image = _center(image)
        cv2.resize(image, self._resized.shape[:2], dst=self._resized, interpolation=INTERPOLATION[self._spec.resize])
        if self._coloured is not self._resized:
            cv2.cvtColor(self._resized, cv2.COLOR_BGR2RGB, dst=self._coloured)
        cv2.LUT(self._coloured, self._table, dst=picture)


def _center(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side]


class Backbone:
    """A backbone that is loaded. It belongs to one thread at a time."""

    def __init__(self, manifest: BackboneManifest, model: Model) -> None:
        """Put a manifest and its model together.

        Raises:
            BundleError: The shapes of the model's tensors are not those of the manifest.
        """
        expected = (1, manifest.input.size_px, manifest.input.size_px, 3), (1, manifest.feature_size)
        if (model.input.shape, model.output.shape) != expected:
            raise BundleError(f"backbone {manifest.name}: its tensors are {model.input.shape} and {model.output.shape}, its manifest says {expected}")
        self.manifest = manifest
        self._model = model
        self._preprocessor = Preprocessor(manifest.input, model.input)

    @classmethod
    def load(cls, name: str, *, runtime: str | None = None, threads: int = 1) -> Self:
        """Load a backbone by name.

        Raises:
            BundleError: There is none, or it is damaged.
            InferenceError: The runtime cannot run it.
        """
        return cls.open(find_backbone(name), runtime=runtime, threads=threads)

    @classmethod
    def open(cls, folder: Path, *, runtime: str | None = None, threads: int = 1) -> Self:
        """Load the backbone in a folder. Raises as `load`."""
        manifest = read_manifest(folder / MANIFEST, BackboneManifest)
        path = folder / "backbone.tflite"
        check_sha256(path, manifest.sha256)
        return cls(manifest, open_model(path, runtime, threads))

    def features(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The features of an image.

        Args:
            image: (H, W, 3) uint8, BGR, of any size.

        Returns:
            (D,) float32, a fresh array.

        Raises:
            InferenceError: That is not an image, or the runtime failed.
        """
        features: NDArray[np.float32] = self._model.run(lambda tensor: self._preprocessor.write(image, tensor[0]))[0]
        return features


def find_backbone(name: str, *, sha256: str | None = None, beside: Path | None = None) -> Path:
    """The folder of a backbone.

    Args:
        name: Its name.
        sha256: Of several with this name, take the one whose file has this hash.
        beside: Look in this folder of models first.

    Raises:
        BundleError: There is none.
    """
    found = list(find(f"backbones/{name}", MANIFEST, beside))
    for folder in found:
        if sha256 in (None, read_manifest(folder / MANIFEST, BackboneManifest).sha256):
            return folder
    if found:
        raise BundleError(f"{found[0]}: not the backbone {name!r} that the bundle was trained on, its sha256 differs")
    raise BundleError(f"backbone {name!r} was not found in ./models/backbones, $STREAMVC_MODELS/backbones or the installed streamvc")
