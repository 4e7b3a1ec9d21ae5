"""Injects faults into a node of eight cameras (640x360, 5 Hz), one at a time, and prints what the other cameras lose by each.

    python scripts/faults_node.py                                all, at 20 s each: a quarter of an hour
    python scripts/faults_node.py --seconds 60 "model hangs"     one of them, for longer

A row: by how much the rate of the other seven cameras differs from that of a calm node, which is measured first and last; gaps of theirs; after how
many seconds the node's status says that something is wrong; and events of any camera that have no end when the node has stopped.
The machine should be quiet; where it is not: `nice -n -19`, and 0 in /proc/sys/kernel/sched_autogroup_enabled.
"""

import argparse
import logging
import os
import resource
import shutil
import signal
import socket
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain, islice, repeat
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import numpy as np
import psutil
import zmq
from numpy.typing import NDArray

from bench_node import Row, show
from bench_videos import RATE_HZ, SIZE, encode, moving_video
from streamvc.capture.messages import Opened
from streamvc.capture.messages import encode as encode_message
from streamvc.capture.ring import new_memory
from streamvc.events import Event, Health, State
from streamvc.inference import batching
from streamvc.inference.bundle import load_bundle
from streamvc.inference.runtime import Model, open_model
from streamvc.node import node as node_module
from streamvc.node.fork_server import DecoderForkServer
from streamvc.node.node import Node
from streamvc.node.settings import NodeConfig
from streamvc.publish.sockets import neighbour
from streamvc.publish.subscriber import Subscriber
from streamvc.sinks.webhook import Webhook
from streamvc.testing import recording
from streamvc.threads import Worker
from streamvc.types import Array

NUM_CAMERAS = 8
FAULTY = "faulty"
START_S = 60.0
SETTLE_S = 4.0
LOOK_S = 0.005
MOST_LOST = 0.02  # of their rate, that the others may lose
FPS = 25

Answer = Callable[[NDArray[np.float32]], NDArray[np.float32]]


@dataclass(slots=True)
class Scene:
    """A node that runs, and where its files are."""

    folder: Path
    video: Path
    model: "Switch"
    node: Node | None = None
    opened: ExitStack = field(default_factory=ExitStack)

    @property
    def running(self) -> Node:
        assert self.node
        return self.node

    @property
    def faulty_video(self) -> Path:
        return self.folder / "faulty.mp4"

    def decoder(self) -> psutil.Process | None:
        """The process that reads the faulty camera's video."""
        for child in forker().children():
            with suppress(psutil.Error):
                if str(self.faulty_video) in (each.path for each in child.open_files()):
                    return child
        return None


@dataclass(frozen=True, slots=True)
class Fault:
    """What is broken, in a node of these settings, for as long as a block lasts. `around` is for what must be so before the node starts."""

    inject: Callable[[Scene], AbstractContextManager[None]]
    settings: Callable[[Scene], dict[str, Any]] = lambda _: {}
    camera: Callable[[Scene], dict[str, Any]] = lambda _: {}
    around: Callable[[Scene], AbstractContextManager[None]] | None = None


class Switch:
    """What the faulty camera's network answers."""

    def __init__(self) -> None:
        self.answer: Answer = lambda scores: scores


class Switched:
    """A network whose answers go through a switch."""

    def __init__(self, model: Model, switch: Switch) -> None:
        self.input, self.output = model.input, model.output
        self._model, self._switch = model, switch

    def run(self, fill: Callable[[Array], None]) -> NDArray[np.float32]:
        return self._switch.answer(self._model.run(fill))


class Liar(DecoderForkServer):
    """The faulty camera's decoders say that their pictures are as large as the world."""

    def fork(self, connection: socket.socket) -> None:
        if b'"name":"faulty"' not in connection.recv(1 << 18, socket.MSG_PEEK):
            super().fork(connection)
            return
        connection.recv(1 << 18)
        descriptor = new_memory(48, 64)
        lie = encode_message(Opened((64, 48), (64, 48), 25.0, "h264", True, 12.0)).replace(b"[64,48]", b"[999999,999999]")
        socket.send_fds(connection, [lie], [descriptor])
        os.close(descriptor)


def forker() -> psutil.Process:
    return next(child for child in psutil.Process().children() if "streamvc.node.forking" in child.cmdline())


@contextmanager
def nothing(_scene: Scene) -> Iterator[None]:
    yield


