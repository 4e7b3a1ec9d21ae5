"""LiteRT (`ai-edge-litert`), the default runtime."""

from pathlib import Path

from ai_edge_litert.interpreter import Interpreter

from streamvc.inference.interpreter import InterpreterModel, open_interpreter


def open_model(content: bytes, path: Path, threads: int) -> InterpreterModel:
    """Load the content of a `.tflite` file; see `streamvc.inference.runtime.open_model`."""
    return open_interpreter(Interpreter, content, path, threads)
