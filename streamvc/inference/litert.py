"""LiteRT (`ai-edge-litert`), the default runtime."""

from pathlib import Path

from ai_edge_litert.interpreter import Interpreter

from streamvc.inference.interpreter import InterpreterModel, open_interpreter


def open_model(path: Path, threads: int) -> InterpreterModel:
    """Load a `.tflite` file; see `streamvc.inference.runtime.open_model`."""
    return open_interpreter(Interpreter, path, threads)