def answering(answer: Answer) -> Callable[[Scene], AbstractContextManager[None]]:
    """The faulty camera's network answers so, until the block is left."""

    @contextmanager
    def inject(scene: Scene) -> Iterator[None]:
        sound, scene.model.answer = scene.model.answer, answer
        try:
            yield
        finally:
            scene.model.answer = sound

    return inject


def raising(_: NDArray[np.float32]) -> NDArray[np.float32]:
    raise RuntimeError("the runtime failed")


def slow(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    time.sleep(0.06)  # some ten times a frame
    return scores


@contextmanager
def hanging(scene: Scene) -> Iterator[None]:
    over = threading.Event()

    def hang(scores: NDArray[np.float32]) -> NDArray[np.float32]:
        over.wait()
        return scores

    with answering(hang)(scene):
        scene.opened.callback(over.set)  # behind the node's end
        yield


@contextmanager
def meanwhile(act: Callable[[], None], period_s: float) -> Iterator[None]:
    """Do something again and again."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(period_s):
            act()

    with Worker("fault", run, over.set):
        yield


def killed(scene: Scene) -> AbstractContextManager[None]:
    def kill() -> None:
        with suppress(psutil.Error):
            if decoder := scene.decoder():
                decoder.kill()

    return meanwhile(kill, 1.5)


@contextmanager
def stalled(scene: Scene) -> Iterator[None]:
    if decoder := scene.decoder():
        decoder.send_signal(signal.SIGSTOP)
    yield


@contextmanager
def fork_server_stopped(scene: Scene) -> Iterator[None]:
    stopped, decoder = forker(), scene.decoder()
    stopped.suspend()
    if decoder:
        decoder.kill()
    yield


@contextmanager
def recorder_failing(scene: Scene) -> Iterator[None]:
    for folder in (scene.folder / "recorded").iterdir():
        shutil.rmtree(folder)
        folder.touch()
    yield


@contextmanager
def log_locked(scene: Scene) -> Iterator[None]:
    with closing(sqlite3.connect(scene.folder / "events.db", timeout=30.0, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


@contextmanager
def disk_full(_scene: Scene) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def reader_slow(scene: Scene) -> Iterator[None]:
    with zmq.Context() as context, context.socket(zmq.SUB) as reader:
        reader.setsockopt(zmq.RCVHWM, 1)
        reader.setsockopt(zmq.LINGER, 0)
        reader.subscribe(b"")
        reader.connect(scene.running.endpoint)
        yield


@contextmanager
def strangers(scene: Scene) -> Iterator[None]:
    """Some that say nothing and some that say anything, to all ports; more come all the time."""
    endpoint = scene.running.endpoint
    places = [endpoint, neighbour(endpoint, "requests"), neighbour(endpoint, "latest"), str(scene.running.http)]
    ports = [int(place.rstrip("/").rpartition(":")[2]) for place in places]
    with ExitStack() as opened:

        def connect() -> None:
            for port in ports:
                with suppress(OSError):
                    stranger = opened.enter_context(socket.create_connection(("127.0.0.1", port), 5.0))
                    stranger.sendall(os.urandom(64) if len(opened._exit_callbacks) % 2 else b"\xff")  # type: ignore[attr-defined]

        for _ in range(40):
            connect()
        with meanwhile(connect, 0.2):
            yield


@contextmanager
def webhook_failing(error: BaseException) -> Iterator[None]:
    def deliver(*_: object) -> None:
        raise error

    with patch.object(Webhook, "deliver", deliver):
        yield


@contextmanager
def silent_server(scene: Scene) -> Iterator[None]:
    """It takes connections, and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
        (scene.folder / "port").write_text(str(server.getsockname()[1]))
        yield


@contextmanager
def many_descriptors(_scene: Scene) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8000), hard))
    with ExitStack() as opened:
        for _ in range(1100):
            opened.enter_context(Path(os.devnull).open())
        yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def one_colour(scene: Scene) -> Iterator[None]:
    """The faulty camera sees nothing for ten seconds, then a room, and so on."""
    dark = repeat(np.zeros((SIZE[1], SIZE[0], 3), np.uint8), 10 * FPS)
    room = (np.asarray(image, np.uint8) for image in islice(recording(scene.video), 10 * FPS))
    encode(scene.faulty_video, chain(dark, room), SIZE, FPS)
    yield


GREED = """
from streamvc.capture import loop
capture = loop.capture
def take_all(settings, receiver):
    if settings.name != "faulty":
        return capture(settings, receiver)
    taken = []
    while True:
        taken.append(b"x" * (8 << 20))
loop.capture = take_all
"""


