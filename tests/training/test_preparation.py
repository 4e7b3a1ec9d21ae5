"""What is wrong with a command of training is told before TensorFlow loads, which takes many seconds, and before a video is opened."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

# Runs all of them in one process, in which TensorFlow cannot be imported.
RUN = """
import json, sys
sys.modules["tensorflow"] = sys.modules["keras"] = None
from click.testing import CliRunner
from streamvc.cli import main
found = []
for arguments in json.load(sys.stdin):
    result = CliRunner().invoke(main, arguments)
    found.append([result.exit_code, result.stderr])
json.dump(found, sys.stdout)
"""

CASES: list[tuple[str, int, str]] = [
    ("train none --out m", 1, "none does not exist"),
    ("train empty --out m", 1, "empty holds no folders"),
    ("train clips --out bundle", 1, "bundle exists; choose another folder, or allow it to be replaced with --overwrite"),
    ("train clips --out full", 1, "full exists and is not a bundle"),
    ("train clips --out file/m", 1, "file: cannot be made"),
    ("train clips --out .m", 1, "'.m' cannot be a bundle's name"),
    ("train clips --out m --background zzz", 1, "the background label zzz is not one of a, b"),
    ("train clips --out m --merge zzz=a", 1, "no clip has the label zzz"),
    ("train clips --out m --merge zzz", 2, "LABEL=OTHER"),
    ("train clips --out m --nothing nowhere", 1, "nowhere"),
    ("train clips --out m --nothing empty", 1, "empty"),
    ("train clips --out m --backbone nosuch", 1, "nosuch"),
    ("train clips --out m --recipe nosuch", 1, "no recipe is called 'nosuch'"),
    ("train clips --out m --set units=many", 1, "setting units"),
    ("train clips --out m --augment nosuch", 1, "setting augment"),
    ("train clips --out m --curves nowhere/x.png", 1, "nowhere/x.png: cannot be written: there is no folder nowhere"),
    ("train clips --out m --curves full", 2, "'full' is a directory"),
    ("train clips --out m --group (", 1, "("),
    ("train clips --out m --folds 40", 1, "cannot make 40 folds; ask for 2 to 6"),
    ("train clips --out m --split given", 1, "split by groups"),
    ("train clips --out m --leave-out 2", 1, "too few are left to train on"),
    ("open-set none", 1, "none does not exist"),
    ("open-set clips --rounds 2", 1, "too few are left to train on"),
    ("open-set clips --backbone nosuch", 1, "nosuch"),
    ("open-set clips --nothing nowhere", 1, "nowhere"),
    ("compare none --recipes gru --out c", 1, "none does not exist"),
    ("compare clips --recipes gru,nosuch --out c", 1, "no recipe is called 'nosuch'"),
    ("compare clips --recipes gru --out file/c", 1, "file/c: cannot be made"),
    ("compare clips --recipes gru --out c --background zzz", 1, "the background label zzz"),
    ("compare clips --recipes gru --out c --set rate_hz=x", 2, "rate_hz=x: it must be a number above 0"),
    ("compare clips --recipes gru --out c --folds 40", 1, "cannot make 40 folds"),
    ("evaluate nosuch clips", 1, "nosuch"),
    ("evaluate figure none", 1, "none"),
    ("data check clips --sheet nowhere/x.png", 1, "there is no folder nowhere"),
    ("data check clips --sheet x.xyz", 1, "x.xyz: name it .jpeg, .jpg, .png"),
    ("data check none", 1, "none does not exist"),
    ("backbones make nosuch", 1, "nosuch"),
    ("backbones make mobilenetv2 --weights nowhere.h5", 1, "nowhere.h5: there are no such weights"),
    ("backbones make mobilenetv2 --weights none --out .. --name full", 1, "is there already"),
    ("backbones make mobilenetv2 --weights none --frames 16", 1, "sees one frame at a time"),
    ("backbones make mobilenetv2 --weights none --int8 empty", 1, "empty"),
    ("backbones make blazepose --size 64", 2, "neither --size"),
    ("backbones make blazepose --out .. --name full", 1, "is there already"),
]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str]]:
    """The exit code and the error of each."""
    folder = tmp_path_factory.mktemp("parent") / "work"
    for label, number in ((label, number) for label in "ab" for number in range(6)):
        (folder / "clips" / label).mkdir(parents=True, exist_ok=True)
        (folder / "clips" / label / f"v_g{number}_c0.mp4").write_bytes(f"{label}{number}: no video".encode())
    for name in ("empty", "full", "../full"):
        (folder / name).mkdir()
    (folder / "full" / "x").touch()
    (folder / "file").touch()
    shutil.copytree(ROOT / "models" / "figure", folder / "bundle")
    commands = [command for command, *_ in CASES]
    given = json.dumps([command.split() for command in commands])
    done = subprocess.run([sys.executable, "-c", RUN], input=given, capture_output=True, text=True, cwd=folder, check=True)
    return dict(zip(commands, json.loads(done.stdout), strict=True))


@pytest.mark.parametrize(("command", "code", "words"), CASES)
def test_what_is_wrong_is_told_before_tensorflow_loads(told: dict[str, tuple[int, str]], command: str, code: int, words: str) -> None:
    exit_code, error = told[command]
    assert exit_code == code, error
    assert words in error
    if code == 1:
        assert len(error.splitlines()) == 1


def test_what_can_be_trained_comes_to_tensorflow(tmp_path: Path) -> None:
    for label in "ab":
        (tmp_path / "clips" / label).mkdir(parents=True)
        for number in range(6):
            (tmp_path / "clips" / label / f"v_g{number}_c0.mp4").touch()
    given = json.dumps([["train", "clips", "--out", "m", "--overwrite", "--background", "a"]])
    done = subprocess.run([sys.executable, "-c", RUN], input=given, capture_output=True, text=True, cwd=tmp_path, check=True)
    ((code, error),) = json.loads(done.stdout)
    assert (code, "training needs TensorFlow" in error) == (1, True)
