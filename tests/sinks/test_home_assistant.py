"""What Home Assistant is told of cameras, and that it is taken back, through a real broker."""

import json
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from streamvc.errors import SinkError
from streamvc.events import Activity
from streamvc.node.node import Node
from streamvc.sinks.mqtt_topics import Labels
from streamvc.sinks.opening import open_sink, read_address
from streamvc.sinks.positions import Positions, RetainedTopics
from streamvc.sinks.sink import Sink
from tests.node.nodes import config, eventually
from tests.publish.samples import HEALTH, STATE, message
from tests.sinks.brokers import Broker, Listener

STATUS = "streamvc/site/node/status"
# What Home Assistant's documentation allows in a discovery message: of all entities, and of these two.
ENTITY = {"name", "unique_id", "icon", "state_topic", "value_template", "availability", "availability_mode", "device", "origin", "qos", "encoding"}
ALLOWED = {
    "sensor": ENTITY | {"json_attributes_topic", "json_attributes_template", "device_class", "state_class", "unit_of_measurement", "expire_after"},
    "binary_sensor": ENTITY | {"payload_on", "payload_off", "device_class", "off_delay", "expire_after"},
}
DEVICE = {"identifiers", "connections", "name", "manufacturer", "model", "sw_version", "hw_version", "serial_number", "suggested_area", "via_device"}
TOPIC = re.compile(r"homeassistant/(sensor|binary_sensor)/[a-zA-Z0-9_-]+/[a-zA-Z0-9_-]+/config")


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    with Broker(tmp_path).on() as on:
        yield on


def health(camera: str, status: Any) -> Any:
    return message(replace(HEALTH, camera=camera, status=status), 1, 7)


def opened(address: str, cameras: Labels, positions: Positions | None = None) -> "closing[Sink]":
    memory = RetainedTopics(positions or Positions(None), "sink")
    return closing(open_sink(f"mqtt://{address}?discovery=1", site="site", node="node", labels=lambda: cameras, memory=memory))


def kept(address: str) -> dict[str, bytes]:
    with Listener().on(address) as listener:
        return listener.kept(address)


def announced(address: str) -> dict[str, dict[str, Any]]:
    """The announcements that are kept, by topic."""
    return {topic: json.loads(payload) for topic, payload in kept(address).items() if topic.endswith("/config")}


def names(address: str) -> set[tuple[str, str]]:
    """Which entities of which devices there are."""
    return {(each["device"]["name"], each["name"]) for each in announced(address).values()}


def test_each_camera_is_a_device_with_a_text_and_a_binary_sensor_for_each_activity(address: str) -> None:
    cameras = {"front_door": ("PushUps", "sit & wait/"), "yard": ("fight",)}
    with opened(address, cameras) as sink:
        sink.deliver([health("front_door", "up")])
        found = announced(address)
        topics = set(kept(address))
    assert {(each["device"]["name"], each["name"]) for each in found.values()} == {
        ("front_door", "Activity"),
        ("front_door", "PushUps"),
        ("front_door", "sit & wait/"),
        ("yard", "Activity"),
        ("yard", "fight"),
    }
    for topic, entity in found.items():
        component = TOPIC.fullmatch(topic)
        assert component, topic
        assert entity.keys() <= ALLOWED[component[1]]
        assert entity["device"].keys() <= DEVICE
        assert entity["device"]["identifiers"]
        assert entity["origin"]["name"] == "streamvc"
        camera = f"streamvc/site/{entity['device']['name']}"
        assert entity["state_topic"] == f"{camera}/state"
        assert (entity["availability_mode"], entity["availability"]) == ("all", [{"topic": STATUS}, {"topic": f"{camera}/availability"}])
    assert len({entity["unique_id"] for entity in found.values()}) == len(found)
    assert len({str(entity["device"]["identifiers"]) for entity in found.values()}) == len(cameras)
    assert {STATUS, "streamvc/site/front_door/availability"} <= topics


def test_the_templates_show_what_goes_on_whatever_a_label_holds(address: str) -> None:
    jinja2 = pytest.importorskip("jinja2")
    labels = ("fight", 'it\'s "on"', "a}}b{{c%}#}", "\U0001f600 ümlaut", "back\\slash\\n")
    with opened(address, {"front_door": labels}) as sink:
        sink.deliver([health("front_door", "up")])
        found = announced(address)
    for running in ((), labels[:1], labels):
        state = json.loads(message(replace(STATE, activities=tuple(Activity("id", label, None, 0.9, 1.0, 1.0) for label in running)), 1, 7).body)
        shown = {each["name"]: jinja2.Template(each["value_template"]).render(value_json=state) for each in found.values()}
        assert shown == {"Activity": ", ".join(running) or "nothing"} | {label: "ON" if label in running else "OFF" for label in labels}


