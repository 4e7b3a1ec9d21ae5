"""I3D is the published network, and reads its checkpoints."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the train extra")

from streamvc.errors import DataError
from streamvc.training.networks.i3d import i3d
from streamvc.training.networks.kinetics import load_checkpoint, variable_names
from streamvc.training.tensorflow import tf
from tests.training.networks.published_i3d import ENDPOINTS, UNITS
from tests.training.networks.values import randomise

pytestmark = pytest.mark.train

SMALL = (4, 32, 32, 3)
WIDTH = 1 / 16
NUM_LABELS = 4

Arrays = dict[str, np.ndarray[Any, np.dtype[np.float32]]]


@pytest.fixture(scope="module")
def published() -> Any:
    """As it was published: 400 labels."""
    return i3d((64, 224, 224, 3), 400)


@pytest.fixture(scope="module")
def flow() -> Any:
    return i3d((64, 224, 224, 2), 400)


def expected_variables(scope: str, channels: int, num_labels: int = 400) -> dict[str, tuple[int, ...]]:
    """Shape of each variable in a published checkpoint, without ones in front."""
    shapes: dict[str, tuple[int, ...]] = {}
    for unit, kernel in UNITS.items():
        shapes[f"{unit}/conv_3d/w"] = (*kernel[:3], channels, kernel[4]) if unit == "Conv3d_1a_7x7" else kernel
        shapes |= {f"{unit}/batch_norm/{name}": kernel[4:] for name in ("beta", "moving_mean", "moving_variance")}
    shapes |= {"Logits/Conv3d_0c_1x1/conv_3d/w": (1, 1, 1, 1024, num_labels), "Logits/Conv3d_0c_1x1/conv_3d/b": (num_labels,)}
    return {f"{scope}/inception_i3d/{name}": shape for name, shape in shapes.items()}


def test_each_layer_has_the_published_shape(published: Any, flow: Any) -> None:
    for model in (published, flow):
        found = {name: model.get_layer(name).output.shape[1:] for name in ENDPOINTS}
        assert found == {name: (num_frames, size, size, channels) for name, (num_frames, size, channels) in ENDPOINTS.items()}
        assert model.get_layer("Logits.Conv3d_0c_1x1.conv_3d").output.shape[1:] == (7, 1, 1, 400)
        assert model.output_shape == (None, 400)


def test_the_variables_have_the_published_names_and_shapes(published: Any, flow: Any) -> None:
    for model, scope, channels in ((published, "RGB", 3), (flow, "Flow", 2)):
        assert {name: tuple(variable.shape) for name, variable in variable_names(model).items()} == expected_variables(scope, channels)


def test_there_are_as_many_parameters_as_published(published: Any, flow: Any) -> None:
    def count(model: Any) -> int:
        return sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)

    assert count(published) == 12_689_984  # the 12.69 million that OpenVINO's page of i3d-rgb-tf gives
    assert count(published) - 400 * 1025 == 12_279_984  # without the classifier: 12.3 million
    assert count(published) - count(flow) == 7**3 * 64


def test_clips_of_any_size_are_classified() -> None:
    model = i3d((5, 45, 45, 2), NUM_LABELS, WIDTH)
    assert np.isfinite(np.asarray(model(np.full((2, 5, 45, 45, 2), 127.5, np.float32)))).all()


@pytest.fixture
def trained() -> Any:
    model = i3d(SMALL, NUM_LABELS, WIDTH)
    randomise(model, seed=5)
    return model


def as_published(model: Any) -> Arrays:
    """The variables of a network as they stand in the checkpoints: those of the normalisation with ones in front."""
    values = {name: np.asarray(variable) for name, variable in variable_names(model).items()}
    return {name: array.reshape(1, 1, 1, 1, -1) if "batch_norm" in name else array for name, array in values.items()}


def save_tf1(variables: Mapping[str, Any], folder: Path) -> Path:
    """Write a checkpoint as TensorFlow 1 did."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        for name, values in variables.items():
            tf.compat.v1.get_variable(name, initializer=values)
        session.run(tf.compat.v1.global_variables_initializer())
        return Path(tf.compat.v1.train.Saver().save(session, str(folder / "model.ckpt"), write_meta_graph=False))


def answer(model: Any) -> Any:
    clip = np.random.default_rng(1).uniform(0, 255, (1, *SMALL)).astype(np.float32)
    return np.asarray(model(clip, training=False))


def with_slots(variables: Arrays) -> Arrays:
    """As a checkpoint with an optimizer's variables."""
    return variables | {f"{name}/Momentum": values for name, values in variables.items() if "batch_norm" not in name}


def without_scope(variables: Arrays) -> Arrays:
    """As the checkpoint of Kinetics-600 names them."""
    return {name.removeprefix("RGB/inception_i3d/"): values for name, values in variables.items()}


@pytest.mark.parametrize("change", [with_slots, without_scope])
def test_a_published_checkpoint_gives_the_same_answers(trained: Any, change: Callable[[Arrays], Arrays], tmp_path: Path) -> None:
    loaded = i3d(SMALL, NUM_LABELS, WIDTH)
    load_checkpoint(loaded, save_tf1(change(as_published(trained)), tmp_path))
    assert np.array_equal(answer(loaded), answer(trained))


def test_the_classifier_of_other_labels_is_left_out(trained: Any, tmp_path: Path) -> None:
    loaded = i3d(SMALL, NUM_LABELS + 1, WIDTH)
    before = {name: np.asarray(variable) for name, variable in variable_names(loaded).items() if "Logits" in name}
    load_checkpoint(loaded, save_tf1(as_published(trained), tmp_path))
    now, source = variable_names(loaded), variable_names(trained)
    assert all(np.array_equal(now[name], before[name]) for name in before)
    assert all(np.array_equal(now[name], source[name]) for name in set(now) - set(before))


def test_features_are_read_from_a_checkpoint_with_a_classifier(trained: Any, tmp_path: Path) -> None:
    loaded = i3d(SMALL, 0, WIDTH, logits=False)
    load_checkpoint(loaded, save_tf1(as_published(trained), tmp_path))
    classifier = variable_names(trained)
    kernel, bias = (np.asarray(classifier[f"RGB/inception_i3d/Logits/Conv3d_0c_1x1/conv_3d/{name}"]) for name in "wb")
    assert answer(loaded) @ kernel.reshape(-1, NUM_LABELS) + bias == pytest.approx(answer(trained), abs=1e-5)


def test_a_checkpoint_of_something_else_changes_nothing(trained: Any, tmp_path: Path) -> None:
    before = answer(trained)
    other_width = i3d(SMALL, NUM_LABELS, WIDTH * 2)
    with pytest.raises(DataError, match=r"has the shape .*, but the network's has"):
        load_checkpoint(trained, save_tf1(as_published(other_width), tmp_path))
    variables = as_published(trained)
    del variables["RGB/inception_i3d/Mixed_5b/Branch_2/Conv3d_0a_3x3/conv_3d/w"]
    with pytest.raises(DataError, match="has no variable RGB/inception_i3d/Mixed_5b/Branch_2/Conv3d_0a_3x3/conv_3d/w"):
        load_checkpoint(trained, save_tf1(variables, tmp_path / "incomplete"))
    assert np.array_equal(answer(trained), before)


def test_what_is_no_checkpoint_is_refused(trained: Any, tmp_path: Path) -> None:
    (tmp_path / "broken.index").write_bytes(b"nothing")
    for prefix in (tmp_path / "missing", tmp_path / "broken"):
        with pytest.raises(DataError, match=r"not a TensorFlow checkpoint; name it without \.index"):
            load_checkpoint(trained, prefix)
