"""Backbones that are made run as their networks do."""

import json
import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("tensorflow", reason="needs the train extra")

from streamvc.cli import main
from streamvc.errors import BundleError, DataError
from streamvc.inference.backbone import Backbone
from streamvc.inference.pictures import PictureExtractor
from streamvc.training.backbones import BLUEPRINTS
from streamvc.training.backbones.make import build_network, make_backbone, write_backbone
from streamvc.training.backbones.options import BackboneOptions, picture_shape
from streamvc.training.backbones.weights import Weights
from streamvc.training.networks.edge import tflite
from streamvc.training.networks.i3d import i3d
from streamvc.training.tensorflow import keras
from tests.inference.settings import picture
from tests.training.networks.values import randomise

pytestmark = pytest.mark.train

RANDOM = Weights(None, "random")
NAME = "mobilenetv3-small"


def network(name: str, weights: Weights = RANDOM, **choices: Any) -> Any:
    return build_network(BLUEPRINTS[name], picture_shape(BLUEPRINTS[name], BackboneOptions(**choices)), weights)


def small(image: Any, size_px: int) -> Any:
    return cv2.resize(image, (size_px, size_px), interpolation=cv2.INTER_LINEAR).astype(np.float32)


# VGG16 with its dense layers takes half a gigabyte: only its blueprint is tested.
@pytest.mark.parametrize("name", ["mobilenetv2", "mobilenetv3-large", "inceptionv3", "vgg16-map"])
def test_networks_give_features_of_the_shape_that_is_listed(name: str) -> None:
    assert network(name).output_shape[1:] == BLUEPRINTS[name].feature


def test_a_larger_efficientnet_lite_has_as_many_parameters_as_published() -> None:
    model = network("efficientnet-lite2", size_px=64)
    parameters = sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)
    classifier = 1281 * 1000
    assert parameters + classifier == pytest.approx(6.1e6, abs=0.05e6)  # the table at github.com/tensorflow/tpu, models/official/efficientnet/lite
    assert sum(isinstance(layer, keras.layers.DepthwiseConv2D) for layer in model.layers) == 21
    assert model.output_shape == (None, 1280)


@pytest.fixture(scope="module")
def trained() -> Any:
    """A network for 64 pixels with weights that no seed gives."""
    model = network(NAME, size_px=64)
    randomise(model)
    return model


