"""Pictures that are taken from a stream without a thread."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from streamvc.capture.opening import open_stream
from streamvc.capture.stream import Decode, Picture
from streamvc.types import Array

from .videos import textured, write_plain, write_video


def image_of(picture: Picture) -> Array:
    image = np.empty(picture.shape, np.uint8)
    picture.write(image)
    return image


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "rotation"),
    [
        ("libx264", "yuv420p", 0),
        ("libx264", "yuv420p", 90),
        ("libx264", "yuv420p", 180),
        ("mjpeg", "yuvj422p", 0),
        ("ffv1", "bgr0", 0),
        ("ffv1", "gray", 0),
    ],
)
def test_the_brightness_is_that_of_the_picture(tmp_path: Path, codec: str, pix_fmt: str, rotation: int) -> None:
    image = textured(20, (120, 90))
    image[:30, :40] = 200
    suffix = "mp4" if rotation else "mkv"
    path = write_video(tmp_path / f"a.{suffix}", [image] * 3, codec=codec, pix_fmt=pix_fmt, rotation=rotation)
    with open_stream(path) as stream:
        assert stream.codec == codec.removeprefix("libx").replace("264", "h264")
        picture = next(stream.pictures)
        assert picture
        luma, grey = picture.luma(), cv2.cvtColor(image_of(picture), cv2.COLOR_BGR2GRAY)
    assert luma.shape == grey.shape
    # Video may keep the brightness in 16 to 235.
    slope, start = np.polyfit(luma.ravel().astype(float), grey.ravel().astype(float), 1)
    assert np.abs(luma * slope + start - grey).mean() < 2
    assert 0.95 < slope < 1.25


@pytest.mark.parametrize(("decode", "numbers"), [("all", 30), ("reference", 15), ("keyframes", 3)])
def test_pictures_that_are_not_wanted_are_not_decoded(tmp_path: Path, decode: Decode, numbers: int) -> None:
    options = {"g": "10", "bf": "1", "b-adapt": "0", "sc_threshold": "0"}
    path = write_plain(tmp_path / "a.mp4", 30, options=options)
    with open_stream(path, decode=decode) as stream:
        pictures = [picture for picture in stream.pictures if picture]
    assert len(pictures) == pytest.approx(numbers, abs=3)


def test_a_folder_of_images_has_a_brightness_and_no_codec(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "1.png"), textured(5))
    with open_stream(tmp_path) as stream:
        assert stream.codec is None
        picture = next(stream.pictures)
        assert picture
        assert np.array_equal(picture.luma(), cv2.cvtColor(image_of(picture), cv2.COLOR_BGR2GRAY))
