from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from streamvc.errors import ViewError
from streamvc.view.canvas import Image
from streamvc.view.gif import CaptionedGif
from tests.view.test_video import scene

RANKING = (("PushUps", 0.7), ("JumpRope", 0.2), ("Lunges", 0.1))


def read(path: Path) -> list[Image]:
    with av.open(path) as container:
        return [frame.to_ndarray(format="bgr24").astype(np.uint8) for frame in container.decode(video=0)]


def write(path: Path, times: list[float], width: int = 320, height: int = 240) -> None:
    with CaptionedGif(path) as gif:
        for number, time in enumerate(times):
            gif.show(scene(number, width, height), time, RANKING if number > 2 else ())


def test_a_gif_plays_at_the_clips_own_speed_and_loops(tmp_path: Path) -> None:
    times = [5 + number / 25 for number in range(51)]
    write(tmp_path / "clip.gif", times)
    with av.open(tmp_path / "clip.gif") as container:
        shown = [frame.time or 0.0 for frame in container.decode(video=0)]
    assert 15 <= len(shown) <= 20
    assert min(np.diff(shown)) >= 0.1
    assert shown[-1] == pytest.approx(2.0, abs=0.1)
    assert b"NETSCAPE2.0\x03\x01\x00\x00" in (tmp_path / "clip.gif").read_bytes()  # for ever
    assert [entry.name for entry in tmp_path.iterdir()] == ["clip.gif"]


@pytest.mark.parametrize(("size", "small"), [((640, 360), (427, 240)), ((240, 426), (240, 426)), ((96, 64), (360, 240))])
def test_pictures_keep_their_shape_and_their_colours(tmp_path: Path, size: tuple[int, int], small: tuple[int, int]) -> None:
    write(tmp_path / "clip.gif", [number / 10 for number in range(5)], *size)
    for number, picture in enumerate(read(tmp_path / "clip.gif")):
        assert picture.shape[1::-1] == small
        above = slice(0, small[1] // 2 + 20)  # the caption
        assert cv2.PSNR(picture[above], cv2.resize(scene(number, *size), small, interpolation=cv2.INTER_AREA)[above]) > 25


def test_the_caption_tells_the_best_labels_once_they_are_known(tmp_path: Path) -> None:
    write(tmp_path / "clip.gif", [number / 10 for number in range(5)])
    pictures = read(tmp_path / "clip.gif")
    rows = slice(198, 214), slice(15, 200)  # where the best label is
    assert cv2.PSNR(pictures[1][rows], scene(1, 320, 240)[rows]) > 25
    assert cv2.PSNR(pictures[4][rows], scene(4, 320, 240)[rows]) < 15


def test_there_is_no_gif_after_an_error_and_none_without_a_frame(tmp_path: Path) -> None:
    def film() -> None:
        with CaptionedGif(tmp_path / "clip.gif") as gif:
            gif.show(scene(0), 0.0, RANKING)
            raise KeyError

    with pytest.raises(KeyError):
        film()
    with CaptionedGif(tmp_path / "clip.gif"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_to_is_said(tmp_path: Path) -> None:
    with pytest.raises(ViewError, match=r"name it \.gif"):
        CaptionedGif(tmp_path / "clip.mp4")
    with pytest.raises(ViewError, match="cannot be written"):
        CaptionedGif(tmp_path / "missing" / "clip.gif")
