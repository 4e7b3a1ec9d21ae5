"""Heads: features in, scores out, step by step or over the window of the last features."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from copy import copy
from typing import Self

import numpy as np
from numpy.typing import NDArray

from streamvc.errors import BundleError, InferenceError
from streamvc.inference.manifest import BundleSettings
from streamvc.inference.runtime import Model
from streamvc.types import Array


class Head(ABC):
    """What makes scores of features; it remembers what it needs of those before."""

    def __init__(self, settings: BundleSettings) -> None:
        self._name = settings.name
        self._temperature = np.float32(settings.temperature)

    @abstractmethod
    def push(self, feature: Array, times: int = 1) -> None:
        """Take a feature, (D,), which stands for one or, where frames are missing, for several in a row."""

    @abstractmethod
    def logits(self) -> NDArray[np.float32]:
        """(L,) float32 for what was pushed since the last reset, which is something."""

    @abstractmethod
    def reset(self) -> None:
        """Forget all that was pushed."""

    def fresh(self) -> Self:
        """Another one with the same networks, to which nothing has been pushed."""
        other = copy(self)
        other._begin()
        return other

    @abstractmethod
    def _begin(self) -> None:
        """Have a memory of its own, with nothing in it."""

    def scores(self) -> NDArray[np.float32]:
        """(L,) float32: the softmax of the logits at the head's temperature.

        Raises:
            InferenceError: The logits are no finite numbers.
        """
        logits = self.logits()
        if not np.isfinite(logits).all():
            raise InferenceError(f"model {self._name}: its scores are not finite numbers, so they say nothing; check it with: streamvc models check")
        logits = logits / self._temperature
        powers = np.exp(logits - np.maximum.reduce(logits))  # `max` and `sum` take a detour through Python
        scores: NDArray[np.float32] = powers / np.add.reduce(powers)
        return scores


class StepHead(Head):
    """A recurrence that is cut in two, so that nothing is computed twice.

    `project` is the part that needs the feature alone, (1, D) -> (1, P). `step` is the recurrence, (1, P + S) -> (1, S + L): a projection and the
    state in, the new state and the logits out. Mode `window` keeps the last W projections and runs `step` over them from a zero state; mode
    `stateful` runs `step` once per feature and keeps the state.
    """

    def __init__(self, settings: BundleSettings, project: Model, step: Model) -> None:
        """Put settings and the two models together.

        Raises:
            BundleError: The shapes of the models' tensors are not those of the settings.
        """
        super().__init__(settings)
        d, p, s, num_labels = settings.feature_size, settings.projection_size, settings.state_size, len(settings.labels)
        _check_shape("project.tflite", project, (1, d), (1, p))
        _check_shape("step.tflite", step, (1, p + s), (1, s + num_labels))
        self._project = project
        self._step = step
        self._projection_size, self._state_size = p, s
        self._stateful = settings.mode == "stateful"
        self._window = settings.window
        self._nothing = np.zeros(s + num_labels, np.float32)
        self._begin()

    def push(self, feature: Array, times: int = 1) -> None:
        """Take a feature; see `Head.push`."""
        projection = self._project.run(lambda tensor: np.copyto(tensor[0], feature))[0]
        if self._stateful:
            for _ in range(times):
                self._advance(projection)
        else:
            _extend(self._projections, projection, times)

    def logits(self) -> NDArray[np.float32]:
        """(L,) float32; see `Head.logits`."""
        if not self._stateful:
            self._output = self._nothing
            for projection in self._projections:
                self._advance(projection)
        return self._output[self._state_size :]

    def reset(self) -> None:
        """Forget all that was pushed."""
        self._projections.clear()
        self._output = self._nothing

    def _begin(self) -> None:
        self._projections: deque[NDArray[np.float32]] = deque(maxlen=self._window)
        self._output = self._nothing

    def _advance(self, projection: NDArray[np.float32]) -> None:
        def fill(tensor: Array) -> None:
            tensor[0, : self._projection_size] = projection
            tensor[0, self._projection_size :] = self._output[: self._state_size]

        self._output = self._step.run(fill)[0]


class WindowHead(Head):
    """A network over the last W features, each projected once.

    `project` is as in `StepHead`, or None. Of the form `window`, `network` is given (1, W, P + 1): the oldest feature first, zeros behind the newest
    while there are fewer than W, and in the last column whether there is a feature. Of the form `clip` it is given pictures or maps,
    (1, W, H, W', C), and the oldest stands in for those that are missing before it. It puts out (1, L) logits.
    """

    def __init__(self, settings: BundleSettings, project: Model | None, network: Model) -> None:
        """Put settings and models together.

        Raises:
            BundleError: The shapes of the models' tensors are not those of the settings.
        """
        super().__init__(settings)
        d, p, w = settings.feature_size, settings.projection_size, settings.window
        if project:
            _check_shape("project.tflite", project, (1, d), (1, p))
        elif p != d:
            raise BundleError(f"projection_size is {p} and feature_size {d}, and there is no project.tflite that makes one of the other")
        self._map = settings.feature_map if settings.form == "clip" else None
        inputs = (1, w, *self._map) if self._map else (1, w, p + 1)
        _check_shape("network.tflite", network, inputs, (1, len(settings.labels)))
        self._project = project
        self._network = network
        self._window = w
        self._begin()

    def push(self, feature: Array, times: int = 1) -> None:
        """Take a feature; see `Head.push`."""
        projected = self._project.run(lambda tensor: np.copyto(tensor[0], feature))[0] if self._project else feature
        _extend(self._features, projected, times)

    def logits(self) -> NDArray[np.float32]:
        """(L,) float32; see `Head.logits`."""
        logits: NDArray[np.float32] = self._network.run(self._fill_clip if self._map else self._fill_window)[0]
        return logits

    def reset(self) -> None:
        """Forget all that was pushed."""
        self._features.clear()

    def _begin(self) -> None:
        self._features: deque[Array] = deque(maxlen=self._window)

    def _fill_window(self, tensor: Array) -> None:
        tensor[:] = 0
        for row, feature in zip(tensor[0], self._features, strict=False):
            row[:-1] = feature
            row[-1] = 1

    def _fill_clip(self, tensor: Array) -> None:
        num_missing = tensor.shape[1] - len(self._features)
        tensor[0, :num_missing] = self._features[0].reshape(tensor.shape[2:])
        for picture, feature in zip(tensor[0, num_missing:], self._features, strict=True):
            picture[:] = feature.reshape(picture.shape)


def open_head(settings: BundleSettings, load: Callable[[str], Model | None]) -> Head:
    """The head of a bundle.

    Args:
        settings: The bundle's.
        load: Gives the model in one of its files, None where it has no such file.

    Raises:
        BundleError: The shapes of the models' tensors are not those of the settings, or a file is missing.
    """
    project = load("project.tflite")
    network = load("step.tflite" if settings.form == "step" else "network.tflite")
    if settings.form == "step" and project and network:
        return StepHead(settings, project, network)
    if settings.form != "step" and network:
        return WindowHead(settings, project, network)
    raise BundleError(f"a file of a head of the form {settings.form} is missing")


def _extend(features: deque[Array], feature: Array, times: int) -> None:
    features.extend([feature] * min(times, features.maxlen or times))


def _check_shape(file: str, model: Model, source: tuple[int, ...], sink: tuple[int, ...]) -> None:
    if (model.input.shape, model.output.shape) != (source, sink):
        raise BundleError(f"{file}: its tensors are {model.input.shape} and {model.output.shape}, the manifest makes them {source} and {sink}")
