"""The recurrent head: features in, scores out, in either of the two exact ways."""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from streamvc.errors import BundleError
from streamvc.inference.manifest import BundleSettings
from streamvc.inference.runtime import Model
from streamvc.types import Array


class Head:
    """A GRU whose first layer is cut in two, so that nothing is computed twice.

    `project` is the part that needs the feature alone, (1, D) -> (1, P). `step` is the recurrence, (1, P + S) -> (1, S + L): a projection and the
    state in, the new state and the logits out. Mode `window` keeps the last W projections and runs `step` over them from a zero state; mode
    `stateful` runs `step` once per sample and keeps the state.
    """

    def __init__(self, settings: BundleSettings, project: Model, step: Model) -> None:
        """Put settings and the two models together.

        Raises:
            BundleError: The shapes of the models' tensors are not those of the settings.
        """
        d, p, s, num_labels = settings.feature_size, settings.projection_size, settings.state_size, len(settings.labels)
        _check_shape("project.tflite", project, (1, d), (1, p))
        _check_shape("step.tflite", step, (1, p + s), (1, s + num_labels))
        self._project = project
        self._step = step
        self._temperature = np.float32(settings.temperature)
        self._split = p
        self._stateful = settings.mode == "stateful"
        self._projections: deque[NDArray[np.float32]] = deque(maxlen=settings.window)
        self._input = np.zeros(p + s, np.float32)
        self._output = np.zeros(s + num_labels, np.float32)

    def push(self, feature: NDArray[np.float32], times: int = 1) -> None:
        """Take a feature, (D,), which stands for one sample or, where frames are missing, for several in a row."""
        projection = self._project.run(lambda tensor: np.copyto(tensor[0], feature))[0]
        if self._stateful:
            for _ in range(times):
                self._advance(projection)
        else:
            self._projections.extend([projection] * min(times, self._projections.maxlen or times))

    def logits(self) -> NDArray[np.float32]:
        """(L,) float32 for what was pushed since the last reset, which is something."""
        if not self._stateful:
            self._input[self._split :] = 0
            for projection in self._projections:
                self._advance(projection)
        return self._output[len(self._input) - self._split :].copy()

    def scores(self) -> NDArray[np.float32]:
        """(L,) float32: the softmax of the logits at the head's temperature."""
        logits = self.logits() / self._temperature
        powers = np.exp(logits - logits.max())
        scores: NDArray[np.float32] = powers / powers.sum()
        return scores

    def reset(self) -> None:
        """Forget all that was pushed."""
        self._projections.clear()
        self._input[:] = 0
        self._output[:] = 0

    def _advance(self, projection: NDArray[np.float32]) -> None:
        self._input[: self._split] = projection
        self._output = self._step.run(self._fill)[0]
        self._input[self._split :] = self._output[: len(self._input) - self._split]

    def _fill(self, tensor: Array) -> None:
        tensor[0] = self._input


def _check_shape(file: str, model: Model, source: tuple[int, ...], sink: tuple[int, ...]) -> None:
    if (model.input.shape, model.output.shape) != (source, sink):
        raise BundleError(f"{file}: its tensors are {model.input.shape} and {model.output.shape}, the manifest makes them {source} and {sink}")
