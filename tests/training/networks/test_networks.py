"""The networks are those of their papers, and see what they are for."""

from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the train extra")

from streamvc.training.networks.c3d import c3d
from streamvc.training.networks.convlstm import convlstm
from streamvc.training.networks.frame_cnn import frame_cnn
from streamvc.training.networks.layers import PerFrame
from streamvc.training.networks.two_stream import two_stream
from streamvc.training.tensorflow import keras

pytestmark = pytest.mark.train


def random_clip(*shape: int) -> Any:
    return np.random.default_rng(2).uniform(0, 255, (1, *shape)).astype(np.float32)


def answer(model: Any, clip: Any) -> Any:
    return np.asarray(model(clip, training=False))


def test_c3d_is_the_published_network() -> None:
    model = c3d((16, 112, 112, 3), 101)
    assert model.count_params() == 78_409_573  # as ports to PyTorch print for the 101 labels of UCF101
    pools = {name: model.get_layer(name).output.shape[1:] for name in ("pool1", "pool2", "pool3", "pool4", "pool5")}
    assert pools == {
        "pool1": (16, 56, 56, 64),
        "pool2": (8, 28, 28, 128),
        "pool3": (4, 14, 14, 256),
        "pool4": (2, 7, 7, 512),
        "pool5": (1, 4, 4, 512),
    }


def test_c3d_takes_clips_that_are_smaller_than_its_poolings() -> None:
    model = c3d((2, 8, 8, 2), 3, width=1 / 32)
    assert model.get_layer("pool5").output.shape[1:4] == (1, 1, 1)
    assert np.isfinite(answer(model, random_clip(2, 8, 8, 2))).all()


@pytest.mark.parametrize("width", [0.001, 0.5])
def test_widths_scale_all_numbers_of_filters(width: float) -> None:
    model = c3d((4, 16, 16, 3), 3, width=width)
    assert model.get_layer("conv5b").filters == max(1, 512 * width)
    assert model.get_layer("fc6").units == max(1, round(4096 * width))
    assert frame_cnn(32, width=width).output_shape == (None, max(1, 256 * width))


def test_a_network_per_frame_sees_one_frame_at_a_time() -> None:
    network = frame_cnn(16, width=0.25)
    clips = np.concatenate([random_clip(3, 16, 16, 3), random_clip(3, 16, 16, 3)[:, ::-1]])
    pictures = keras.Input((3, 16, 16, 3))
    features = answer(keras.Model(pictures, PerFrame(network)(pictures)), clips)
    assert features[1] == pytest.approx(features[0, ::-1], abs=1e-6)
    assert features[1, 2] == pytest.approx(answer(network, clips[0, :1])[0], abs=1e-5)


def test_two_streams_tell_what_is_seen_from_how_it_moves() -> None:
    model = two_stream((4, 32, 32, 5), 3, width=0.25)
    clip = random_clip(4, 32, 32, 5)
    scores = np.exp(answer(model, clip))
    assert scores.sum() == pytest.approx(1, abs=1e-5)
    backwards = clip.copy()
    backwards[..., :3] = clip[:, ::-1, ..., :3]
    assert np.exp(answer(model, backwards)) == pytest.approx(scores, abs=1e-6)  # the colours' order says nothing
    backwards[..., 3:] = clip[:, ::-1, ..., 3:]
    assert np.abs(np.exp(answer(model, backwards)) - scores).max() > 1e-4  # the motion's does


def test_a_convlstm_remembers_the_order_of_its_maps() -> None:
    model = convlstm((4, 3, 3, 8), 3, width=0.25)
    maps = random_clip(4, 3, 3, 8)
    assert np.abs(answer(model, maps) - answer(model, maps[:, ::-1])).max() > 1e-4
    assert answer(model, 40 * maps) == pytest.approx(answer(model, maps), abs=1e-3)  # of any size
