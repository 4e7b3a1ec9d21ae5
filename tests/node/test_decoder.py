"""Real decoder processes on real files, pipes and sockets."""

import os
import resource
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest

from streamvc.capture.messages import Arrived, Finished, MotionSettings, Opened, encode
from streamvc.capture.ring import NUM_SLOTS, new_memory
from streamvc.capture.source import open_source
from streamvc.errors import NodeError
from streamvc.node.decoder import Decoder, ProcessDecoder
from streamvc.node.fork_server import DecoderForkServer
from streamvc.sampling import Sampler
from tests.capture.servers import Camera, serving_files
from tests.capture.videos import number_of, plain, textured, write_plain, write_video
from tests.node.decoders import DEADLINE_S, DUE, OPENED, Puppeteer, arrivals, forker, gone, heard, read, settings


@pytest.fixture(scope="module")
def lasting_fork_server() -> Iterator[DecoderForkServer]:
    with DecoderForkServer() as fork_server:
        yield fork_server


@pytest.fixture
def fork_server(lasting_fork_server: DecoderForkServer) -> Iterator[DecoderForkServer]:
    """One for all tests, without a decoder before and behind each."""
    yield lasting_fork_server
    assert not psutil.wait_procs(forker().children(), DEADLINE_S)[1]


def test_the_due_pictures_of_a_recording_come_in_order(fork_server: DecoderForkServer, tmp_path: Path) -> None:
    path = write_plain(tmp_path / "a.mp4", 25, (64, 48))
    decoder = ProcessDecoder(fork_server, settings(path))
    numbers = []
    for said in heard(decoder):
        match said:
            case Opened():
                assert (said.size, said.fps, said.codec, said.is_live) == ((64, 48), 25.0, "h264", False)
            case Arrived():
                assert said.frame
                assert (said.frame.index, said.frame.timestamp, said.due.clock) == (said.due.index, said.due.timestamp, "pts")
                numbers.append((said.due.index, number_of(said.frame.image)))
                said.release()
            case Finished():
                assert said.reason == "end_of_stream"
    decoder.close()
    assert numbers == [(index, index) for index in (0, 5, 10, 15, 20)]


def test_the_same_pictures_are_picked_as_a_model_would_and_they_are_the_same(fork_server: DecoderForkServer, demo_clip: Path) -> None:
    samplers = Sampler(8.0), Sampler(5.0)
    with open_source(demo_clip) as source:
        frames = [replace(frame, image=frame.image.copy()) for frame, _ in zip(source, range(51), strict=False)]
    due = {frame.index: frame for frame in frames if [sample for sampler in samplers if (sample := sampler.step(frame))]}
    decoder = ProcessDecoder(fork_server, settings(demo_clip, rates_hz=(8.0, 5.0), play="as_camera"))
    for said in heard(decoder, lambda said: isinstance(said, Arrived) and said.due.index == 50):
        if isinstance(said, Arrived) and said.frame:
            frame = due.pop(said.due.index)
            assert said.due.timestamp == frame.timestamp
            assert np.array_equal(said.frame.image, frame.image)
            said.release()
    decoder.close()
    assert not due


def test_a_recording_is_played_at_its_own_speed_in_wall_clock_time(fork_server: DecoderForkServer, tmp_path: Path) -> None:
    path = write_plain(tmp_path / "a.mp4", 40)
    arrived = arrivals(read(fork_server, path, play="as_camera"))
    assert arrived[-1].due.captured - arrived[0].due.captured == pytest.approx(1.4, abs=0.3)
    assert (arrived[-1].due.began or 0.0) + arrived[-1].due.timestamp == pytest.approx(time.monotonic(), abs=DEADLINE_S)
    assert arrivals(read(fork_server, path, play="unpaced"))[-1].due.began is None


def test_still_pictures_are_told_without_their_pixels(fork_server: DecoderForkServer, tmp_path: Path) -> None:
    pictures = [plain(0)] * 100 + [plain(40)] * 5
    path = write_video(tmp_path / "a.mp4", pictures, options={"qp": "10"})
    arrived = arrivals(read(fork_server, path, motion=MotionSettings(settle_s=1.0, keep_alive_s=100.0)))
    assert len(arrived) == 21
    assert [one.due.index for one in arrived if one.frame] == [0, 5, 10, 15, 20, 25, 100]


