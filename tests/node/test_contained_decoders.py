"""What a decoder may know and take, and what is believed of what it says: it reads what strangers send, and may be broken by it."""

import json
import math
import os
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest

import fuzz_videos
from fuzz import randomness
from streamvc.capture.messages import Due, Finished, Message, Opened, Started, encode
from streamvc.capture.ring import new_memory
from streamvc.errors import NodeError
from streamvc.node.claims import MAX_PER_S
from streamvc.node.decoder import MAX_AT_ONCE, ProcessDecoder, Said
from streamvc.node.decoding import MEMORY_BYTES
from streamvc.node.fork_server import DecoderForkServer
from streamvc.types import Array
from tests.capture.servers import Camera
from tests.capture.videos import plain, write_plain, write_video
from tests.node.decoders import DUE, NOW, OPENED, Puppeteer, arrivals, forker, heard, read, settings

SECRET = "hunter2"


def test_decoders_inherit_no_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("CAM_PASSWORD", "STREAMVC_MQTT_PASSWORD", "http_proxy", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, SECRET)
    with DecoderForkServer() as fork_server, playing(fork_server, tmp_path) as pid:
        for each in (forker().pid, pid):
            assert SECRET not in Path(f"/proc/{each}/environ").read_text()


def test_the_process_that_decoders_are_forked_from_never_has_a_camera_s_login(tmp_path: Path) -> None:
    with DecoderForkServer() as fork_server:
        read(fork_server, f"rtsp://me:{SECRET}@127.0.0.1:9/", open_timeout_s=1.0)
        with playing(fork_server, tmp_path) as pid:
            assert not knows(forker().pid, SECRET)
            assert not knows(pid, SECRET)
            assert knows(pid, "a.mp4")  # its own source, so that one would be found


def test_a_decoder_has_its_own_descriptors_alone(tmp_path: Path) -> None:
    with DecoderForkServer() as fork_server, playing(fork_server, tmp_path), playing(fork_server, tmp_path) as pid:
        held = [str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir() if int(each.name) > 2]
    assert {name.split(":")[0] for name in held} == {"/memfd", str(tmp_path / "a.mp4"), "socket"}
    assert sum(name.startswith("socket") for name in held) == 1


def test_a_decoder_has_limits(tmp_path: Path) -> None:
    with DecoderForkServer() as fork_server, playing(fork_server, tmp_path) as pid:
        kinds = resource.RLIMIT_CORE, resource.RLIMIT_DATA, resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE
        limits = [resource.prlimit(pid, kind) for kind in kinds]
    assert all(soft == hard < 2 << 30 for soft, hard in limits)


@contextmanager
def playing(fork_server: DecoderForkServer, folder: Path) -> Iterator[int]:
    """A decoder that has shown a picture of a camera, `a.mp4`; its process."""
    path = folder / "a.mp4"
    if not path.exists():
        write_video(path, (plain(number % 50) for number in range(500)))
    decoder = ProcessDecoder(fork_server, settings(path, play="as_camera"))
    for _ in heard(decoder, lambda said: isinstance(said, Opened)):
        pass
    while decoder.pid is None:
        decoder.receive()
    yield decoder.pid
    decoder.close()


