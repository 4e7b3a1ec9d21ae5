"""Reads PyTorch state dicts without PyTorch.

The format from before version 1.6: three pickles of preamble, the state dict with its tensors as references, the keys of the storages, and for each
of them its length and its raw numbers.
"""

import pickle
import struct
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

Tensors = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class _Reference:
    key: str
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


class _Unpickler(pickle.Unpickler):
    """Builds ordered dicts of tensor references and refuses every other class, so that no code in the file can run."""

    def find_class(self, module: str, name: str) -> Any:
        match module, name:
            case "collections", "OrderedDict":
                return OrderedDict
            case "torch._utils", "_rebuild_tensor_v2":
                return lambda key, offset, shape, stride, *_: _Reference(key, offset, shape, stride)
            case "torch", "FloatStorage" | "LongStorage":
                return name
        raise pickle.UnpicklingError(f"refused: the weights file names {module}.{name}")

    def persistent_load(self, pid: Any) -> str:
        _, _, key, *_ = pid
        return str(key)


def read_state_dict(file: BinaryIO) -> Tensors:
    """Read the float32 tensors of a PyTorch state dict by name."""
    for _ in range(3):  # magic number, protocol, sizes of types
        _Unpickler(file).load()
    references: dict[str, _Reference] = _Unpickler(file).load()
    storages: dict[str, bytes] = {}
    counters = {reference.key for name, reference in references.items() if name.endswith("num_batches_tracked")}
    for key in _Unpickler(file).load():
        (num_items,) = struct.unpack("<q", file.read(8))
        storages[key] = file.read(num_items * (8 if key in counters else 4))
    return {name: _tensor(storages[reference.key], reference) for name, reference in references.items() if reference.key not in counters}


def _tensor(storage: bytes, reference: _Reference) -> NDArray[np.float32]:
    values = np.frombuffer(storage, "<f4")[reference.offset :]
    return np.lib.stride_tricks.as_strided(values, reference.shape, [4 * step for step in reference.stride]).copy()
