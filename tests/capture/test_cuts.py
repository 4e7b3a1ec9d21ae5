"""Recordings that were cut without encoding them anew, with keyframes far apart, or with pictures that are far apart."""

import logging
from fractions import Fraction
from pathlib import Path

import av
import pytest

from streamvc.capture.source import open_source
from streamvc.capture.video_file import open_recording
from streamvc.training.check.probe import probe

from .test_files import read
from .test_recording import number
from .videos import number_of, plain, write_plain, write_video

NUM_FRAMES = 50
GOP = 20
CUT = 27  # the first frame that is to be seen; its keyframe is 20


def cut(whole: Path, path: Path, since: int = CUT) -> Path:
    """What `ffmpeg -ss TIME -c copy` does: all from the keyframe before a frame on, which is moment 0; an MP4 says so in an edit list."""
    with av.open(str(whole)) as container, av.open(str(path), "w") as output:
        video = container.streams.video[0]
        assert video.time_base
        stream = output.add_stream_from_template(video)
        shift = round(since / 25 / video.time_base)
        container.seek(shift, stream=video)
        for packet in container.demux(video):
            if packet.pts is not None and packet.dts is not None:
                packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, stream
                output.mux(packet)
    return path


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    return write_plain(tmp_path / "whole.mp4", NUM_FRAMES, options={"g": str(GOP), "bf": "2"})


def test_a_cut_mp4_begins_where_it_was_cut_and_ends_without_a_warning(whole: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = cut(whole, tmp_path / "cut.mp4")
    assert read(path) == [(index, round(index / 25, 3), CUT + index) for index in range(NUM_FRAMES - CUT)]
    assert not caplog.records
    with open_source(path) as source:
        assert (source.num_frames, source.duration_s) == (NUM_FRAMES - CUT, pytest.approx((NUM_FRAMES - CUT) / 25))


def test_a_cut_mp4_of_a_minute_is_as_long_as_it_is_and_its_parts_lie_where_they_are(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.mp4", [plain(number % 50, (32, 32)) for number in range(1500)], options={"g": "500", "preset": "ultrafast"})
    path = cut(whole, tmp_path / "cut.mp4", 950)  # the keyframe is 500
    assert probe(path).length_s == pytest.approx(22.0, abs=0.1)
    with open_recording(str(path)) as recording:
        assert recording.length_s == pytest.approx(22.0, abs=0.1)
        picture = next(recording.pictures(15.0))
        assert picture
        assert picture.timestamp == pytest.approx(15.0)
        assert number(picture) == (950 + 375) % 50


@pytest.mark.parametrize("name", ["cut.mkv", "cut.ts"])
def test_a_cut_of_a_kind_without_edit_lists_shows_all_from_its_keyframe_on(whole: Path, tmp_path: Path, name: str) -> None:
    assert read(cut(whole, tmp_path / name)) == [(index, round(index / 25, 3), GOP + index) for index in range(NUM_FRAMES - GOP)]


def test_a_stream_that_begins_between_two_keyframes_is_seen_from_the_next_on(tmp_path: Path) -> None:
    whole = write_plain(tmp_path / "whole.ts", NUM_FRAMES, size=(320, 240), options={"g": str(GOP), "bf": "0"})
    data = whole.read_bytes()
    path = tmp_path / "torn.ts"
    path.write_bytes(data[len(data) // 4 // 188 * 188 + 100 :])  # amid a packet, too
    with open_source(path) as source:
        shown = [(round(frame.timestamp, 3), number_of(frame.image)) for frame in source]
    first = shown[0][1]
    assert first in (GOP, 2 * GOP)
    assert shown == [(round(index / 25, 3), first + index) for index in range(NUM_FRAMES - first)]


def test_keyframes_that_are_further_apart_than_any_broadcaster_has_them(tmp_path: Path) -> None:
    images = [plain(number % 50, (32, 32)) for number in range(1000)]
    path = write_video(tmp_path / "a.ts", images, options={"g": "5000", "sc_threshold": "0", "preset": "ultrafast", "bf": "0"})
    facts = probe(path)
    assert (facts.length_s, facts.num_damaged) == (pytest.approx(40.0), 0)
    with open_recording(str(path)) as recording:
        for moment_s in (38.0, 15.0, 30.0):
            picture = next(recording.pictures(moment_s))
            assert picture
            assert (picture.timestamp, number(picture)) == (pytest.approx(moment_s), round(moment_s * 25) % 50)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi"])
def test_a_time_lapse_keeps_its_times(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    minutes = [0, 1, 2, 4, 5, 65] if name != "a.avi" else list(range(6))  # AVI knows one rate
    path = write_video(tmp_path / name, map(plain, range(6)), ticks=[60 * minute for minute in minutes] if name != "a.avi" else None, fps=1)
    scale_s = 60.0 if name != "a.avi" else 1.0
    assert read(path) == [(index, minute * scale_s, index) for index, minute in enumerate(minutes)]
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    with open_recording(str(path)) as recording:
        assert [number(picture) for picture in recording.pictures(3 * scale_s)] == list(range(3, 6))


@pytest.mark.parametrize("rate", [Fraction(1, 60), Fraction(999, 1000), Fraction(1, 3600)])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi"])
def test_a_recording_of_a_frame_a_minute_is_not_called_cut_short(tmp_path: Path, rate: Fraction, name: str, caplog: pytest.LogCaptureFixture) -> None:
    path = write_video(
        tmp_path / name,
        map(plain, range(5)),
        fps=rate,
        codec="mjpeg" if name == "a.avi" else "libx264",
        pix_fmt="yuvj420p" if name == "a.avi" else "yuv420p",
    )
    assert read(path) == [(index, pytest.approx(float(index / rate), abs=0.002), index) for index in range(5)]
    assert not caplog.records
    facts = probe(path)
    assert facts.announced_s is None or facts.announced_s - facts.length_s < 1
