"""Video files of all kinds: the right pictures at the right times."""

import logging
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from streamvc.capture.source import open_source
from streamvc.types import Array, Frame

from .videos import number_of, plain, write_plain, write_video


def read(path: Path) -> list[tuple[int, float, int]]:
    """Index, time and true number of each frame."""
    with open_source(path) as source:
        return [(frame.index, round(frame.timestamp, 3), number_of(frame.image)) for frame in source]


def first_image(path: Path) -> Array:
    with open_source(path) as source:
        return next(source).image.copy()


KINDS = {
    "h264.mp4": ("libx264", "yuv420p"),
    "b-frames.mkv": ("libx264", "yuv420p"),
    "h264.ts": ("libx264", "yuv420p"),
    "h264.mov": ("libx264", "yuv420p"),
    "h264.avi": ("libx264", "yuv420p"),
    "raw.h264": ("libx264", "yuv420p"),
    "ten-bit.mp4": ("libx265", "yuv420p10le"),
    "hevc.mp4": ("libx265", "yuv420p"),
    "vp8.webm": ("libvpx", "yuv420p"),
    "vp9.webm": ("libvpx-vp9", "yuv420p"),
    "mpeg4.avi": ("mpeg4", "yuv420p"),
    "mpeg2.ts": ("mpeg2video", "yuv420p"),
    "mjpeg422.avi": ("mjpeg", "yuvj422p"),
    "mjpeg.mjpeg": ("mjpeg", "yuvj420p"),
    "lossless.mkv": ("ffv1", "bgr0"),
    "raw.avi": ("rawvideo", "bgr24"),
    "grey.mkv": ("ffv1", "gray"),
    "picture.gif": ("gif", "rgb8"),
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_file_gives_its_pictures_at_their_times(tmp_path: Path, name: str) -> None:
    codec, pix_fmt = KINDS[name]
    path = write_plain(tmp_path / name, 30, codec=codec, pix_fmt=pix_fmt, options={"x265-params": "log-level=none"} if codec == "libx265" else None)
    frames = read(path)
    assert [index for index, *_ in frames] == list(range(30))
    assert [time for _, time, _ in frames] == pytest.approx([number / 25 for number in range(30)], abs=0.002)
    tolerance = 10 if pix_fmt == "rgb8" else 1  # a palette of 256 colours
    assert [number for *_, number in frames] == pytest.approx(range(30), abs=tolerance)


def test_a_file_announces_its_form(tmp_path: Path) -> None:
    path = write_plain(tmp_path / "clip.mp4", 50, size=(96, 64))
    with open_source(path) as source:
        assert (source.name, source.size, source.fps, source.num_frames, source.duration_s) == (str(path), (96, 64), 25.0, 50, 2.0)
        assert (source.is_live, source.dropped, source.corrupt) == (False, 0, 0)
        frame = next(source)
        assert (frame.clock, frame.began, frame.image.shape, frame.image.dtype) == ("pts", None, (64, 96, 3), np.uint8)
        assert frame.captured <= frame.decoded


def test_one_frame(tmp_path: Path) -> None:
    assert read(write_plain(tmp_path / "one.mp4", 1)) == [(0, 0.0, 0)]


def test_times_that_start_late_count_from_the_first_frame(tmp_path: Path) -> None:
    path = write_plain(tmp_path / "late.mkv", 10, ticks=range(250, 260))
    assert [time for _, time, _ in read(path)] == [round(number / 25, 3) for number in range(10)]


def test_variable_frame_rate(tmp_path: Path) -> None:
    ticks = [0, 1, 5, 6, 7, 20, 21, 50]
    path = write_plain(tmp_path / "variable.mp4", len(ticks), ticks=ticks)
    assert read(path) == [(index, round(tick / 25, 3), index) for index, tick in enumerate(ticks)]


def test_parts_of_different_size_one_after_the_other(tmp_path: Path) -> None:
    parts = [write_plain(tmp_path / f"{width}.ts", 10, size=(width, 48)) for width in (64, 96)]
    path = tmp_path / "both.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    with open_source(path, buffer_frames=3) as source:
        seen = [(frame.index, frame.image.shape[1], number_of(frame.image)) for frame in source]
        assert source.size == (96, 48)
    assert seen == [(number, 64, number) for number in range(10)] + [(10 + number, 96, number) for number in range(10)]


@pytest.mark.parametrize("size", [(63, 47), (64, 47), (63, 48), (2, 2)])
def test_odd_sizes(tmp_path: Path, size: tuple[int, int]) -> None:
    path = write_plain(tmp_path / "odd.mkv", 5, size=size, codec="ffv1", pix_fmt="yuv420p")
    assert [number for *_, number in read(path)] == [0, 1, 2, 3, 4]
    assert first_image(path).shape == (size[1], size[0], 3)


def halves(left: tuple[int, int, int], right: tuple[int, int, int], size: tuple[int, int] = (64, 48)) -> Array:
    """A picture of two colours (RGB), side by side."""
    image = plain(0, size)
    image[:, : size[0] // 2] = left
    image[:, size[0] // 2 :] = right
    return image


RED, BLUE = (200, 30, 30), (30, 30, 200)


@pytest.mark.parametrize(
    ("rotation", "corner"),
    [(90, "bottom"), (-90, "top"), (180, "right"), (0, "left")],
)
def test_a_clip_of_a_turned_phone_is_turned_back(tmp_path: Path, rotation: int, corner: str) -> None:
    path = write_video(tmp_path / "turned.mp4", [halves(RED, BLUE)] * 3, rotation=rotation)
    image = first_image(path)
    assert image.shape == ((64, 48, 3) if rotation % 180 else (48, 64, 3))
    middle = {"left": image[24, 4], "right": image[24, -4], "top": image[4, 24], "bottom": image[-4, 24]}
    red = {side for side, (blue, _, red) in ((side, pixel.tolist()) for side, pixel in middle.items()) if red > blue}
    assert corner in red
    assert {"left": "right", "right": "left", "top": "bottom", "bottom": "top"}[corner] not in red


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuvj420p", "yuv444p", "bgr0"])
def test_colours_are_those_of_opencv(tmp_path: Path, pix_fmt: str) -> None:
    noise = cv2.resize(np.random.default_rng(0).integers(0, 255, (6, 8, 3), np.uint8), (64, 48), interpolation=cv2.INTER_CUBIC)
    codec = {"yuvj420p": "mjpeg", "bgr0": "ffv1"}.get(pix_fmt, "libx264")
    path = write_video(tmp_path / "noise.mkv", [noise], codec=codec, pix_fmt=pix_fmt)
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    theirs = capture.read()[1]
    capture.release()
    assert np.abs(first_image(path).astype(int) - theirs).max() <= 3


def test_two_readings_are_the_same_to_the_last_digit(tmp_path: Path) -> None:
    path = write_video(tmp_path / "noise.mp4", list(np.random.default_rng(1).integers(0, 255, (20, 48, 64, 3), np.uint8)))

    def reading() -> list[tuple[int, float, bytes]]:
        with open_source(path) as source:
            return [(frame.index, frame.timestamp, frame.image.tobytes()) for frame in source]

    assert reading() == reading()


def test_sound_beside_the_video_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "both.mp4"
    with av.open(str(path), "w") as output:
        video, audio = output.add_stream("libx264", rate=25), output.add_stream("aac", rate=8000)
        video.width, video.height = 64, 48
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 24000), np.float32), format="fltp", layout="mono")
        sound.sample_rate = 8000
        output.mux(audio.encode(sound))
        for number in range(10):
            output.mux(video.encode(av.VideoFrame.from_ndarray(plain(number), format="rgb24")))
        output.mux([*video.encode(None), *audio.encode(None)])
    assert [number for *_, number in read(path)] == list(range(10))


def test_a_title_in_an_unknown_alphabet_does_no_harm(tmp_path: Path) -> None:
    path = write_plain(tmp_path / "clip.mkv", 3, metadata={"title": "TITLE OF IT"})
    path.write_bytes(path.read_bytes().replace(b"TITLE OF IT", b"TITR\xc9 \xff\xfe IT"))
    assert len(read(path)) == 3


def test_names_that_ffmpeg_would_take_for_an_address(tmp_path: Path) -> None:
    assert len(read(write_plain(tmp_path / "clip.mp4", 3).rename(tmp_path / "concat:12:30 %03d #1.mp4"))) == 3


def test_the_real_streams_play_to_their_end(shared_data: Path, caplog: pytest.LogCaptureFixture) -> None:
    with open_source(shared_data / "streams" / "vtest.avi") as source:
        frames: list[Frame] = [frame for frame, _ in zip(source, range(100), strict=False)]
        assert (source.size, source.fps, source.num_frames) == ((768, 576), 10.0, 795)
    assert [frame.index for frame in frames] == list(range(100))
    assert not caplog.get_records("call") or max(record.levelno for record in caplog.get_records("call")) < logging.WARNING
