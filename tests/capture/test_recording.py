"""Jumping about in a file: the pictures are those that playing it gives, at their own times."""

from pathlib import Path

import numpy as np
import pytest

from streamvc.capture.source import open_source
from streamvc.capture.stream import Picture
from streamvc.capture.video import open_recording
from streamvc.errors import SourceError

from .videos import number_of, write_plain, write_sound

FORMATS = [("clip.mp4", "libx264"), ("clip.mkv", "libx264"), ("clip.avi", "mpeg4"), ("clip.ts", "libx264")]


def number(picture: Picture | None) -> int:
    assert picture is not None
    image = np.empty(picture.shape, np.uint8)
    picture.write(image)
    return number_of(image)


@pytest.mark.parametrize(("name", "codec"), FORMATS)
@pytest.mark.parametrize("interval", ["5", "1000"])
def test_pictures_from_a_moment_on_are_those_of_playing_it(tmp_path: Path, name: str, codec: str, interval: str) -> None:
    path = write_plain(tmp_path / name, 50, codec=codec, options={"g": interval})
    with open_source(path) as source:
        played = [(frame.timestamp, number_of(frame.image)) for frame in source]
    with open_recording(str(path)) as recording:
        for moment_s in (1.2, 1.7, 0.3):  # ahead, and back
            found = {number(picture): picture.timestamp for picture in recording.pictures(moment_s) if picture}
            assert found == pytest.approx({shown: at_s for at_s, shown in played if at_s >= moment_s})


def test_what_was_not_read_yet_follows(tmp_path: Path) -> None:
    with open_recording(str(write_plain(tmp_path / "clip.mp4", 10))) as recording:
        assert number(next(recording.pictures())) == 0
        assert [number(picture) for picture in recording.pictures()] == list(range(1, 10))
        assert (recording.codec, recording.fps, recording.length_s) == ("h264", 25.0, 0.4)


def test_a_moment_behind_the_end_has_no_pictures(tmp_path: Path) -> None:
    with open_recording(str(write_plain(tmp_path / "clip.mp4", 10))) as recording:
        assert list(recording.pictures(5.0)) == []
        assert len(list(recording.pictures(0.0))) == 10


def test_a_file_that_knows_no_times_is_read_on(tmp_path: Path) -> None:
    path = write_plain(tmp_path / "clip.h264", 50, format="h264")
    with open_recording(str(path)) as recording:
        assert recording.length_s is None
        assert [number(picture) for picture in recording.pictures(1.6)][-1] == 49


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="only sound"), open_recording(str(write_sound(tmp_path / "song.mp4"))):
        pass