def test_a_camera_that_rests_tells_what_it_would_otherwise(fork_server: DecoderForkServer, tmp_path: Path) -> None:
    pictures = [plain(0)] * 100 + [textured(30 + number) for number in range(20)]
    path = write_video(tmp_path / "a.mp4", pictures, options={"qp": "10", "bf": "0", "g": "50"})
    awake, resting = (
        arrivals(read(fork_server, path, motion=MotionSettings(settle_s=1.0, keep_alive_s=100.0, rest=rest), play="as_camera"))
        for rest in (False, True)
    )
    assert [one.due.index for one in resting] == [one.due.index for one in awake]
    assert [one.due.index for one in resting if one.frame] == [0, 5, 10, 15, 20, 25, 100, 105, 110, 115]
    assert resting[-1].due.received == awake[-1].due.received


def test_a_frozen_picture_is_told_and_the_first_behind_it_is_sent(fork_server: DecoderForkServer, tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", [plain(0)] * 50 + [plain(40)] * 5, codec="ffv1")
    arrived = arrivals(read(fork_server, path, frozen_s=1.0, play="as_camera"))
    assert [one.due.index for one in arrived if one.due.absence == "frozen"] == [25, 30, 35, 40, 45]
    assert [one.due.index for one in arrived if one.frame] == [0, 5, 10, 15, 20, 50]


def test_what_lies_outside_the_zones_is_grey(fork_server: DecoderForkServer, tmp_path: Path) -> None:
    path = write_plain(tmp_path / "a.mp4", 5)
    decoder = ProcessDecoder(fork_server, settings(path, exclude=(((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)),)))
    (frame,) = [said.frame for said in heard(decoder) if isinstance(said, Arrived) and said.frame]
    decoder.close()
    assert np.all(frame.image[:, :30] == 127)
    assert np.all(frame.image[:, 34:] < 40)


def test_a_new_size_in_mid_stream_is_told_with_new_memory(fork_server: DecoderForkServer, tmp_path: Path) -> None:
    parts = [write_plain(tmp_path / f"{width}.ts", 10, (width, 48), format="mpegts").read_bytes() for width in (64, 96)]
    (tmp_path / "both.ts").write_bytes(b"".join(parts))
    said = read(fork_server, tmp_path / "both.ts")
    assert [word.size for word in said if isinstance(word, Opened)] == [(64, 48), (96, 48)]
    assert {one.frame.image.shape for one in arrivals(said) if one.frame} == {(48, 64, 3), (48, 96, 3)}


def test_pictures_that_nobody_gives_back_cost_new_ones_and_are_counted(fork_server: DecoderForkServer, tmp_path: Path) -> None:
    decoder = ProcessDecoder(fork_server, settings(write_plain(tmp_path / "a.mp4", 50), rates_hz=(25.0,), play="as_camera"))
    kept = [said for said in heard(decoder, lambda said: isinstance(said, Arrived) and said.due.index == NUM_SLOTS - 1) if isinstance(said, Arrived)]
    with selectors.DefaultSelector() as selector:
        selector.register(decoder, selectors.EVENT_READ)
        assert not selector.select(0.2)
    assert [number_of(said.frame.image) for said in kept if said.frame] == list(range(NUM_SLOTS))
    for said in kept:
        said.release()
    (following,) = (said for said in heard(decoder, lambda said: isinstance(said, Arrived)) if isinstance(said, Arrived))
    decoder.close()
    assert following.due.dropped == following.due.index - NUM_SLOTS > 0


def test_pictures_that_are_not_decoded_are_not_received(fork_server: DecoderForkServer, tmp_path: Path) -> None:
    path = write_plain(tmp_path / "a.mp4", 50, options={"g": "10"})
    assert [one.due.index for one in arrivals(read(fork_server, path, decode="keyframes"))] == [0, 1, 2, 3, 4]


def test_damaged_pictures_are_counted(fork_server: DecoderForkServer, shared_data: Path) -> None:
    assert arrivals(read(fork_server, shared_data / "broken" / "corrupted.mp4"))[-1].due.corrupt > 0


def test_a_file_that_aborts_opencv_is_read(fork_server: DecoderForkServer, shared_data: Path) -> None:
    said = read(fork_server, shared_data / "broken" / "aborts_opencv.avi")
    assert arrivals(said)[-1].due.received > 40
    assert said[-1] == Finished("end_of_stream", "the recording is over")


def test_what_cannot_be_opened_is_lost_and_its_password_is_not_told(fork_server: DecoderForkServer) -> None:
    (said,) = read(fork_server, "rtsp://me:s3cret@127.0.0.1:9/a", open_timeout_s=2.0)
    assert isinstance(said, Finished)
    assert said.reason == "lost"
    assert "s3cret" not in said.detail


def test_a_login_that_is_refused_is_told_apart(fork_server: DecoderForkServer) -> None:
    with Camera([plain(0)], login="me:s3cret").on() as host:
        (said,) = read(fork_server, f"http://me:wr0ng@{host}")
    assert isinstance(said, Finished)
    assert said.reason == "refused"
    assert "wr0ng" not in said.detail


def test_a_stream_that_falls_silent_is_lost(fork_server: DecoderForkServer) -> None:
    with Camera([plain(number) for number in range(10)] * 3, then="fall silent").on() as host:
        said = read(fork_server, f"http://{host}", read_timeout_s=1.0)
    assert isinstance(said[0], Opened)
    assert said[0].is_live
    assert isinstance(said[-1], Finished)
    assert "nothing came for 1 s" in said[-1].detail


def test_an_image_that_stays_the_same_is_told_as_that_and_then_as_frozen(fork_server: DecoderForkServer, tmp_path: Path) -> None:
    (tmp_path / "snap.jpg").write_bytes(cv2.imencode(".jpg", plain(3))[1].tobytes())
    with serving_files(tmp_path) as url:
        decoder = ProcessDecoder(fork_server, settings(f"{url}/snap.jpg", play="as_camera", fps=50.0, frozen_s=0.5))
        said = list(heard(decoder, lambda said: isinstance(said, Finished) or (isinstance(said, Arrived) and said.due.absence == "frozen")))
        decoder.close()
    dues = [word.due for word in arrivals(said)]
    assert [absence for absence, _ in groupby(due.absence for due in dues)] == [None, "same", "frozen"]
    assert {due.received for due in dues} == {1}
    assert [due.index for due in dues] == list(range(len(dues)))


@pytest.mark.parametrize("how", [signal.SIGABRT, signal.SIGKILL])
def test_a_decoder_that_dies_says_how_and_the_next_works(fork_server: DecoderForkServer, tmp_path: Path, how: signal.Signals) -> None:
    path = write_plain(tmp_path / "a.mp4", 50)
    decoder = ProcessDecoder(fork_server, settings(path, play="as_camera"))
    for said in heard(decoder):
        if isinstance(said, Arrived) and not said.due.index:
            assert decoder.pid
            os.kill(decoder.pid, how)
    decoder.close()
    assert said == Finished("died", f"the decoder was killed by {how.name}")
    assert arrivals(read(fork_server, path))


def test_an_end_is_the_last_that_is_said(fork_server: DecoderForkServer, tmp_path: Path) -> None:
    decoder = ProcessDecoder(fork_server, settings(write_plain(tmp_path / "a.mp4", 5)))
    assert isinstance(list(heard(decoder))[-1], Finished)
    assert decoder.receive() == []
    decoder.close()
    assert decoder.fileno() == -1


def hanging(fork_server: DecoderForkServer, folder: Path) -> tuple[Decoder, int]:
    """A decoder in a read that never returns, and its process."""
    pipe = folder / "pipe"
    os.mkfifo(pipe)
    decoder = ProcessDecoder(fork_server, settings(pipe))
    with selectors.DefaultSelector() as selector:
        selector.register(decoder, selectors.EVENT_READ)
        while decoder.pid is None:
            assert selector.select(DEADLINE_S)
            assert decoder.receive() == []
    return decoder, decoder.pid


def test_a_decoder_that_hangs_in_a_read_is_killed(fork_server: DecoderForkServer, tmp_path: Path) -> None:
    decoder, pid = hanging(fork_server, tmp_path)
    decoder.kill()
    assert list(heard(decoder)) == [Finished("died", "the decoder was killed by SIGKILL")]
    decoder.close()
    assert gone(pid)


def sockets(pid: int) -> set[str]:
    """Those that a process has open."""
    names = {str(descriptor.readlink()) for descriptor in Path(f"/proc/{pid}/fd").iterdir()}
    return {name for name in names if name.startswith("socket:")}


def test_a_decoder_has_the_connection_of_no_other(fork_server: DecoderForkServer, demo_clip: Path) -> None:
    decoders = [ProcessDecoder(fork_server, settings(demo_clip, play="as_camera")) for _ in range(3)]
    for decoder in decoders:
        list(heard(decoder, lambda said: isinstance(said, Arrived)))  # all is done then that is done first
    open_sockets = [sockets(decoder.pid or 0) for decoder in decoders]
    for decoder in decoders:
        decoder.close()
    assert all(open_sockets)
    assert sum(map(len, open_sockets)) == len(set.union(*open_sockets))


def test_one_that_hangs_ends_with_its_connection(fork_server: DecoderForkServer, tmp_path: Path) -> None:
    decoder, pid = hanging(fork_server, tmp_path)
    decoder.close()
    assert gone(pid)


def test_one_that_hangs_ends_with_the_fork_server(tmp_path: Path) -> None:
    with DecoderForkServer() as own:
        decoder, pid = hanging(own, tmp_path)
    assert gone(pid)
    decoder.close()


PROGRAM = """
import sys, time
from streamvc.errors import NodeError
from streamvc.node.decoder import ProcessDecoder
from streamvc.capture.messages import CaptureSettings
from streamvc.node.fork_server import DecoderForkServer

with DecoderForkServer() as fork_server:
    decoder = ProcessDecoder(fork_server, CaptureSettings("yard", sys.argv[1], (5.0,)))
    while decoder.pid is None:
        time.sleep(0.01)
        decoder.receive()
    print(decoder.pid, flush=True)
    time.sleep(1000)
"""


def test_one_that_hangs_ends_with_a_program_that_was_killed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen([sys.executable, "-c", PROGRAM, str(tmp_path / "pipe")], stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout
        pid = int(program.stdout.readline())
        fork_server = psutil.Process(pid).parent()
        program.kill()
    assert fork_server
    assert gone(pid)
    assert gone(fork_server.pid)


def test_a_signal_to_the_whole_service_is_left_to_the_node(fork_server: DecoderForkServer, tmp_path: Path) -> None:
    decoder = ProcessDecoder(fork_server, settings(write_plain(tmp_path / "a.mp4", 20), play="as_camera"))
    for said in heard(decoder):
        if isinstance(said, Arrived) and not said.due.index:
            assert decoder.pid
            os.kill(decoder.pid, signal.SIGTERM)
            os.kill(forker().pid, signal.SIGTERM)
    decoder.close()
    assert said == Finished("end_of_stream", "the recording is over")
    assert os.getpgid(forker().pid) != os.getpgid(0)  # where Ctrl-C in a terminal does not reach
    assert os.getsid(forker().pid) == os.getsid(0)  # by which Linux shares out the processors first


def test_a_fork_server_whose_answer_nobody_reads_ends_in_order(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with DecoderForkServer() as own:
        own.watch(time.monotonic())
        assert arrivals(read(own, write_plain(tmp_path / "a.mp4", 5)))  # it has answered before
    assert "Error" not in capfd.readouterr().err


def test_a_fork_server_that_was_killed_takes_its_decoders_with_it_and_is_replaced(tmp_path: Path) -> None:
    with DecoderForkServer() as own:
        decoder, pid = hanging(own, tmp_path)
        psutil.Process(pid).parent().kill()
        assert list(heard(decoder)) == [Finished("died", "the decoder has gone without a word")]
        decoder.close()
        assert gone(pid)
        assert arrivals(read(own, write_plain(tmp_path / "a.mp4", 5)))


def test_a_defect_of_the_decoder_itself_is_told(fork_server: DecoderForkServer, tmp_path: Path) -> None:
    said = read(fork_server, write_plain(tmp_path / "a.mp4", 5), rates_hz=(0.0,))
    assert isinstance(said[-1], Finished)
    assert (said[-1].reason, said[-1].detail[:10]) == ("died", "ValueError")


@pytest.mark.parametrize(
    ("words", "size"),
    [
        ([b"Hello"], None),
        ([encode(DUE)], None),
        ([encode(OPENED)], None),
        ([encode(OPENED)], (48, 6)),
        ([encode(OPENED), encode(replace(DUE, slot=99))], (48, 64)),
    ],
    ids=["no message", "a picture without a ring", "no ring", "a ring that is too small", "a slot that is not there"],
)
def test_a_decoder_that_talks_nonsense_is_given_up(words: list[bytes], size: tuple[int, int] | None) -> None:
    with Puppeteer() as puppeteer:
        decoder = ProcessDecoder(puppeteer, settings("yard"))
        with puppeteer.puppet as puppet:
            descriptors = [new_memory(*size)] if size else []
            for word in words:
                socket.send_fds(puppet, [word], descriptors)
            for descriptor in descriptors:
                os.close(descriptor)
            *_, last = heard(decoder)
            assert puppet.recv(1) == b""
        decoder.close()
    assert isinstance(last, Finished)
    assert (last.reason, last.detail[:26]) == ("died", "the decoder talks nonsense")


def test_without_a_file_to_spare_there_is_a_clear_error(fork_server: DecoderForkServer) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        with pytest.raises(NodeError, match="no decoder can be started"):
            ProcessDecoder(fork_server, settings("yard"))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_nothing_is_left_open(fork_server: DecoderForkServer, tmp_path: Path) -> None:
    path = write_plain(tmp_path / "a.mp4", 10)
    read(fork_server, path)
    before = num_open()
    for _ in range(20):
        read(fork_server, path)
    assert num_open() < before + 5  # one may be about to be closed


def num_open() -> int:
    """Descriptors of this process and of the fork_server's, once no decoder is left."""
    psutil.wait_procs(forker().children(), DEADLINE_S)
    return int(psutil.Process().num_fds() + forker().num_fds())
