"""MoveNet (Google, 2021): a network that finds up to six people and their keypoints, and a faster one for a person whose place is known."""

from pathlib import Path
from typing import Literal, Self

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from streamvc.errors import BundleError
from streamvc.inference.backbone import choose
from streamvc.inference.folders import check_sha256
from streamvc.inference.manifest import Count, Manifest, Name, Sha256, read_manifest
from streamvc.inference.people.skeletons import NUM_KEYPOINTS, FloatArray, Skeleton, overlap
from streamvc.inference.preprocessing import check_image
from streamvc.inference.runtime import Model, Opener, open_model
from streamvc.inference.views import Square

MANIFEST, FILE = "movenet.json", "movenet.tflite"
MULTIPOSE, LIGHTNING, LIGHTNING_INT8 = "movenet-multipose", "movenet-lightning", "movenet-lightning-int8"
NUM_PEOPLE = 6  # that the network can tell apart
LEAST_SCORE = 0.1  # of a person
NUM_POINTS, LEAST_POINT = 3, 0.2  # a person of whom fewer points than that are seen needs this score
SAME, WITHIN = 0.5, 0.85  # of two boxes that overlap by more, or of which one lies so far in the other, the less sure one is no person
NUM_BOX_POINTS, BOX_MARGIN = 6, 0.02  # from so many keypoints on the box is drawn around them, with this margin of its longer side
VERSION = 1  # raise it when the same networks find other people

Kind = Literal["single", "several"]


class MoveNetManifest(Manifest):
    """`movenet.json`. `sha256` is that of `movenet.tflite`.

    Attributes:
        kind: `single` finds the keypoints of one person, `several` finds up to six people.
        height_px: Of the picture that the network is shown ...
        width_px: ... and its width.
    """

    schema_: Literal[1] = Field(alias="schema")
    name: Name
    kind: Kind
    sha256: Sha256
    height_px: Count
    width_px: Count
    licence: str
    source: str


class _Network:
    """A network, and the table that brings the values of a pixel into its form."""

    def __init__(self, manifest: MoveNetManifest, model: Model, output: tuple[int, ...]) -> None:
        source = (1, manifest.height_px, manifest.width_px, 3)
        if (model.input.shape, model.output.shape) != (source, output):
            raise BundleError(f"{FILE}: its tensors are {model.input.shape} and {model.output.shape}, MoveNet's are {source} and {output}")
        self.manifest = manifest
        self._model = model
        self._table = model.input.encode(np.arange(256.0))[None]
        self._picture = np.zeros(source[1:], np.uint8)

    @property
    def identity(self) -> str:
        """What says whether two of them find the same."""
        return f"{self.manifest.sha256} {VERSION}"

    def _run(self) -> FloatArray:
        """What the network makes of its picture, without the batch."""
        rgb = cv2.cvtColor(self._picture, cv2.COLOR_BGR2RGB)
        output: FloatArray = self._model.run(lambda tensor: cv2.LUT(rgb, self._table, dst=tensor[0]))[0]
        return output


class MultiPose(_Network):
    """Finds up to six people in a picture of any size, each frame by itself."""

    def __init__(self, manifest: MoveNetManifest, model: Model) -> None:
        """Take the network.

        Raises:
            BundleError: It is another one.
        """
        super().__init__(manifest, model, (1, NUM_PEOPLE, 3 * NUM_KEYPOINTS + 5))

    @classmethod
    def open(cls, folder: Path, *, runtime: str | None = None, threads: int = 1, opener: Opener = open_model) -> Self:
        """Load the network in a folder.

        Raises:
            BundleError: It is missing, damaged or of the other kind.
            InferenceError: The runtime cannot run it.
        """
        return cls(*_open(folder, "several", runtime, threads, opener))

    def step(self, image: NDArray[np.uint8]) -> list[Skeleton]:
        """The people in (H, W, 3) uint8 BGR, those first that are seen best.

        Raises:
            InferenceError: That is not an image, or the runtime failed.
        """
        check_image(image)
        scale = fit(image, self._picture)
        height, width = self._picture.shape[:2]
        rows = self._run()
        keypoints = rows[:, :51].reshape(-1, NUM_KEYPOINTS, 3)[:, :, [1, 0, 2]] * np.array([width / scale, height / scale, 1], np.float32)
        boxes = rows[:, [52, 51, 54, 53]] * np.array([width, height, width, height], np.float32) / np.float32(scale)
        return distinct([Skeleton(*each) for each in zip(keypoints, boxes, rows[:, 55].tolist(), strict=True) if np.isfinite(each[0]).all()])


