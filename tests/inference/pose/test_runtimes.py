"""TensorFlow finds what LiteRT finds."""

from importlib.util import find_spec

import numpy as np
import pytest
from numpy.typing import NDArray

from streamvc.inference.composite import find_pose
from streamvc.inference.pose.tracker import PoseTracker

pytestmark = [pytest.mark.train, pytest.mark.skipif(find_spec("tensorflow") is None, reason="needs the train extra")]


def test_landmarks_agree(squat: NDArray[np.uint8]) -> None:
    exact, other = (PoseTracker.open(find_pose(), runtime=runtime) for runtime in ("litert", "tensorflow"))
    for frame in squat[:2]:
        ours, theirs = exact.step(frame), other.step(frame)
        assert ours is not None
        assert theirs is not None
        assert theirs.landmarks == pytest.approx(ours.landmarks, abs=0.3)  # pixels
        assert theirs.world == pytest.approx(ours.world, abs=1e-3)
        assert theirs.presence == pytest.approx(ours.presence, abs=1e-3)
