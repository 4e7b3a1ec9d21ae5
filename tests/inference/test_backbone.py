"""Images become features, and the shipped files are what their manifests say."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from streamvc.errors import BundleError, InferenceError
from streamvc.inference.backbone import Backbone, find_backbone
from streamvc.inference.manifest import ImageInput
from streamvc.inference.preprocessing import Preprocessor
from streamvc.inference.runtime import TensorSpec, installed_runtimes, open_model
from tests.inference.settings import BACKBONE, backbone_manifest, picture

FLOAT = TensorSpec((1, 24, 24, 3), np.dtype(np.float32))
INT8 = TensorSpec((1, 24, 24, 3), np.dtype(np.int8), scale=1 / 128, zero_point=-1)


def image_input(**changes: object) -> ImageInput:
    return backbone_manifest().input.model_copy(update={"size_px": 24, **changes})


def prepared(image: NDArray[np.uint8], spec: ImageInput, tensor: TensorSpec = FLOAT) -> NDArray[np.float32]:
    target = np.full(tensor.shape, 99, tensor.dtype)
    Preprocessor(spec, tensor).write(image, target[0])
    values: NDArray[np.float32] = tensor.decode(target)[0]
    return values


def cosine(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def test_an_image_is_stretched_turned_to_rgb_and_normalised() -> None:
    image = picture()
    expected = (cv2.resize(image, (24, 24), interpolation=cv2.INTER_LINEAR)[..., ::-1].astype(np.float32) - 127) / 128
    assert prepared(image, image_input()) == pytest.approx(expected, abs=1e-6)


def test_the_settings_of_the_input_are_followed() -> None:
    image = picture()
    resized = cv2.resize(image[:, 40:280], (24, 24), interpolation=cv2.INTER_AREA)
    spec = image_input(crop="center", resize="area", colour="bgr", mean=0.0, scale=255.0)
    assert prepared(image, spec) == pytest.approx(resized / np.float32(255), abs=1e-6)


def test_an_int8_tensor_holds_every_pixel_exactly() -> None:
    image = picture()
    assert prepared(image, image_input(), INT8) == pytest.approx(prepared(image, image_input()), abs=1e-7)


def test_images_of_changing_size_follow_each_other() -> None:
    preprocessor, target = Preprocessor(image_input(), FLOAT), np.zeros(FLOAT.shape, np.float32)
    preprocessor.write(picture(640, 480), target[0])
    preprocessor.write(picture(100, 80), target[0])
    assert np.array_equal(target[0], prepared(picture(100, 80), image_input()))


@pytest.mark.parametrize("image", [np.zeros((9, 9), np.uint8), np.zeros((9, 9, 4), np.uint8), np.zeros((9, 9, 3)), np.zeros((0, 9, 3), np.uint8)])
def test_what_is_no_image_is_refused(image: NDArray[np.uint8]) -> None:
    with pytest.raises(InferenceError, match=r"must be \(H, W, 3\) uint8, not"):
        Preprocessor(image_input(), FLOAT).write(image, np.zeros((24, 24, 3), np.float32))


def test_features_are_those_of_the_model_on_the_prepared_picture() -> None:
    image = picture()
    model = open_model(find_backbone(BACKBONE) / "backbone.tflite")
    tensor = prepared(image, backbone_manifest().input, model.input)
    assert np.array_equal(Backbone.load(BACKBONE).features(image), model.run(lambda target: np.copyto(target[0], tensor))[0])


def test_features_are_the_same_each_time_and_the_callers_own() -> None:
    backbone = Backbone.load(BACKBONE)
    first = backbone.features(picture())
    kept = first.copy()
    backbone.features(picture()[::-1])
    assert np.array_equal(first, kept)
    assert np.array_equal(backbone.features(picture()), kept)


@pytest.mark.skipif(installed_runtimes()[:1] == ["tflite-runtime"], reason="int8 files of current converters are slow and unsupported there")
def test_int8_features_are_close_to_those_in_float16() -> None:
    quantized = Backbone.load("efficientnet-lite0-int8").features(picture())
    exact = Backbone.load(BACKBONE).features(picture())
    other = Backbone.load(BACKBONE).features(np.full_like(picture(), 127))
    assert cosine(quantized, exact) > 0.97
    assert cosine(exact, other) < 0.7


@pytest.mark.parametrize("name", ["efficientnet-lite0-f16", "efficientnet-lite0-int8"])
def test_shipped_backbones_say_what_they_are(name: str) -> None:
    manifest = backbone_manifest(name)
    notice = (find_backbone(name) / "NOTICE").read_text()
    assert manifest.name == name
    assert manifest.licence == "Apache-2.0"
    assert "Apache License" in notice
    assert "Changes made" in notice


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the shipped backbone, called `mine`, that is found first."""
    folder = tmp_path / "backbones" / "mine"
    shutil.copytree(find_backbone(BACKBONE), folder)
    monkeypatch.setenv("STREAMVC_MODELS", str(tmp_path))
    return folder


def test_a_backbone_whose_file_was_changed_is_refused(copied: Path) -> None:
    with (copied / "backbone.tflite").open("r+b") as file:
        file.seek(100_000)
        file.write(b"\0\0\0\0")
    with pytest.raises(BundleError, match=r"backbone\.tflite: its sha256 is not the manifest's"):
        Backbone.load("mine")


def test_a_backbone_without_its_file_is_refused(copied: Path) -> None:
    (copied / "backbone.tflite").unlink()
    with pytest.raises(BundleError, match=r"backbone\.tflite: missing"):
        Backbone.load("mine")


def test_a_backbone_of_another_shape_than_its_manifest_is_refused(copied: Path) -> None:
    manifest = (copied / "backbone.json").read_text()
    (copied / "backbone.json").write_text(manifest.replace("1280", "1000"))
    with pytest.raises(BundleError, match=r"\(1, 1280\), its manifest says .*\(1, 1000\)"):
        Backbone.load("mine")


def test_of_two_with_one_name_the_one_with_the_hash_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped, expected = find_backbone(BACKBONE), backbone_manifest().sha256
    shutil.copytree(find_backbone("efficientnet-lite0-int8"), tmp_path / "backbones" / BACKBONE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STREAMVC_MODELS", str(tmp_path))
    assert find_backbone(BACKBONE) == tmp_path / "backbones" / BACKBONE
    assert find_backbone(BACKBONE, sha256=expected) == shipped
    with pytest.raises(BundleError, match="not the backbone 'efficientnet-lite0-f16' that the bundle was trained on"):
        find_backbone(BACKBONE, sha256="0" * 64)


def test_a_backbone_that_is_not_there_is_named() -> None:
    with pytest.raises(BundleError, match="backbone 'resnet' was not found"):
        Backbone.load("resnet")