def test_the_program_itself_is_no_camera(address: str) -> None:
    with opened(address, {"front_door": ()}) as sink:
        sink.deliver([health("node", "degraded"), health("front_door", "up"), health("node", "up")])
        assert {camera for camera, _ in names(address)} == {"front_door"}
        assert "streamvc/site/node/availability" not in kept(address)
    with closing(open_sink(f"mqtt://{address}?discovery=1", site="site", node="node")) as sink:  # which is told of no cameras, and hears of them
        sink.deliver([health("node", "up"), health("yard", "up")])
        assert {camera for camera, _ in names(address)} == {"front_door", "yard"}


@pytest.mark.parametrize(("status", "shown"), [("up", b"online"), ("degraded", b"online"), ("frozen", b"offline"), ("disabled", b"offline")])
def test_a_camera_is_available_while_frames_come(address: str, status: str, shown: bytes) -> None:
    with opened(address, {"front_door": ()}) as sink:
        sink.deliver([health("front_door", status)])
        assert kept(address)["streamvc/site/front_door/availability"] == shown


def test_a_camera_that_is_removed_is_removed_there_and_nothing_of_it_is_kept(address: str) -> None:
    cameras = {"front_door": ("PushUps",), "yard": ("fight",)}
    with opened(address, cameras) as sink:
        sink.deliver([health("front_door", "up"), health("yard", "up"), message(STATE, 1, 7)])
        with Listener().on(address) as listener:
            listener.kept(address)
            del cameras["front_door"]
            ended = health("front_door", "ended")
            sink.deliver([ended])
            heard = [listener.next("front_door/health").payload, *(listener.next("/config").payload for _ in range(2))]
        assert heard == [ended.body, b"", b""]  # who listens hears why
        assert {topic for topic in kept(address) if "front_door" in topic} == set()
        assert names(address) == {("yard", "Activity"), ("yard", "fight")}
        cameras["front_door"] = ("PushUps",)
        sink.deliver([health("front_door", "up")])
        assert ("front_door", "PushUps") in names(address)


def test_an_activity_that_no_model_knows_any_more_is_removed(address: str) -> None:
    cameras = {"front_door": ("PushUps", "Lunges")}
    with opened(address, cameras) as sink:
        sink.deliver([health("front_door", "up")])
        cameras["front_door"] = ("Lunges", "Squats")
        sink.deliver([health("front_door", "up")])
        assert {name for _, name in names(address)} == {"Activity", "Lunges", "Squats"}


def test_a_camera_that_was_removed_between_two_runs_is_removed_too_also_where_the_broker_was_away(tmp_path: Path, address: str) -> None:
    def run(at: str, *cameras: str) -> None:
        with closing(Positions(tmp_path / "positions.db")) as positions, opened(at, dict.fromkeys(cameras, ("fight",)), positions) as sink:
            sink.deliver([health(camera, "up") for camera in cameras] or [health("node", "up")])

    run(address, "front_door", "yard")
    with pytest.raises(SinkError):
        run("127.0.0.1:1", "yard")
    assert {camera for camera, _ in names(address)} == {"front_door", "yard"}
    run(address, "yard")
    assert {camera for camera, _ in names(address)} == {"yard"}
    run(address)
    assert kept(address).keys() == {"streamvc/site/node/health", STATUS}


def test_discovery_without_what_it_shows_is_refused() -> None:
    with pytest.raises(SinkError, match="discovery= needs state and health"):
        read_address("mqtt://host?discovery=1&kinds=event", site="site", node="node")


def test_cameras_of_a_node_come_and_go_in_home_assistant(tmp_path: Path, address: str, demo_clip: Path) -> None:
    """While it runs, and while it does not."""
    one, two = ({"name": name, "source": str(demo_clip), "loop": True} for name in ("one", "two"))
    settings = {"log": str(tmp_path / "log.db"), "sinks": [f"mqtt://{address}?discovery=1"]}

    def wait_for(*cameras: str) -> None:
        with Listener().on(address) as listener:
            now = {topic for topic in listener.kept(address) if topic.endswith("/config")}
            while {topic.split("/")[2] for topic in now} != set(cameras):
                message = listener.next("/config")
                now = now | {message.topic} if message.payload else now - {message.topic}

    with Node(config(one, two, **settings)) as node:
        eventually(node, lambda snapshot: all(camera.state == "running" for camera in snapshot.cameras))
        identifiers: dict[str, str] = {}
        with Listener().on(address) as listener:
            while len(identifiers) < 2:
                entity = json.loads(listener.next("/config").payload)
                identifiers[entity["device"]["name"]] = entity["device"]["identifiers"][0]
        wait_for(*identifiers.values())
        assert ("one", "JumpingJack") in names(address)
        node.apply(config(one, **settings))
        wait_for(identifiers["one"])
    assert ("one", "JumpingJack") in names(address)  # one that is stopped is not removed
    with Node(config(**settings)):
        wait_for()
        with Listener().on(address) as listener:
            assert {topic.split("/")[2] for topic in listener.kept(address) if topic.startswith("streamvc/")} == {"node"}
