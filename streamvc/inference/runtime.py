"""Runs `.tflite` files, whichever runtime is installed. Every file of this project has one input tensor and one output tensor."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from streamvc.errors import InferenceError
from streamvc.inference.trial import try_out
from streamvc.types import Array


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """What a tensor holds. Where `dtype` is an integer, a number `q` in it stands for `(q - zero_point) * scale`."""

    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    scale: float = 1.0
    zero_point: int = 0

    @property
    def quantized(self) -> bool:
        """Whether the tensor holds integers."""
        return self.dtype.kind in "iu"

    def encode(self, values: NDArray[np.floating]) -> Array:
        """Real values, any shape -> the same in this tensor's type, rounded and clipped to its range."""
        if not self.quantized:
            return values.astype(self.dtype)
        limits = np.iinfo(self.dtype)  # type: ignore[type-var]
        tensor: Array = np.clip(np.rint(values / self.scale) + self.zero_point, limits.min, limits.max).astype(self.dtype)
        return tensor

    def decode(self, tensor: Array) -> NDArray[np.float32]:
        """A tensor of this type -> its real values, always a fresh array."""
        if not self.quantized:
            return tensor.astype(np.float32)
        return (tensor.astype(np.float32) - np.float32(self.zero_point)) * np.float32(self.scale)


class Model(Protocol):
    """A loaded `.tflite` file. It belongs to one thread at a time."""

    @property
    def input(self) -> TensorSpec:
        """The input tensor."""

    @property
    def output(self) -> TensorSpec:
        """The output tensor."""

    def run(self, fill: Callable[[Array], None]) -> NDArray[np.float32]:
        """Let `fill` write the input tensor in place, then run.

        Args:
            fill: Gets the input tensor itself, with the last run's values or worse in it; must write all of it and keep no reference to it.

        Returns:
            The output's real values, a fresh float32 array of the output's shape.

        Raises:
            InferenceError: The runtime failed.
        """


@dataclass(frozen=True, slots=True)
class Runtime:
    """A way to run models: the package that must be installed, the module of ours that is its edge, and whether a damaged file can crash it."""

    package: str
    edge: str
    is_fragile: bool


Opener = Callable[[Path, str | None, int], Model]  # as `open_model`

# In the order they are tried in. Each edge has `open_model(content, path, threads)`.
RUNTIMES = {
    "litert": Runtime("ai_edge_litert", "streamvc.inference.litert", is_fragile=True),
    "tflite-runtime": Runtime("tflite_runtime", "streamvc.inference.tflite_runtime", is_fragile=True),
    "tensorflow": Runtime("tensorflow", "streamvc.inference.tensorflow", is_fragile=False),
}


def installed_runtimes() -> list[str]:
    """Names of the runtimes whose package is installed, best first. Imports none of them."""
    return [name for name, runtime in RUNTIMES.items() if find_spec(runtime.package)]


def open_model(path: Path, runtime: str | None = None, threads: int = 1) -> Model:
    """Load a `.tflite` file. One that was not opened before is run in a process of its own first, as native code trusts what it reads.

    Args:
        path: The file, whose hash the caller has checked.
        runtime: `litert`, `tflite-runtime` or `tensorflow`; None takes the first of these that is installed.
        threads: Threads of the runtime. One is right for one camera on a busy machine; batches and more threads gain little.

    Raises:
        InferenceError: The runtime is unknown or not installed, or it refused the file or died of it.
    """
    if threads < 1:
        raise InferenceError(f"{threads} threads cannot run a model; give 1 or more")
    if not path.is_file():
        raise InferenceError(f"{path}: no such file")
    chosen = RUNTIMES[choose_runtime(runtime)]
    edge = import_module(chosen.edge)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InferenceError(f"{path}: cannot be read: {error.strerror}") from error
    if chosen.is_fragile:
        try_out(path, content, chosen.package, chosen.edge)
    model: Model = edge.open_model(content, path, threads)
    return model


def choose_runtime(name: str | None) -> str:
    """The runtime of this name; the first that is installed where it is None.

    Raises:
        InferenceError: It is unknown or not installed.
    """
    installed = installed_runtimes()
    if name is None:
        if not installed:
            raise InferenceError("no runtime for models is installed; install one with: pip install ai-edge-litert")
        return installed[0]
    if name not in RUNTIMES:
        raise InferenceError(f"unknown runtime {name!r}; choose one of: {', '.join(RUNTIMES)}")
    if name not in installed:
        raise InferenceError(f"runtime {name!r} is not installed; installed: {', '.join(installed) or 'none'}")
    return name
