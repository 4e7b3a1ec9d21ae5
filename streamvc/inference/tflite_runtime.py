"""tflite-runtime, the older edge runtime. Its last release needs Python 3.11 and NumPy 1, and an environment without TensorFlow."""

import sys
from pathlib import Path

import numpy as np

from streamvc.errors import InferenceError
from streamvc.inference.interpreter import InterpreterModel, open_interpreter


def open_model(content: bytes, path: Path, threads: int) -> InterpreterModel:
    """Load the content of a `.tflite` file; see `streamvc.inference.runtime.open_model`."""
    # With NumPy 2 it imports, and fails with a traceback from its native code when it is used.
    if int(np.__version__.split(".")[0]) >= 2:
        raise InferenceError(f"tflite-runtime needs NumPy 1, not {np.__version__}: use litert, or an environment with streamvc[tflite-runtime]")
    # The two define the same native symbols, and the process dies of it.
    if "tensorflow" in sys.modules:
        raise InferenceError("tflite-runtime cannot be used in a process that has loaded TensorFlow: use litert")
    from tflite_runtime.interpreter import Interpreter

    return open_interpreter(Interpreter, content, path, threads)
