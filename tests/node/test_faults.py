"""What fails at one camera costs that camera alone: real nodes, real decoders, real faults."""

import os
import re
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from fractions import Fraction
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

from streamvc.capture.messages import encode
from streamvc.capture.ring import new_memory
from streamvc.events import Event, Health
from streamvc.inference import batching
from streamvc.inference.bundle import load_bundle
from streamvc.inference.runtime import Model, open_model
from streamvc.node import fork_server as fork_server_module
from streamvc.node import node as node_module
from streamvc.node import worker_pool
from streamvc.node.fork_server import DecoderForkServer
from streamvc.node.node import Node
from streamvc.node.status import CameraStatus
from streamvc.testing import recording
from streamvc.types import Array
from tests.capture.servers import Camera
from tests.capture.videos import write_video
from tests.node.decoders import OPENED, forker
from tests.node.nodes import PATIENCE_S, Ear, config, eventually, running

QUICK = {"open_timeout_s": 1.0, "read_timeout_s": 1.0}


@pytest.fixture(scope="module")
def jumping(demo_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two minutes of somebody who jumps on and on."""
    pictures = [cv2.resize(image, (320, 240))[..., ::-1] for image in islice(recording(demo_clip), 125, 205, 2)]
    return write_video(tmp_path_factory.mktemp("clips") / "good.mp4", pictures * 40, fps=Fraction(25, 2), options={"preset": "ultrafast"})


class Liar(DecoderForkServer):
    """Decoders of a camera called `liar` say that their pictures are as large as the world; all others are real."""

    def fork(self, connection: socket.socket) -> None:
        if b'"name":"liar"' not in connection.recv(1 << 18, socket.MSG_PEEK):
            super().fork(connection)
            return
        connection.recv(1 << 18)
        lie = encode(OPENED).replace(b"[64,48]", b"[999999,999999]")
        descriptor = new_memory(48, 64)
        socket.send_fds(connection, [lie], [descriptor])
        os.close(descriptor)


def decoder_of(path: Path, parent: psutil.Process | None = None) -> psutil.Process:
    """The process that reads a video."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        for child in (parent or forker()).children():
            if str(path) in (each.path for each in child.open_files()):
                return child
    raise AssertionError("nothing reads it")


def of(node: Node, name: str) -> CameraStatus:
    return next(camera for camera in node.snapshot().cameras if camera.name == name)


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def assert_untouched(node: Node, ear: Ear, name: str = "good") -> None:
    """The camera goes on as if nothing had happened."""
    before = of(node, name).analysed
    eventually(node, lambda _: of(node, name).analysed > before + 3)
    status = of(node, name)
    assert (status.connections, status.deaths) == (1, 0)
    assert not [body for body in ear.heard if isinstance(body, Health) and body.camera == name and body.status == "down"]


def assert_no_end_is_lost(ear: Ear, name: str = "good") -> None:
    """Each activity there that has begun has ended. For when the node has stopped."""
    events = [body for body in ear.heard if isinstance(body, Event) and body.camera == name]
    assert {event.event_id for event in events if event.phase == "start"} == {event.event_id for event in events if event.phase == "end"}


@pytest.mark.slow
def test_decoders_that_are_killed_stopped_or_lie_and_garbage_touch_no_other(jumping: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_module, "DecoderForkServer", Liar)
    killed, stopped = (Path(shutil.copy(jumping, tmp_path / f"{name}.mp4")) for name in ("killed", "stopped"))
    noise = tmp_path / "noise.mjpeg"
    noise.write_bytes(np.random.default_rng(1).bytes(100_000))
    sources = {"good": jumping, "killed": killed, "stopped": stopped, "noise": noise, "liar": jumping}
    cameras = [{"name": name, "source": str(source), "rate_hz": 5.0 if name == "good" else 2.0, **QUICK} for name, source in sources.items()]
    with running(config(*cameras)) as (node, ear):
        ear.event("good", "start")
        ear.health("killed", "up")
        decoder_of(killed).kill()
        assert "the decoder was killed by SIGKILL" in str(ear.health("killed", "down").detail)
        ear.health("killed", "up")
        ear.health("stopped", "up")
        decoder_of(stopped).send_signal(signal.SIGSTOP)
        assert ear.health("stopped", "stalled").detail == "no picture has come for 2 s"
        assert "its decoder hung" in str(ear.health("stopped", "down").detail)
        ear.health("stopped", "up")
        assert "the decoder talks nonsense: it claims pictures of the size (999999, 999999)" in str(ear.health("liar", "down").detail)
        assert ear.health("noise", "down").detail == "no picture in it can be decoded"
        assert_untouched(node, ear)
        assert node.problem() is None
        node.close()
        ear.event("good", "end")
        assert_no_end_is_lost(ear)


def test_pictures_of_odd_sizes_touch_no_other_camera(jumping: Path) -> None:
    shapes = {"wide": (2, 16000), "dot": (1, 1), "huge": (9000, 12000)}
    with ExitStack() as opened:
        cameras = [{"name": "good", "source": str(jumping)}]
        for name, (height, width) in shapes.items():
            images = [np.full((height, width, 3), number * 9 % 250, np.uint8) for number in range(1 if name == "huge" else 30)]
            host = opened.enter_context(Camera(images, then="fall silent").on())
            cameras.append({"name": name, "source": f"http://{host}/"})
        with running(config(*cameras)) as (node, ear):
            ear.event("good", "start")
            assert "12000x9000" in str(ear.health("huge", "down").detail)
            eventually(node, lambda _: all(of(node, name).received or of(node, name).detail for name in ("wide", "dot")))
            assert_untouched(node, ear)
            assert node.problem() is None


def test_a_recorder_that_cannot_write_costs_its_files_alone_and_the_node_says_so(jumping: Path, tmp_path: Path) -> None:
    settings = config({"name": "good", "source": str(jumping)}, recording={"folder": tmp_path / "recorded"})
    with running(settings) as (node, ear):
        shutil.rmtree(tmp_path / "recorded" / "good")
        (tmp_path / "recorded" / "good").touch()
        ear.event("good", "start")
        degraded = ear.until(lambda body: isinstance(body, Health) and "good: its recordings are lost" in str(body.detail))
        assert_untouched(node, ear)
        assert node.problem() is None
    assert isinstance(degraded, Health)
    assert (degraded.camera, degraded.status) == ("node", "degraded")


def test_a_process_that_starts_decoders_and_hangs_is_replaced_and_its_decoders_go_on(
    jumping: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fork_server_module, "HANGS_S", 1.0)
    good, killed, new = ({"name": name, "source": str(jumping), **QUICK} for name in ("good", "killed", "new"))
    killed["source"] = str(shutil.copy(jumping, tmp_path / "killed.mp4"))
    with running(config(good, killed)) as (node, ear):
        ear.health("killed", "up")
        ear.event("good", "start")
        stopped = forker()
        stopped.suspend()
        node.apply(config(good, killed, new))
        ear.health("new", "up")
        decoder_of(Path(str(killed["source"])), stopped).kill()
        ear.health("killed", "down")
        ear.health("killed", "up")
        assert_untouched(node, ear)
        assert node.problem() is None
        begun = time.monotonic()
        node.close()
        assert time.monotonic() - begun < 5.0
        ear.rest()
        assert_no_end_is_lost(ear)
    assert not stopped.is_running()


# Runs in the process that decoders are forked from, before all else.
GREED = """
from streamvc.capture import loop
capture = loop.capture
def take_all(settings, receiver):
    if settings.name != "greedy":
        return capture(settings, receiver)
    taken = []
    while True:
        taken.append(b"x" * (8 << 20))
loop.capture = take_all
"""


def test_a_decoder_that_takes_too_much_memory_is_ended_alone(jumping: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sitecustomize.py").write_text(GREED)
    monkeypatch.syspath_prepend(str(tmp_path))
    with running(config(*({"name": name, "source": str(jumping)} for name in ("good", "greedy")))) as (node, ear):
        detail = ear.health("greedy", "down").detail
        assert detail == "it takes more than 768 MiB of memory, which is too much for one camera; has a picture no end?"
        ear.event("good", "start")
        eventually(node, lambda _: of(node, "greedy").deaths > 1)  # it was tried again
        assert_untouched(node, ear)
        assert node.problem() is None
        node.close()
        ear.rest()
        assert_no_end_is_lost(ear)


class Hanging:
    """A network that does not answer while it is to hang."""

    def __init__(self, model: Model, hangs: threading.Event, goes_on: threading.Event) -> None:
        self.input, self.output = model.input, model.output
        self._model, self._hangs, self._goes_on = model, hangs, goes_on

    def run(self, fill: Callable[[Array], None]) -> NDArray[np.float32]:
        if self._hangs.is_set():
            self._goes_on.wait(PATIENCE_S)
        return self._model.run(fill)


@pytest.mark.parametrize("comes_back", [True, False])
def test_a_network_that_hangs_costs_the_cameras_that_need_it_alone(
    jumping: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, comes_back: bool
) -> None:
    hangs, goes_on = threading.Event(), threading.Event()
    copy = Path(shutil.copytree(load_bundle("figure").path, tmp_path / "figure"))

    def open_hanging(path: Path, runtime: str | None = None, threads: int = 1) -> Model:
        model = open_model(path, runtime, threads)
        return Hanging(model, hangs, goes_on) if path.is_relative_to(copy) else model

    monkeypatch.setattr(batching, "open_model", open_hanging)
    monkeypatch.setattr(worker_pool, "HANGS_S", 2.0)
    cameras = [{"name": name, "source": str(jumping), "models": [str(copy)]} for name in ("hung", "alike")]
    with running(config({"name": "good", "source": str(jumping)}, *cameras)) as (node, ear):
        for name in ("good", "hung", "alike"):
            ear.event(name, "start")
        hangs.set()
        begun = time.monotonic()
        names = {ear.until(lambda body: isinstance(body, Health) and body.status == "down").camera for _ in range(2)}
        assert names == {"hung", "alike"}
        assert time.monotonic() - begun < 5.0
        details = [str(of(node, name).detail) for name in names]
        hangs_itself = r"its analysis failed: InferenceError: it has been at one frame for \d s, and is left behind"
        assert any(re.fullmatch(hangs_itself, detail) for detail in details)
        waits = "its analysis failed: InferenceError: its network hangs, at a frame of another camera"
        assert all(detail == waits or re.fullmatch(hangs_itself, detail) for detail in details)
        for name in names:
            assert ear.event(name, "end").reason in ("error", "gap")
        assert_untouched(node, ear)
        assert node.problem() is None
        if comes_back:
            goes_on.set()
            eventually(node, lambda _: "has come back after" in caplog.text)
            assert_untouched(node, ear)
        begun = time.monotonic()
        node.close()
        assert time.monotonic() - begun < 5.0
        ear.rest()
        for name in ("good", "hung", "alike"):
            assert_no_end_is_lost(ear, name)
        goes_on.set()
        wait_until(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("streamvc-inference")])


def test_a_sink_that_takes_nothing_is_told_by_health(jumping: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    settings = config({"name": "good", "source": str(jumping)}, sinks=[f"http://127.0.0.1:{port}/s3cret-hook?token=s3cret"])
    with running(settings) as (node, ear):
        ear.event("good", "start")
        degraded = ear.until(lambda body: isinstance(body, Health) and f"127.0.0.1:{port}" in str(body.detail))
        assert node.snapshot().state == "degraded"
        assert_untouched(node, ear)
    assert isinstance(degraded, Health)
    assert (degraded.camera, degraded.status) == ("node", "degraded")
    assert "token=s3cret" not in str(degraded.detail)


@pytest.mark.usefixtures("many_descriptors")
def test_a_node_with_many_open_files_watches_records_and_stops_as_any(jumping: Path, tmp_path: Path) -> None:
    settings = config({"name": "good", "source": str(jumping)}, recording={"folder": tmp_path / "recorded"}, http="127.0.0.1:0")
    with running(settings) as (node, ear):
        ear.event("good", "start")
        assert_untouched(node, ear)
    assert node.failure is None
    assert sorted(path.suffix for path in (tmp_path / "recorded" / "good").iterdir()) == [".jpg", ".mp4"]
