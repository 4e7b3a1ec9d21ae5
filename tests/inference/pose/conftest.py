"""BlazePose's networks, and frames of the rendered figure with what MediaPipe 0.10.21 finds in them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from figure import render_clip
from streamvc.inference.composite import find_pose
from streamvc.inference.pose.blazepose import LandmarkFinder, PersonDetector
from streamvc.inference.pose.landmarks import Region
from streamvc.inference.pose.tracker import PoseTracker
from streamvc.inference.runtime import open_model

REFERENCE = json.loads(Path(__file__).with_name("mediapipe.json").read_text())  # written by scripts/compare_pose.py


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A frame, and what MediaPipe finds in it when it is given this frame alone.

    Attributes:
        image: (480, 640, 3) uint8, BGR.
        region: Where it detects the person.
        landmarks: (33, 7): x, y, z in pixels, visibility, and x, y, z in metres.
    """

    image: NDArray[np.uint8]
    region: Region
    landmarks: NDArray[np.float64]


@pytest.fixture(scope="session", params=REFERENCE, ids=lambda row: str(row["activity"]))
def seen(request: pytest.FixtureRequest) -> Seen:
    row: dict[str, Any] = request.param
    return Seen(next(frames(row["activity"], row["seed"])), Region(*row["region"]), np.array(row["landmarks"]))


@pytest.fixture(scope="session")
def squat() -> NDArray[np.uint8]:
    """Four frames a second of somebody who squats, (4, 480, 640, 3) uint8, BGR."""
    return np.stack(list(frames("Squat", 3)))


@pytest.fixture(scope="session")
def room() -> NDArray[np.uint8]:
    """A picture of the same room with nobody in it."""
    return next(frames("empty", 3))


@pytest.fixture(scope="session")
def detector() -> PersonDetector:
    return PersonDetector(open_model(find_pose() / "detect.tflite"))


@pytest.fixture(scope="session")
def finder() -> LandmarkFinder:
    return LandmarkFinder(open_model(find_pose() / "landmark.tflite"))


@pytest.fixture
def tracker() -> PoseTracker:
    return PoseTracker.open(find_pose())


def frames(activity: str, seed: int) -> Iterator[NDArray[np.uint8]]:
    return render_clip(activity, seed, 1.0, fps=4)
