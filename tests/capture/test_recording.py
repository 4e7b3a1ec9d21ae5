"""Jumping about in a file: the pictures are those that playing it gives, at their own times."""

from pathlib import Path

import numpy as np
import pytest

from streamvc.capture.source import open_source
from streamvc.capture.stream import Picture
from streamvc.capture.video_file import open_recording
from streamvc.errors import SourceError

from .videos import number_of, textured, write_plain, write_sound, write_video

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


# Pictures between pictures, of which some are made from one another and some from none.
LAYERED = {"g": "20", "bf": "3", "x264-params": "b-adapt=0:b-pyramid=normal"}


TICKS = [tick for tick in range(50) if tick not in (7, 23, 24)]  # a few pictures are missing


def write_layered(path: Path) -> Path:
    return write_video(path, [textured(tick) for tick in TICKS], ticks=TICKS, options=LAYERED)


@pytest.fixture(params=["clip.mp4", "clip.mkv"])
def layered(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    return write_layered(tmp_path / request.param)


def test_the_times_are_known_beforehand(layered: Path) -> None:
    with open_source(layered) as source, open_recording(str(layered)) as recording:
        assert recording.timestamps() == [frame.timestamp for frame in source]


@pytest.mark.parametrize("step", [1, 2, 3, 5, 13])
def test_picked_pictures_are_bit_by_bit_those_of_playing_it(layered: Path, step: int) -> None:
    with open_source(layered) as source:
        played = [(frame.timestamp, frame.image.copy()) for frame in source][step // 2 :: step]
    with open_recording(str(layered)) as recording:
        timestamps = recording.timestamps()[step // 2 :: step]
        for picture, (timestamp, image) in zip(recording.pick(timestamps), played, strict=True):
            found = np.empty(picture.shape, np.uint8)
            picture.write(found)
            assert picture.timestamp == timestamp
            np.testing.assert_array_equal(found, image)


@pytest.mark.parametrize(("name", "codec"), [("clip.mp4", "mpeg4"), ("clip.avi", "mpeg4"), ("clip.ts", "libx264")])
def test_times_that_cannot_be_relied_on_are_not_told(tmp_path: Path, name: str, codec: str) -> None:
    with open_recording(str(write_plain(tmp_path / name, 10, codec=codec))) as recording:
        assert recording.timestamps() == []


def test_a_damage_among_the_pictures_is_told(tmp_path: Path) -> None:
    path = write_layered(tmp_path / "clip.mp4")
    data = path.read_bytes()
    middle = len(data) // 2
    path.write_bytes(data[:middle] + bytes(400) + data[middle + 400 :])
    with open_recording(str(path)) as recording:
        times = recording.timestamps()
        with pytest.raises(SourceError, match="damaged"):
            list(recording.pick(times))
