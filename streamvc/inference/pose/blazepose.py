"""BlazePose (Bazarevsky et al., 2020): a network that finds a person, and one that finds the landmarks of a person whose place is known.

Their anchors, thresholds and the form of their outputs are those of MediaPipe 0.10.21, whose networks they are.
"""

from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

from streamvc.errors import BundleError
from streamvc.inference.pose.landmarks import NUM_LANDMARKS, BodyPose, FloatArray, Region
from streamvc.inference.runtime import Model

DETECTION_PX, LANDMARK_PX = 224, 256
GRIDS = ((28, 2), (14, 2), (7, 6))  # cells along a side, and anchors in each
LEAST_SCORE = 0.5  # of a detection
LEAST_PRESENCE = 0.5
MOST_LOGIT = 80  # nothing beyond it changes a score, and exp() stays finite
LEAST_OVERLAP = 0.3  # detections that overlap by more are one
NUM_POINTS = NUM_LANDMARKS + 6  # behind the landmarks: middle of the hips, a point above the head, and four that are of no use here
MIDDLE, EDGE = 33, 34


class PersonDetector:
    """Finds the person who is seen best, anywhere in the picture."""

    def __init__(self, model: Model) -> None:
        """Take the network.

        Raises:
            BundleError: It is another one.
        """
        _check("detect.tflite", model, (1, DETECTION_PX, DETECTION_PX, 3), (1, len(ANCHORS), 13))
        self._view = _View(model, np.arange(256) / 127.5 - 1, cv2.BORDER_CONSTANT)

    def step(self, image: NDArray[np.uint8]) -> Region | None:
        """The region of a person in (H, W, 3) uint8 BGR; None where nobody is seen."""
        height, width = image.shape[:2]
        transform = Region(width / 2, height / 2, max(width, height), 0.0).transform(DETECTION_PX)
        points = _best(self._view.run(image, transform))
        return None if points is None else Region.around(*_moved(points * DETECTION_PX, transform))


class LandmarkFinder:
    """Finds the landmarks of the person in a region."""

    def __init__(self, model: Model) -> None:
        """Take the network.

        Raises:
            BundleError: It is another one.
        """
        _check("landmark.tflite", model, (1, LANDMARK_PX, LANDMARK_PX, 3), (1, 5 * NUM_POINTS + 1 + 3 * NUM_POINTS))
        self._view = _View(model, np.arange(256) / 255, cv2.BORDER_REPLICATE)

    def step(self, image: NDArray[np.uint8], region: Region) -> tuple[BodyPose, Region] | None:
        """The person in (H, W, 3) uint8 BGR, and the region to look in in the next frame; None where nobody is there."""
        transform = region.transform(LANDMARK_PX)
        points, presence, world = np.split(self._view.run(image, transform), [5 * NUM_POINTS, 5 * NUM_POINTS + 1])
        if not presence[0] >= LEAST_PRESENCE:  # NaN is nobody
            return None
        points = points.reshape(NUM_POINTS, 5)
        landmarks = np.empty((NUM_POINTS, 4), np.float32)
        landmarks[:, :2] = _moved(points[:, :2], transform)
        landmarks[:, 2] = points[:, 2] * (region.size / LANDMARK_PX)
        landmarks[:, 3] = _sigmoid(points[:, 3])
        body = BodyPose(landmarks[:NUM_LANDMARKS], _turned(world.reshape(-1, 3)[:NUM_LANDMARKS], region.rotation), float(presence[0]), region)
        return body, Region.around(landmarks[MIDDLE, :2], landmarks[EDGE, :2])


class _View:
    """Shows a network a part of an image, moved into a square, sampled as MediaPipe does: a pixel stands where its upper left corner is."""

    def __init__(self, model: Model, values: NDArray[np.float64], border: int) -> None:
        """Take the network, what it is given for each value of a pixel, (256,), and what OpenCV is to put beyond the image."""
        self._model = model
        self._table = model.input.encode(values)[None]
        self._border = border
        self._picture = np.empty(model.input.shape[1:], np.uint8)

    def run(self, image: NDArray[np.uint8], transform: NDArray[np.float64]) -> FloatArray:
        """The network's output, without the batch, for a picture whose pixels lie where `transform`, (2, 3), brings them."""
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        cv2.warpAffine(image, transform, self._picture.shape[:2], dst=self._picture, flags=flags, borderMode=self._border)
        rgb = cv2.cvtColor(self._picture, cv2.COLOR_BGR2RGB)
        output: FloatArray = self._model.run(lambda tensor: cv2.LUT(rgb, self._table, dst=tensor[0]))[0]
        return output


def _anchors() -> NDArray[np.float32]:
    """(2254, 2) the middle of each anchor, 0 to 1, x and y."""
    centers = [
        ((x + 0.5) / cells, (y + 0.5) / cells) for cells, per_cell in GRIDS for y, x in product(range(cells), repeat=2) for _ in range(per_cell)
    ]
    return np.array(centers, np.float32)


ANCHORS = _anchors()


def _best(rows: FloatArray) -> FloatArray | None:
    """The first two points, (2, 2) in 0 to 1, of the best detection: the mean of those that overlap it, weighted by their scores."""
    scores = _sigmoid(rows[:, 12])
    likely = np.flatnonzero(scores >= LEAST_SCORE)
    if not len(likely):
        return None
    scores, shapes = scores[likely], rows[likely, :12].reshape(-1, 6, 2) / DETECTION_PX
    middles, sizes = (shapes[:, 0] + ANCHORS[likely]).astype(np.float32), shapes[:, 1].astype(np.float32)
    points = shapes[:, 2:4] + ANCHORS[likely, None]
    same = _overlap(middles, sizes, int(scores.argmax())) > LEAST_OVERLAP
    weights = scores[same] / scores[same].sum()
    best: FloatArray = (weights[:, None, None] * points[same]).sum(axis=0, dtype=np.float32)
    return best


def _overlap(middles: FloatArray, sizes: FloatArray, index: int) -> FloatArray:
    """(N,) intersection over union of each box with one of them."""
    least, most = middles - sizes / 2, middles + sizes / 2
    shared = np.clip(np.minimum(most, most[index]) - np.maximum(least, least[index]), 0, None).prod(axis=1)
    areas = sizes.prod(axis=1)
    overlap: FloatArray = shared / np.maximum(areas + areas[index] - shared, 1e-9)
    overlap[index] = 1
    return overlap


def _moved(points: FloatArray, transform: NDArray[np.float64]) -> FloatArray:
    """(N, 2) points of a picture as points of the image that it was taken from."""
    moved: FloatArray = (points @ transform[:, :2].T + transform[:, 2]).astype(np.float32)
    return moved


def _turned(world: FloatArray, angle: float) -> FloatArray:
    """Points that were found in a turned picture, turned back."""
    cos, sin = np.cos(angle), np.sin(angle)
    turned: FloatArray = (world @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])).astype(np.float32)
    return turned


def _sigmoid(x: FloatArray) -> FloatArray:
    y: FloatArray = (1 / (1 + np.exp(-np.clip(x, -MOST_LOGIT, MOST_LOGIT)))).astype(np.float32)
    return y


def _check(file: str, model: Model, source: tuple[int, ...], sink: tuple[int, ...]) -> None:
    if (model.input.shape, model.output.shape) != (source, sink):
        raise BundleError(f"{file}: its tensors are {model.input.shape} and {model.output.shape}, BlazePose's are {source} and {sink}")
