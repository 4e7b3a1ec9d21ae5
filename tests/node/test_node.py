"""Whole nodes: real decoders, real models, real sockets."""

import math
import time
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import httpx
import pytest

from streamvc.errors import BundleError, NodeError
from streamvc.events import Event, Health
from streamvc.live import watch
from streamvc.node.node import Node
from streamvc.node.status import CameraStatus, Snapshot, fetch
from streamvc.publish.cloudevents import decode
from streamvc.publish.log import query
from streamvc.publish.publisher import Publisher
from streamvc.publish.records import Criteria
from streamvc.testing import Die, Play, ScriptedCamera, recording
from tests.capture.videos import textured, write_video
from tests.node.nodes import PATIENCE_S, config, eventually, running

JUMPING_S = slice(5.0, 8.2)  # of the demo's clip: the figure has just begun to jump


@pytest.fixture(scope="module")
def jumping(demo_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds of jumping."""
    pictures = islice(recording(demo_clip), int(JUMPING_S.start * 25), int(JUMPING_S.stop * 25))
    file = tmp_path_factory.mktemp("clips") / "jumping.mp4"
    return write_video(file, (image[..., ::-1] for image in pictures), options={"preset": "ultrafast"})


@pytest.fixture
def endless(jumping: Path) -> Iterator[ScriptedCamera]:
    """A camera that sees somebody who jumps on and on."""
    with ScriptedCamera([Play(math.inf)], pictures=recording(jumping), size=(320, 240)) as camera:
        yield camera


def told(event: Event) -> tuple[object, ...]:
    """What a replay tells as well."""
    return event.phase, event.label, event.reason, round(event.score, 3), event.duration_s and round(event.duration_s, 3)


def of(snapshot: Snapshot, name: str) -> CameraStatus:
    return next(camera for camera in snapshot.cameras if camera.name == name)


def test_a_recording_gives_the_events_of_a_watch_of_it(jumping: Path) -> None:
    with running(config({"name": "hall", "source": str(jumping), "motion": {"gate": False}})) as (node, ear):
        ended = ear.health("hall", "ended")
        ear.event("hall", "end")
        status = of(eventually(node, lambda snapshot: of(snapshot, "hall").analysed >= 16), "hall")
    assert (ended.reason, ended.detail) == ("end_of_stream", "the recording is over")
    events = [body for body in ear.heard if isinstance(body, Event)]
    assert [told(event) for event in events] == [told(event) for event in watch(jumping, "figure")]
    assert events[0].label == "JumpingJack"
    assert (status.received // 5, status.analysed, status.state, sum(status.dropped.values())) == (15, 16, "disabled", 0)


@pytest.mark.train
@pytest.mark.skipif(find_spec("tensorflow") is None, reason="needs the train extra")
def test_workers_on_tensorflow_give_the_events_of_a_watch(jumping: Path) -> None:
    names = "hall", "yard"
    cameras = [{"name": name, "source": str(jumping), "motion": {"gate": False}} for name in names]
    with running(config(*cameras, limits={"workers": 2, "runtime": "tensorflow"})) as (_, ear):
        for name in names:
            ear.health(name, "ended")
            ear.event(name, "end")
    expected = [told(event) for event in watch(jumping, "figure")]
    for name in names:
        assert [told(body) for body in ear.heard if isinstance(body, Event) and body.camera == name] == expected


def test_a_lost_camera_ends_what_went_on_there_and_comes_back(jumping: Path) -> None:
    with (
        ScriptedCamera([Play(3.2), Die(), Play(math.inf)], pictures=recording(jumping)) as camera,
        running(config({"name": "hall", "source": camera.url})) as (node, ear),
    ):
        ear.health("hall", "up")
        start = ear.event("hall", "start")
        end = ear.event("hall", "end")
        assert (end.event_id, end.reason) == (start.event_id, "gap")
        down = ear.health("hall", "down")
        ear.health("hall", "up")
        status = of(eventually(node, lambda snapshot: of(snapshot, "hall").connections == 2), "hall")
    assert down.reason == "gap"
    assert (status.gaps, status.deaths, status.detail) == (1, 0, None)


def test_cameras_come_and_go_while_the_others_run_on(endless: ScriptedCamera, jumping: Path) -> None:
    gate, yard = {"name": "gate", "source": endless.url}, {"name": "yard", "source": str(jumping), "loop": True}
    with running(config(gate)) as (node, ear):
        ear.health("gate", "up")
        assert str(node.apply(config(gate, yard))) == "added yard"
        ear.health("yard", "up")
        assert str(node.apply(config(gate, {**yard, "rate_hz": 4}))) == "changed yard"
        assert ear.health("yard", "ended").reason == "stop"
        ear.health("yard", "up")
        assert str(node.apply(config(gate))) == "removed yard"
        ear.health("yard", "ended")
        snapshot = eventually(node, lambda snapshot: len(snapshot.cameras) == 1)
    assert endless.num_connections == 1
    assert of(snapshot, "gate").gaps == 0


def test_thresholds_are_changed_without_another_connection_and_what_goes_on_goes_on(endless: ScriptedCamera) -> None:
    gate = {"name": "gate", "source": endless.url}
    with running(config(gate)) as (node, ear):
        begun = ear.event("gate", "start")
        assert str(node.apply(config({**gate, "thresholds": {"enter": 0.99, "leave": 0.01}}))) == "changed the thresholds of gate"
        told = ear.until(lambda body: isinstance(body, Event) and body.decision.enter == 0.99)
        assert isinstance(told, Event)
        assert (told.event_id, told.phase) == (begun.event_id, "update")
        assert str(node.apply(config({**gate, "models": [{"name": "figure", "thresholds": {"leave": 1.0}}]}))) == "changed the thresholds of gate"
        ended = ear.event("gate", "end")
        assert (ended.event_id, ended.reason) == (begun.event_id, "left")
        assert endless.num_connections == 1
        assert {body.status for body in ear.heard if isinstance(body, Health)} == {"up"}
        assert str(node.apply(config({**gate, "thresholds": {"enter": 0.9}, "rate_hz": 4}))) == "changed gate"


def test_a_model_that_is_not_there_changes_nothing(endless: ScriptedCamera) -> None:
    gate = {"name": "gate", "source": endless.url}
    with pytest.raises(BundleError, match="missing"):
        Node(config({**gate, "models": ["missing"]}))
    with running(config(gate)) as (node, ear):
        ear.health("gate", "up")
        with pytest.raises(BundleError, match="missing"):
            node.apply(config({"name": "yard", "source": endless.url}, {**gate, "models": ["figure", "missing"]}))
        assert [camera.name for camera in node.snapshot().cameras] == ["gate"]
        assert str(node.apply(config(gate))) == "nothing has changed"


def test_what_else_is_changed_waits_for_the_next_start() -> None:
    with running(config()) as (node, _):
        changes = node.apply(config(site="elsewhere", limits={"workers": 2}))
        assert changes.later == ("site", "limits")
        assert str(changes) == "site, limits will change when the node is started again"
        assert node.snapshot().site == "site"


def test_a_camera_that_cannot_be_reached_is_told_without_its_password() -> None:
    with ScriptedCamera([Play(1.0)]) as camera:
        nobody = camera.url.replace("tcp://", "rtsp://root:secret@")
    with running(config({"name": "yard", "source": nobody})) as (node, ear):
        down = ear.health("yard", "down")
        snapshot = eventually(node, lambda snapshot: snapshot.state == "up")
    assert down.reason == "gap"
    assert down.detail
    assert "secret" not in f"{down}{snapshot}"
    assert of(snapshot, "yard").source == nobody.replace("root:secret", "***")


def test_keyframes_that_are_too_far_apart_are_told_by_health(tmp_path: Path) -> None:
    options = {"g": "50", "keyint_min": "50", "sc_threshold": "0", "preset": "ultrafast"}
    clip = write_video(tmp_path / "clip.mp4", [textured(number % 50) for number in range(300)], options=options)
    with running(config({"name": "yard", "source": str(clip), "decode": "keyframes"})) as (node, ear):
        told = "its keyframes are 2.0 s apart, so that nothing can be recognised; say `decode: reference`"
        assert (ear.health("node", "degraded").detail or "").startswith(f"yard: {told}")
        assert (node.snapshot().cameras[0].detail or "").startswith(told)


def test_a_camera_that_nobody_wants_is_not_connected(endless: ScriptedCamera) -> None:
    tomorrow = time.strftime("%a", time.localtime(time.time() + 86400)).lower()
    yesterday = time.strftime("%a", time.localtime(time.time() - 2 * 86400)).lower()
    gate = {"name": "gate", "source": endless.url, "enabled": False}
    yard = {"name": "yard", "source": endless.url, "schedule": [tomorrow, yesterday]}
    with running(config(gate, yard)) as (node, ear):
        assert ear.health("gate", "disabled").detail == "it is disabled in the configuration"
        assert ear.health("yard", "disabled").detail == "it is not watched at this time"
        snapshot = eventually(node, lambda snapshot: snapshot.state == "up")
    assert [camera.state for camera in snapshot.cameras] == ["disabled", "disabled"]
    assert endless.num_connections == 0


def test_cameras_are_connected_one_after_the_other_where_that_is_asked_for(endless: ScriptedCamera) -> None:
    cameras = [{"name": f"camera-{number}", "source": endless.url} for number in range(3)]
    with running(config(*cameras, limits={"connecting": 1, "workers": 2})) as (node, _):
        eventually(node, lambda snapshot: all(camera.state == "running" for camera in snapshot.cameras))


def test_what_goes_on_is_ended_when_the_node_stops(endless: ScriptedCamera, tmp_path: Path) -> None:
    log = tmp_path / "events.db"
    folder = tmp_path / "recorded"
    with running(config({"name": "hall", "source": endless.url}, log=log, recording={"folder": folder})) as (_, ear):
        ear.event("hall", "start")
    events = [decode(message.body) for message in query(log, Criteria(kinds=["event"]))]
    last = events[-1]
    assert isinstance(last, Event)
    assert (last.phase, last.reason) == ("end", "stop")
    assert sorted(path.suffix for path in folder.glob("*/*")) == [".jpg", ".mp4"]


def test_it_says_over_http_how_it_fares(endless: ScriptedCamera) -> None:
    with running(config({"name": "gate", "source": endless.url}, http="127.0.0.1:0")) as (node, ear):
        ear.health("gate", "up")
        eventually(node, lambda snapshot: snapshot.age.count > 0 and of(snapshot, "gate").memory_bytes is not None)
        assert node.http
        status = fetch(node.http, PATIENCE_S)
        with httpx.Client(base_url=f"http://{node.http}", timeout=PATIENCE_S, trust_env=False) as client:
            assert [client.get(path).status_code for path in ("/healthz", "/readyz")] == [200, 200]
            metrics = client.get("/metrics").text
        assert node.problem() is None
    assert (of(status, "gate").size, of(status, "gate").codec) == ((320, 240), "h264")
    assert status.age.count > 0
    assert 'streamvc_camera_state{camera="gate",state="running"} 1.0' in metrics


def test_that_the_log_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with running(config(log=tmp_path / "file" / "events.db")) as (node, ear):
        health = ear.health("node", "degraded")
        snapshot = node.snapshot()
    assert snapshot.state == "degraded"
    assert snapshot.detail == health.detail


def test_a_camera_that_is_not_watched_any_more_is_not_down_for_ever(tmp_path: Path) -> None:
    log = tmp_path / "events.db"
    with Publisher("tcp://127.0.0.1:*", node="node", log=log) as publisher:  # of a node that was killed then
        for camera in ("gone", "node"):
            publisher.report(Health(camera, "down", "lost", None, None, None, 0, seq=None, epoch=None))
    with running(config(log=log)) as (node, ear):
        assert ear.health("gone", "ended").detail == "it is not watched any more"
        assert node.snapshot().cameras == ()


def test_a_closed_node_takes_no_cameras(endless: ScriptedCamera) -> None:
    node = Node(config())
    node.close()
    with pytest.raises(NodeError, match="closed"):
        node.apply(config({"name": "gate", "source": endless.url}))