def knows(pid: int, text: str) -> bool:
    """Whether a text lies anywhere in the memory that a process can write to."""
    with Path(f"/proc/{pid}/mem").open("rb", 0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, rights, *_ = line.split()
            begin, end = (int(each, 16) for each in span.split("-"))
            if rights.startswith("rw"):
                memory.seek(begin)
                try:
                    if text.encode() in memory.read(end - begin):
                        return True
                except OSError:  # it is of the kernel
                    continue
    return False


def test_a_decoder_that_makes_the_memory_of_pictures_smaller_cannot() -> None:
    descriptor = new_memory(48, 64)
    with pytest.raises(PermissionError):
        os.ftruncate(descriptor, 0)
    os.close(descriptor)


def unsealed() -> int:
    descriptor = os.memfd_create("streamvc-ring", os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, 1 << 20)
    return descriptor


def written(message: Message) -> bytes:
    """As `encode`, also where a number is none."""
    return f"{type(message).__name__} {json.dumps(asdict(message))}".encode()


def lies(*messages: Message, descriptor: int | None = None, play: str = "as_camera") -> Finished:
    """What is said of a decoder in the end, that says these."""
    with Puppeteer() as puppeteer:
        decoder = ProcessDecoder(puppeteer, settings("yard", play=play))
        with puppeteer.puppet as puppet:
            descriptor = new_memory(48, 64) if descriptor is None else descriptor
            for message in messages:
                socket.send_fds(puppet, [written(message)], [descriptor] if isinstance(message, Opened) else [])
            os.close(descriptor)
            *_, last = heard(decoder)
            assert messages[-1] == last or puppet.recv(1) == b""  # it is killed
        decoder.close()
    assert isinstance(last, Finished)
    return last


@pytest.mark.parametrize(
    "given",
    [unsealed, lambda: os.open("/dev/zero", os.O_RDWR), lambda: os.open("/dev/null", os.O_RDONLY)],
    ids=["not sealed", "a device", "nothing"],
)
def test_memory_that_could_be_taken_away_is_refused(given: Callable[[], int]) -> None:
    last = lies(OPENED, descriptor=given())
    assert (last.reason, last.detail) == ("died", "the decoder talks nonsense: the memory of its pictures is not sealed")


@pytest.mark.parametrize(
    "changed",
    [
        {"size": (0, 0)},
        {"size": (-64, -48)},
        {"size": (1 << 20, 1 << 20)},
        {"handed_size": (32, 24)},
        {"fps": -1.0},
        {"fps": math.nan},
        {"codec": "h264\x1b[2J"},
        {"codec": "h" * 1000},
        {"silence_s": 1e9},
        {"silence_s": math.nan},
        {"num_frames": -1},
        {"duration_s": 1e300},
    ],
    ids=str,
)
def test_a_stream_that_cannot_be_is_not_believed(changed: dict[str, object]) -> None:
    assert lies(replace(OPENED, **changed)).detail.startswith("the decoder talks nonsense")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changed",
    [
        {"slot": 6},
        {"slot": -1},
        {"index": 4},
        {"index": 1 << 60},
        {"timestamp": 0.0},
        {"timestamp": 1e12},
        {"timestamp": math.nan},
        {"segment": -1},
        {"captured": NOW + 1e6},
        {"captured": NOW - 1e6},
        {"captured": math.nan},
        {"decoded": NOW + 1e6},
        {"began": -1e12},
        {"began": NOW + 1e12},
        {"received": 4},
        {"received": 1 << 40},
        {"corrupt": -1},
        {"dropped": 1 << 40},
    ],
    ids=lambda changed: next(iter(changed)),  # not the numbers: those of the clock differ from process to process
)
def test_a_picture_that_cannot_be_is_not_believed(changed: dict[str, object]) -> None:
    first = replace(DUE, index=4, timestamp=1.0, captured=NOW, decoded=NOW, received=5)
    second = replace(first, index=5, timestamp=1.2, received=6)
    assert lies(OPENED, first, second, Finished("lost", "in truth")).detail == "in truth"
    assert lies(OPENED, first, replace(second, **changed)).detail.startswith("the decoder talks nonsense")  # type: ignore[arg-type]


def test_a_decoder_does_not_say_which_process_it_is() -> None:
    assert lies(Started(1), Started(7)).detail.startswith("the decoder talks nonsense: it claims to be process 7")


def test_what_a_decoder_says_last_moves_no_terminal_and_makes_no_other_line_of_a_log() -> None:
    with Puppeteer() as puppeteer:
        decoder = ProcessDecoder(puppeteer, settings("yard"))
        puppeteer.puppet.send(written(Finished("lost", "gone\nERROR yard \x1b[2J" + "!" * 10000)))
        (last,) = heard(decoder)
        decoder.close()
    assert isinstance(last, Finished)
    assert last.detail.startswith("gone ERROR yard  [2J!!!")
    assert len(last.detail) == 1000


