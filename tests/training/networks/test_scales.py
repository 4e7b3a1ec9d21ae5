"""What happened at which distance in the past: each span of it counts by its mean, the oldest feature standing for what came before."""

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the train extra")

from streamvc.training.networks.network import HeadSpec
from streamvc.training.networks.windows import scales
from streamvc.training.plan import HeadSettings
from streamvc.training.tensorflow import keras

pytestmark = pytest.mark.train

WINDOW, NUM = 8, 3
SPANS = ((0, 1), (1, 2), (2, 4), (4, 8))  # features ago
DEVIATIONS = ((0, 4),)


def summarised(window: np.ndarray, length: int) -> np.ndarray:
    """What `scales` makes of a window, (W, K), of which so many features are there; the slow way."""
    past = [window[max(length - 1 - ago, 0)] for ago in range(WINDOW)]
    means = [np.mean(past[begin:end], axis=0) for begin, end in SPANS]
    return np.concatenate([*means, *(np.std(past[begin:end], axis=0) for begin, end in DEVIATIONS)])


@pytest.mark.parametrize("length", [1, 3, WINDOW])
def test_spans_of_the_past_double_in_length(length: int) -> None:
    settings = HeadSettings(window=WINDOW, warm_up=1, inputs="standard", units=(4,))
    model = scales(HeadSpec(NUM, NUM, None, 2, settings)).model
    inside = keras.Model(model.inputs, next(layer for layer in model.layers if isinstance(layer, keras.layers.Dense)).input)
    window = np.random.default_rng(0).normal(size=(WINDOW, NUM)).astype(np.float32)
    found = np.asarray(inside([window[None], np.array([length])], training=False))[0]
    assert found == pytest.approx(summarised(window, length), abs=2e-3)
