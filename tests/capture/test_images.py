import logging
from pathlib import Path

import cv2
import pytest

from streamvc.capture.source import open_source
from streamvc.errors import SourceError

from .videos import number_of, plain


def write_images(folder: Path, names: list[str]) -> None:
    for number, name in enumerate(names):
        cv2.imwrite(str(folder / name), plain(number))


def test_images_come_in_natural_order_at_the_given_rate(tmp_path: Path) -> None:
    write_images(tmp_path, ["shot2.png", "shot9.jpg", "shot10.PNG", "shot100.png"])
    with open_source(tmp_path, fps=5) as source:
        frames = [(frame.index, frame.timestamp, frame.clock, number_of(frame.image)) for frame in source]
        assert (source.fps, source.num_frames, source.duration_s, source.size, source.is_live) == (5.0, 4, 0.8, (64, 48), False)
    assert frames == [(number, number / 5, "index", number) for number in range(4)]


def test_what_is_no_image_is_not_looked_at(tmp_path: Path) -> None:
    write_images(tmp_path, ["1.png", "2.png"])
    for name in (".DS_Store", "Thumbs.db", "notes.txt", "._1.png"):
        (tmp_path / name).write_bytes(b"junk")
    with open_source(tmp_path) as source:
        assert len(list(source)) == 2
        assert source.corrupt == 0


def test_an_image_that_cannot_be_read_is_skipped_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_images(tmp_path, ["1.png", "2.png", "3.png"])
    (tmp_path / "2.png").write_bytes(b"junk")
    with open_source(tmp_path) as source:
        assert [(frame.index, frame.timestamp) for frame in source] == [(0, 0.0), (2, 2 / 25)]
        assert source.corrupt == 1
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert str(tmp_path / "2.png") in caplog.text


def test_images_of_different_sizes(tmp_path: Path) -> None:
    for number, size in enumerate([(64, 48), (32, 20), (64, 48)]):
        cv2.imwrite(str(tmp_path / f"{number}.png"), plain(number, size))
    with open_source(tmp_path) as source:
        assert [(frame.image.shape[:2], number_of(frame.image)) for frame in source] == [((48, 64), 0), ((20, 32), 1), ((48, 64), 2)]


def test_a_folder_without_images(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(SourceError, match="no images in this folder"):
        open_source(tmp_path)


def test_a_folder_whose_images_are_all_unreadable(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(b"junk")
    with pytest.raises(SourceError, match="no picture in it can be decoded"):
        open_source(tmp_path)


def test_a_rate_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="fps must be above 0"):
        open_source(tmp_path, fps=0.0)
