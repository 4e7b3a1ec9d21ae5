"""Which Python the scripts take, on machines that have others."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "scripts" / "environment.sh"
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
BASH = shutil.which("bash")

pytestmark = pytest.mark.skipif(BASH is None, reason="the scripts need bash")


def run(command: str, machine: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run a function of the script where only what is in a folder can be found."""
    environment = {"PATH": str(machine), "HOME": str(machine), **variables}
    return subprocess.run([str(BASH), "-euo", "pipefail", "-c", f". {SCRIPT}; {command}"], env=environment, capture_output=True, text=True)


def program(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def this_python(path: Path) -> Path:
    return program(path, f'exec "{os.path.realpath(sys.executable)}" "$@"')


def test_one_that_is_too_old_or_broken_is_passed_over(tmp_path: Path) -> None:
    program(tmp_path / "python3.11", "exit 127")  # as pyenv's are that are not chosen
    program(tmp_path / "python3", "exit 1")
    this_python(tmp_path / "python")
    assert run("find_python", tmp_path).stdout == "python\n"


def test_one_is_found_by_its_version_alone_on_the_path_or_among_those_of_pyenv(tmp_path: Path) -> None:
    kept = this_python(tmp_path / ".pyenv" / "versions" / f"{VERSION}.99" / "bin" / "python")
    assert run("find_python", tmp_path).stdout == f"{kept}\n"
    this_python(tmp_path / f"python{VERSION}")
    assert run("find_python", tmp_path).stdout == f"python{VERSION}\n"
    assert run(f"find_version {VERSION}", tmp_path).stdout == f"python{VERSION}\n"
    assert run("find_version 3.10", tmp_path).returncode == 1


def test_the_one_that_is_asked_for_is_taken_or_refused(tmp_path: Path) -> None:
    this_python(tmp_path / "python3")
    mine = this_python(tmp_path / "mine" / "python")
    assert run("find_python", tmp_path, PYTHON=str(mine)).stdout == f"{mine}\n"
    done = run("find_python", tmp_path, PYTHON="/none/python")
    assert (done.returncode, done.stdout) == (1, "")
    assert "PYTHON is /none/python, which is not Python 3.11 or newer" in done.stderr


def test_where_there_is_none_one_is_told_what_to_do(tmp_path: Path) -> None:
    done = run("find_python", tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "needs Python 3.11 or newer" in done.stderr
    assert "PYTHON=/path/to/python" in done.stderr
