"""Colours as the camera saw them, in all forms in which cameras and recorders send them."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream

from streamvc.capture.opening import open_stream
from streamvc.types import Array

from .test_decoder import image_of

COLOURS = ((200, 40, 40), (40, 180, 60), (50, 60, 210), (230, 220, 90), (128, 128, 128), (16, 16, 16), (235, 235, 235), (90, 40, 140))  # RGB

TOLERANCE = 6  # grey levels


def bars(size: tuple[int, int]) -> Array:
    """Bars of these colours, side by side."""
    width, height = size
    columns = np.arange(width) * len(COLOURS) // width
    return np.repeat(np.array(COLOURS, np.uint8)[columns][None], height, axis=0)


def write_bars(
    path: Path, codec: str, pix_fmt: str, size: tuple[int, int], matrix: Colorspace | None = None, range_: ColorRange | None = None
) -> Path:
    with av.open(str(path), "w") as output:
        options = {"x265-params": "log-level=none", "crf": "4"} if codec == "libx265" else {"qp": "4"} if codec == "libx264" else {}
        stream = output.add_stream(codec, rate=25, options=options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = size
        stream.pix_fmt = pix_fmt
        if matrix is not None:
            stream.codec_context.colorspace = matrix
        if range_ is not None:
            stream.codec_context.color_range = range_
        frame = av.VideoFrame.from_ndarray(bars(size), format="rgb24").reformat(format=pix_fmt, dst_colorspace=matrix, dst_color_range=range_)
        for number in range(3):
            frame.pts, frame.time_base = number, Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def assert_seen(path: Path, size: tuple[int, int], *, grey: bool = False) -> None:
    with open_stream(path) as stream:
        picture = next(stream.pictures)
        assert picture
        image, luma = image_of(picture)[..., ::-1].astype(int), picture.luma()
    right = bars(size).astype(int)
    if grey:
        right = np.repeat((right @ (0.299, 0.587, 0.114)).round().astype(int)[..., None], 3, axis=2)
    middles = [round((number + 0.5) * size[0] / len(COLOURS)) for number in range(len(COLOURS))]  # colours run into each other at the edges
    assert np.abs(image[:, middles] - right[:, middles]).max() <= TOLERANCE
    assert luma.shape == image.shape[:2]
    assert np.corrcoef(luma[:, middles].ravel(), (right[:, middles] @ (0.299, 0.587, 0.114)).ravel())[0, 1] > 0.99


FORMS = [
    *[("libx264", form) for form in ("yuv420p", "yuv422p", "yuv444p", "yuvj420p", "nv12", "yuv420p10le", "yuv422p10le", "yuv444p10le")],
    *[("libx265", form) for form in ("yuv420p10le", "yuv422p10le", "yuv420p12le")],
    *[("mjpeg", form) for form in ("yuvj420p", "yuvj422p", "yuvj444p")],
    *[("ffv1", form) for form in ("yuv411p", "yuv410p", "yuv440p", "yuva420p", "bgra", "gbrp10le", "gray", "gray10le", "gray16le")],
    *[("rawvideo", form) for form in ("yuyv422", "uyvy422", "bgr24")],
]


@pytest.mark.parametrize(("codec", "pix_fmt"), FORMS)
def test_a_form_of_pictures_has_its_colours(tmp_path: Path, codec: str, pix_fmt: str) -> None:
    path = write_bars(tmp_path / ("a.avi" if codec == "rawvideo" else "a.mkv"), codec, pix_fmt, (160, 96))
    assert_seen(path, (160, 96), grey="gray" in pix_fmt)


@pytest.mark.parametrize("size", [(161, 97), (161, 96), (160, 97), (159, 9)])
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuvj422p", "yuv410p", "gray10le"])
def test_odd_sizes_keep_their_colours(tmp_path: Path, pix_fmt: str, size: tuple[int, int]) -> None:
    path = write_bars(tmp_path / "a.mkv", "mjpeg" if "yuvj" in pix_fmt else "ffv1", pix_fmt, size)
    assert_seen(path, size, grey="gray" in pix_fmt)


@pytest.mark.parametrize("matrix", [Colorspace.ITU709, Colorspace.ITU601, Colorspace.SMPTE240M])
@pytest.mark.parametrize("range_", [ColorRange.MPEG, ColorRange.JPEG])
@pytest.mark.parametrize("name", ["a.mp4", "a.ts"])
def test_the_matrix_and_the_range_that_a_stream_tells_are_used(tmp_path: Path, matrix: Colorspace, range_: ColorRange, name: str) -> None:
    assert_seen(write_bars(tmp_path / name, "libx264", "yuv420p", (160, 96), matrix, range_), (160, 96))
