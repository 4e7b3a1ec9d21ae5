"""Pictures as people see them: the way up, and the shape, that their files say."""

import itertools
import struct
import zlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.video.stream import VideoStream

from streamvc.capture.opening import open_stream
from streamvc.capture.source import open_source
from streamvc.types import Array

from .test_files import first_image
from .videos import plain, write_video

# Rows become columns; then mirrored; then upside down.
Way = tuple[bool, bool, bool]
WAYS: list[Way] = list(itertools.product([False, True], [False, True], [False, True]))
EXIF_WAYS = dict(enumerate([WAYS[0], WAYS[2], WAYS[3], WAYS[1], WAYS[4], WAYS[6], WAYS[7], WAYS[5]], start=1))  # by the number that EXIF has for them


def corners() -> Array:
    """A picture (BGR) with another colour in each corner."""
    image = np.empty((48, 64, 3), np.uint8)
    image[:24, :32], image[:24, 32:], image[24:, :32], image[24:, 32:] = (200, 30, 30), (30, 200, 30), (30, 30, 200), (200, 200, 200)
    return image


def laid(image: Array, way: Way) -> Array:
    transposed, mirrored, upside_down = way
    image = image.transpose(1, 0, 2) if transposed else image
    image = image[:, ::-1] if mirrored else image
    return image[::-1] if upside_down else image


def is_like(image: Array, other: Array) -> bool:
    return image.shape == other.shape and float(np.abs(image.astype(int) - other).mean()) < 5


def with_matrix(path: Path, matrix: list[int]) -> Path:
    """Write a display matrix into the track header of an MP4."""
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 44
    data[start : start + 36] = struct.pack(">9i", *matrix)
    path.write_bytes(data)
    return path


def matrix_of(way: Way) -> list[int]:
    transposed, mirrored, upside_down = way
    x, y = -65536 if mirrored else 65536, -65536 if upside_down else 65536
    return [0, y, 0, x, 0, 0, 0, 0, 1 << 30] if transposed else [x, 0, 0, 0, y, 0, 0, 0, 1 << 30]


@pytest.mark.parametrize("way", WAYS)
def test_a_video_is_turned_and_mirrored_as_its_matrix_says(tmp_path: Path, way: Way) -> None:
    path = with_matrix(write_video(tmp_path / "a.mp4", [corners()[..., ::-1]] * 3), matrix_of(way))
    assert is_like(first_image(path), laid(corners(), way))
    with open_stream(path) as stream:  # what moves is looked for in the same picture
        picture = next(stream.pictures)
        assert picture
        grey = cv2.cvtColor(laid(corners(), way), cv2.COLOR_BGR2GRAY)
        assert picture.luma().shape == grey.shape
        assert np.corrcoef(picture.luma().ravel(), grey.ravel())[0, 1] > 0.98


@pytest.mark.parametrize("matrix", [[0] * 9, [46340, 46340, 0, -46340, 46340, 0, 0, 0, 1 << 30], [-(1 << 31)] * 9])
def test_a_matrix_that_is_no_quarter_turn_does_no_harm(tmp_path: Path, matrix: list[int]) -> None:
    assert set(first_image(with_matrix(write_video(tmp_path / "a.mp4", [corners()] * 3), matrix)).shape) == {48, 64, 3}


def exif(number: int) -> bytes:
    return b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHIHH", 0x112, 3, 1, number, 0) + bytes(4)


def jpeg(number: int) -> bytes:
    data: bytes = cv2.imencode(".jpg", corners())[1].tobytes()
    block = b"Exif\0\0" + exif(number)
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + data[2:]


def png(number: int) -> bytes:
    data: bytes = cv2.imencode(".png", corners())[1].tobytes()
    block = b"eXIf" + exif(number)
    return data[:33] + struct.pack(">I", len(block) - 4) + block + struct.pack(">I", zlib.crc32(block)) + data[33:]


@pytest.mark.parametrize("number", EXIF_WAYS)
def test_images_are_turned_as_their_exif_says_in_a_folder_alone_and_as_a_video(tmp_path: Path, number: int) -> None:
    right = laid(corners(), EXIF_WAYS[number])
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "1.jpg").write_bytes(jpeg(number))
    (folder / "2.png").write_bytes(png(number))
    with open_source(folder) as source:
        assert [is_like(frame.image, right) for frame in source] == [True, True]
    assert is_like(first_image(folder / "1.jpg"), right)
    video = tmp_path / "a.mjpeg"
    video.write_bytes(jpeg(number) * 5)
    assert is_like(first_image(video), right)


