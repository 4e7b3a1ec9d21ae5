"""A bundle goes into one file with all its backbones, and comes out of it whole or not at all."""

import re
import shutil
import zipfile
from pathlib import Path

import pytest

from streamvc.errors import BundleError
from streamvc.inference.backbone import find_backbone
from streamvc.inference.bundle import Bundle, check_bundle, load_bundle, write_bundle
from streamvc.inference.packing import contents, install, pack
from tests.conftest import ROOT
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
    with pytest.raises(BundleError, match=message) as caught:
        install(file, tmp_path / "in" / "models")
    assert str(caught.value).startswith(f"{file}: ")
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


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("person/notes.txt", r"brings person/notes\.txt, which its manifest does not name"),
        ("person/network.tflite", r"brings person/network\.tflite, which its manifest does not name"),
        ("backbones/other/backbone.json", r"brings backbones/other/backbone\.json, which its manifest does not name"),
        ("backbones/efficientnet-lite0-int8/backbone.tflite", "efficientnet-lite0-int8/backbone.tflite, which its manifest does not name"),
        (f"backbones/{BACKBONE}/run.sh", "which its manifest does not name"),
        (f"backbones/{BACKBONE}/detect.tflite", "which its manifest does not name"),
        (f"backbones/{BACKBONE}/backbone.json", r"backbone\.json: "),
    ],
)
def test_what_a_packed_bundle_brings_unasked_or_damaged_is_refused(packed: Path, tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(BundleError, match=message):
        install(changed(packed, tmp_path / "bad.zip", name, b"other"), tmp_path / "models")
    assert list((tmp_path / "models").iterdir()) == []


def test_a_backbone_that_is_sound_but_not_the_one_of_the_bundle_is_refused(packed: Path, tmp_path: Path) -> None:
    own = find_backbone("efficientnet-lite0-int8")
    file = changed(packed, tmp_path / "1.zip", f"backbones/{BACKBONE}/backbone.tflite", (own / "backbone.tflite").read_bytes())
    file = changed(file, tmp_path / "2.zip", f"backbones/{BACKBONE}/backbone.json", (own / "backbone.json").read_bytes())
    with pytest.raises(BundleError, match=f"the backbone {BACKBONE} in it is not the one"):
        install(file, tmp_path / "models")
    assert list((tmp_path / "models").iterdir()) == []


def renamed(packed: Path, out: Path, name: str) -> Path:
    """A copy whose bundle has another name."""
    with zipfile.ZipFile(packed) as old, zipfile.ZipFile(out, "w") as new:
        for entry in old.namelist():
            content = old.read(entry).replace(b'"name": "person"', f'"name": "{name}"'.encode()) if entry.endswith("model.json") else old.read(entry)
            new.writestr(re.sub("^person/", f"{name}/", entry), content)
    return out


def test_a_name_that_the_user_knows_already_is_taken_only_if_that_is_asked_for(packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    own = load_bundle("figure")
    with pytest.raises(BundleError, match=r"figure: a bundle of this name is there; allow it to take its place with --overwrite"):
        install(renamed(packed, tmp_path / "figure.zip", "figure"), Path("models"))
    assert load_bundle("figure") == own
    pack("figure", tmp_path / "same.zip")
    assert install(tmp_path / "same.zip", Path("models")).sha256 == own.sha256
    shutil.rmtree("models/figure")
    assert install(tmp_path / "figure.zip", Path("models"), overwrite=True).sha256 == load_bundle("figure").sha256 != own.sha256


def test_a_backbone_never_comes_before_another_one_that_the_user_has(packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same network, used in another way: whoever trains on the name of his own would get this one."""
    models = tmp_path / "models"
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile(packed) as archive:
        manifests = {name: archive.read(name).replace(b'"scale": 128.0', b'"scale": 64.0') for name in archive.namelist() if name.endswith(".json")}
    file = packed
    for number, (name, content) in enumerate(manifests.items()):
        file = changed(file, tmp_path / f"{number}.zip", name, content)
    with pytest.raises(BundleError, match="another backbone of this name is there"):
        install(file, models)
    assert list(models.iterdir()) == []
    assert find_backbone(BACKBONE).is_relative_to(ROOT)


def test_a_damaged_backbone_under_a_name_that_others_use_breaks_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("STREAMVC_MODELS", str(tmp_path))
    for damage in (b"{", b""):
        shutil.copytree(find_backbone(BACKBONE), tmp_path / "backbones" / BACKBONE, dirs_exist_ok=True)
        (tmp_path / "backbones" / BACKBONE / ("backbone.json" if damage else "backbone.tflite")).write_bytes(damage)
        shutil.copytree(load_bundle("figure").path, tmp_path / "mine", dirs_exist_ok=True)
        assert check_bundle(tmp_path / "mine").find_backbone().is_relative_to(ROOT)
        assert f"{tmp_path / 'backbones' / BACKBONE}" in caplog.text


def bomb(out: Path, name: str, num_mb: int, method: int = zipfile.ZIP_DEFLATED) -> Path:
    pack("figure", out)
    with zipfile.ZipFile(out, "a") as archive:
        info = zipfile.ZipInfo(name)
        info.compress_type = method
        with archive.open(info, "w") as file:
            for _ in range(num_mb):
                file.write(bytes(1 << 20))
    return out


def test_what_is_unpacked_is_bounded(packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    many = bomb(tmp_path / "many.zip", "figure/x", 0)
    with zipfile.ZipFile(many, "a") as archive:
        for number in range(100):
            archive.writestr(f"figure/y{number}", b"")
    cases = {
        many: "files, more than 100",
        bomb(tmp_path / "shrunk.zip", "figure/x", 3): r"packed to less than 1/100",
        bomb(tmp_path / "lzma.zip", "figure/x", 0, zipfile.ZIP_LZMA): "packed in another way",
        packed: r"MB unpacked, more than 10",
    }
    for file, message in cases.items():
        if file == packed:
            monkeypatch.setattr("streamvc.inference.packing.MOST_BYTES", 10_000_000)
        with pytest.raises(BundleError, match=message):
            install(file, tmp_path / "models")
        with pytest.raises(BundleError, match=message):
            contents(file)
        assert list((tmp_path / "models").iterdir()) == []


def test_an_entry_twice_is_refused(packed: Path, tmp_path: Path) -> None:
    file = tmp_path / "twice.zip"
    shutil.copy(packed, file)
    with zipfile.ZipFile(file, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("person/CARD.md", b"another")
    with pytest.raises(BundleError, match="one of them twice"):
        install(file, tmp_path / "models")


def test_a_packed_bundle_says_what_is_in_it(packed: Path, person_bundle: Bundle) -> None:
    found = contents(packed)
    assert found["person/step.tflite"] == (person_bundle.path / "step.tflite").stat().st_size
    assert f"backbones/{BACKBONE}/NOTICE" in found
