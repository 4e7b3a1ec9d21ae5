"""The hub with real decoders, and no workers: what they would be given is looked at here."""

import math
import queue
import re
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from selectors import DefaultSelector

import psutil
import pytest

from streamvc.events import Health, Status
from streamvc.node.camera import Channels, Plan
from streamvc.node.decoder import ProcessDecoder
from streamvc.node.fork_server import DecoderForkServer
from streamvc.node.hub import Hub
from streamvc.node.overload import SPAN_S
from streamvc.node.scheduler import FrameScheduler
from streamvc.session import Session
from streamvc.testing import Freeze, Play, Resize, ScriptedCamera, Stall
from streamvc.threads import Worker
from tests.node.nodes import PATIENCE_S, config
from tests.node.plans import plan


class Watched:
    """A hub that runs, what it says, and what is due."""

    def __init__(self, hub: Hub, due: FrameScheduler[Session]) -> None:
        self.hub = hub
        self.due = due
        self.said: queue.SimpleQueue[Health] = queue.SimpleQueue()

    def plan(self, name: str, source: str, frozen_s: float = 30.0) -> Plan:
        (camera,) = config({"name": name, "source": source, "frozen_s": frozen_s}).cameras
        return plan(camera)

    def until(self, status: Status) -> Health:
        while (health := self.said.get(timeout=PATIENCE_S)).status != status:
            pass
        return health

    def until_end(self) -> str | None:
        """Take frames until what goes on is to be ended; says why."""
        while work := self.due.take(0):
            if work.arrival:
                work.arrival.release()
            else:
                return work.end
        pytest.fail("it was closed")


@pytest.fixture
def watched() -> Iterator[Watched]:
    due = FrameScheduler[Session](staleness_s=1000.0)
    with DecoderForkServer() as fork_server:
        hub = Hub(
            "node", Channels(partial(ProcessDecoder, fork_server), DefaultSelector(), due, lambda health: found.said.put(health)), num_connecting=8
        )
        found = Watched(hub, due)
        with Worker("hub", hub.run, hub.close):
            yield found


@contextmanager
def seen(watched: Watched, *script: Play | Freeze | Stall | Resize, frozen_s: float = 30.0) -> Iterator[ScriptedCamera]:
    with ScriptedCamera([*script, Play(math.inf)], fps=50) as camera:
        watched.hub.change([], [watched.plan("yard", camera.url, frozen_s)])
        yield camera


def test_a_picture_that_freezes_is_a_gap(watched: Watched) -> None:
    with seen(watched, Play(1.0), Freeze(1.8), frozen_s=1.0):
        assert watched.until_end() == "gap"
        frozen = watched.until("frozen")
        assert (frozen.reason, frozen.detail) == ("gap", "the picture has not changed for 1 s")
        watched.until("up")


def test_a_camera_that_falls_silent_is_a_gap(watched: Watched) -> None:
    with seen(watched, Play(1.0), Stall(2.4)) as camera:
        assert watched.until_end() == "gap"
        stalled = watched.until("stalled")
        assert (stalled.reason, stalled.detail) == ("gap", "no picture has come for 2 s")
        watched.until("up")
        assert camera.num_connections == 1


def test_another_size_of_the_picture_is_a_gap(watched: Watched) -> None:
    with seen(watched, Play(1.0), Resize(160, 120)):
        assert watched.until_end() == "gap"
        work = watched.due.take(0)
        assert work
        assert work.arrival
        work.arrival.release()
        assert watched.hub.cameras["yard"].status(0.0).size == (160, 120)


def test_a_decoder_that_is_killed_is_a_gap(watched: Watched) -> None:
    before = set(psutil.Process().children(recursive=True))
    with seen(watched) as camera:
        watched.until("up")
        (decoder,) = set(psutil.Process().children(recursive=True)) - before
        decoder.kill()
        assert watched.until_end() == "gap"
        down = watched.until("down")
        assert "SIGKILL" in (down.detail or "")
        watched.until("up")
        status = watched.hub.cameras["yard"].status(0.0)
        assert (camera.num_connections, status.deaths, status.gaps) == (2, 1, 1)


def test_a_camera_whose_analysis_fails_is_left_alone(watched: Watched) -> None:
    with seen(watched):
        watched.until("up")
        for _ in range(3):
            watched.hub.fail("yard", ValueError("no such thing as rtsp://root:secret@192.0.2.7"))
        assert watched.until_end() == "error"
        down = watched.until("down")
        assert (down.reason, down.detail) == ("error", "its analysis failed: ValueError: no such thing as rtsp://***@192.0.2.7")
        assert watched.hub.cameras["yard"].status(0.0).state == "disabled"
        assert watched.said.empty()


def test_a_camera_that_has_left_cannot_fail(watched: Watched) -> None:
    watched.hub.fail("yard", ValueError("too late"))
    with seen(watched):
        watched.until("up")
    watched.hub.close()
    watched.hub.fail("yard", ValueError("much too late"))


def test_a_machine_without_room_for_a_decoder_is_tried_again(watched: Watched) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ScriptedCamera([Play(math.inf)]) as camera:
        plan = watched.plan("yard", camera.url)
        with socket.socket() as free:
            before = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (free.fileno(), most))
        try:
            watched.hub.change([], [plan])
            assert "no decoder can be started: Too many open files" in (watched.until("down").detail or "")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
        watched.until("up")


@pytest.mark.slow
def test_that_cameras_are_not_analysed_is_told_and_when_it_is_over(watched: Watched) -> None:
    with seen(watched):
        while (degraded := watched.said.get(timeout=SPAN_S + PATIENCE_S)).status != "degraded":
            assert degraded.camera == "yard"
        told: list[Health] = []
        while not told or told[-1].camera != "node":
            work = watched.due.take(0)
            assert work
            assert work.arrival
            assert work.arrival.frame
            work.session.take(work.arrival.frame)
            work.arrival.release()
            while not watched.said.empty():
                told.append(watched.said.get())
    assert degraded.camera == "node"
    # The camera's pictures come by the clock of this machine, and are counted once a second.
    assert re.match(r"1 of 1 cameras is analysed below its rate, at 0\.0 of (4\.9|5\.[01]) Hz", degraded.detail or "")
    assert (told[-1].status, told[-1].detail, watched.hub.problem) == ("up", None, None)
