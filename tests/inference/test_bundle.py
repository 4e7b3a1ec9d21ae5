"""Bundles are written whole, found by name, and refused in one line that names what is wrong with them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from streamvc.errors import BundleError, InferenceError
from streamvc.events import Decision
from streamvc.inference.bundle import Bundle, check_bundle, list_bundles, load_bundle, write_bundle
from streamvc.inference.folders import sha256
from streamvc.inference.pictures import picture_input
from tests.inference.settings import LABELS, settings

FILES = {"project.tflite": b"a", "step.tflite": b"b", "CARD.md": b"# Card\n"}


def edit(bundle: Bundle, change: Callable[[dict[str, Any]], object]) -> Path:
    """Change the manifest of a bundle."""
    path = bundle.path / "model.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))
    return bundle.path


def test_a_written_bundle_is_loaded_as_it_was(bundle: Bundle) -> None:
    loaded = load_bundle(bundle.path)
    assert loaded == bundle
    assert loaded.manifest.model_dump(exclude={"files"}) == settings().model_dump()
    assert loaded.manifest.files["CARD.md"] == sha256(bundle.path / "CARD.md")
    assert loaded.sha256 == sha256(bundle.path / "model.json")


def test_the_manifest_has_the_documented_form(bundle: Bundle) -> None:
    manifest = json.loads((bundle.path / "model.json").read_text())
    assert list(manifest)[:5] == ["schema", "name", "version", "recipe", "labels"]
    assert manifest["schema"] == 1
    assert manifest["labels"] == list(LABELS)
    assert manifest["thresholds"]["default"] == {"enter": 0.7, "leave": 0.4, "min_s": 0.5, "cooldown_s": 2.0}


def test_decisions_are_per_label(bundle: Bundle) -> None:
    assert bundle.decision("Jump") == Decision(0.9, 0.5, 0.2, 1.0, 0.6)
    assert bundle.decision("Walk") == Decision(0.7, 0.4, 0.5, 2.0, 0.6)


def test_writing_replaces_a_bundle_and_leaves_nothing_else(bundle: Bundle) -> None:
    write_bundle(bundle.path, settings(version="2"), FILES)
    assert load_bundle(bundle.path).manifest.version == "2"
    assert sorted(path.name for path in bundle.path.iterdir()) == ["CARD.md", "model.json", "project.tflite", "step.tflite"]
    assert [path.name for path in bundle.path.parent.iterdir()] == ["small"]


def test_writing_never_replaces_anything_else(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "me.jpg").write_bytes(b"me")
    with pytest.raises(BundleError, match=r"photos: exists and is not a bundle"):
        write_bundle(tmp_path / "photos", settings(), FILES)
    assert (tmp_path / "photos" / "me.jpg").read_bytes() == b"me"


def test_a_bundle_that_lacks_a_file_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"lame: files does not name step\.tflite"):
        write_bundle(tmp_path / "lame", settings(), {"project.tflite": b"a", "CARD.md": b"c"})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BundleError, match=r"file/small: cannot be written"):
        write_bundle(tmp_path / "file" / "small", settings(), FILES)


def test_bundles_are_found_by_name_in_the_folders_of_models(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMVC_MODELS", str(bundle.path.parent))
    assert load_bundle("small") == bundle
    assert "small" in list_bundles()
    monkeypatch.delenv("STREAMVC_MODELS")
    monkeypatch.chdir(bundle.path.parent.parent)
    assert load_bundle("small") == bundle


def test_a_name_that_is_not_there_is_refused_with_those_that_are(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMVC_MODELS", str(bundle.path.parent))
    with pytest.raises(BundleError, match=r"no bundle is called 'smal': did you mean 'small'\? there are: .*small"):
        load_bundle("smal")


def test_a_path_without_a_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"not a bundle: it has no model\.json"):
        load_bundle(tmp_path)
    with pytest.raises(BundleError, match=r"none/such: not a bundle"):
        load_bundle("none/such")


DEFECTS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "an unknown field": (lambda m: m.update(windows=16), r"model\.json: windows: Extra inputs are not permitted"),
    "an unknown field, deep": (lambda m: m["input"].update(size=3), r"model\.json: input\.size: Extra inputs"),
    "a missing field": (lambda m: m.pop("rate_hz"), r"model\.json: rate_hz: Field required"),
    "two defects": (lambda m: (m.pop("rate_hz"), m.pop("window")), r"rate_hz: Field required \(and 1 more\)"),
    "a wrong type": (lambda m: m.update(window="6"), r"model\.json: window: Input should be a valid integer"),
    "another schema": (lambda m: m.update(schema=2), r"model\.json: schema: Input should be 1"),
    "a rate of zero": (lambda m: m.update(rate_hz=0), r"rate_hz: Input should be greater than or equal to 0.01"),
    "an endless rate": (lambda m: m.update(rate_hz=1e999), r"model\.json"),
    "one label": (lambda m: m.update(labels=["Walk"]), r"labels: .* at least 2"),
    "a label twice": (lambda m: m.update(labels=["Walk", "Walk", "Nothing"]), "labels holds a label twice"),
    "a foreign background": (lambda m: m.update(background="Run"), "background 'Run' is not one of the labels"),
    "a foreign threshold": (lambda m: m["thresholds"]["labels"].update(Run={}), r"thresholds\.labels names 'Run'"),
    "leave above enter": (
        lambda m: m["thresholds"]["default"].update(leave=0.8),
        r"thresholds\.default: leave \(0\.8\) must not be above enter \(0\.7\)",
    ),
    "a threshold above 1": (lambda m: m["thresholds"]["default"].update(enter=1.5), r"thresholds\.default\.enter: .* less than or equal to 1"),
    "a lowest rate above its own": (lambda m: m.update(min_rate_hz=5.5), r"min_rate_hz \(5.5\) must be from 1 to rate_hz \(5\)"),
    "a lowest rate at which all is gaps": (lambda m: m.update(min_rate_hz=0.5), r"min_rate_hz \(0.5\) must be from 1 to rate_hz \(5\)"),
    "a long warm-up": (lambda m: m.update(warm_up=7), r"warm_up \(7\) must not be above window \(6\)"),
    "an unknown mode": (lambda m: m.update(mode="both"), "mode: Input should be 'window' or 'stateful'"),
    "a missing hash": (lambda m: m["files"].pop("step.tflite"), r"files does not name step\.tflite"),
    "a hash that is none": (lambda m: m["files"].update({"CARD.md": "abc"}), r"files\.CARD\.md: String should match"),
    "a file outside": (lambda m: m["files"].update({"../../etc/passwd": "0" * 64}), r"files\.\.\./\.\./etc/passwd"),
    "an absolute file": (lambda m: m["files"].update({"/etc/passwd": "0" * 64}), r"files\./etc/passwd"),
    "a backbone outside": (lambda m: m["backbone"].update(name="../mine"), r"backbone\.name: String should match"),
    "a file too many": (lambda m: m["files"].update({"more.tflite": "0" * 64}), r"files names more\.tflite, which is no file of a bundle"),
    "a backbone that is not there": (lambda m: m["backbone"].update(name="resnet"), "backbone 'resnet' was not found"),
    "another backbone": (lambda m: m["backbone"].update(sha256="0" * 64), "not the backbone .* that the bundle was trained on, its sha256 differs"),
    "another input": (lambda m: m["input"].update(size_px=160), r"model\.json: input is not that of backbone efficientnet-lite0-f16"),
    "another feature size": (lambda m: m.update(feature_size=1000), r"model\.json: feature_size is not that of backbone"),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_of_the_manifest_is_named_in_one_line(bundle: Bundle, defect: str) -> None:
    change, message = DEFECTS[defect]
    path = edit(bundle, change)
    with pytest.raises(BundleError, match=message) as caught:
        load_bundle(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": 1}trailing', "\udcff"])
def test_a_manifest_that_is_not_json_is_refused(bundle: Bundle, text: str) -> None:
    (bundle.path / "model.json").write_text(text, errors="surrogateescape")
    with pytest.raises(BundleError, match=r"model\.json: "):
        load_bundle(bundle.path)


def test_a_changed_file_is_refused(bundle: Bundle) -> None:
    (bundle.path / "step.tflite").write_bytes(b"another")
    with pytest.raises(BundleError, match=r"step\.tflite: its sha256 is not the manifest's"):
        load_bundle(bundle.path)


def test_a_missing_file_is_named(bundle: Bundle) -> None:
    (bundle.path / "project.tflite").unlink()
    with pytest.raises(BundleError, match=r"project\.tflite: missing"):
        load_bundle(bundle.path)


def test_a_file_that_is_a_folder_is_refused(bundle: Bundle) -> None:
    (bundle.path / "CARD.md").unlink()
    (bundle.path / "CARD.md").mkdir()
    with pytest.raises(BundleError, match=r"CARD\.md: cannot be read"):
        load_bundle(bundle.path)


def test_checking_opens_the_models(bundle: Bundle) -> None:
    with pytest.raises(InferenceError, match=r"project\.tflite: not a model"):
        check_bundle(bundle.path)


def test_settings_cannot_be_changed_behind_the_validators_back(bundle: Bundle) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        bundle.manifest.window = 3


@pytest.mark.train
def test_a_good_bundle_passes_the_check_wherever_it_lies(small_bundle: Bundle, tmp_path: Path) -> None:
    copy = shutil.copytree(small_bundle.path, tmp_path / "elsewhere")
    assert check_bundle(copy).sha256 == small_bundle.sha256


@pytest.mark.train
def test_models_of_another_shape_than_the_manifest_are_refused(small_bundle: Bundle, head_files: dict[str, bytes], tmp_path: Path) -> None:
    wide = write_bundle(tmp_path / "wide", settings(state_size=9), {**head_files, "CARD.md": b"c"})
    with pytest.raises(
        BundleError, match=r"wide: step\.tflite: its tensors are \(1, 32\) and \(1, 11\), the manifest makes them \(1, 33\) and \(1, 12\)"
    ):
        check_bundle(wide.path)


def test_pictures_of_another_size_than_the_head_was_made_for_are_refused(tmp_path: Path) -> None:
    spec = {
        "form": "clip",
        "backbone": None,
        "pictures": "colour",
        "input": picture_input(32),
        "mode": "window",
        "state_size": 0,
        "projection_size": 3072,
    }
    files = {"network.tflite": b"a", "CARD.md": b"c"}
    assert write_bundle(tmp_path / "right", settings(**spec, feature_size=3072, feature_map=(32, 32, 3)), files)
    with pytest.raises(BundleError, match=r"feature_map is not that of its pictures, \(32, 32, 3\)"):
        write_bundle(tmp_path / "wrong", settings(**spec, feature_size=1024, feature_map=(32, 32, 1)), files)
