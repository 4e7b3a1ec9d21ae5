"""What a training keeps on disk while it goes on, so that one that was killed goes on where it was."""

import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamvc.errors import DataError
from streamvc.types import Array


class Checkpoint:
    """Named arrays in a file that is written whole or not at all."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def save(self, arrays: Mapping[str, Array]) -> None:
        """Put these in place of what was kept before.

        Raises:
            DataError: They cannot be written.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self._path.parent, prefix=".") as scratch:
                whole = Path(scratch, self._path.name)
                np.savez(whole, **arrays)  # type: ignore[arg-type]  # numpy's stub takes the names for options
                whole.replace(self._path)
        except OSError as error:
            raise DataError(
                f"{self._path}: the state of the training cannot be kept there ({error.strerror}); name another folder with --cache"
            ) from error

    def load(self) -> dict[str, NDArray[np.generic]] | None:
        """What was kept; None if nothing was, or it is damaged."""
        try:
            with self._path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
                return dict(kept)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile):
            return None


class CheckpointFolder:
    """The checkpoints of one training, in a folder whose name is a hash of all that the weights depend on."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def checkpoint(self, name: str) -> Checkpoint:
        """The checkpoint of this name."""
        return Checkpoint(self._folder / f"{name}.npz")

    def clear(self) -> None:
        """Remove them: the training is done."""
        shutil.rmtree(self._folder, ignore_errors=True)
