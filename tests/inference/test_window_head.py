"""Heads over the whole window: what their network is given, and when."""

from typing import Any

import numpy as np
import pytest

from streamvc.errors import BundleError
from streamvc.inference.head import WindowHead, open_head
from streamvc.inference.manifest import BundleSettings
from streamvc.inference.runtime import TensorSpec
from tests.inference.gru import Floats, FunctionModel
from tests.inference.settings import settings

W, D, NUM_LABELS = 4, 3, 2
FLOAT = np.dtype(np.float32)
MAP = (2, 1, 3)  # H, W, C


class Witness:
    """A network that keeps what it was given, and puts out its sums."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.input = TensorSpec((1, *shape), FLOAT)
        self.output = TensorSpec((1, NUM_LABELS), FLOAT)
        self.seen = np.zeros(0, FLOAT)

    def run(self, fill: Any) -> Floats:
        tensor = np.full(self.input.shape, np.nan, FLOAT)
        fill(tensor)
        self.seen = tensor[0]
        return np.array([[tensor.sum(), -tensor.sum()]], FLOAT)


def window_settings(**changes: Any) -> BundleSettings:
    sizes = {"form": "window", "feature_size": D, "projection_size": D, "state_size": 0, "window": W, "warm_up": 1}
    return settings(labels=("A", "B"), background=None, thresholds={}, **(sizes | changes))


def clip_settings() -> BundleSettings:
    return window_settings(form="clip", backbone=None, pictures="colour", feature_size=6, projection_size=6, feature_map=MAP)


def feature(number: float, size: int = D) -> Floats:
    return np.full(size, number, np.float32)


def test_a_network_over_features_is_told_which_of_them_are_there() -> None:
    network = Witness((W, D + 1))
    head = WindowHead(window_settings(), None, network)
    head.push(feature(5))
    head.push(feature(6), times=2)
    head.logits()
    np.testing.assert_array_equal(network.seen[:, 0], [5, 6, 6, 0])
    np.testing.assert_array_equal(network.seen[:, -1], [1, 1, 1, 0])
    for number in (7, 8):
        head.push(feature(number))
    head.logits()
    np.testing.assert_array_equal(network.seen[:, 0], [6, 6, 7, 8])  # the oldest is gone
    assert network.seen[:, -1].all()


def test_a_feature_is_projected_once_however_long_it_stays() -> None:
    project = FunctionModel(lambda row: 10 * row[:2], D, 2)
    network = Witness((W, 3))
    head = WindowHead(window_settings(projection_size=2), project, network)
    for number in range(3):
        head.push(feature(number), times=2)
        head.logits()
    assert project.num_runs == 3
    np.testing.assert_array_equal(network.seen, [[10, 10, 1], [10, 10, 1], [20, 20, 1], [20, 20, 1]])


def test_a_network_over_pictures_sees_the_oldest_in_place_of_those_that_are_missing() -> None:
    network = Witness((W, *MAP))
    head = WindowHead(clip_settings(), None, network)
    head.push(np.arange(6, dtype=np.uint8))
    head.push(np.full(6, 200, np.uint8))
    head.logits()
    np.testing.assert_array_equal(network.seen[0], np.arange(6).reshape(MAP))
    np.testing.assert_array_equal(network.seen[:3], np.repeat(network.seen[:1], 3, axis=0))
    assert (network.seen[3] == 200).all()


def test_what_was_before_a_reset_is_not_seen_again() -> None:
    network = Witness((W, *MAP))
    head = WindowHead(clip_settings(), None, network)
    for _ in range(W):
        head.push(np.full(6, 99, np.uint8))
    head.reset()
    head.push(np.full(6, 1, np.uint8))
    assert head.scores().sum() == pytest.approx(1)
    assert (network.seen == 1).all()


@pytest.mark.parametrize("shape", [(W, D), (W + 1, D + 1), (W, D + 2)])
def test_a_network_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(BundleError, match=r"network\.tflite: its tensors are"):
        WindowHead(window_settings(), None, Witness(shape))


def test_features_of_another_size_than_the_network_sees_are_refused_where_nothing_projects_them() -> None:
    with pytest.raises(BundleError, match=rf"projection_size is 2 and feature_size {D}, and there is no project\.tflite"):
        WindowHead(window_settings(projection_size=2), None, Witness((W, 3)))


def test_a_bundle_without_its_network_is_refused() -> None:
    with pytest.raises(BundleError, match="is missing"):
        open_head(window_settings(), lambda _name: None)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"backbone": None}, "either a backbone or pictures"),
        ({"pictures": "flow"}, "either a backbone or pictures"),
        ({"form": "clip"}, "needs a feature_map"),
        ({"feature_map": (1, 1, D + 1)}, "is not that of feature_map"),
        ({"mode": "stateful"}, "has the mode window and no state"),
        ({"state_size": 3}, "has the mode window and no state"),
    ],
)
def test_settings_that_contradict_themselves_are_refused(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        window_settings(**changes)
