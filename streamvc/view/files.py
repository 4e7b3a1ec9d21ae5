"""Files that are there when they are complete, or not at all."""

import os
from pathlib import Path

import av

from streamvc.errors import ViewError


def partial_file(path: Path) -> Path:
    """An empty file beside `path`, to be written and then renamed; the name is this process's own.

    Raises:
        ViewError: No file can be written there.
    """
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        if path.is_dir():
            raise IsADirectoryError(None, "it is a folder")
        partial.touch()
    except OSError as error:
        raise cannot_write(path, error) from error
    return partial


def cannot_write(path: Path, error: OSError | av.FFmpegError) -> ViewError:
    """What to raise for a file that could not be written."""
    return ViewError(f"{path}: cannot be written: {error.strerror or error}")
