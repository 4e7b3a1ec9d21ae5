import shlex
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from streamvc.extras import install_command

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("extra", ["mqtt", "node", "train"])
def test_the_command_names_what_the_extra_needs_and_not_this_package(extra: str) -> None:
    named = shlex.split(install_command(extra))[-len(extras()[extra]) :]
    assert {normal(one) for one in named} == {normal(one) for one in extras()[extra]}
    assert "streamvc" not in " ".join(named)


@pytest.mark.skipif(find_spec("pip") is None, reason="there is no pip in this environment")
@pytest.mark.parametrize("extra", ["mqtt", "node"])
def test_the_command_works_as_written(extra: str, tmp_path: Path) -> None:
    command = f"{install_command(extra)} --dry-run --no-index"  # they are installed already, and that is what it finds
    done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.count("Requirement already satisfied") >= len(extras()[extra])
    assert command.startswith(sys.executable)


def test_no_page_installs_streamvc_from_an_index() -> None:
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("deploy/*"), *ROOT.glob("streamvc/**/*.py")]
    assert [page.name for page in pages if "install 'streamvc" in page.read_text() or "install streamvc" in page.read_text()] == []


def extras() -> dict[str, list[str]]:
    found: dict[str, list[str]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    return found


def normal(requirement: str) -> tuple[str, SpecifierSet]:
    wanted = Requirement(requirement)
    return canonicalize_name(wanted.name), wanted.specifier
