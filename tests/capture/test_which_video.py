"""Containers with several videos: the one that players show is read."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import pytest
from av.stream import Disposition
from av.video.stream import VideoStream

from streamvc.capture.source import open_source
from streamvc.errors import SourceError

from .videos import number_of, plain

NUM_FRAMES = 6
NONE, DEFAULT, COVER = Disposition(0), Disposition.default, Disposition.attached_pic


@dataclass(frozen=True)
class Track:
    """A video within a file, of plain pictures of one brightness."""

    number: int
    size: tuple[int, int] = (64, 48)
    disposition: Disposition = NONE
    codec: str = "libx264"
    num_frames: int = NUM_FRAMES


def write_tracks(path: Path, tracks: Sequence[Track]) -> Path:
    with av.open(str(path), "w") as output:
        streams = [output.add_stream(track.codec, rate=25) for track in tracks]
        for track, stream in zip(tracks, streams, strict=True):
            assert isinstance(stream, VideoStream)
            stream.width, stream.height = track.size
            stream.pix_fmt = "yuvj420p" if track.codec == "mjpeg" else "yuv420p"
            stream.disposition = track.disposition
        for track, stream in zip(tracks, streams, strict=True):
            assert isinstance(stream, VideoStream)
            for tick in range(track.num_frames):
                frame = av.VideoFrame.from_ndarray(plain(track.number, track.size), format="rgb24")
                frame.pts, frame.time_base = tick, Fraction(1, 25)
                output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
    return path


CASES = {
    "the default, wherever it stands": ("a.mkv", [Track(1), Track(9, disposition=DEFAULT)]),
    "the default, also where another is larger": ("a.mkv", [Track(1, size=(320, 240)), Track(9, disposition=DEFAULT)]),
    "the largest, where none is the default": ("a.ts", [Track(1), Track(9, size=(320, 240)), Track(2, size=(128, 96))]),
    "the largest, where all are": ("a.mkv", [Track(1, disposition=DEFAULT), Track(9, size=(320, 240), disposition=DEFAULT)]),
    "the first of equals": ("a.ts", [Track(9), Track(1)]),
    "not a cover": ("a.mp4", [Track(1, (640, 480), COVER, "mjpeg", 1), Track(9)]),
    "not a single picture that is not called a cover": ("a.mp4", [Track(1, (640, 480), codec="mjpeg", num_frames=1), Track(9)]),
}


@pytest.mark.parametrize("case", CASES)
def test_of_several_videos_is_read(tmp_path: Path, case: str) -> None:
    name, tracks = CASES[case]
    with open_source(write_tracks(tmp_path / name, tracks)) as source:
        assert [number_of(frame.image) for frame in source] == [9] * NUM_FRAMES
        assert source.num_frames in (None, NUM_FRAMES)


def test_a_cover_alone_is_no_video(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="there is no video in it"):
        open_source(write_tracks(tmp_path / "a.mp4", [Track(1, (64, 48), COVER, "mjpeg", 1)]))
