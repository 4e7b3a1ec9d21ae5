import gc
import shutil
import weakref
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from streamvc.errors import InferenceError
from streamvc.inference.backbone import Backbone, find_backbone
from streamvc.inference.bundle import load_bundle
from streamvc.inference.model_cache import ModelCache
from streamvc.inference.recognizer import Recognizer
from streamvc.inference.runtime import Model, open_model
from tests.inference.settings import BACKBONE, picture

FILE = find_backbone(BACKBONE) / "backbone.tflite"


class OpenedFiles(ModelCache):
    """Remembers what was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[tuple[str, int]] = []

    def open(self, path: Path, runtime: str | None = None, threads: int = 1) -> Model:
        model = super().open(path, runtime, threads)
        self.opened.append((path.name, id(model)))
        return model


def test_a_file_is_opened_once_while_somebody_keeps_it() -> None:
    models = ModelCache()
    one = models.open(FILE)
    assert models.open(FILE) is one
    assert models.open(FILE, threads=2) is not one
    alive = weakref.ref(one)
    del one
    gc.collect()
    assert alive() is None


def test_a_file_that_was_replaced_is_another_one(tmp_path: Path) -> None:
    models, path = ModelCache(), tmp_path / "backbone.tflite"
    shutil.copy(FILE, path)
    before = models.open(path)
    path.unlink()
    shutil.copy(find_backbone("efficientnet-lite0-160-int8") / "backbone.tflite", path)
    assert models.open(path).input != before.input


def test_a_file_that_is_not_there_is_the_error_of_opening_one(tmp_path: Path) -> None:
    with pytest.raises(InferenceError, match="no such file"):
        ModelCache().open(tmp_path / "none.tflite")


@pytest.mark.parametrize("load", [lambda opener: Backbone.open(FILE.parent, opener=opener), lambda opener: Recognizer.load("figure", opener=opener)])
def test_what_shares_files_shares_their_interpreters(load: Callable[[object], object]) -> None:
    models = OpenedFiles()
    kept = [load(models.open) for _ in range(2)]
    half = len(models.opened) // 2
    assert models.opened[:half] == models.opened[half:]
    assert kept


def test_a_bundle_of_parts_shares_all_its_networks() -> None:
    models = OpenedFiles()
    bundle = load_bundle("exercise")
    kept = [(bundle.open_extractor(opener=models.open), bundle.open_head(opener=models.open)) for _ in range(2)]
    names = {name for name, _ in models.opened}
    assert names == {"movenet.tflite", *(name for name in bundle.manifest.files if name.endswith(".tflite"))}
    assert len(set(models.opened)) == len(names)
    assert kept


def test_a_shared_model_gives_what_one_of_its_own_gives() -> None:
    shared = ModelCache()
    one, other = (Backbone.open(FILE.parent, opener=shared.open) for _ in range(2))
    images = [picture(), np.ascontiguousarray(picture()[::-1])]
    found = [extractor.features(image) for extractor, image in zip((one, other), images, strict=True)]
    own = [Backbone.open(FILE.parent, opener=open_model).features(image) for image in images]
    np.testing.assert_array_equal(found, own)
    assert not np.array_equal(own[0], own[1])
