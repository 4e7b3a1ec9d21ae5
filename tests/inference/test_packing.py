"""A bundle goes into one file with all its backbones, and comes out of it whole or not at all."""

import zipfile
from pathlib import Path

import pytest

from streamvc.errors import BundleError
from streamvc.inference.bundle import Bundle, load_bundle, write_bundle
from streamvc.inference.packing import install, pack
from tests.inference.figure import figure_files, joined_settings
from tests.inference.settings import BACKBONE


@pytest.fixture(scope="module")
def person_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write_bundle(tmp_path_factory.mktemp("models") / "person", joined_settings(f"{BACKBONE}:person", name="person"), figure_files())


@pytest.fixture(scope="module")
def packed(person_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("packed") / "person.zip"
    pack(person_bundle.path, out)
    return out


def test_what_is_packed_is_installed_with_all_its_backbones(person_bundle: Bundle, packed: Path, tmp_path: Path) -> None:
    installed = install(packed, tmp_path / "models")
    assert installed.path == tmp_path / "models" / "person"
    assert installed.sha256 == person_bundle.sha256
    assert sorted(path.parent for path in installed.find_backbones()) == [tmp_path / "models" / "backbones"] * 2
    assert {path.name for path in (tmp_path / "models").iterdir()} == {"backbones", "person"}
    assert {path.name for path in (tmp_path / "models" / "backbones" / "blazepose").iterdir()} >= {"NOTICE", "detect.tflite", "landmark.tflite"}
    assert (tmp_path / "models" / "backbones" / BACKBONE / "NOTICE").is_file()


def test_the_same_bundle_makes_the_same_bytes(person_bundle: Bundle, packed: Path, tmp_path: Path) -> None:
    pack(person_bundle.path, tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == packed.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["again.zip"]


def test_a_bundle_that_is_there_is_replaced_only_if_that_is_asked_for(packed: Path, tmp_path: Path) -> None:
    install(packed, tmp_path)
    with pytest.raises(BundleError, match=r"person: exists; allow it to be replaced with --overwrite"):
        install(packed, tmp_path)
    install(packed, tmp_path, overwrite=True)
    (tmp_path / "photos" / "person").mkdir(parents=True)
    with pytest.raises(BundleError, match=r"person: exists; choose another folder"):
        install(packed, tmp_path / "photos", overwrite=True)


def test_another_backbone_of_the_same_name_is_left_alone(packed: Path, tmp_path: Path) -> None:
    other = tmp_path / "backbones" / BACKBONE / "backbone.tflite"
    other.parent.mkdir(parents=True)
    other.write_bytes(b"mine")
    with pytest.raises(BundleError, match="another backbone of this name is there"):
        install(packed, tmp_path)
    assert other.read_bytes() == b"mine"
    assert [path.name for path in tmp_path.iterdir()] == ["backbones"]


def changed(packed: Path, out: Path, name: str, content: bytes) -> Path:
    """A copy in which an entry has another content, or there is one more."""
    with zipfile.ZipFile(packed) as old, zipfile.ZipFile(out, "w") as new:
        for entry in old.namelist():
            if entry != name:
                new.writestr(entry, old.read(entry))
        new.writestr(name, content)
    return out


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("person/step.tflite", r"step\.tflite: its sha256 is not the manifest's"),
        ("backbones/blazepose/detect.tflite", r"detect\.tflite: its sha256 is not the manifest's"),
        ("../outside", "not a packed bundle"),
        ("/outside", "not a packed bundle"),
        ("person/../../outside", "not a packed bundle"),
        ("another/model.json", "not a packed bundle"),
    ],
)
def test_nothing_is_installed_of_what_is_not_sound(packed: Path, tmp_path: Path, name: str, message: str) -> None:
    file = changed(packed, tmp_path / "bad.zip", name, b"other")
    with pytest.raises(BundleError, match=message):
        install(file, tmp_path / "in" / "models")
    assert list((tmp_path / "in" / "models").iterdir()) == []
    assert not (tmp_path / "outside").exists()
    assert not (tmp_path / "in" / "outside").exists()


def test_a_file_that_is_none_is_refused(packed: Path, tmp_path: Path) -> None:
    (tmp_path / "half.zip").write_bytes(packed.read_bytes()[:100_000])
    for name in ("half.zip", "gone.zip"):
        with pytest.raises(BundleError, match=name):
            install(tmp_path / name, tmp_path / "models")


def test_what_ships_can_be_packed(tmp_path: Path) -> None:
    assert pack("figure", tmp_path / "figure.zip") == load_bundle("figure")
    assert install(tmp_path / "figure.zip", tmp_path / "models").sha256 == load_bundle("figure").sha256
