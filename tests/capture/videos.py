"""Makes real videos whose frames say which they are: frame k is a plain picture of brightness 20 + 4 k."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.video.stream import VideoStream

from streamvc.types import Array


def plain(number: int, size: tuple[int, int] = (64, 48)) -> Array:
    """The picture of frame `number`, RGB or BGR alike."""
    width, height = size
    return np.full((height, width, 3), 20 + 4 * number, np.uint8)


def textured(number: int, size: tuple[int, int] = (128, 96)) -> Array:
    """The same with noise on it, so that each frame takes its share of a file."""
    noise = np.random.default_rng(number).integers(-15, 16, (size[1], size[0], 3))
    return (plain(number, size) + noise).astype(np.uint8)


def number_of(image: Array) -> int:
    """Which frame a picture is of."""
    return round((float(image.mean()) - 20) / 4)


def write_video(
    path: Path,
    images: Iterable[Array],
    *,
    fps: int | Fraction = 25,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
    container: dict[str, str] | None = None,
    ticks: Iterable[int] | None = None,
    rotation: int = 0,
    metadata: dict[str, str] | None = None,
    format: str | None = None,
) -> Path:
    """Encode RGB images; `ticks` are their presentation times in frames, 0, 1, 2, ... if not given."""
    images = list(images)
    ticks = range(len(images)) if ticks is None else list(ticks)
    with av.open(str(path), "w", format=format, options=container or {}) as output:
        output.metadata.update(metadata or {})
        stream = output.add_stream(codec, rate=fps, options=options or {})
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = images[0].shape[:2] if images else (48, 64)
        stream.pix_fmt = pix_fmt
        if rotation:
            stream.set_display_rotation(rotation)
        for tick, image in zip(ticks, images, strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = tick, 1 / Fraction(fps)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def write_plain(path: Path, num_frames: int, size: tuple[int, int] = (64, 48), **options: object) -> Path:
    """A video of `num_frames` plain pictures."""
    return write_video(path, [plain(number, size) for number in range(num_frames)], **options)  # type: ignore[arg-type]


def write_sound(path: Path) -> Path:
    """A file with one second of silence and no video."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("aac", rate=8000)
        assert isinstance(stream, AudioStream)
        for start in range(0, 8000, 1024):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 8000, start
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path
