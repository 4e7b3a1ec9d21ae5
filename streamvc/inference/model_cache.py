"""A cache of loaded models, which several streams share."""

from pathlib import Path
from weakref import WeakValueDictionary

from streamvc.inference.runtime import Model, Opener, open_model
from streamvc.threads import Lock

ModelKey = tuple[object, ...]


class ModelCache:
    """Opens each `.tflite` file once, for as long as somebody keeps it: one interpreter serves all streams, as what they remember lies outside it.

    What was opened here belongs to one thread at a time, unless the opener says otherwise; to open more is allowed to any other meanwhile.
    """

    def __init__(self, opener: Opener = open_model) -> None:
        """Nothing is open yet; `opener` is what opens a file that is not."""
        self._opener = opener
        self._opened: WeakValueDictionary[ModelKey, Model] = WeakValueDictionary()
        self._lock = Lock()

    def open(self, path: Path, runtime: str | None = None, threads: int = 1) -> Model:
        """As `open_model`; a file that has been replaced since is another one."""
        with self._lock:
            key = (path.resolve(), _version(path), runtime, threads)
            model = self._opened.get(key)
            if model is None:
                model = self._opened[key] = self._opener(path, runtime, threads)
            return model


def _version(path: Path) -> ModelKey | None:
    """What changes when a file is replaced; None where there is none."""
    if not path.is_file():
        return None
    found = path.stat()
    return found.st_ino, found.st_mtime_ns, found.st_size
