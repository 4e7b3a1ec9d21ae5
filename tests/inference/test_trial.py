"""A network that a runtime dies of ends a process of its own, and nothing else."""

import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from streamvc.errors import InferenceError
from streamvc.inference.bundle import check_bundle, load_bundle, write_bundle
from streamvc.inference.manifest import BundleSettings
from streamvc.inference.packing import install, pack
from streamvc.inference.runtime import open_model
from streamvc.session import Session
from tests.inference.settings import BACKBONE

STEP = load_bundle("figure").path / "step.tflite"
# Bytes of it with which LiteRT 2.1 reads far outside of its memory.
FATAL = dict.fromkeys(range(3864, 3868), 0xFF) | {105_396: 0, 105_398: 16}
NAN = dict(enumerate(struct.pack("<f", float("nan")), 60_000))  # in its weights


def damaged(changes: dict[int, int]) -> bytes:
    content = bytearray(STEP.read_bytes())
    for place, value in changes.items():
        content[place] = value
    return bytes(content)


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing was tried yet."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder / "streamvc" / "tried"


def figure_with(folder: Path, step: bytes) -> Path:
    """The bundle `figure` with another network, and the right hash."""
    own = load_bundle("figure")
    files = {name: (own.path / name).read_bytes() for name in own.manifest.files} | {"step.tflite": step}
    settings = BundleSettings(**own.manifest.model_dump(by_alias=True, exclude={"files"}))
    return write_bundle(folder / "figure", settings, files).path


def test_a_network_that_the_runtime_dies_of_is_refused_wherever_it_is_opened(tmp_path: Path) -> None:
    path = figure_with(tmp_path, damaged(FATAL))
    with pytest.raises(InferenceError, match=r"step\.tflite: the runtime dies of it \(SIG[A-Z]+, in a process of its own\): the file is damaged"):
        check_bundle(path)
    pack(path, tmp_path / "figure.zip")
    with pytest.raises(InferenceError, match="the runtime dies of it"):
        install(tmp_path / "figure.zip", tmp_path / "models")
    assert list((tmp_path / "models").iterdir()) == []
    with pytest.raises(InferenceError, match="the runtime dies of it"):
        Session(path)


def test_a_network_whose_outputs_are_no_numbers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InferenceError, match=r"step\.tflite: its outputs are no finite numbers"):
        check_bundle(figure_with(tmp_path, damaged(NAN)))


def test_a_network_that_does_not_come_to_an_end_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("streamvc.inference.trial.TIMEOUT_S", 0.001)
    copy = tmp_path / "step.tflite"
    copy.write_bytes(STEP.read_bytes() + b"as no other is")
    with pytest.raises(InferenceError, match=r"step\.tflite: it did not come to an end within 0 s"):
        open_model(copy)


def opened_elsewhere(code: str) -> str:
    """What a fresh process prints that opens STEP, and may not wait for another one."""
    program = f"""
from pathlib import Path
from streamvc.inference import trial
from streamvc.inference.runtime import open_model
trial.TIMEOUT_S = 0.001
path = Path({str(STEP)!r})
{code}
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr


def test_what_was_tried_once_is_opened_at_once_from_then_on_also_by_others_and_wherever_it_lies(cache: Path, tmp_path: Path) -> None:
    assert "did not come to an end" in opened_elsewhere("open_model(path)")
    trial = subprocess.run([sys.executable, "-c", f"from streamvc.inference.runtime import *; open_model(Path({str(STEP)!r}))"], timeout=60)
    assert trial.returncode == 0
    assert len(list(cache.iterdir())) == 1
    copy = tmp_path / "copy.tflite"
    shutil.copy(STEP, copy)
    assert opened_elsewhere(f"open_model(Path({str(copy)!r})); print('opened')") == "opened\n"
    copy.write_bytes(damaged(FATAL))
    assert "did not come to an end" in opened_elsewhere(f"open_model(Path({str(copy)!r}))")


def test_where_nothing_can_be_remembered_it_is_tried_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nothing")
    assert open_model(STEP).output.shape == (1, 119)


def test_a_file_that_is_written_over_while_it_is_used_changes_nothing(tmp_path: Path) -> None:
    program = f"""
import shutil
from pathlib import Path
from streamvc.inference.backbone import find_backbone
from streamvc.inference.runtime import open_model
path = Path(shutil.copy(find_backbone({BACKBONE!r}) / "backbone.tflite", {str(tmp_path)!r}))
model = open_model(path)
before = model.run(lambda tensor: tensor.fill(0.1))
path.write_bytes(b"")
assert (model.run(lambda tensor: tensor.fill(0.1)) == before).all()
print("well")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "well\n"), done.stderr
