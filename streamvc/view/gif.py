"""Writes a small looping GIF of a clip, captioned with what it shows."""

from collections.abc import Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Self

import av
import cv2
import numpy as np
from av.container import OutputContainer
from av.filter import Graph
from av.video.stream import VideoStream

from streamvc.errors import ViewError
from streamvc.view.canvas import Image
from streamvc.view.files import cannot_write, partial_file
from streamvc.view.overlay import OverlayStatus, draw

SHORT_SIDE_PX = 240  # the least that a caption fits
MAX_HZ = 10
TIME_BASE = Fraction(1, 100)  # seconds; a GIF knows no finer one
LAST_SHOWN = 150  # ticks of it, before the loop begins anew
# Each picture gets the 256 colours that suit it best. Without dithering the file is smaller, and the caption's flat colours stay flat.
PALETTES = (("palettegen", "stats_mode=single"), ("paletteuse", "new=1:dither=none"))


class CaptionedGif:
    """Writes a clip as a GIF that loops: 240 pixels on the short side, at most 10 pictures a second.

    The file takes its name at the end of the `with` block; if that is left by an exception, or no frame was given, there is none.
    """

    def __init__(self, path: Path | str) -> None:
        """Get ready to write `path`.

        Raises:
            ViewError: It is not called `.gif`, or no file can be written there.
        """
        self._path = Path(path)
        if self._path.suffix.lower() != ".gif":
            raise ViewError(f"{path}: not a GIF; name it .gif")
        self._partial = partial_file(self._path)
        self._encoder: _Encoder | None = None
        self._due_s = float("-inf")

    def show(self, image: Image, timestamp: float, ranking: Sequence[tuple[str, float]]) -> None:
        """Append a frame, if enough time has passed since the one before.

        Args:
            image: (H, W, 3) uint8, BGR.
            timestamp: When it is shown, in seconds.
            ranking: All labels with their probabilities, best first; empty while nothing is known.

        Raises:
            ViewError: It cannot be written.
        """
        if timestamp < self._due_s:
            return
        self._due_s = timestamp + 1 / MAX_HZ - float(TIME_BASE) / 2
        status = OverlayStatus(ranking, active=ranking[0][0] if ranking else None, active_s=timestamp, warming_up=not ranking)
        picture = draw(_shrunk(image), status, strip=False)
        try:
            self._encoder = self._encoder or _Encoder(self._partial, picture.shape, timestamp)
            self._encoder.add(picture, timestamp)
        except (OSError, av.FFmpegError) as error:
            raise cannot_write(self._path, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if self._encoder:
                self._encoder.close(complete=kind is None)
            if self._encoder and kind is None:
                self._partial.replace(self._path)
        except (OSError, av.FFmpegError) as error:
            raise cannot_write(self._path, error) from error
        finally:
            self._partial.unlink(missing_ok=True)


class _Encoder:
    """A GIF that is being written."""

    def __init__(self, path: Path, shape: tuple[int, ...], start: float) -> None:
        self._size = shape[1], shape[0]
        self._start = start
        self._last_pts = -1
        self._container: OutputContainer = av.open(path, "w", format="gif", options={"final_delay": str(LAST_SHOWN)})
        stream = self._container.add_stream("gif", rate=MAX_HZ)
        assert isinstance(stream, VideoStream)
        self._stream = stream
        self._stream.width, self._stream.height = self._size
        self._stream.pix_fmt = "pal8"
        self._stream.codec_context.time_base = TIME_BASE
        self._palettes = _palettes(*self._size)

    def add(self, picture: Image, timestamp: float) -> None:
        if picture.shape[1::-1] != self._size:
            picture = np.asarray(cv2.resize(picture, self._size, interpolation=cv2.INTER_AREA), np.uint8)
        frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
        frame.time_base = TIME_BASE
        frame.pts = self._last_pts = max(self._last_pts + 1, round((timestamp - self._start) / TIME_BASE))
        self._palettes.push(frame)
        coloured = self._palettes.pull()
        assert isinstance(coloured, av.VideoFrame)
        self._container.mux(self._stream.encode(coloured))

    def close(self, complete: bool) -> None:
        with suppress(*(() if complete else (OSError, av.FFmpegError))):
            self._container.mux(self._stream.encode())
            self._container.close()


def _palettes(width: int, height: int) -> Graph:
    """A filter from pictures in full colour to such with a palette of their own."""
    graph = Graph()
    source = graph.add_buffer(width=width, height=height, format=av.VideoFormat("bgr24"), time_base=TIME_BASE)
    split, sink = graph.add("split"), graph.add("buffersink")
    generate, use = (graph.add(name, options) for name, options in PALETTES)
    source.link_to(split)
    split.link_to(generate, 0, 0)
    split.link_to(use, 1, 0)
    generate.link_to(use, 0, 1)
    use.link_to(sink)
    graph.configure()
    return graph


def _shrunk(image: Image) -> Image:
    height, width = image.shape[:2]
    scale = SHORT_SIDE_PX / min(height, width)
    size = max(1, round(scale * width)), max(1, round(scale * height))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
