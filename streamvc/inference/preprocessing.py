"""Brings images of any size into the form that a network wants."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from streamvc.errors import InferenceError
from streamvc.inference.manifest import ImageInput
from streamvc.inference.runtime import TensorSpec
from streamvc.types import Array

INTERPOLATION = {"linear": cv2.INTER_LINEAR, "area": cv2.INTER_AREA}
STILL = 127  # of a difference, where nothing changed


class Preprocessor:
    """Brings images into a backbone's form; keeps its scratch pictures from one to the next."""

    def __init__(self, spec: ImageInput, tensor: TensorSpec) -> None:
        self._spec = spec
        size = (spec.size_px, spec.size_px)
        self._resized = np.empty((*size, 3), np.uint8)
        self._before = np.empty_like(self._resized)
        self._grey = np.empty(size, np.uint8)
        self._rgb = np.empty_like(self._resized) if spec.colour == "rgb" else None
        # A pixel has 256 values, so that normalisation, and for an int8 backbone quantisation too, is a table.
        self._table = tensor.encode((np.arange(256) - spec.mean) / spec.scale)[None]

    def write(self, image: NDArray[np.uint8], picture: Array) -> None:
        """Write an image, (H, W, 3) uint8 BGR, into a picture, (size_px, size_px, 3) of the tensor's type. What is followed is cut out before.

        Raises:
            InferenceError: That is not an image.
        """
        check_image(image)
        if image.shape == self._resized.shape:  # a decoder has brought it to size
            self._write(image, picture)
        else:
            self._resize(image, self._resized)
            self._write(self._resized, picture)

    def write_difference(self, image: NDArray[np.uint8], before: NDArray[np.uint8] | None, picture: Array) -> None:
        """As `write`, but `127 + (image - before) / 2`: 127 where nothing changed, and everywhere if there is none before. Raises as `write`."""
        self._resize(image, self._resized)
        if before is None:
            self._resized.fill(STILL)
        else:
            self._resize(before, self._before)
            cv2.addWeighted(self._resized, 0.5, self._before, -0.5, STILL, dst=self._resized)
        self._write(self._resized, picture)

    def write_greys(self, images: Sequence[NDArray[np.uint8]], picture: Array) -> None:
        """As `write`, but with three images in grey, the newest first, as blue, green and red: what stands still is grey, what moves has colours."""
        for channel, image in enumerate(images):
            self._resize(image, self._before)
            cv2.cvtColor(self._before, cv2.COLOR_BGR2GRAY, dst=self._grey)
            self._resized[..., channel] = self._grey
        self._write(self._resized, picture)

    def _resize(self, image: NDArray[np.uint8], resized: NDArray[np.uint8]) -> None:
        check_image(image)
        if self._spec.crop == "center":
            image = center(image)
        cv2.resize(image, resized.shape[:2], dst=resized, interpolation=INTERPOLATION[self._spec.resize])

    def _write(self, image: NDArray[np.uint8], picture: Array) -> None:
        if self._rgb is not None:
            image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=self._rgb)
        cv2.LUT(image, self._table, dst=picture)


def check_image(image: NDArray[np.uint8]) -> None:
    """Refuse what is no image, (H, W, 3) uint8.

    Raises:
        InferenceError: It is none.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        raise InferenceError(f"an image must be (H, W, 3) uint8, not {image.shape} {image.dtype}")


def center(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The largest square in the middle of an image, as a view."""
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side]