def test_a_decoder_that_says_too_much_is_ended_and_others_have_their_turn_meanwhile() -> None:
    with Puppeteer() as puppeteer:
        decoder = ProcessDecoder(puppeteer, settings("yard", play="as_camera"))
        said: list[Said] = []
        with puppeteer.puppet as puppet:
            puppet.setblocking(False)
            socket.send_fds(puppet, [encode(OPENED)], [descriptor := new_memory(48, 64)])
            os.close(descriptor)
            for index in range(2 * MAX_PER_S):
                now = time.monotonic()
                due = replace(DUE, absence="still", slot=None, index=index, timestamp=index / 5, captured=now, decoded=now)
                try:
                    puppet.send(encode(due))
                except BlockingIOError:
                    at_once = decoder.receive()
                    assert len(at_once) <= MAX_AT_ONCE
                    said += at_once
                except OSError:  # it was heard enough
                    break
            said += [] if isinstance(said[-1], Finished) else list(heard(decoder))
        decoder.close()
    assert said[-1] == Finished("died", f"the decoder talks nonsense: it says more than {MAX_PER_S} things a second")


def test_what_no_decoder_reads_holds_nobody_up() -> None:
    with DecoderForkServer() as fork_server:
        fork_server_process = forker()
        fork_server_process.suspend()
        try:
            began = time.monotonic()
            with pytest.raises(NodeError, match="no decoder can be started"):
                start_many(fork_server)
            assert time.monotonic() - began < 20.0
        finally:
            fork_server_process.resume()


def start_many(fork_server: DecoderForkServer) -> None:
    for _ in range(10_000):
        ProcessDecoder(fork_server, settings("yard")).close()


def endless(connection: socket.socket) -> None:
    """A picture that never ends."""
    head = cv2.imencode(".jpg", np.zeros((480, 640, 3), np.uint8))[1].tobytes()[:-2]
    connection.recv(4096)
    connection.sendall(
        b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=p\r\n\r\n--p\r\nContent-Type: image/jpeg\r\n\r\n" + head
    )
    while True:
        connection.sendall(bytes(1 << 20))


@pytest.mark.slow
def test_a_picture_without_an_end_costs_its_decoder_alone_and_a_bounded_amount(tmp_path: Path) -> None:
    with DecoderForkServer() as fork_server, socket.create_server(("127.0.0.1", 0)) as server:
        decoder = ProcessDecoder(fork_server, settings(f"http://127.0.0.1:{server.getsockname()[1]}/", play="as_camera"))

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                try:
                    endless(connection)
                except OSError:  # it was given up
                    return

        thread = threading.Thread(target=serve)
        thread.start()
        peak_bytes = 0
        said: list[Said] = []
        while not said or not isinstance(said[-1], Finished):
            said += decoder.receive()
            with suppress(psutil.NoSuchProcess):  # it has not begun, or has just ended
                peak_bytes = max(peak_bytes, psutil.Process(decoder.pid).memory_info().rss if decoder.pid else 0)
            time.sleep(0.02)
        thread.join()
        decoder.close()
        assert arrivals(read(fork_server, write_plain(tmp_path / "a.mp4", 5)))
    assert peak_bytes < MEMORY_BYTES // 2
    assert (said[-1].reason, said[-1].detail.rpartition(": ")[2]) == ("lost", "lost, data comes, but for 10 s no picture in it could be decoded")


@pytest.mark.parametrize(
    ("height", "width", "is_taken"), [(1, 1, True), (2, 16000, False), (9000, 12000, False)], ids=["1x1", "16000x2", "12000x9000"]
)
def test_pictures_of_odd_sizes_are_taken_or_refused_with_a_reason(height: int, width: int, is_taken: bool) -> None:
    images: list[Array] = [np.full((height, width, 3), number * 40, np.uint8) for number in range(5 if is_taken else 1)]
    with Camera(images).on() as host, DecoderForkServer() as fork_server:
        said = read(fork_server, f"http://{host}/", play="as_camera")
    assert [word.frame.image.shape for word in arrivals(said) if word.frame][:1] == ([(height, width, 3)] if is_taken else [])
    assert isinstance(said[-1], Finished)
    assert said[-1].reason == "lost"
    assert is_taken or f"its pictures of {width}x{height} pixels cannot be watched" in said[-1].detail


