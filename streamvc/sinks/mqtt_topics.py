"""The topics of MQTT, and what is published to each. Pure.

    PREFIX/SITE/CAMERA/event/LABEL      an event, as CloudEvents JSON
    PREFIX/SITE/CAMERA/state            what goes on there now (CloudEvents JSON; retained)
    PREFIX/SITE/CAMERA/health           how the camera fares (CloudEvents JSON; retained)
    PREFIX/SITE/CAMERA/availability     `online` where the camera delivers frames, else `offline` (retained)
    PREFIX/SITE/NODE/status             `online` while this program runs, else `offline` (retained; the broker says so should it die)

Names are percent-encoded, as on the ZeroMQ wire. With discovery, Home Assistant finds each camera as a device with a sensor that shows what goes on.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass

from streamvc._version import __version__
from streamvc.events import Health
from streamvc.publish.cloudevents import decode
from streamvc.publish.wire import Message, escape

ONLINE = b"online"
OFFLINE = b"offline"
NO_ACTIVITY = "nothing"  # what a sensor shows where no activity goes on
LABELS_TEMPLATE = f"{{{{ value_json.data.activities | map(attribute='label') | join(', ') or '{NO_ACTIVITY}' }}}}"


@dataclass(frozen=True, slots=True)
class MqttMessage:
    """What is published to a topic. The broker keeps it for later subscribers where it is `retained`."""

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
        return f"{self.prefix}/{escape(self.site)}/{escape(self.node)}/status"

    def messages(self, message: Message) -> Iterator[MqttMessage]:
        """What is published over MQTT for a message."""
        topic = message.topic
        root = f"{self.prefix}/{escape(topic.site)}/{escape(topic.camera)}"
        if topic.kind == "event":
            yield MqttMessage(f"{root}/event/{escape(topic.label)}", message.body, retained=False)
            return
        yield MqttMessage(f"{root}/{topic.kind}", message.body, retained=True)
        if topic.kind != "health":
            return
        health = decode(message.body)
        if isinstance(health, Health) and health.status != "degraded":  # which is said of the program, and not of a camera
            yield MqttMessage(f"{root}/availability", ONLINE if health.status == "up" else OFFLINE, retained=True)
            if self.discovery is not None:
                yield self._sensor(topic.site, topic.camera, root)

    def _sensor(self, site: str, camera: str, root: str) -> MqttMessage:
        identifier = f"streamvc_{hashlib.sha256(f'{escape(site)}/{escape(camera)}'.encode()).hexdigest()[:12]}"
        sensor = {
            "name": "Activity",
            "unique_id": f"{identifier}_activity",
            "icon": "mdi:run",
            "state_topic": f"{root}/state",
            "value_template": LABELS_TEMPLATE,
            "json_attributes_topic": f"{root}/state",
            "json_attributes_template": "{{ value_json.data | tojson }}",
            "availability": [{"topic": self.status}, {"topic": f"{root}/availability"}],
            "availability_mode": "all",
            "device": {"identifiers": [identifier], "name": camera, "manufacturer": "streamvc", "sw_version": __version__},
            "origin": {"name": "streamvc", "sw_version": __version__},
        }
        return MqttMessage(f"{self.discovery}/sensor/{identifier}/activity/config", json.dumps(sensor).encode(), retained=True)
