"""Writes pictures to files: a video with the times of its frames, or a still. A file is there when it is complete, or not at all."""

import logging
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Self

import av
import cv2
import numpy as np
from av.container import OutputContainer
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream

from streamvc.errors import ViewError
from streamvc.view.canvas import Image
from streamvc.view.files import cannot_write, partial_file

logger = logging.getLogger(__name__)

FORMATS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska"}
STILL_SUFFIXES = {".png", ".jpg", ".jpeg"}
TIME_BASE = Fraction(1, 60_000)  # seconds; whole numbers of it for 24, 25, 29.97 and 30 frames/s, and MPEG-4 takes no finer one
NOMINAL_HZ = 25  # what the encoder plans its bits for; the times come from the frames
# 640x480 costs some 4 ms of CPU time a frame with this preset, and three times that with the default.
CODECS = {"libx264": {"preset": "superfast", "crf": "23"}, "mpeg4": {"qscale": "4"}}


class VideoWriter:
    """Writes frames to a video file (H.264, where this PyAV has it), each shown at its own time.

    The file takes its name when the writer is closed; a writer that was given no frame leaves none.
    """

    def __init__(self, path: Path | str, *, threads: int = 0) -> None:
        """Get ready to write `path`: `.mp4`, `.mov` or `.mkv`. The encoder takes so many threads; 0 for as many as it likes.

        Raises:
            ViewError: The suffix is not known, or a file cannot be written there.
        """
        self._path = Path(path)
        if self._path.suffix.lower() not in FORMATS:
            raise ViewError(f"{path}: not a kind of video that can be written; name it {', '.join(FORMATS)}")
        self._partial = partial_file(self._path)
        self._encoder: _Encoder | None = None
        self._threads = threads
        self._closed = False

    def show(self, image: Image, timestamp: float) -> bool:
        """Append a frame; always True, as a file never asks to stop.

        Args:
            image: (H, W, 3) uint8, BGR; scaled to the size of the first one.
            timestamp: In seconds. The first frame's is time 0 of the video; one that is not later than the one before is shown right after it.

        Raises:
            ViewError: It cannot be written; the file is given up.
        """
        if self._closed:
            raise ViewError(f"{self._path}: the video is already closed")
        try:
            if self._encoder is None:
                self._encoder = _Encoder(self._partial, FORMATS[self._path.suffix.lower()], image.shape, timestamp, self._threads)
            self._encoder.add(image, timestamp)
        except (OSError, av.FFmpegError) as error:
            self._give_up()
            raise cannot_write(self._path, error) from error
        return True

    def close(self) -> None:
        """Complete the file.

        Raises:
            ViewError: It cannot be completed; it is given up.
        """
        if self._closed:
            return
        self._closed = True
        try:
            if self._encoder is None:
                self._partial.unlink()
                logger.warning("%s: not written, there was no frame", self._path)
            else:
                self._encoder.finish()
                self._partial.replace(self._path)
        except (OSError, av.FFmpegError) as error:
            self._give_up()
            raise cannot_write(self._path, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # Also after an error elsewhere, a lost camera for one: what was filmed until then is whole.
        self.close()

    def _give_up(self) -> None:
        self._closed = True
        if self._encoder is not None:
            self._encoder.abandon()
        self._partial.unlink(missing_ok=True)


class _Encoder:
    """A video file that is being written."""

    def __init__(self, path: Path, form: str, shape: tuple[int, ...], start: float, threads: int) -> None:
        height, width = shape[:2]
        codec = next(codec for codec in CODECS if codec in av.codecs_available)
        self._start = start
        self._last_pts = -1
        self._container: OutputContainer = av.open(path, "w", format=form)
        stream = self._container.add_stream(codec, rate=NOMINAL_HZ, options=CODECS[codec])
        assert isinstance(stream, VideoStream)
        self._stream = stream
        # The colour planes have half the size, so the size must be even.
        self._stream.width, self._stream.height = width + width % 2, height + height % 2
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = TIME_BASE
        self._stream.codec_context.thread_count = threads
        self._stream.codec_context.colorspace = Colorspace.ITU601
        self._stream.codec_context.color_range = ColorRange.MPEG

    def add(self, image: Image, timestamp: float) -> None:
        size = self._stream.width, self._stream.height
        if image.shape[1::-1] != size:
            image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.uint8)
        # OpenCV converts ten times faster than PyAV.
        frame = av.VideoFrame.from_ndarray(cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420), format="yuv420p")
        frame.time_base = TIME_BASE
        frame.pts = self._last_pts = max(self._last_pts + 1, round((timestamp - self._start) / TIME_BASE))
        self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        self._container.mux(self._stream.encode())
        self._container.close()

    def abandon(self) -> None:
        with suppress(OSError, av.FFmpegError):  # it has failed already
            self._container.close()


def write_still(path: Path | str, image: Image) -> None:
    """Write a picture to a `.png`, `.jpg` or `.jpeg` file.

    Args:
        path: The file.
        image: (H, W, 3) uint8, BGR.

    Raises:
        ViewError: The suffix is not known, or it cannot be written there.
    """
    path = Path(path)
    if path.suffix.lower() not in STILL_SUFFIXES:
        raise ViewError(f"{path}: not a kind of picture that can be written; name it {', '.join(sorted(STILL_SUFFIXES))}")
    _, encoded = cv2.imencode(path.suffix, image)
    partial = partial_file(path)
    try:
        partial.write_bytes(encoded.tobytes())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise cannot_write(path, error) from error