@contextmanager
def greedy(scene: Scene) -> Iterator[None]:
    (scene.folder / "sitecustomize.py").write_text(GREED)
    with patch.object(sys, "path", [str(scene.folder), *sys.path]):
        yield


def webhook(url: str) -> Callable[[Scene], dict[str, Any]]:
    return lambda scene: {"sinks": [url.format(port=(scene.folder / "port").read_text() if "{" in url else "")]}


def at_its_folder(*names: str) -> Callable[[Scene], dict[str, Any]]:
    every: Mapping[str, Callable[[Scene], Any]] = {
        "log": lambda scene: scene.folder / "events.db",
        "recording": lambda scene: {"folder": scene.folder / "recorded"},
    }
    return lambda scene: {name: every[name](scene) for name in names}


NOBODY = "http://127.0.0.1:9/hook"
FAULTS: Mapping[str, Fault] = {
    "calm": Fault(nothing),
    "sink raises": Fault(lambda _: webhook_failing(KeyError("defect")), webhook(NOBODY)),
    "sink's thread dies": Fault(lambda _: webhook_failing(SystemExit()), webhook(NOBODY)),
    "nobody hears the webhook": Fault(nothing, webhook(NOBODY)),
    "webhook never answers": Fault(nothing, webhook("http://127.0.0.1:{port}/hook"), around=silent_server),
    "broker never answers": Fault(nothing, webhook("mqtt://127.0.0.1:{port}"), around=silent_server),
    "recorder fails": Fault(recorder_failing, at_its_folder("recording")),
    "log is locked": Fault(log_locked, at_its_folder("log")),
    "disk is full": Fault(disk_full, at_its_folder("log", "recording")),
    "reader does not read": Fault(reader_slow),
    "strangers' connections": Fault(strangers, lambda _: {"http": "127.0.0.1:0"}),
    "1,100 descriptors": Fault(nothing, lambda _: {"http": "127.0.0.1:0"}, around=many_descriptors),
    "model raises": Fault(answering(raising)),
    "model gives NaN": Fault(answering(lambda scores: np.full_like(scores, np.nan))),
    "model is slow": Fault(answering(slow)),
    "model hangs": Fault(hanging),
    "picture of one colour": Fault(nothing, around=one_colour),
    "decoder is killed": Fault(killed),
    "decoder lies": Fault(nothing, around=lambda _: patch.object(node_module, "DecoderForkServer", Liar)),  # type: ignore[arg-type]
    "decoder is stopped": Fault(stalled),
    "decoder takes all memory": Fault(nothing, around=greedy),
    "fork server is stopped": Fault(fork_server_stopped),
    "camera is not there": Fault(nothing, camera=lambda _: {"source": "rtsp://127.0.0.1:9/none"}),
    "calm, with log and recordings": Fault(nothing, at_its_folder("log", "recording")),
    "calm again": Fault(nothing),
}


@dataclass(frozen=True, slots=True)
class Count:
    """How many frames a camera had had analysed at a moment: that of the last."""

    at: float
    num: int


def counts(node: Node) -> dict[str, Count]:
    """Of each camera, at the moment of its next frame; where none comes within half a second, now."""
    first = {camera.name: camera.analysed for camera in node.snapshot().cameras}
    found: dict[str, Count] = {}
    deadline = time.monotonic() + 0.5
    while len(found) < len(first) and time.monotonic() < deadline:
        time.sleep(LOOK_S)
        for camera in node.snapshot().cameras:
            if camera.name not in found and camera.analysed > first[camera.name]:
                found[camera.name] = Count(time.monotonic(), camera.analysed)
    return {name: found.get(name, Count(time.monotonic(), num)) for name, num in first.items()}


class Ear:
    """Hears all that a node says, in a thread."""

    def __init__(self, endpoint: str) -> None:
        self.heard: list[Event | State | Health] = []
        self._subscriber = Subscriber[Event | State | Health](endpoint, kinds=["event"], since="beginning")
        self._is_over = False
        self._worker = Worker("ear", self._run, self._stop).start()

    def _run(self) -> None:
        while True:
            if body := self._subscriber.receive(0.5):
                self.heard.append(body)
            elif self._is_over:
                return

    def _stop(self) -> None:
        self._is_over = True

    def close(self) -> None:
        """Hear the rest."""
        self._worker.close()
        self._subscriber.close()

    def without_end(self) -> int:
        """How many activities have begun and not ended."""
        found = {phase: {body.event_id for body in self.heard if isinstance(body, Event) and body.phase == phase} for phase in ("start", "end")}
        return len(found["start"] - found["end"])


