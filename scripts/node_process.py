"""A node in a process of its own, for the scripts that measure and torture it."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psutil

from streamvc.errors import NodeError
from streamvc.node.status import CameraStatus, Snapshot, fetch

START_S, STOP_S = 60.0, 10.0
LOG_CHARACTERS = 3000  # of what it said, where it fails
LOOK_S = 0.2  # between two looks at its status
COMMAND = [sys.executable, "-c", "from streamvc.cli import main; main()", "node"]

Camera = dict[str, Any]  # as in the configuration


@dataclass(frozen=True, slots=True)
class Cost:
    """What a node has used so far, and uses now.

    Attributes:
        node_s: CPU seconds of the node's own process: all but decoding.
        decoders_s: Of its other processes, also those that are gone.
        node_mb: Memory that the node's own process shares with no other.
        decoders_mb: Of its other processes.
        threads, processes, descriptors: Of all of them.
    """

    node_s: float
    decoders_s: float
    node_mb: float
    decoders_mb: float
    threads: int
    processes: int
    descriptors: int


class NodeProcess:
    """Runs `streamvc node` while its `with` block runs.

    Its folder holds its configuration (`node.yaml`), its events, and what it says (`node.log`).
    """

    def __init__(self, folder: Path, cameras: Sequence[Camera], *, defaults: Mapping[str, Any], limits: Mapping[str, Any] | None = None) -> None:
        """Prepare a node of these cameras."""
        self._folder = folder
        self._http = f"127.0.0.1:{free_port()}"
        self._rest = {
            "site": "scripts",
            "node": "node",
            "publish": f"tcp://127.0.0.1:{free_port()}",
            "log": "events.db",
            "http": self._http,
            "limits": dict(limits or {}),
            "defaults": dict(defaults),
        }
        folder.mkdir(parents=True, exist_ok=True)
        self.write(cameras)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """Where its events are kept."""
        return self._folder / "events.db"

    def write(self, cameras: Sequence[Camera]) -> None:
        """Have it watch these cameras from now on."""
        partial = self._folder / "node.yaml.partial"
        partial.write_text(json.dumps({**self._rest, "cameras": list(cameras)}, indent=1))  # JSON is YAML
        partial.replace(self._folder / "node.yaml")

    def reload(self) -> None:
        """Have it read its configuration at once; it does so by itself within two seconds."""
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    def status(self) -> Snapshot:
        """How it fares now.

        Raises:
            NodeError: It has not begun to answer.
            RuntimeError: It has ended.
        """
        if self._process is None or self._process.poll() is not None:
            raise RuntimeError(f"the node has ended\n{self._said()}")
        return fetch(self._http)

    def await_that(self, condition: Callable[[Snapshot], bool], timeout_s: float = START_S) -> Snapshot:
        """Its status, as soon as this is true of it.

        Raises:
            TimeoutError: It did not become so.
            RuntimeError: It has ended.
        """
        until = time.monotonic() + timeout_s
        snapshot: Snapshot | None = None
        while time.monotonic() < until:
            with suppress(NodeError):
                snapshot = self.status()
                if condition(snapshot):
                    return snapshot
            time.sleep(LOOK_S)
        states = {camera.name: (camera.state, camera.detail) for camera in snapshot.cameras} if snapshot else "no answer"
        raise TimeoutError(f"the node did not become as it should within {timeout_s:g} s: {states}\n{self._said()}")

    def cost(self) -> Cost:
        """What it has used so far."""
        assert self._process is not None
        totals = [_cost_of(psutil.Process(self._process.pid))]
        for child in self.children():
            with suppress(psutil.NoSuchProcess):
                totals.append(_cost_of(child))
        reaped_s = sum(one.reaped_s for one in totals)
        return Cost(
            node_s=totals[0].cpu_s,
            decoders_s=sum(one.cpu_s for one in totals[1:]) + reaped_s,
            node_mb=totals[0].memory_mb,
            decoders_mb=sum(one.memory_mb for one in totals[1:]),
            threads=sum(one.threads for one in totals),
            processes=len(totals),
            descriptors=sum(one.descriptors for one in totals),
        )

    def children(self) -> list[psutil.Process]:
        """Its other processes: those of decoders, and the one that they come from."""
        assert self._process is not None
        return list(psutil.Process(self._process.pid).children(recursive=True))

    def __enter__(self) -> Self:
        with (self._folder / "node.log").open("ab") as log:
            self._process = subprocess.Popen([*COMMAND, str(self._folder / "node.yaml")], stdout=log, stderr=log)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it, and say so if it does not stop by itself."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            print(f"the node did not stop within {STOP_S:g} s", file=sys.stderr)
            self._process.kill()
            self._process.wait()

    def _said(self) -> str:
        return (self._folder / "node.log").read_text()[-LOG_CHARACTERS:]


@dataclass(frozen=True, slots=True)
class _Used:
    cpu_s: float
    reaped_s: float  # of children that are gone
    memory_mb: float
    threads: int
    descriptors: int


def _cost_of(process: psutil.Process) -> _Used:
    with process.oneshot():
        times = process.cpu_times()
        memory_mb = process.memory_full_info().uss / 1e6
        reaped_s = times.children_user + times.children_system
        return _Used(times.user + times.system, reaped_s, memory_mb, process.num_threads(), process.num_fds())


def are_running(snapshot: Snapshot) -> bool:
    """Whether all of its cameras are."""
    return bool(snapshot.cameras) and all(camera.state == "running" for camera in snapshot.cameras)


def by_name(snapshot: Snapshot) -> dict[str, CameraStatus]:
    """Its cameras."""
    return {camera.name: camera for camera in snapshot.cameras}


def free_port() -> int:
    """A free port whose two neighbours are free too: a publisher takes them all."""
    while True:
        with ExitStack() as opened, suppress(OSError, OverflowError):
            port: int = opened.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
            for neighbour in (port + 1, port + 2):
                opened.enter_context(socket.create_server(("127.0.0.1", neighbour)))
            return port
