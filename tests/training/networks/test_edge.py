"""What runs on the edge computes what was trained."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the train extra")

from streamvc.inference.runtime import open_model
from streamvc.training.networks.c3d import c3d
from streamvc.training.networks.convlstm import convlstm
from streamvc.training.networks.edge import edge_graph, tflite
from streamvc.training.networks.i3d import i3d
from streamvc.training.networks.two_stream import two_stream
from streamvc.training.tensorflow import keras
from tests.training.networks.values import randomise

pytestmark = pytest.mark.train

TOLERANCE = 1e-4


def a_c3d() -> Any:
    return c3d((5, 33, 33, 3), 4, width=1 / 16)


def an_i3d() -> Any:
    return i3d((9, 45, 45, 2), 4, width=1 / 8)


def a_two_stream() -> Any:
    return two_stream((4, 32, 32, 5), 4, width=0.25)


def a_convlstm() -> Any:
    return convlstm((5, 4, 3, 20), 4, width=0.25)


NETWORKS = [a_c3d, an_i3d, a_two_stream, a_convlstm]


def clip_for(model: Any) -> Any:
    return np.random.default_rng(3).uniform(0, 255, (1, *model.input_shape[1:])).astype(np.float32)


@pytest.mark.parametrize("build", NETWORKS)
def test_a_converted_network_gives_the_answers_of_the_trained_one(build: Callable[[], Any], tmp_path: Path) -> None:
    model = build()
    randomise(model)
    clip = clip_for(model)
    expected = np.asarray(model(clip, training=False))
    (tmp_path / "network.tflite").write_bytes(tflite(model))
    exported = open_model(tmp_path / "network.tflite")  # a runtime without Flex operations refuses all but builtin ones
    assert exported.input.shape == clip.shape
    assert exported.run(lambda tensor: np.copyto(tensor, clip)) == pytest.approx(expected, rel=TOLERANCE, abs=TOLERANCE)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("strides", [1, 2, 3])
def test_convolutions_and_poolings_over_time_and_space_agree(padding: str, strides: int) -> None:
    pictures = keras.Input((7, 13, 11, 12))
    x = keras.layers.Conv3D(6, (3, 4, 2), strides, padding, activation="relu", bias_initializer="normal")(pictures)
    x = keras.layers.MaxPooling3D((2, 3, 2), (1, 2, 1), padding)(x)
    model = keras.Model(pictures, keras.layers.AveragePooling3D((1, 2, 2), 1, "valid")(x) if strides == 1 else x)
    clip = clip_for(model) / 255
    assert np.asarray(edge_graph(model)(clip)) == pytest.approx(np.asarray(model(clip)), abs=1e-5)


def test_weights_in_half_the_bytes_say_nearly_the_same(tmp_path: Path) -> None:
    model = a_c3d()
    clip = clip_for(model)
    whole, half = tflite(model), tflite(model, float16=True)
    assert len(half) < 0.6 * len(whole)
    (tmp_path / "half.tflite").write_bytes(half)
    answer = open_model(tmp_path / "half.tflite").run(lambda tensor: np.copyto(tensor, clip))
    expected = np.asarray(model(clip))
    assert answer == pytest.approx(expected, abs=0.01 * float(np.abs(expected).max()))
    assert not np.array_equal(answer, expected)
