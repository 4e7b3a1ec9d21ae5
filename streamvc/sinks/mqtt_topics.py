"""The topics of MQTT, and what is published to each. Pure.

    PREFIX/SITE/CAMERA/event/LABEL      an event, as CloudEvents JSON
    PREFIX/SITE/CAMERA/state            what goes on there now (CloudEvents JSON; retained)
    PREFIX/SITE/CAMERA/health           how the camera fares (CloudEvents JSON; retained)
    PREFIX/SITE/CAMERA/availability     `online` where the camera delivers frames, else `offline` (retained)
    PREFIX/SITE/NODE/health             what the program lacks, if anything (CloudEvents JSON; retained)
    PREFIX/SITE/NODE/status             `online` while this program runs, else `offline` (retained; the broker says so should it die)

Names are percent-encoded, as on the ZeroMQ wire. With discovery, Home Assistant finds each camera as a device: a sensor with what goes on there in
words, and for each activity a binary sensor that is on while it goes on.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from streamvc._version import __version__
from streamvc.events import Health
from streamvc.publish.cloudevents import decode
from streamvc.publish.wire import Message, escape

Labels = Mapping[str, Sequence[str]]  # the cameras that are watched, each with the activities that its models know

ONLINE = b"online"
OFFLINE = b"offline"
DELIVERING = ("up", "degraded")  # statuses of a camera that frames come from
NO_ACTIVITY = "nothing"  # what a sensor shows where no activity goes on
LONGEST_STATE = 255  # characters that Home Assistant takes
LABELS_TEMPLATE = (
    f"{{{{ (value_json.data.activities | map(attribute='label') | join(', ') or '{NO_ACTIVITY}') | truncate({LONGEST_STATE}, true, '...', 0) }}}}"
)


@dataclass(frozen=True, slots=True)
class MqttMessage:
    """What is published to a topic. The broker keeps it for later subscribers where it is `retained`; an empty one takes back what it keeps."""

    topic: str
    payload: bytes
    retained: bool


@dataclass(frozen=True, slots=True)
class TopicLayout:
    """Which topics are used. `discovery` is Home Assistant's prefix for devices; without it, none are announced."""

    prefix: str
    site: str
    node: str
    discovery: str | None = None

    @property
    def status(self) -> str:
        """The topic that tells whether this program runs."""
        return f"{self._root(self.node)}/status"

    def messages(self, message: Message) -> Iterator[MqttMessage]:
        """What is published over MQTT for a message."""
        topic = message.topic
        root = self._root(topic.camera)
        if topic.kind == "event":
            yield MqttMessage(f"{root}/event/{escape(topic.label)}", message.body, retained=False)
            return
        yield MqttMessage(f"{root}/{topic.kind}", message.body, retained=True)
        if topic.kind != "health" or topic.camera == self.node:  # which is said of the program, and not of a camera
            return
        health = decode(message.body)
        if isinstance(health, Health):
            yield MqttMessage(f"{root}/availability", ONLINE if health.status in DELIVERING else OFFLINE, retained=True)

    def kept(self, cameras: Labels) -> set[str]:
        """The topics on which the broker may retain something while these cameras are watched."""
        roots = map(self._root, (*cameras, self.node))
        return {f"{root}/{kind}" for root in roots for kind in ("state", "health", "availability")} | {one.topic for one in self.sensors(cameras)}

    def sensors(self, cameras: Labels) -> Iterator[MqttMessage]:
        """What announces these cameras to Home Assistant; nothing without discovery."""
        for camera, labels in cameras.items() if self.discovery is not None else ():
            yield self._announcement(camera, "sensor", "activity", {"name": "Activity", **self._text(camera)})
            for label in dict.fromkeys(labels):
                name = f"{re.sub(r'[^A-Za-z0-9_-]+', '_', label)[:40]}_{_digest(label)[:8]}"
                yield self._announcement(camera, "binary_sensor", name, {"name": label, "value_template": _is_on(label)})

    def _root(self, camera: str) -> str:
        return f"{self.prefix}/{escape(self.site)}/{escape(camera)}"

    def _text(self, camera: str) -> dict[str, str]:
        return {
            "value_template": LABELS_TEMPLATE,
            "json_attributes_topic": f"{self._root(camera)}/state",
            "json_attributes_template": "{{ value_json.data | tojson }}",
        }

    def _announcement(self, camera: str, component: str, name: str, own: Mapping[str, str]) -> MqttMessage:
        """The message by which Home Assistant finds one entity of a camera."""
        root = self._root(camera)
        identifier = f"streamvc_{_digest(f'{escape(self.site)}/{escape(camera)}')[:12]}"
        entity = {
            **own,
            "unique_id": f"{identifier}_{name}",
            "icon": "mdi:run",
            "state_topic": f"{root}/state",
            "availability": [{"topic": self.status}, {"topic": f"{root}/availability"}],
            "availability_mode": "all",
            "device": {"identifiers": [identifier], "name": camera, "manufacturer": "streamvc", "sw_version": __version__},
            "origin": {"name": "streamvc", "sw_version": __version__},
        }
        return MqttMessage(f"{self.discovery}/{component}/{identifier}/{name}/config", json.dumps(entity).encode(), retained=True)


def _is_on(label: str) -> str:
    """A template that is ON while a label is among the activities; in its text the label is written so that it means nothing else there."""
    return f"{{{{ 'ON' if {_quoted(label)} in value_json.data.activities | map(attribute='label') else 'OFF' }}}}"


def _quoted(text: str) -> str:
    """A string of Jinja2, which reads the escapes of Python. Braces are escaped too: it would take two of them for the template's end."""
    return ascii(text).replace("{", "\\x7b").replace("}", "\\x7d").replace("%", "\\x25").replace("#", "\\x23")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
