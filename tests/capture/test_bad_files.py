"""Files that are no video, or only half of one: one clear line, or all that can be had of them."""

import logging
from pathlib import Path

import av
import pytest

from streamvc.capture.source import open_source
from streamvc.errors import SourceError

from .videos import number_of, textured, write_plain, write_sound, write_video


def refusal(source: str | int | Path) -> str:
    """What is said of a source that cannot be opened: one line."""
    with pytest.raises(SourceError) as caught:
        open_source(source)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_missing_file(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "none.mp4")


def test_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "empty.mp4"
    path.touch()
    assert refusal(path) == f"{path}: the file is empty"


def test_a_text(tmp_path: Path) -> None:
    path = tmp_path / "text.mp4"
    path.write_text("not a video\n" * 100)
    assert "cannot be read as a video" in refusal(path)


def test_sound_without_a_video(tmp_path: Path) -> None:
    assert "only sound" in refusal(write_sound(tmp_path / "song.mp4"))


def test_an_mp4_whose_end_with_the_index_is_missing(tmp_path: Path) -> None:
    path = write_plain(tmp_path / "whole.mp4", 50)
    path.write_bytes(path.read_bytes()[:-400])
    assert "cut short" in refusal(path)


def test_a_video_without_pictures(tmp_path: Path) -> None:
    path = tmp_path / "none.avi"
    with av.open(str(path), "w") as output:
        output.add_stream("mpeg4", rate=25, width=64, height=48, pix_fmt="yuv420p")
        output.start_encoding()
    assert "no picture" in refusal(path)


def test_a_codec_that_nobody_knows(tmp_path: Path) -> None:
    path = write_plain(tmp_path / "clip.avi", 5, codec="mpeg4")
    path.write_bytes(path.read_bytes().replace(b"FMP4", b"QQQQ").replace(b"fmp4", b"qqqq"))
    assert "codec is not supported" in refusal(path)


@pytest.mark.parametrize(("name", "codec"), [("cut.mp4", "libx264"), ("cut.mkv", "libx264"), ("cut.avi", "mpeg4")])
def test_a_file_that_breaks_off_plays_as_far_as_it_goes(tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, codec: str) -> None:
    index_first = {"movflags": "faststart"} if name.endswith("mp4") else {}
    path = write_video(tmp_path / name, map(textured, range(50)), codec=codec, options={"bf": "0", "b": "4M"}, container=index_first)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with open_source(path) as source:
        frames = [(frame.index, number_of(frame.image)) for frame in source]
    assert 5 < len(frames) < 40
    assert all(index == number for index, number in frames)
    (warning,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert f"breaks off at {frames[-1][0] / 25:.1f} s of 2.0 s" in warning.getMessage()


def test_damage_in_the_middle_costs_the_damaged_pictures_alone(tmp_path: Path) -> None:
    path = write_plain(tmp_path / "whole.mkv", 50, codec="mjpeg", pix_fmt="yuvj420p")
    data = bytearray(path.read_bytes())
    for position in range(len(data) // 2, len(data) // 2 + 400):
        data[position] = 0
    path.write_bytes(data)
    with open_source(path) as source:
        frames = [(frame.index, number_of(frame.image)) for frame in source]
        assert source.corrupt + len(frames) <= 50
    assert 40 < len(frames) < 50
    assert frames[0] == (0, 0)
    assert frames[-1][1] == 49


def test_the_file_that_aborts_opencv_plays(shared_data: Path) -> None:
    with open_source(shared_data / "broken" / "aborts_opencv.avi") as source:
        assert [frame.index for frame in source] == list(range(51))


def test_the_corrupted_file_plays_but_for_its_bad_pictures(shared_data: Path) -> None:
    with open_source(shared_data / "broken" / "corrupted.mp4") as source:
        indices = [frame.index for frame in source]
        assert (len(indices), indices[-1], source.corrupt) == (48, 49, 2)
