"""A folder of images, read as a video."""

import logging
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from streamvc.capture.address import IMAGE_SUFFIXES
from streamvc.capture.stream import Picture, Stream
from streamvc.errors import SourceError
from streamvc.types import Array

DEFAULT_FPS = 25.0

_log = logging.getLogger(__name__)


@contextmanager
def open_images(folder: Path, fps: float | None) -> Iterator[Stream]:
    """Open the images of `folder` in natural order (2.png before 10.png), `fps` of them a second; or a single one.

    Raises:
        SourceError: There is no image in it.
    """
    fps = fps or DEFAULT_FPS
    paths = [folder] if folder.is_file() else sorted(filter(_is_image, _list(folder)), key=_natural)
    if not paths:
        raise SourceError(f"{folder}: there are no images in this folder ({', '.join(sorted(IMAGE_SUFFIXES))})")
    yield Stream(_pictures(paths, fps), is_live=False, fps=fps, duration_s=len(paths) / fps, num_frames=len(paths))


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def _list(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise SourceError(f"{folder}: the folder cannot be read ({error.strerror})") from error


def _natural(path: Path) -> tuple[list[tuple[int, str]], str]:
    """A sorting key that takes the numbers in a name as numbers."""
    return [(int(digits or 0), text) for digits, text in re.findall(r"(\d+)|(\D+)", path.name)], path.name


def _pictures(paths: list[Path], fps: float) -> Iterator[Picture | None]:
    for index, path in enumerate(paths):
        arrived = time.monotonic()
        image = _read(path)
        if image is None:
            _log.warning("%s: skipped, it cannot be read as an image", path)
            yield None
        else:
            luma = partial(cv2.cvtColor, image, cv2.COLOR_BGR2GRAY)
            yield Picture(index / fps, "index", arrived, arrived, image.shape, partial(np.copyto, src=image), luma)


def _read(path: Path) -> Array | None:
    try:
        # Not cv2.imread: on Windows it cannot open names outside the system's code page.
        return cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    except (OSError, cv2.error):
        return None
