"""A camera, in times that are given in: what would take minutes."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from selectors import DefaultSelector

import psutil
import pytest

from streamvc.events import Health
from streamvc.node.camera import FAILED_S, Camera, Channels
from streamvc.node.decoder import ProcessDecoder
from streamvc.node.fork_server import DecoderForkServer
from streamvc.node.lifecycle import NUM_DEATHS
from streamvc.node.overload import SPAN_S
from streamvc.node.scheduler import FrameScheduler
from streamvc.testing import Play, ScriptedCamera
from streamvc.types import Frame
from tests.capture.videos import plain, write_video
from tests.node.nodes import PATIENCE_S, config
from tests.node.plans import plan as plan_of

MONDAY = datetime(2026, 11, 23, 7, 59, 50, tzinfo=UTC)


class Watched:
    """A camera whose time is moved by hand, in seconds from its beginning."""

    def __init__(self, channels: Channels, said: list[Health], **settings: object) -> None:
        self.said = said
        self._channels = channels
        self._begun = time.monotonic()
        (camera,) = config({"name": "yard", **settings}).cameras
        plan = plan_of(camera)
        self.session = plan.session
        self.camera = Camera(plan, channels)
        self.camera.begin(self._begun)

    @property
    def state(self) -> str:
        return self.camera.status(0.0).state

    def move(self, to_s: float) -> None:
        """It is so late now."""
        self.tick(to_s)
        self.camera.step(self._begun + to_s, may_connect=True)

    def tick(self, to_s: float) -> None:
        """Another second is over, and whether a picture is overdue is not looked at."""
        self.camera.tick(self._begun + to_s, MONDAY + timedelta(seconds=to_s))

    def hear(self, to_s: float) -> None:
        """Wait until the decoder says something, and let it have said it at this time."""
        assert self._channels.selector.select(PATIENCE_S), "the decoder says nothing"
        self.camera.hear(self._begun + to_s)


@pytest.fixture
def channels(said: list[Health]) -> Iterator[Channels]:
    with DecoderForkServer() as fork_server, DefaultSelector() as selector:
        yield Channels(partial(ProcessDecoder, fork_server), selector, FrameScheduler(staleness_s=0.5), said.append)


@pytest.fixture
def said() -> list[Health]:
    return []


def test_it_is_watched_by_its_timetable(channels: Channels, said: list[Health], demo_clip: Path) -> None:
    yard = Watched(channels, said, source=str(demo_clip), schedule=["mon 08:00-09:00"], timezone="UTC")
    for late_s in (0.0, 9.0):
        yard.move(late_s)
        assert (yard.state, yard.camera.is_connecting) == ("disabled", False)
    yard.move(11.0)
    assert yard.camera.is_connecting
    while yard.state != "running":
        yard.hear(12.0)
    yard.move(3609.0)
    yard.camera.tick(time.monotonic(), MONDAY)  # the clock was put back
    assert yard.state == "disabled"
    yard.camera.stop()
    assert [(health.status, health.detail) for health in said] == [
        ("disabled", "it is not watched at this time"),
        ("up", None),
        ("stalled", "no picture has come for 2 s"),
        ("disabled", "it is not watched at this time"),
        ("ended", None),
    ]


def test_one_whose_analysis_has_failed_is_tried_again(channels: Channels, said: list[Health], demo_clip: Path) -> None:
    yard = Watched(channels, said, source=str(demo_clip))
    yard.move(0.0)
    yard.camera.fail(time.monotonic(), RuntimeError("broken"))
    yard.move(FAILED_S - 1)
    assert yard.state == "disabled"
    yard.move(FAILED_S + 1)
    assert yard.camera.is_connecting
    assert yard.camera.status(0.0).detail is None
    yard.camera.stop()
    assert [health.status for health in said] == ["down", "ended"]


def test_one_that_kills_decoders_is_set_apart_and_that_is_told(channels: Channels, said: list[Health], demo_clip: Path) -> None:
    yard = Watched(channels, said, source=str(demo_clip))
    others = set(psutil.Process().children(recursive=True))
    late_s = 0.0
    for _ in range(NUM_DEATHS):
        yard.move(late_s)
        assert yard.camera.is_connecting
        while yard.state != "running":
            yard.hear(late_s)
        for decoder in set(psutil.Process().children(recursive=True)) - others:
            decoder.kill()
        while yard.state != "lost":
            yard.hear(late_s)
        late_s += 10.0
    yard.move(late_s)
    assert yard.state == "lost"
    yard.move(late_s + 600.0)
    assert yard.camera.is_connecting
    yard.camera.stop()
    apart = [health.detail for health in said if health.detail and "tried again every 10 minutes" in health.detail]
    assert apart == ["its stream kills decoders, it is tried again every 10 minutes: the decoder was killed by SIGKILL"]


def test_a_recording_in_a_loop_begins_again_at_once(channels: Channels, said: list[Health], tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mp4", map(plain, range(10)))
    yard = Watched(channels, said, source=str(clip), loop=True)
    for round_s in (0.0, 1.0, 2.0):
        yard.move(round_s)
        assert yard.camera.is_connecting
        while yard.state != "running":
            yard.hear(round_s)
        while yard.state != "connecting":
            yard.hear(round_s + 0.5)
    yard.camera.stop()
    assert [health.status for health in said] == ["ended"]


def test_one_that_is_away_says_for_how_long_and_why(channels: Channels, said: list[Health]) -> None:
    with ScriptedCamera([Play(1.0)]) as camera:
        nobody = camera.url
    yard = Watched(channels, said, source=nobody)
    for late_s in (0.0, 10.0, 20.0):
        yard.move(late_s)
        while yard.state != "lost":
            yard.hear(late_s)
    status = yard.camera.status(time.monotonic())
    yard.move(30.0)
    later = yard.camera.status(time.monotonic())
    yard.camera.stop()
    assert 0.0 <= status.state_s <= later.state_s
    assert (status.state, later.state) == ("lost", "connecting")
    assert status.detail
    assert "tcp://" not in status.detail
    assert [health.status for health in said] == ["down", "ended"]


def test_a_decoder_that_hangs_is_killed_and_that_is_told(channels: Channels, said: list[Health], demo_clip: Path) -> None:
    yard = Watched(channels, said, source=str(demo_clip))
    yard.move(0.0)
    while yard.state != "running":
        yard.hear(0.0)
    yard.move(3.0)
    assert yard.state == "stalled"
    while yard.state != "lost":
        yard.move(100.0)
        yard.hear(100.0)
    yard.camera.stop()
    assert [(health.status, health.reason) for health in said] == [("up", None), ("stalled", "gap"), ("down", "gap"), ("ended", "stop")]
    assert (said[2].detail or "").startswith("its decoder hung")


def test_too_few_frames_for_a_model_are_told_at_once_and_until_there_are_enough_for_a_while(
    channels: Channels, said: list[Health], demo_clip: Path
) -> None:
    yard = Watched(channels, said, source=str(demo_clip))
    yard.move(0.0)
    while yard.state != "running":
        yard.hear(0.0)

    def analyse(begin_s: float, end_s: float, rate_hz: float) -> None:
        for number in range(round((end_s - begin_s) * rate_hz)):
            yard.session.take(Frame(number, begin_s + number / rate_hz, plain(number)))
        yard.tick(end_s)

    def told() -> tuple[str | None, str | None]:
        demand = yard.camera.demand()
        return yard.camera.status(0.0).detail, demand.shortage if demand else None

    short = "not enough frames for figure, which needs 2 a second"
    analyse(0.0, 3.0, 5.0)
    assert told() == (None, None)
    analyse(3.0, 6.0, 1.25)
    assert told() == (short, short)
    analyse(6.0, 9.0, 5.0)
    assert told() == (short, short)  # it is enough again, if not for long
    analyse(9.0, 9.0 + SPAN_S, 5.0)
    assert told() == (None, None)
    yard.camera.stop()


def test_a_clock_that_jumps_by_weeks_costs_the_time_of_its_error_alone(channels: Channels, said: list[Health], demo_clip: Path) -> None:
    yard = Watched(channels, said, source=str(demo_clip), schedule=["mon"], timezone="UTC")
    yard.move(0.0)
    assert yard.camera.is_connecting
    for days in (45, -45, 40000, -20000):
        yard.camera.tick(time.monotonic(), MONDAY + timedelta(days=days))
        assert yard.state == "disabled"
        yard.move(61.0)  # the clock is right again
        assert yard.camera.is_connecting
    yard.camera.stop()
