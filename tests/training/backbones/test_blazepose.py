"""The networks of a pose are made of MediaPipe's files."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

pytest.importorskip("tensorflow", reason="needs the train extra")

from streamvc.cli import main
from streamvc.errors import BundleError, DataError
from streamvc.inference.composite import find_pose
from streamvc.training.backbones.blazepose import make_blazepose

pytestmark = pytest.mark.train

WHEEL = "MEDIAPIPE_WHEEL"  # environment variable: the wheel of mediapipe 0.10.21


@pytest.mark.skipif(WHEEL not in os.environ, reason=f"{WHEEL} does not name the wheel of mediapipe 0.10.21")
def test_the_shipped_files_are_what_the_command_makes(tmp_path: Path) -> None:
    arguments = ["backbones", "make", "blazepose", "--weights", os.environ[WHEEL], "--out", str(tmp_path)]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    made, shipped = tmp_path / "blazepose", find_pose()
    assert sorted(path.name for path in made.iterdir()) == sorted(path.name for path in shipped.iterdir())
    assert [path.name for path in made.iterdir() if path.read_bytes() != (shipped / path.name).read_bytes()] == []


def test_networks_that_are_there_are_kept(tmp_path: Path) -> None:
    (tmp_path / "blazepose").mkdir()
    with pytest.raises(BundleError, match="is there already"):
        make_blazepose(out=tmp_path, overwrite=True)  # of what may be something else


def test_another_file_is_refused(tmp_path: Path) -> None:
    wheel = tmp_path / "mediapipe-9.9.whl"
    wheel.write_bytes(b"no wheel")
    with pytest.raises(DataError, match=r"mediapipe-9\.9\.whl: cannot be read, or is not mediapipe==0\.10\.21: get it from"):
        make_blazepose(str(wheel), out=tmp_path / "out")
    (tmp_path / "detect.tflite").write_bytes(b"no network")
    with pytest.raises(DataError, match=r"not the weights of mediapipe==0\.10\.21, its sha256 differs"):
        make_blazepose(str(tmp_path / "detect.tflite"), out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_it_cannot_be_given_is_said() -> None:
    result = CliRunner().invoke(main, ["backbones", "make", "blazepose", "--size", "128"])
    assert result.exit_code == 2
    assert "blazepose has neither --size nor --frames nor --float32 nor --int8" in result.output