def configuration(scene: Scene, fault: Fault) -> NodeConfig:
    bundle = str(load_bundle("figure").path)
    common = {"thresholds": {"enter": 0.4, "leave": 0.3, "min_s": 0.2}, "motion": {"gate": False}, "loop": True, "rate_hz": RATE_HZ}
    common |= {"open_timeout_s": 2.0, "read_timeout_s": 2.0}
    cameras = [{**common, "name": f"camera-{number}", "source": str(scene.video), "models": [bundle]} for number in range(NUM_CAMERAS - 1)]
    own = {**common, "name": FAULTY, "source": str(scene.faulty_video), "models": [str(scene.folder / "figure")], **fault.camera(scene)}
    defaults = {"site": "site", "node": "node", "publish": "tcp://127.0.0.1:*", "log": None, "http": None}
    return NodeConfig.model_validate({**defaults, **fault.settings(scene), "cameras": [*cameras, own]})


def measure(fault: Fault, seconds: float, video: Path) -> tuple[dict[str, float], Row]:
    """The other cameras' rates, and what else is told of a fault."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as made, ExitStack() as stack:
        scene = Scene(Path(made), video, Switch(), opened=stack)
        copy = Path(shutil.copytree(load_bundle("figure").path, scene.folder / "figure"))
        shutil.copy(video, scene.faulty_video)

        def opened(path: Path, runtime: str | None = None, threads: int = 1) -> Model:
            model = open_model(path, runtime, threads)
            return Switched(model, scene.model) if path.is_relative_to(copy) else model

        stack.enter_context(patch.object(batching, "open_model", opened))
        if fault.around:
            stack.enter_context(fault.around(scene))
        with suppress(SystemExit), Node(configuration(scene, fault)) as node:  # a thread's, that dies of it
            scene.node = node
            ear = Ear(node.endpoint)
            deadline = time.monotonic() + START_S
            while not all(camera.analysed for camera in node.snapshot().cameras if camera.name != FAULTY):
                if time.monotonic() > deadline:
                    raise RuntimeError(f"the cameras do not start: {node.snapshot()}")
                time.sleep(0.1)
            time.sleep(SETTLE_S)
            gaps = {camera.name: camera.gaps for camera in node.snapshot().cameras}
            before, begun, told_s = counts(node), time.monotonic(), None
            with fault.inject(scene):
                while (now := time.monotonic()) - begun < seconds:
                    snapshot = node.snapshot()
                    if told_s is None and (snapshot.detail or any(camera.state != "running" for camera in snapshot.cameras)):
                        told_s = now - begun
                    time.sleep(0.1)
                after, snapshot = counts(node), node.snapshot()
            closing_began = time.monotonic()
        closing_s = time.monotonic() - closing_began
        ear.close()
    others = [name for name in after if name != FAULTY]
    rates = {name: (after[name].num - before[name].num) / (after[name].at - before[name].at) for name in others}
    details = [snapshot.detail, *(camera.detail for camera in snapshot.cameras)]
    return rates, {
        "told after s": "-" if told_s is None else round(told_s, 1),
        "gaps of others": sum(camera.gaps - gaps[camera.name] for camera in snapshot.cameras if camera.name != FAULTY),
        "ends missing": f"{ear.without_end()} of {len({body.event_id for body in ear.heard if isinstance(body, Event)})}",
        "stopped in s": round(closing_s, 1),
        "said": next((detail for detail in details if detail), "")[:60],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faults", nargs="*", metavar="FAULT", help=f"of: {', '.join(FAULTS)}")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--folder", type=Path, default=Path("bench-node"), help="where videos are kept (default: bench-node)")
    arguments = parser.parse_args()
    logging.disable()
    video = moving_video(arguments.folder.resolve(), 600.0)
    names = list(dict.fromkeys(["calm", *(arguments.faults or FAULTS)]))
    rows: list[Row] = []
    calm_hz, is_missed = 0.0, False
    for name in names:
        rates, row = measure(FAULTS[name], arguments.seconds, video)
        calm_hz = calm_hz or median(rates.values())
        middle, slowest = median(rates.values()) / calm_hz, min(rates.values()) / calm_hz
        is_missed = is_missed or slowest < 1 - MOST_LOST or not row["ends missing"].startswith("0 ")  # type: ignore[attr-defined]
        rows.append({"fault": name, "others, median": f"{middle:.3f}", "slowest": f"{slowest:.3f}", **row})
        print(rows[-1], flush=True)
    show(rows, f"a calm node: {calm_hz:.3f} Hz a camera, median")
    return int(is_missed)


if __name__ == "__main__":
    sys.exit(main())
