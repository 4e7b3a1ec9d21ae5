"""What LiteRT, tflite-runtime and TensorFlow's own interpreter have in common: one `Interpreter` class, by one interface."""

from collections.abc import Callable
from pathlib import Path
from traceback import clear_frames
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamvc.errors import InferenceError
from streamvc.inference.native_logs import hide_native_logs
from streamvc.inference.runtime import TensorSpec
from streamvc.types import Array


class InterpreterModel:
    """A `streamvc.inference.runtime.Model` on a TFLite interpreter."""

    def __init__(self, interpreter: Any, path: Path) -> None:
        self._interpreter = interpreter
        self._path = path
        (source,), (sink,) = interpreter.get_input_details(), interpreter.get_output_details()
        self.input = _spec(source)
        self.output = _spec(sink)
        # A view of the interpreter's own memory, made for each run: it refuses to run while one of them lives. Writing there saves a copy.
        self._view_input: Callable[[], Array] = interpreter.tensor(source["index"])
        self._sink: int = sink["index"]
        self._is_real = self.output.dtype == np.float32

    def run(self, fill: Callable[[Array], None]) -> NDArray[np.float32]:
        try:
            fill(self._view_input())
        except BaseException as error:
            _let_go(error)
            raise
        try:
            self._interpreter.invoke()
        except (RuntimeError, ValueError) as error:
            raise InferenceError(f"{self._path}: the runtime failed: {_line(error)}") from error
        output: Array = self._interpreter.get_tensor(self._sink)  # a copy
        return output if self._is_real else self.output.decode(output)


def open_interpreter(interpreter: Callable[..., Any], content: bytes, path: Path, threads: int) -> InterpreterModel:
    """Load the content of a file into an `Interpreter` of whichever package.

    Raises:
        InferenceError: It refused the file, or the file has more than one input or output.
    """
    try:
        with hide_native_logs():
            loaded = interpreter(model_content=content, num_threads=threads)  # by its path it would go on reading a file that may be replaced
            loaded.allocate_tensors()
        return InterpreterModel(loaded, path)
    except (RuntimeError, ValueError, KeyError) as error:
        raise InferenceError(f"{path}: not a model that this runtime can run: {_line(error)}") from error


def _let_go(error: BaseException | None) -> None:
    """Clear what an error remembers of where it came from: with a view among it, the interpreter would not run again while the error is kept."""
    while error:
        clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


def _spec(details: dict[str, Any]) -> TensorSpec:
    scale, zero_point = details["quantization"]
    return TensorSpec(tuple(int(size) for size in details["shape"]), np.dtype(details["dtype"]), float(scale) or 1.0, int(zero_point))


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
