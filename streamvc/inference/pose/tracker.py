"""Follows one person from frame to frame: found once, then looked for where the last landmarks were."""

from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from streamvc.errors import InferenceError
from streamvc.inference.folders import check_sha256
from streamvc.inference.manifest import Manifest, Name, Sha256, Text, read_manifest
from streamvc.inference.pose.blazepose import LandmarkFinder, PersonDetector
from streamvc.inference.pose.landmarks import BodyPose, Region
from streamvc.inference.runtime import Opener, open_model

MANIFEST = "pose.json"
VERSION = 2  # raise it when the same networks find other landmarks
PAUSE_TICKS = 2  # ticks from one search of an empty picture to the next: nobody waits longer for being seen, and an empty room costs half


class PoseManifest(Manifest):
    """`pose.json`: the hashes of `detect.tflite` and `landmark.tflite`."""

    schema_: Literal[1] = Field(alias="schema")
    name: Name
    detect_sha256: Sha256
    landmark_sha256: Sha256
    licence: Text
    source: Text


class PoseTracker:
    """The person in one stream. It belongs to one thread at a time."""

    def __init__(self, manifest: PoseManifest, detector: PersonDetector, finder: LandmarkFinder) -> None:
        self.manifest = manifest
        self._detector = detector
        self._finder = finder
        self._region: Region | None = None
        self._pause = 0

    @classmethod
    def open(cls, folder: Path, *, runtime: str | None = None, threads: int = 1, opener: Opener = open_model) -> Self:
        """Load the networks in a folder, by `opener`.

        Raises:
            BundleError: They are missing or damaged.
            InferenceError: The runtime cannot run them.
        """
        manifest = read_manifest(folder / MANIFEST, PoseManifest)
        detect, landmark = folder / "detect.tflite", folder / "landmark.tflite"
        check_sha256(detect, manifest.detect_sha256)
        check_sha256(landmark, manifest.landmark_sha256)
        detector = PersonDetector(opener(detect, runtime, threads))
        return cls(manifest, detector, LandmarkFinder(opener(landmark, runtime, threads)))

    @property
    def name(self) -> str:
        """The networks' name."""
        return self.manifest.name

    @property
    def identity(self) -> str:
        """What says whether two of them find the same landmarks."""
        return f"{self.manifest.detect_sha256} {self.manifest.landmark_sha256} {VERSION} {PAUSE_TICKS}"

    def step(self, image: NDArray[np.uint8], num_ticks: int = 1) -> BodyPose | None:
        """The person in the next frame that is due; None where nobody is seen.

        Args:
            image: (H, W, 3) uint8, BGR, of any size.
            num_ticks: How many ticks of the model's clock it stands for.

        Raises:
            InferenceError: That is not an image, or the runtime failed.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
            raise InferenceError(f"an image must be (H, W, 3) uint8, not {image.shape} {image.dtype}")
        if self._region and (found := self._finder.step(image, self._region)):
            return self._take(found)
        self._region = None
        self._pause -= num_ticks
        if self._pause > 0:
            return None
        region = self._detector.step(image)
        found = self._finder.step(image, region) if region else None
        if found:
            return self._take(found)
        self._pause = PAUSE_TICKS
        return None

    def reset(self) -> None:
        """Forget the stream, as after a gap."""
        self._region = None
        self._pause = 0

    def _take(self, found: tuple[BodyPose, Region]) -> BodyPose:
        body, self._region = found
        self._pause = 0
        return body
