"""`scripts/mutate.py` by itself, on a tree of two files: what its tests see is killed, what they do not survives, and the tree stays as it is."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

CORE = "def add(a, b):\n    return a + b\n"
TEST = "from core import add\n\n\ndef test_it_adds():\n    assert add(2, 2) == 4\n"
MUTANTS = """
[it-subtracts]
file = "core.py"
old = "a + b"
new = "a - b"
tests = ["test_core.py"]

[it-multiplies]
file = "core.py"
old = "a + b"
new = "a * b"
tests = ["test_core.py"]
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "mutate.py", tmp_path / "scripts")
    for name, text in {"core.py": CORE, "test_core.py": TEST, "scripts/mutants.toml": MUTANTS}.items():
        (tmp_path / name).write_text(text)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    return tmp_path


def mutate(tree: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "scripts/mutate.py", "--jobs", "2", *arguments]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False, timeout=120)


def test_what_no_test_sees_is_told_and_nothing_is_changed(tree: Path) -> None:
    done = mutate(tree)
    assert done.returncode == 1
    lines = {" ".join(line.split()[:2]) for line in done.stdout.splitlines()}
    assert {"killed it-subtracts", "survived it-multiplies", "survived: it-multiplies", "1 of"} <= lines
    assert "test_core.py::test_it_adds" in done.stdout
    assert (tree / "core.py").read_text() == CORE


def test_a_mutant_that_does_not_fit_any_more_is_an_error_that_says_so(tree: Path) -> None:
    (tree / "core.py").write_text(CORE.replace("a + b", "b + a"))
    done = mutate(tree, "it-subtracts")
    assert (done.returncode, done.stdout) == (1, "")
    assert "it-subtracts: its text stands 0 times in core.py" in done.stderr
    assert "there is no mutant it-divides" in mutate(tree, "it-divides").stderr
    (tree / "core.py").write_text(CORE)
    (tree / "test_core.py").write_text(TEST.replace("4", "5"))
    assert "the tests fail without any mutant" in mutate(tree, "it-subtracts").stderr
