"""Fixtures for tests of training."""

from pathlib import Path

import pytest

from streamvc.training.dataset import Clip, load_dataset
from streamvc.training.features import Extraction, extract
from tests.training.clips import render_all

BACKBONE = "efficientnet-lite0-f16"


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two actions by four actors."""
    return render_all(tmp_path_factory.mktemp("rendered"))


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that all tests share."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def rendered_clips(rendered: Path) -> tuple[Clip, ...]:
    return load_dataset(rendered).clips


@pytest.fixture(scope="session")
def extraction(rendered_clips: tuple[Clip, ...], cache: Path) -> Extraction:
    """The features of the rendered clips."""
    return extract(rendered_clips, BACKBONE, 5.0, cache=cache)
