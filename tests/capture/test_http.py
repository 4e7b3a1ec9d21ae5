"""Network streams over HTTP, from real servers."""

import itertools
import logging
import socket
import traceback
from pathlib import Path

import pytest

from streamvc.capture.source import open_source
from streamvc.errors import SourceError

from .servers import Camera, serving_files
from .videos import number_of, plain, write_plain

OPEN_S, READ_S = 2.0, 0.5


def refusal(url: str, open_timeout_s: float = OPEN_S) -> str:
    with pytest.raises(SourceError) as caught:
        open_source(url, open_timeout_s=open_timeout_s, read_timeout_s=READ_S)
    shown = "".join(traceback.format_exception(caught.value))
    assert "s3cret" not in shown
    return str(caught.value)


def test_a_video_file_on_a_web_server_is_a_recording(tmp_path: Path) -> None:
    write_plain(tmp_path / "clip.mp4", 40, container={"movflags": "faststart"})
    with serving_files(tmp_path) as host, open_source(f"{host}/clip.mp4") as source:
        assert [(frame.index, number_of(frame.image)) for frame in source] == [(number, number) for number in range(40)]
        assert (source.is_live, source.dropped, source.num_frames) == (False, 0, 40)


def test_a_transport_stream_of_known_size_is_one_too(tmp_path: Path) -> None:
    write_plain(tmp_path / "clip.ts", 40)
    with serving_files(tmp_path) as host, open_source(f"{host}/clip.ts") as source:
        assert [frame.index for frame in source] == list(range(40))
        assert not source.is_live


def test_a_playlist_with_an_end_is_a_recording(tmp_path: Path) -> None:
    write_plain(tmp_path / "clip.m3u8", 50, format="hls", options={"g": "10"}, container={"hls_time": "1", "hls_list_size": "0"})
    with serving_files(tmp_path) as host, open_source(f"{host}/clip.m3u8") as source:
        assert [frame.index for frame in source] == list(range(50))
        assert (source.is_live, source.duration_s) == (False, 2.0)


def test_a_playlist_without_an_end_is_live_and_plays_at_its_own_speed(tmp_path: Path) -> None:
    playlist = write_plain(tmp_path / "clip.m3u8", 50, format="hls", options={"g": "10"}, container={"hls_time": "1", "hls_list_size": "0"})
    playlist.write_text(playlist.read_text().replace("#EXT-X-ENDLIST\n", ""))
    with serving_files(tmp_path) as host, open_source(f"{host}/clip.m3u8") as source:
        assert source.is_live
        frames = list(itertools.islice(source, 20))
        assert source.dropped == frames[-1].index + 1 - len(frames)
    elapsed_s = frames[-1].decoded - frames[0].decoded
    assert elapsed_s >= frames[-1].timestamp - frames[0].timestamp - 0.05


def test_a_camera_without_times_goes_by_arrival() -> None:
    with Camera([plain(number) for number in range(50)], then="fall silent").on() as host, open_source(f"http://{host}/", policy="every") as source:
        frames = [(frame.index, frame.clock, frame.timestamp, frame.captured) for frame in itertools.islice(source, 30)]
        assert (source.is_live, source.size) == (True, (64, 48))
    assert [(index, clock) for index, clock, *_ in frames] == [(number, "arrival") for number in range(30)]
    first = frames[0][3]
    assert [timestamp for *_, timestamp, _ in frames] == pytest.approx([captured - first for *_, captured in frames])


def test_latest_drops_and_counts_what_its_reader_was_too_slow_for() -> None:
    camera = Camera([plain(number) for number in range(50)], then="fall silent")
    with camera.on() as host, open_source(f"http://{host}/", read_timeout_s=READ_S) as source:
        seen = []
        for frame in source:
            seen.append(frame.index)
            if frame.index == 49:
                break
        assert source.dropped + len(seen) == 50


def test_a_camera_that_falls_silent_is_lost_within_the_time_out() -> None:
    with (
        Camera([plain(number) for number in range(5)], then="fall silent").on() as host,
        open_source(f"http://me:s3cret@{host}/", policy="every", read_timeout_s=READ_S) as source,
    ):
        assert [frame.index for frame in itertools.islice(source, 5)] == list(range(5))
        with pytest.raises(SourceError) as caught:
            next(source)
    assert str(caught.value) == f"http://***@{host}/: lost, nothing came for 0.5 s"


def test_a_camera_that_hangs_up_is_lost() -> None:
    camera = Camera([plain(number) for number in range(5)])
    with camera.on() as host, open_source(f"http://{host}/", policy="every") as source, pytest.raises(SourceError, match="lost"):
        list(source)


def test_closing_does_not_wait_for_a_camera_that_still_sends() -> None:
    with Camera(map(plain, itertools.cycle(range(50)))).on() as host, open_source(f"http://{host}/") as source:
        assert next(source).image.shape == (48, 64, 3)


def test_a_login_is_sent_and_a_wrong_one_refused() -> None:
    with Camera([plain(number) for number in range(5)], login="me:s3cret").on() as host:
        with open_source(f"http://me:s3cret@{host}/", policy="every") as source:
            assert source.name == f"http://***@{host}/"
            assert next(source).index == 0
        assert "(401)" in refusal(f"http://me:s3cret-not@{host}/")


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    with serving_files(tmp_path) as host:
        assert "(404)" in refusal(f"{host.replace('//', '//me:s3cret@')}/clip.mp4")


@pytest.mark.parametrize("scheme", ["rtsp", "http", "rtmp", "tcp"])
def test_a_server_that_accepts_and_says_nothing(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        message = refusal(f"{scheme}://me:s3cret@127.0.0.1:{server.getsockname()[1]}/cam", open_timeout_s=0.3)
    assert "no answer within 0.3 s" in message


@pytest.mark.parametrize("scheme", ["rtsp", "http", "rtmp", "tcp"])
def test_nobody_there(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert "connection was refused" in refusal(f"{scheme}://me:s3cret@127.0.0.1:{port}/cam")


def test_a_web_page_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<html>" + "no video " * 500 + "</html>")
    with serving_files(tmp_path) as host:
        assert "cannot be read as a video" in refusal(f"{host}/index.html")


def test_nothing_is_printed_of_a_password(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with Camera([plain(0)] * 3, login="me:s3cret").on() as host, open_source(f"http://me:s3cret@{host}/") as source, pytest.raises(SourceError):
        list(source)
    printed = capfd.readouterr()
    assert "s3cret" not in printed.out + printed.err + caplog.text