@pytest.fixture(scope="module")
def saved(trained: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its weights as Keras Applications publish theirs, in the older format of Keras."""
    path = tmp_path_factory.mktemp("weights") / "weights_no_top.h5"
    with warnings.catch_warnings():  # Keras' own, of NumPy, while it writes
        warnings.simplefilter("ignore", DeprecationWarning)
        trained.save(path)
    return path


@pytest.fixture(scope="module")
def made(saved: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backbone made by the command."""
    out = tmp_path_factory.mktemp("backbones")
    arguments = ["backbones", "make", NAME, "--weights", str(saved), "--size", "64", "--out", str(out), "--name", "mine", "--float32"]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return out / "mine"


def test_a_backbone_gives_the_features_of_its_network(made: Path, trained: Any) -> None:
    backbone = Backbone.open(made)
    feature = backbone.step(picture())
    prepared = (small(picture()[..., ::-1], 64) - 127.5) / 127.5
    expected = np.asarray(trained(prepared[None], training=False))[0]
    assert feature is not None
    assert feature.values == pytest.approx(expected, abs=1e-4)
    assert feature.values.std() > 0.01


def test_a_backbone_says_what_it_is_and_whose(made: Path) -> None:
    manifest = Backbone.open(made).manifest
    assert (manifest.name, manifest.input.size_px, manifest.feature_size, manifest.feature_map, manifest.num_frames) == ("mine", 64, 576, None, 1)
    assert manifest.licence == "Apache-2.0"
    notice = (made / "NOTICE").read_text()
    assert "MobileNetV3" in notice
    assert "its weights are float32 as before" in notice
    assert sorted(path.name for path in made.parent.iterdir()) == ["mine"]  # nothing half-written beside it


def test_a_backbone_that_is_there_is_kept(made: Path) -> None:
    before = json.loads((made / "backbone.json").read_text())
    with pytest.raises(BundleError, match="is there already; bundles trained on it need it as it is"):
        make_backbone(NAME, BackboneOptions(weights="none", name="mine"), out=made.parent)
    assert json.loads((made / "backbone.json").read_text()) == before


def test_no_other_folder_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(BundleError, match="is there already"):
        make_backbone(NAME, BackboneOptions(weights="none", name="mine"), out=tmp_path, overwrite=True)
    assert (tmp_path / "mine" / "thesis.txt").exists()


def test_a_map_is_written_as_a_row_that_knows_its_shape(tmp_path: Path) -> None:
    manifest = make_backbone("efficientnet-lite0-map", BackboneOptions("none", size_px=64, name="map"), out=tmp_path)
    assert (manifest.feature_map, manifest.feature_size) == ((2, 2, 320), 1280)
    feature = Backbone.open(tmp_path / "map").step(picture())
    prepared = (small(picture()[..., ::-1], 64) - 127) / 128
    expected = np.asarray(network("efficientnet-lite0-map", size_px=64)(prepared[None], training=False))[0]
    assert feature is not None
    assert feature.values.reshape(2, 2, 320).astype(np.float32) == pytest.approx(expected, abs=0.02 * float(np.abs(expected).max()))
    assert expected.std() > 0.1  # random weights too tell something of a picture
    assert "rounded to float16" in (tmp_path / "map" / "NOTICE").read_text()


def test_vgg16_takes_the_mean_of_each_channel_off_by_itself() -> None:
    whole = network("vgg16-map", size_px=32)
    plain = keras.applications.VGG16(input_shape=(32, 32, 3), include_top=False, weights=None)
    plain.set_weights(whole.get_weights())
    image = small(picture(), 32)
    prepared = keras.applications.vgg16.preprocess_input(image[None, ..., ::-1].copy())  # takes red, green, blue
    assert np.asarray(whole(image[None])) == pytest.approx(np.asarray(plain(prepared)), rel=1e-4, abs=1e-4)


def test_a_feature_of_several_frames(tmp_path: Path) -> None:
    blueprint = BLUEPRINTS["i3d-flow"]
    shape = picture_shape(blueprint, BackboneOptions(size_px=32, num_frames=3))
    narrow = i3d((3, 32, 32, 2), 0, width=1 / 16, logits=False)  # converts ten times as fast as the blueprint's own
    randomise(narrow)
    manifest = write_backbone(tmp_path / "snippets", blueprint, narrow, RANDOM, tflite(narrow), "it was left as it is")
    assert (manifest.num_frames, manifest.feature_size, shape) == (3, 64, (3, 32, 32, 2))
    backbone, pictures = Backbone.open(tmp_path / "snippets"), PictureExtractor("flow", 32)
    frames = [picture(), np.roll(picture(), 20, axis=1), np.roll(picture(), 50, axis=1)]
    *early, feature = [backbone.step(frame) for frame in frames]
    clip = np.stack([pictures.step(frame).values.reshape(shape[1:]) for frame in frames])[None].astype(np.float32)
    assert early == [None, None]
    assert feature is not None
    assert feature.values == pytest.approx(np.asarray(narrow(clip, training=False))[0], abs=1e-4)


@pytest.mark.parametrize(
    ("name", "choices", "message"),
    [
        ("inceptionv3", BackboneOptions("none", size_px=64), "64 pixels are too few; it needs 75"),
        ("vgg16-fc2", BackboneOptions("none", size_px=256), "its dense layers need pictures of 224 pixels"),
        ("mobilenetv2", BackboneOptions("none", num_frames=8), "sees one frame at a time"),
        ("i3d-flow", BackboneOptions("none", num_frames=1), "sees several frames at a time"),
        ("mobilenetv2", BackboneOptions("missing.h5", size_px=32), r"missing\.h5: there are no such weights"),
    ],
)
def test_what_a_network_cannot_do_is_said(name: str, choices: BackboneOptions, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        make_backbone(name, choices, out=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_weights_of_another_network_are_refused(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not weights for mobilenetv2"):
        make_backbone("mobilenetv2", BackboneOptions(str(saved), size_px=64), out=tmp_path)


def test_a_file_in_the_newer_format_of_keras_is_read(trained: Any, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        trained.save_weights(tmp_path / "new.weights.h5")
    loaded = network(NAME, Weights(tmp_path / "new.weights.h5", "here"), size_px=64)
    assert all(np.array_equal(one, other) for one, other in zip(trained.get_weights(), loaded.get_weights(), strict=True))