def test_garbage_is_lost_with_a_reason(tmp_path: Path) -> None:
    garbage = tmp_path / "a.mjpeg"
    garbage.write_bytes(np.random.default_rng(1).bytes(1 << 20))
    with DecoderForkServer() as fork_server:
        (said,) = read(fork_server, garbage)
    assert isinstance(said, Finished)
    assert said.reason == "lost"
    assert said.detail == "yard: no picture in it can be decoded"


def test_a_good_camera_is_believed(tmp_path: Path) -> None:
    with Camera([plain(number) for number in range(50)]).on() as host, DecoderForkServer() as fork_server:
        said = read(fork_server, f"http://{host}/", play="as_camera")
    assert isinstance(said[-1], Finished)
    assert "nonsense" not in said[-1].detail
    assert all(isinstance(word.due, Due) for word in arrivals(said))


def test_damaged_videos_cost_no_more_than_their_own_decoder(tmp_path: Path) -> None:
    with DecoderForkServer() as fork_server:
        before = forker().pid
        for number in range(20):
            suffix, _, data = fuzz_videos.videos().make(randomness("videos", 1, number)).partition(b"\n")
            path = tmp_path / f"{number}.{suffix.decode()}"
            path.write_bytes(data)
            assert fuzz_videos.read(fork_server, path) in ("lost", "end_of_stream", "died")
        assert forker().pid == before


CONFINED = """
import os, socket, sys
from pathlib import Path
import av, cv2, numpy, streamvc
from streamvc.node.confine import confine
source, secret, folder, port, other = sys.argv[1:]
if not confine(source):
    sys.exit(77)

def tries(name, action):
    try:
        action()
        print(name, "yes")
    except OSError as error:
        print(name, "no", type(error).__name__)

tries("source", lambda: open(source).close() if "://" not in source else None)
tries("secret", lambda: open(secret).close())
tries("listing", lambda: os.listdir(folder))
tries("write", lambda: Path(folder, "new").touch())
tries("own", lambda: socket.create_connection(("127.0.0.1", int(port))).close())
tries("other", lambda: socket.create_connection(("127.0.0.1", int(other))).close())
tries("signal", lambda: os.kill(os.getppid(), 0))
tries("look", lambda: open(f"/proc/{os.getppid()}/mem").close())
tries("run", lambda: os.execv("/bin/true", ["true"]))
tries("host", lambda: socket.getaddrinfo("localhost", 80))
"""


@pytest.mark.parametrize(("kind", "own", "other"), [("file", "no", "no"), ("rtsp", "yes", "no"), ("http", "yes", "yes")])
def test_a_decoder_reads_its_source_alone(tmp_path: Path, kind: str, own: str, other: str) -> None:
    (tmp_path / "a.mp4").write_bytes(b"video")
    (tmp_path / "secrets").write_text(SECRET)
    with socket.create_server(("127.0.0.1", 0)) as camera, socket.create_server(("127.0.0.1", 0)) as service:
        ports = [str(each.getsockname()[1]) for each in (camera, service)]
        source = str(tmp_path / "a.mp4") if kind == "file" else f"{kind}://127.0.0.1:{ports[0]}/"
        command = [sys.executable, "-c", CONFINED, source, str(tmp_path / "secrets"), str(tmp_path), *ports]
        found = subprocess.run(command, capture_output=True, text=True, check=False)
    if found.returncode == 77:
        pytest.skip("this kernel has no Landlock")
    allowed = {line.split()[0] for line in found.stdout.splitlines() if line.split()[1] == "yes"}
    assert allowed == {"source", "host"} | ({"own"} if own == "yes" else set()) | ({"other"} if other == "yes" else set())
