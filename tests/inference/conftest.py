"""Fixtures for tests of inference."""

from pathlib import Path

import pytest

from streamvc.inference.bundle import Bundle, write_bundle
from tests.inference.gru import Gru, random_gru
from tests.inference.settings import settings


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    """A bundle whose manifest and hashes are right, and whose models are none."""
    files = {"project.tflite": b"not a model", "step.tflite": b"not a model either", "CARD.md": b"# Small\n"}
    return write_bundle(tmp_path / "models" / "small", settings(), files)


@pytest.fixture(scope="session")
def small_gru() -> Gru:
    return random_gru(1280, 8, 3)


@pytest.fixture(scope="session")
def head_files(small_gru: Gru) -> dict[str, bytes]:
    """The two models of `small_gru`, converted by TensorFlow."""
    pytest.importorskip("tensorflow", reason="needs the train extra")
    from tests.inference.exporting import head_files

    return head_files(small_gru)


@pytest.fixture(scope="session")
def small_bundle(tmp_path_factory: pytest.TempPathFactory, head_files: dict[str, bytes]) -> Bundle:
    """A bundle that works."""
    return write_bundle(tmp_path_factory.mktemp("models") / "small", settings(), {**head_files, "CARD.md": b"# Small\n"})
