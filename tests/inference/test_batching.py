"""What several threads run at the same time on TensorFlow is run together, and is what each would have got alone."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from streamvc.errors import InferenceError
from streamvc.inference.backbone import Backbone, find_backbone
from streamvc.inference.batching import BatchingModel, shared_opener
from streamvc.inference.composite import find_pose
from streamvc.inference.model_cache import ModelCache
from streamvc.inference.runtime import open_model
from streamvc.types import Array
from tests.inference.settings import BACKBONE, picture

pytestmark = [pytest.mark.train, pytest.mark.skipif(find_spec("tensorflow") is None, reason="needs the train extra")]

NUM_THREADS = 6
FILES = {
    "backbone": find_backbone(BACKBONE) / "backbone.tflite",
    "detector": find_pose() / "detect.tflite",
    "landmarks": find_pose() / "landmark.tflite",
}


class Counting:
    """A model that remembers how many inputs it was given at once."""

    def __init__(self, path: Path) -> None:
        from streamvc.inference.tensorflow import open_model as open_on_tensorflow

        self._model = open_on_tensorflow(path.read_bytes(), path, 1)
        self.input, self.output, self.takes_many = self._model.input, self._model.output, self._model.takes_many
        self.run = self._model.run
        self.numbers: list[int] = []

    def run_many(self, inputs: Array) -> NDArray[np.float32]:
        self.numbers.append(len(inputs))
        return self._model.run_many(inputs)


def filling(values: Array) -> Callable[[Array], None]:
    return lambda tensor: np.copyto(tensor, values)


@pytest.mark.parametrize("name", FILES)
def test_what_is_run_together_is_what_each_gives_alone(name: str) -> None:
    model = Counting(FILES[name])
    assert model.takes_many
    batching = BatchingModel(model)
    model.numbers.clear()  # of what was tried
    inputs = [np.random.default_rng(number).uniform(0, 1, model.input.shape).astype(model.input.dtype) for number in range(18)]
    exact = open_model(FILES[name], "litert")
    expected = [exact.run(filling(values)) for values in inputs]
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        found = list(pool.map(lambda values: batching.run(filling(values)), inputs))
    assert sum(model.numbers) == len(inputs)
    assert max(model.numbers) > 1
    scale = max(float(np.abs(each).max()) for each in expected)
    for mine, right in zip(found, expected, strict=True):
        assert mine.shape == right.shape
        assert np.abs(mine - right).max() < 1e-3 * scale


def test_a_network_that_was_made_for_one_input_is_run_one_by_one(tmp_path: Path) -> None:
    import tensorflow as tf

    from tests.inference.exporting import convert

    path = tmp_path / "mixed.tflite"
    path.write_bytes(convert(lambda x: tf.reshape(tf.concat([x, 2 * x], axis=0), [1, 8]), 4))
    model = Counting(path)
    batching = BatchingModel(model)
    model.numbers.clear()
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        rows = [np.full((1, 4), number, np.float32) for number in range(12)]
        found = list(pool.map(lambda values: batching.run(filling(values)), rows))
    assert [each[0].tolist() for each in found] == [[number] * 4 + [2 * number] * 4 for number in range(12)]
    assert set(model.numbers) == {1}


def test_an_image_that_is_none_fails_for_its_own_thread_alone() -> None:
    opener = shared_opener()
    backbones = [Backbone.open(find_backbone(BACKBONE), runtime="tensorflow", opener=ModelCache(opener).open) for _ in range(NUM_THREADS)]
    right = Backbone.load(BACKBONE).features(picture())

    def features(number: int) -> Array | None:
        image = picture() if number else np.zeros((9, 9), np.uint8)
        try:
            return backbones[number].features(image)
        except InferenceError:
            return None

    with ThreadPoolExecutor(NUM_THREADS) as pool:
        failed, *found = pool.map(features, range(NUM_THREADS))
    assert failed is None
    for each in found:
        assert each is not None
        assert np.abs(each - right).max() < 1e-3


def test_threads_share_what_tensorflow_runs_and_nothing_else() -> None:
    opener = shared_opener()
    file = FILES["backbone"]
    assert ModelCache(opener).open(file, "tensorflow") is ModelCache(opener).open(file, "tensorflow")
    one, two = ModelCache(opener).open(file, "litert"), ModelCache(opener).open(file, "litert")
    assert one is not two