class Lightning(_Network):
    """Finds the keypoints of the person in a square of a picture."""

    def __init__(self, manifest: MoveNetManifest, model: Model) -> None:
        """Take the network.

        Raises:
            BundleError: It is another one.
        """
        super().__init__(manifest, model, (1, 1, NUM_KEYPOINTS, 3))

    @classmethod
    def open(cls, folder: Path, *, runtime: str | None = None, threads: int = 1, opener: Opener = open_model) -> Self:
        """Load the network in a folder.

        Raises:
            BundleError: It is missing, damaged or of the other kind.
            InferenceError: The runtime cannot run it.
        """
        return cls(*_open(folder, "single", runtime, threads, opener))

    def look(self, image: NDArray[np.uint8], square: Square, *, upended: bool = False) -> FloatArray:
        """The keypoints, (17, 3) as in `Skeleton`, of the person in a square of (H, W, 3) uint8 BGR; black is what lies beyond it.

        Args:
            image: The frame.
            square: Where the person is.
            upended: Turn the square by half a turn, for a person who stands on their hands.
        """
        transform = square_transform(square, self._picture.shape[0], upended)
        show_square(image, transform, self._picture)
        found = self._run()[0]
        keypoints = np.empty((NUM_KEYPOINTS, 3), np.float32)
        keypoints[:, :2] = found[:, 1::-1] * self._picture.shape[0] @ transform[:, :2].T + transform[:, 2]
        keypoints[:, 2] = found[:, 2]
        return keypoints


def fit(image: NDArray[np.uint8], picture: NDArray[np.uint8]) -> float:
    """Write a whole image into the upper left of a picture, (H, W, 3), with black around it; returns how many times larger it is there."""
    scale = min(picture.shape[0] / image.shape[0], picture.shape[1] / image.shape[1])
    rows, columns = (max(1, round(scale * side)) for side in image.shape[:2])
    if scale < 1 / 4:  # to average all of a large frame takes longer
        image = np.asarray(cv2.resize(image, (2 * columns, 2 * rows), interpolation=cv2.INTER_LINEAR), np.uint8)
    picture[rows:], picture[:, columns:] = 0, 0
    picture[:rows, :columns] = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    return float(scale)


def square_transform(square: Square, side: int, upended: bool = False) -> NDArray[np.float64]:
    """(2, 3): brings a point of a picture of this side, which shows the square, to the image."""
    scale = square.side / side * (-1 if upended else 1)
    return np.array([[scale, 0, square.center_x - scale * side / 2], [0, scale, square.center_y - scale * side / 2]])


def show_square(image: NDArray[np.uint8], transform: NDArray[np.float64], picture: NDArray[np.uint8]) -> None:
    """Write what a transform shows of an image into a picture, (S, S, 3), by the smoothest sampling that costs little."""
    scale = abs(transform[0, 0])
    if scale > 2:  # every other pixel and more would be left out
        image = np.asarray(cv2.resize(image, None, fx=2 / scale, fy=2 / scale, interpolation=cv2.INTER_LINEAR), np.uint8)
        transform = transform * (2 / scale)
    cv2.warpAffine(image, transform, picture.shape[:2], dst=picture, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)


def distinct(skeletons: list[Skeleton]) -> list[Skeleton]:
    """Those who are somebody, each once, those first that are seen best."""
    kept: list[Skeleton] = []
    for skeleton in sorted(skeletons, key=lambda each: -each.score):
        num_seen = int(skeleton.seen.sum())
        if skeleton.score < LEAST_SCORE or (num_seen < NUM_POINTS and skeleton.score < LEAST_POINT):
            continue
        if num_seen >= NUM_BOX_POINTS:  # the network's own boxes are not as near
            skeleton = Skeleton(skeleton.keypoints, _box_around(skeleton), skeleton.score)
        if not any(_same(skeleton.box, other.box) for other in kept):
            kept.append(skeleton)
    return kept


def find_movenet(name: str, *, sha256: str | None = None, beside: Path | None = None) -> Path:
    """The folder of a network; see `streamvc.inference.backbone.find_backbone`.

    Raises:
        BundleError: There is none.
    """
    return choose(name, MANIFEST, beside, lambda folder: sha256 in (None, read_manifest(folder / MANIFEST, MoveNetManifest).sha256))


def _open(folder: Path, kind: Kind, runtime: str | None, threads: int, opener: Opener) -> tuple[MoveNetManifest, Model]:
    manifest = read_manifest(folder / MANIFEST, MoveNetManifest)
    if manifest.kind != kind:
        raise BundleError(f"{folder}: a MoveNet of the kind {manifest.kind}, not {kind}")
    check_sha256(folder / FILE, manifest.sha256)
    return manifest, opener(folder / FILE, runtime, threads)


def _box_around(skeleton: Skeleton) -> FloatArray:
    points = skeleton.keypoints[skeleton.seen, :2]
    least, most = points.min(axis=0), points.max(axis=0)
    margin = BOX_MARGIN * (most - least).max()
    return np.concatenate([least - margin, most + margin])


def _same(one: FloatArray, other: FloatArray) -> bool:
    shared = float(np.clip(np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]), 0, None).prod())
    smaller = float(min((one[2:] - one[:2]).prod(), (other[2:] - other[:2]).prod()))
    return float(overlap(one, other[None])[0]) > SAME or shared > WITHIN * max(smaller, 1e-6)
