"""Backbones in int8 see what those in float see, also of differences and of three moments in grey."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("tensorflow", reason="needs the train extra")

from streamvc.cli import main
from streamvc.errors import DataError
from streamvc.inference.backbone import Backbone
from streamvc.inference.preprocessing import Preprocessor
from streamvc.inference.runtime import TensorSpec, installed_runtimes
from streamvc.training.backbones import BLUEPRINTS
from streamvc.training.backbones.make import build_network, make_backbone
from streamvc.training.backbones.options import BackboneOptions
from streamvc.training.backbones.weights import Weights
from tests.inference.figure import figure_images

pytestmark = pytest.mark.train

NAME = "efficientnet-lite0"


@pytest.fixture(scope="module")
def videos(demo_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    shutil.copy(demo_clip, folder / "long.MP4")
    (folder / "broken.mp4").write_bytes(b"no video")
    (folder / "notes.txt").write_text("not one either")
    return folder


@pytest.mark.skipif(installed_runtimes()[:1] != ["litert"], reason="int8 files of current converters are slow and unsupported elsewhere")
def test_int8_gives_about_the_features_of_the_network(videos: Path, demo_clip: Path, tmp_path: Path) -> None:
    arguments = ["backbones", "make", NAME, "--weights", "none", "--size", "32", "--int8", str(videos), "--out", str(tmp_path), "--name", "mine"]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    backbone = Backbone.open(tmp_path / "mine")
    network = build_network(BLUEPRINTS[NAME], (32, 32, 3), Weights(None, "random"))
    prepared = np.empty((3, 32, 32, 3), np.float32)
    preprocessor = Preprocessor(backbone.input, TensorSpec((1, 32, 32, 3), prepared.dtype))
    newest, before, first = figure_images(demo_clip, 24)[:-4:-1]
    preprocessor.write(newest, prepared[0])
    preprocessor.write_difference(newest, before, prepared[1])
    preprocessor.write_greys([newest, before, first], prepared[2])
    found = [backbone.features(newest), backbone.difference(newest, before), backbone.greys([newest, before, first])]
    for one, other in zip(found, np.asarray(network(prepared, training=False)), strict=True):
        assert float(one @ other / np.linalg.norm(one) / np.linalg.norm(other)) > 0.8  # of random weights, which round badly
    assert (tmp_path / "mine" / "backbone.tflite").stat().st_size < 4.5e6
    assert "quantised to int8, with ranges found on the video frames" in (tmp_path / "mine" / "NOTICE").read_text()


def test_without_videos_there_is_nothing_to_find_ranges_on(tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    with pytest.raises(DataError, match="holds no video with a second of frames"):
        make_backbone(NAME, BackboneOptions("none", size_px=32, calibration=tmp_path), out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_int8_is_said(videos: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="sees several frames at a time, which cannot be converted to int8"):
        make_backbone("i3d-rgb", BackboneOptions("none", size_px=32, calibration=videos), out=tmp_path)
    result = CliRunner().invoke(main, ["backbones", "make", NAME, "--float32", "--int8", str(videos)])
    assert result.exit_code == 2
    assert "--float32 and --int8 exclude each other" in result.output