def write_narrow(path: Path, aspect: Fraction, size: tuple[int, int] = (64, 48), **how: str) -> Path:
    """A disc as wide as high where pixels are `aspect` times as wide as high."""
    width, height = size
    image = plain(0, size)
    radius = min(float(height), float(width * aspect)) / 3
    cv2.ellipse(image, (width // 2, height // 2), (round(radius / float(aspect)), round(radius)), 0, 0, 360, (220, 220, 220), -1)
    with av.open(str(path), "w") as output:
        stream = output.add_stream(how.get("codec", "libx264"), rate=25)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.sample_aspect_ratio = aspect
        for _ in range(5):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        output.mux(stream.encode(None))
    return path


def disc(image: Array) -> tuple[int, int]:
    """Width and height of what is bright."""
    rows, columns = np.nonzero(image[..., 1] > 120)
    return int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.mov"])
@pytest.mark.parametrize(
    ("aspect", "coded", "shown"),
    [
        (Fraction(2), (160, 240), (320, 240)),  # recorders: half the columns
        (Fraction(1, 2), (320, 120), (320, 240)),  # or half the lines
        (Fraction(16, 11), (176, 144), (256, 144)),  # PAL, widescreen
        (Fraction(10, 11), (176, 120), (176, 132)),  # NTSC
        (Fraction(1), (176, 120), (176, 120)),
    ],
)
def test_a_disc_is_round_whatever_the_form_of_the_pixels(
    tmp_path: Path, name: str, aspect: Fraction, coded: tuple[int, int], shown: tuple[int, int]
) -> None:
    path = write_narrow(tmp_path / name, aspect, coded)
    with open_source(path) as source:
        assert source.size == shown
        width, height = disc(next(source).image)
    assert width == pytest.approx(height, abs=3)
    with open_stream(path) as stream:
        picture = next(stream.pictures)
        assert picture
        assert picture.luma().shape == shown[::-1]


def test_what_only_the_container_says_of_its_pixels_counts(tmp_path: Path) -> None:
    stretch = [2 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30]
    path = with_matrix(write_video(tmp_path / "a.mp4", [plain(3)] * 3), stretch)  # the stream itself says nothing of it
    with open_source(path) as source:
        assert source.size == (128, 48)


@pytest.mark.parametrize("aspect", [Fraction(1000), Fraction(1, 1000), Fraction(5), Fraction(128, 127)])
def test_pixels_of_an_impossible_form_are_taken_for_squares(tmp_path: Path, aspect: Fraction) -> None:
    with open_source(write_narrow(tmp_path / "a.mkv", aspect)) as source:
        assert source.size == (64, 48)


def test_no_picture_grows_beyond_what_is_usual(tmp_path: Path) -> None:
    with open_source(write_narrow(tmp_path / "a.mkv", Fraction(4), (1600, 400), codec="mpeg4")) as source:
        assert source.size == (1600, 100)


def test_pixels_that_change_their_form_within_the_stream_change_the_picture(tmp_path: Path) -> None:
    parts = [write_narrow(tmp_path / f"{number}.ts", aspect, (64, 48)) for number, aspect in enumerate([Fraction(2), Fraction(1)])]
    path = tmp_path / "both.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    with open_source(path, buffer_frames=3) as source:
        assert [frame.image.shape[1] for frame in source] == [128] * 5 + [64] * 5


def test_a_narrow_picture_that_is_turned_is_squared_first(tmp_path: Path) -> None:
    path = with_matrix(write_narrow(tmp_path / "a.mp4", Fraction(2)), matrix_of((True, True, False)))
    with open_source(path) as source:
        assert source.size == (48, 128)
        width, height = disc(next(source).image)
    assert width == pytest.approx(height, abs=3)


def interlaced(offset: int) -> Iterator[Array]:
    """A bright bar that moves: each second line shows it somewhat further on."""
    for number in range(5):
        image = plain(0)
        image[0::2, 8 + 2 * number : 24 + 2 * number] = 220
        image[1::2, 8 + 2 * number + offset : 24 + 2 * number + offset] = 220
        yield image


def test_interlaced_pictures_have_no_comb(tmp_path: Path) -> None:
    options = {"flags": "+ilme+ildct", "qp": "5"}
    path = write_video(tmp_path / "a.mkv", interlaced(12), options=options)
    image = first_image(path)[..., 1].astype(int)
    assert np.abs(np.diff(image, axis=0)).mean() < 3  # the bar stands upright; with the comb, 40
    assert disc(first_image(path))[0] == pytest.approx(16, abs=4)
