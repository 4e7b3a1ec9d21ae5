"""Bundles whose features have several parts: all of them are named, found and held against what is there."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamvc.errors import BundleError
from streamvc.inference.bundle import Bundle, check_bundle, load_bundle, write_bundle
from streamvc.inference.composite import CompositeExtractor, find_pose
from streamvc.inference.extractors import open_extractor
from streamvc.inference.pose.tracker import PoseTracker
from tests.inference.figure import figure_files, figure_images, joined_settings
from tests.inference.settings import BACKBONE
from tests.inference.test_bundle import FILES, edit

ALL = f"pose+{BACKBONE}:person+{BACKBONE}:person:difference"


@pytest.fixture
def joined_bundle(tmp_path: Path) -> Bundle:
    return write_bundle(tmp_path / "models" / "joined", joined_settings(ALL), FILES)


def test_it_names_all_its_parts_and_opens_them(joined_bundle: Bundle, demo_clip: Path) -> None:
    manifest = json.loads((joined_bundle.path / "model.json").read_text())
    assert [part["kind"] for part in manifest["parts"]] == ["pose", "picture", "difference"]
    assert manifest["parts"][1]["input"]["crop"] == "person"
    assert set(manifest["pose"]) == {"name", "detect_sha256", "landmark_sha256"}
    assert joined_bundle.manifest.extractor == ALL

    own, named = joined_bundle.open_extractor(), open_extractor(ALL)
    assert isinstance(own, CompositeExtractor)
    assert own.identity == named.identity == open_extractor(str(joined_bundle.path)).identity
    for image in figure_images(demo_clip, 12)[-3:]:
        one, other = own.step(image), named.step(image)
        assert one is not None
        assert other is not None
        np.testing.assert_array_equal(one.values, other.values)


def test_it_knows_the_networks_that_a_frame_passes(joined_bundle: Bundle) -> None:
    assert [path.parent.name for path in joined_bundle.networks()] == ["blazepose", BACKBONE, BACKBONE]
    assert [path.name for path in joined_bundle.find_backbones()] == ["blazepose", BACKBONE]
    with pytest.raises(BundleError, match=r"not made for one backbone, but for pose\+"):
        joined_bundle.find_backbone()


def test_movenet_is_a_network_of_a_bundle(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "models" / "moving", joined_settings("movenet+flow"), FILES)
    assert [(network.parent.name, network.name) for network in bundle.networks()] == [("movenet-lightning-int8", "movenet.tflite")]
    assert bundle.open_extractor().identity == open_extractor(bundle.manifest.extractor).identity == open_extractor("movenet+flow").identity
    path = edit(bundle, lambda m: m["parts"][0]["backbone"].update(sha256="0" * 64))
    with pytest.raises(BundleError, match="not the backbone 'movenet-lightning-int8' that the bundle was trained on"):
        load_bundle(path)


DEFECTS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "another second network": (
        lambda m: m["parts"][1]["backbone"].update(sha256="0" * 64),
        "not the backbone 'efficientnet-lite0-f16' that the bundle was trained on, its sha256 differs",
    ),
    "another third network": (lambda m: m["parts"][2]["backbone"].update(name="efficientnet-lite0-int8"), "not the backbone .* its sha256 differs"),
    "another pose": (lambda m: m["pose"].update(landmark_sha256="0" * 64), "not the backbone 'blazepose' that the bundle was trained on"),
    "no pose": (lambda m: m.update(pose=None), "a bundle has pose where a part needs it"),
    "another input": (lambda m: m["parts"][2]["input"].update(mean=0.0), r"parts\.2\.input is not that of backbone"),
    "another size": (lambda m: m["parts"][1].update(feature_size=1279), r"feature_size \(\d+\) is not that of the parts together"),
    "sizes that make up for each other": (
        lambda m: (m["parts"][1].update(feature_size=1279), m["parts"][2].update(feature_size=1281)),
        r"parts\.1\.feature_size is not that of backbone",
    ),
    "another pose's size": (
        lambda m: (m["parts"][0].update(feature_size=m["parts"][0]["feature_size"] - 1), m["parts"][1].update(feature_size=1281)),
        r"parts\.0\.feature_size is not that of pose",
    ),
    "a pose with a backbone": (lambda m: m["parts"][0].update(backbone=m["parts"][1]["backbone"]), r"parts\.0: a part of the kind pose or .* has no"),
    "a picture without": (lambda m: m["parts"][1].update(backbone=None), r"parts\.1: a part of the kind pose or .* has no"),
    "a backbone beside": (lambda m: m.update(backbone=m["parts"][1]["backbone"]), "either a backbone or pictures or parts"),
    "no parts": (lambda m: m.update(parts=[]), "either a backbone or pictures or parts"),
    "an input beside": (lambda m: m.update(input=m["parts"][1]["input"]), "a bundle has an input, unless its parts have theirs"),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_of_a_part_is_named_in_one_line(joined_bundle: Bundle, defect: str) -> None:
    change, message = DEFECTS[defect]
    path = edit(joined_bundle, change)
    with pytest.raises(BundleError, match=message) as caught:
        load_bundle(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("crop", ["person", "movement"])
def test_a_plain_bundle_cannot_follow_anything(bundle: Bundle, crop: str) -> None:
    path = edit(bundle, lambda manifest: manifest["input"].update(crop=crop))
    with pytest.raises(BundleError, match=rf"input\.crop is {crop}: only a part can look there"):
        load_bundle(path)


def test_damaged_pose_networks_are_not_used_and_stand_in_the_way_of_no_others(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bundle = write_bundle(tmp_path / "person", joined_settings(f"{BACKBONE}:person"), figure_files())
    assert check_bundle(bundle.path) == bundle
    copied = shutil.copytree(find_pose(), tmp_path / "backbones" / "blazepose")
    with (copied / "landmark.tflite").open("r+b") as file:
        file.write(b"\0\0\0\0")
    assert copied not in check_bundle(bundle.path).find_backbones()
    assert f"{copied / 'landmark.tflite'}: its sha256 is not the manifest's" in caplog.text
    with pytest.raises(BundleError, match=r"landmark\.tflite: its sha256 is not the manifest's"):
        PoseTracker.open(copied)
