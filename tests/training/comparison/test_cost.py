from pathlib import Path
from shutil import copytree

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert", reason="counts parameters with it")

from streamvc.errors import InferenceError
from streamvc.inference.backbone import find_backbone
from streamvc.inference.bundle import load_bundle, write_bundle
from streamvc.training.comparison.cost import measure_costs, measure_memory_mb, num_parameters
from tests.inference.figure import figure_files, joined_settings

# As published, without the classifier, and without the scales of the batch normalisation, which are folded into the weights: one a channel.
LITE0_PARAMETERS = 4_652_008 - (1280 + 1) * 1000 - 21_008


def test_the_parameters_of_a_network_are_those_in_its_file() -> None:
    float16, int8 = (find_backbone(f"efficientnet-lite0-{kind}") / "backbone.tflite" for kind in ("f16", "int8"))
    assert num_parameters(float16.read_bytes()) == LITE0_PARAMETERS
    assert num_parameters(int8.read_bytes()) == pytest.approx(LITE0_PARAMETERS, rel=0.01)  # its biases are whole numbers, which do not count


def test_bundles_with_one_backbone_share_its_pass_and_its_time(tmp_path: Path) -> None:
    figure = load_bundle("figure")
    bundles = {"figure": figure, "twin": load_bundle(copytree(figure.path, tmp_path / "twin"))}
    costs = measure_costs(bundles, [np.full((120, 160, 3), shade, np.uint8) for shade in (0, 120, 250)])
    one, other = costs["figure"], costs["twin"]
    assert one.extractor_ms == other.extractor_ms > 10 * one.head_ms > 0
    assert one.head_bytes == sum((figure.path / name).stat().st_size for name in ("project.tflite", "step.tflite"))
    assert one.backbone == other.backbone
    assert one.memory_mb > one.head_bytes / 2**20


def test_a_bundle_of_several_parts_costs_all_of_their_networks(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "person", joined_settings("efficientnet-lite0-f16:person"), figure_files())
    cost = measure_costs({"person": bundle}, [np.zeros((120, 160, 3), np.uint8)])["person"]
    files = [file for folder in bundle.find_backbones() for file in folder.glob("*.tflite")]
    assert len(files) == 3
    assert cost.backbone
    assert cost.backbone.num_bytes == sum(file.stat().st_size for file in files)
    assert cost.backbone.num_parameters == sum(num_parameters(file.read_bytes()) for file in files)


def test_a_bundle_that_cannot_run_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(InferenceError, match="gone"):
        measure_memory_mb(tmp_path / "gone")
