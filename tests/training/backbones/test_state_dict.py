"""PyTorch's state dicts are read without PyTorch, and no code in them runs."""

import pickle
import sys
from collections import OrderedDict
from io import BytesIO
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from streamvc.training.backbones.state_dict import read_state_dict

STORAGES = {"7": np.arange(24, dtype="<f4"), "8": np.arange(3, dtype="<i8")}


class Storage:
    """Stands for numbers that lie behind the pickles."""

    def __init__(self, kind: Any, key: str) -> None:
        self.pid = ("storage", kind, key, "cpu", len(STORAGES[key]), None)


class Tensor:
    """Is pickled as PyTorch pickles a tensor."""

    def __init__(self, rebuild: Any, *arguments: Any) -> None:
        self.arguments = rebuild, arguments

    def __reduce__(self) -> Any:
        return self.arguments


class Pickler(pickle.Pickler):
    def persistent_id(self, obj: Any) -> Any:
        return obj.pid if isinstance(obj, Storage) else None


@pytest.fixture
def torch(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The names that PyTorch's files refer to."""

    def _rebuild_tensor_v2(*arguments: Any) -> None:
        raise AssertionError("must not be called")

    utils, package = ModuleType("torch._utils"), ModuleType("torch")
    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2  # type: ignore[attr-defined]
    for name in ("FloatStorage", "LongStorage"):
        setattr(package, name, type(name, (), {"__module__": "torch"}))
    monkeypatch.setitem(sys.modules, "torch", package)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)
    package._utils = utils  # type: ignore[attr-defined]
    return package


def write(tensors: Any) -> BytesIO:
    file = BytesIO()
    for part in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
        pickle.dump(part, file, protocol=2)
    Pickler(file, protocol=2).dump(tensors)
    pickle.dump(list(STORAGES), file, protocol=2)
    for values in STORAGES.values():
        file.write(len(values).to_bytes(8, "little") + values.tobytes())
    file.seek(0)
    return file


def test_tensors_are_read_with_their_strides_and_offsets(torch: Any) -> None:
    rebuild = torch._utils._rebuild_tensor_v2
    floats = Storage(torch.FloatStorage, "7")
    tensors = OrderedDict(
        weight=Tensor(rebuild, floats, 4, (2, 3), (3, 1), False, OrderedDict()),
        turned=Tensor(rebuild, floats, 0, (3, 2), (1, 3), False, OrderedDict()),
        num_batches_tracked=Tensor(rebuild, Storage(torch.LongStorage, "8"), 0, (), (), False, OrderedDict()),
    )
    read = read_state_dict(write(tensors))
    assert list(read) == ["weight", "turned"]
    assert read["weight"].tolist() == [[4, 5, 6], [7, 8, 9]]
    assert read["turned"].tolist() == [[0, 3], [1, 4], [2, 5]]


def test_a_file_that_names_other_code_is_refused() -> None:
    with pytest.raises(pickle.UnpicklingError, match=r"refused: the weights file names .*\.print"):
        read_state_dict(write(OrderedDict(weight=Tensor(print, "run"))))
