"""Batches over threads: what several threads have to run on one network at the same time is run as one batch.

A GPU takes hardly longer for many than for one.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from streamvc.errors import InferenceError
from streamvc.inference.model_cache import ModelCache
from streamvc.inference.runtime import Model, Opener, choose_runtime, open_model
from streamvc.threads import HangAwareLock, Together
from streamvc.types import Array

RUNTIME = "tensorflow"  # the one that a GPU is behind
NUM_TRIED = 3  # inputs, to see whether a network keeps them apart
TOLERANCE = 1e-3  # share of the largest output by which rounding may differ


class BatchCapableModel(Model, Protocol):
    """A model that may be able to run several inputs at once."""

    @property
    def takes_many(self) -> bool:
        """Whether it can; otherwise, one at a time."""

    def run_many(self, inputs: Array) -> NDArray[np.float32]:
        """Run inputs, (N, ...); returns the real values of their outputs, (N, ...).

        Raises:
            InferenceError: The runtime failed.
        """


class BatchingModel:
    """A `streamvc.inference.runtime.Model` that may be run by any number of threads, each with an input of its own."""

    def __init__(self, model: BatchCapableModel) -> None:
        self.input, self.output = model.input, model.output
        self._model = model
        self._takes_many = model.takes_many and _keeps_apart(model)
        self._together = Together(self._run_all)

    def run(self, fill: Callable[[Array], None]) -> NDArray[np.float32]:
        image = np.empty(self.input.shape, self.input.dtype)
        fill(image)
        with _hangs_told():
            output = self._together.ask(image)
        if isinstance(output, InferenceError):
            raise output
        return output

    def _run_all(self, images: list[Array]) -> list[NDArray[np.float32] | InferenceError]:
        if self._takes_many and len(images) > 1:
            with suppress(InferenceError):  # they may be too much together
                outputs = self._model.run_many(np.concatenate(images))
                return [outputs[number : number + 1].copy() for number in range(len(images))]
        return [self._run_alone(image) for image in images]

    def _run_alone(self, image: Array) -> NDArray[np.float32] | InferenceError:
        try:
            return self._model.run_many(image)
        except InferenceError as error:
            return error


class _OneAtATime:
    """A model that may be run by several threads, which wait for each other."""

    def __init__(self, model: Model) -> None:
        self.input, self.output = model.input, model.output
        self._model = model
        self._lock = HangAwareLock()

    def run(self, fill: Callable[[Array], None]) -> NDArray[np.float32]:
        with _hangs_told(), self._lock:
            return self._model.run(fill)


@contextmanager
def _hangs_told() -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise InferenceError("its network hangs, at a frame of another camera") from error


def _keeps_apart(model: BatchCapableModel) -> bool:
    """Whether a batch gives the same as its inputs one by one: a graph that was made for one input may mix several up."""
    shape = (NUM_TRIED, *model.input.shape[1:])
    inputs = model.input.encode(np.random.default_rng(0).uniform(0, 1, shape))
    alone = np.concatenate([model.run_many(inputs[number : number + 1]) for number in range(NUM_TRIED)])
    together = model.run_many(inputs)
    return together.shape == alone.shape and float(np.abs(together - alone).max()) <= TOLERANCE * float(np.abs(alone).max())


def shared_opener() -> Opener:
    """Opens networks for several threads: those of TensorFlow are one for all of them, and run together; any other is a new one each time.

    Any of them may be run by several threads.
    """
    together = ModelCache(lambda path, runtime, threads: BatchingModel(cast(BatchCapableModel, open_model(path, runtime, threads))))

    def open_for_threads(path: Path, runtime: str | None, threads: int) -> Model:
        chosen = choose_runtime(runtime)
        return together.open(path, chosen, threads) if chosen == RUNTIME else _OneAtATime(open_model(path, chosen, threads))

    return open_for_threads
