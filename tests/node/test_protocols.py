"""Decoders on what cameras and servers send live, other than over TCP."""

import selectors
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest
from av.video.stream import VideoStream

from streamvc.capture.messages import Arrived, CaptureSettings, Finished, MotionSettings, Opened
from streamvc.node.decoder import Decoder, ProcessDecoder
from streamvc.node.fork_server import DecoderForkServer
from streamvc.testing.rtsp import RtspServer
from tests.capture.servers import serving_files
from tests.capture.videos import plain

FPS, RATE_HZ = 25, 5.0
PATIENCE_S = 30.0  # for a busy machine
HLS = {"hls_time": "1", "hls_list_size": "4", "hls_flags": "delete_segments"}


@contextmanager
def sending(target: str, form: str, options: dict[str, str] | None = None, *, num_reordered: int = 0) -> Iterator[threading.Event]:
    """A camera that sends there, until the block is left or what is yielded is set."""
    over = threading.Event()

    def run() -> None:
        with av.open(target, "w", format=form, options=options or {}) as output:
            encoding = {"g": "50", "sc_threshold": "0", "preset": "ultrafast", "rc-lookahead": "0", "bf": str(num_reordered)}
            stream = output.add_stream("libx264", rate=FPS, options=encoding)
            assert isinstance(stream, VideoStream)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            begun = time.monotonic()
            for number in range(1_000_000):
                if over.wait(max(0.0, begun + number / FPS - time.monotonic())):
                    return
                frame = av.VideoFrame.from_ndarray(plain(number % 50), format="bgr24")
                frame.pts, frame.time_base = number, Fraction(1, FPS)
                output.mux(stream.encode(frame))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield over
    finally:
        over.set()
        thread.join()


def heard(decoder: Decoder, num_arrivals: int) -> Iterator[Opened | Arrived | Finished]:
    """What it says, up to so many arrivals or its end; pictures are given back."""
    with selectors.DefaultSelector() as selector:
        selector.register(decoder, selectors.EVENT_READ)
        while num_arrivals > 0:
            assert selector.select(PATIENCE_S), "it said nothing more"
            for said in decoder.receive():
                yield said
                if isinstance(said, Finished):
                    return
                if isinstance(said, Arrived):
                    said.release()
                    num_arrivals -= 1


def read(source: str, num_arrivals: int) -> tuple[Opened, list[Arrived]]:
    settings = CaptureSettings("yard", source, (RATE_HZ,), motion=MotionSettings(gate=False), frozen_s=0.0)
    with DecoderForkServer() as fork_server:
        decoder = ProcessDecoder(fork_server, settings)
        said = list(heard(decoder, num_arrivals))
        decoder.close()
    (opened,) = (word for word in said if isinstance(word, Opened))
    return opened, [word for word in said if isinstance(word, Arrived)]


def datagrams() -> str:
    """An address on this machine at which nobody listens."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return f"udp://127.0.0.1:{probe.getsockname()[1]}"


def seconds_between(arrivals: list[Arrived]) -> list[float]:
    return [later.due.captured - earlier.due.captured for earlier, later in pairwise(arrivals)]


@pytest.mark.slow
def test_a_live_playlist_is_shown_as_a_camera_would_be_and_not_by_segments(tmp_path: Path) -> None:
    playlist = tmp_path / "live.m3u8"
    with sending(str(playlist), "hls", HLS), serving_files(tmp_path) as host:
        deadline = time.monotonic() + PATIENCE_S
        while not playlist.exists() or playlist.read_text().count(".ts") < 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        opened, arrivals = read(f"{host}/live.m3u8", 40)
    assert (opened.is_live, opened.codec, opened.size) == (True, "h264", (64, 48))
    assert [each.due.absence for each in arrivals].count("late") <= 5  # it begins with segments that lie there
    between = seconds_between(arrivals)
    assert sorted(between)[len(between) // 2] == pytest.approx(1 / RATE_HZ, abs=0.02)
    assert max(between) < 1.0  # a segment is a second


def test_datagrams_are_read_as_they_come() -> None:
    address = datagrams()
    with sending(f"{address}?pkt_size=1316", "mpegts"):
        opened, arrivals = read(address, 25)
    assert opened.is_live
    assert sum(each.frame is None for each in arrivals) <= 2  # a busy machine may be late
    assert sum(seconds_between(arrivals)) == pytest.approx(24 / RATE_HZ, abs=0.6)
    assert [each.due.timestamp for each in arrivals] == pytest.approx([arrivals[0].due.timestamp + n / RATE_HZ for n in range(25)], abs=0.05)


@pytest.mark.parametrize("num_reordered", [1, 3])
def test_pictures_that_come_out_of_order_are_not_taken_for_late(num_reordered: int) -> None:
    address = datagrams()
    with sending(f"{address}?pkt_size=1316", "mpegts", num_reordered=num_reordered):
        _, arrivals = read(address, 30)
    assert sum(each.frame is None for each in arrivals) <= 2
    assert [each.due.timestamp for each in arrivals] == pytest.approx([arrivals[0].due.timestamp + n / RATE_HZ for n in range(30)], abs=0.05)


def test_a_sender_of_datagrams_that_stops_is_lost() -> None:
    address = datagrams()
    settings = CaptureSettings("yard", address, (RATE_HZ,), read_timeout_s=1.0)
    with sending(f"{address}?pkt_size=1316", "mpegts") as over, DecoderForkServer() as fork_server:
        decoder = ProcessDecoder(fork_server, settings)
        for said in heard(decoder, 1000):
            if isinstance(said, Arrived):
                over.set()
        decoder.close()
    assert isinstance(said, Finished)
    assert said.reason == "lost"
    assert "nothing came for 1 s" in said.detail


def test_rtsp_over_udp(gstreamer: str) -> None:
    with RtspServer(gstreamer, "cam") as server:
        opened, arrivals = read(f"{server.url('cam')}?udp", 20)
    assert (opened.is_live, opened.size) == (True, (320, 240))
    assert sum(each.frame is None for each in arrivals) <= 2  # a busy machine may be late
    assert sum(seconds_between(arrivals)) == pytest.approx(19 / RATE_HZ, abs=0.6)
