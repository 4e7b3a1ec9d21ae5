"""MQTT 3.1.1, by paho-mqtt: events and, retained, the state and availability of cameras. See `topics` for what is published where."""

import logging
import ssl
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from urllib.parse import SplitResult, unquote

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from streamvc.errors import SinkError
from streamvc.publish.wire import Kind, Message
from streamvc.sinks.mqtt_connection import MqttConnection
from streamvc.sinks.mqtt_topics import OFFLINE, ONLINE, Labels, MqttMessage, TopicLayout
from streamvc.sinks.positions import Positions, RetainedTopics
from streamvc.sinks.sink import SinkFilter, read_choice, read_options, read_secret, reason
from streamvc.threads import Lock

logger = logging.getLogger(__name__)

PASSWORD_VARIABLE = "STREAMVC_MQTT_PASSWORD"
PORTS = {"mqtt": 1883, "mqtts": 8883}
KINDS: frozenset[Kind] = frozenset({"event", "state", "health"})
PREFIX = "streamvc"
DISCOVERY_PREFIX = "homeassistant"
QOS = 1  # at least once
BATCH_SIZE = 100
KEEPALIVE_S = 30
TIMEOUT_S = 5.0  # for the broker to answer a connection, or to confirm a batch
CONNECT_S = 3.0  # which nothing can cut short, also where the program is to stop
CHECK_S = 0.2  # between two checks whether it is to stop
OFFLINE_S = 1.0  # to publish `offline` at the end


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker is, and our login. Without `tls` everything is sent unencrypted, the password too."""

    host: str
    port: int
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = None


class Mqtt:
    """Publishes to a broker; connects by itself, and again when the broker comes back.

    What the broker retains of a camera that is not watched any more is taken back, also where it was removed between two runs.
    """

    def __init__(
        self,
        broker: Broker,
        layout: TopicLayout,
        choice: SinkFilter | None = None,
        *,
        labels: Callable[[], Labels] | None = None,
        memory: RetainedTopics | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """Begin to connect.

        Args:
            broker: Where to.
            layout: Where what is published.
            choice: Which messages are wanted; all of events, state and health if None.
            labels: Which cameras are watched now; if None, all that are heard of, and nothing is taken back.
            memory: What the broker retains of earlier runs.
            timeout_s: How long to wait for each answer of the broker, in seconds.
        """
        self.name = f"mqtt://{broker.host}:{broker.port}"
        self.choice = choice or SinkFilter(KINDS)
        self.batch_size = BATCH_SIZE
        self._timeout_s = timeout_s
        self._broker = broker
        self._layout = layout
        self._labels = labels
        self._memory = memory or RetainedTopics(Positions(None), "")
        self._heard_of: dict[str, tuple[str, ...]] = {}
        self._watched: Labels | None = None
        self._sensors: list[MqttMessage] = []
        self._kept: set[str] = set()  # topics on which the broker may retain something, as these cameras are watched
        # What the broker is to retain: it is published again after each connection, as a broker without a disk forgets it.
        self._retained: dict[str, MqttMessage] = {}
        self._changing = Lock()
        self._closed = False
        self._identifier = f"streamvc-{uuid.uuid4().hex[:12]}"  # new for each run: a broker disconnects an older client of the same name
        self._client, self._connection = self._connect()

    def deliver(self, messages: Sequence[Message]) -> None:
        """Publish the messages; returns when the broker has confirmed all.

        Raises:
            SinkError: There is no connection, or the broker does not confirm.
        """
        try:
            self._connected.result(self._timeout_s)
        except TimeoutError as error:
            raise SinkError(f"no connection to {self.name}: it does not answer") from error
        self._follow(messages)
        outgoing = [*self._sensors, *(self._fleeting(one) for message in messages for one in self._layout.messages(message))]
        gone = sorted(self._memory.topics - self._kept, key=lambda topic: not topic.endswith("/config")) if self._labels else []
        self._memory.add(one.topic for one in outgoing if one.retained)  # beforehand: what is not known cannot be taken back
        outgoing += [MqttMessage(topic, b"", retained=True) for topic in gone]
        sent = [info for one in outgoing if (info := self._publish(one))]
        deadline = time.monotonic() + self._timeout_s
        try:
            for info in sent:
                while not info.is_published() and not self._closed and (left_s := deadline - time.monotonic()) > 0:
                    info.wait_for_publish(min(left_s, CHECK_S))
            arrived = all(info.is_published() for info in sent)
        except (RuntimeError, ValueError):  # the connection was lost meanwhile
            arrived = False
        if not arrived:
            self._restart()  # or what is delivered again would pile up behind what already waits
            raise SinkError(f"{self.name} does not confirm what it is given")
        self._memory.remove(gone)

    def close(self) -> None:
        with self._changing:
            self._closed = True
            if self._client.is_connected():
                with suppress(RuntimeError, ValueError):
                    self._client.publish(self._layout.status, OFFLINE, QOS, retain=True).wait_for_publish(OFFLINE_S)
            self._connection.close()
            self._finish_attempt(SinkError(f"{self.name} was closed"))

    def _follow(self, messages: Sequence[Message]) -> None:
        """See which cameras are watched, and what follows from that."""
        cameras = (message.topic.camera for message in messages if message.topic.kind == "health")
        self._heard_of |= {camera: () for camera in cameras if camera != self._layout.node}
        watched = dict(self._labels() if self._labels else self._heard_of)
        if watched != self._watched:
            self._watched, self._sensors, self._kept = watched, list(self._layout.sensors(watched)), self._layout.kept(watched)

    def _fleeting(self, mqtt_message: MqttMessage) -> MqttMessage:
        """The message, not to be retained where it is of a camera that is not watched any more."""
        return replace(mqtt_message, retained=mqtt_message.retained and mqtt_message.topic in self._kept)

    def _publish(self, mqtt_message: MqttMessage) -> paho.MQTTMessageInfo | None:
        """Publish; None where the broker retains the same already, or where MQTT cannot carry it."""
        if self._retained.get(mqtt_message.topic) == mqtt_message:
            return None
        try:
            sent = self._client.publish(mqtt_message.topic, mqtt_message.payload, QOS, mqtt_message.retained)
        except ValueError as error:
            logger.error("gave up what MQTT cannot carry: %s", error)
            return None
        if not mqtt_message.payload:
            self._retained.pop(mqtt_message.topic, None)
        elif mqtt_message.retained:
            self._retained[mqtt_message.topic] = mqtt_message
        return sent

    def _connect(self) -> tuple[paho.Client, MqttConnection]:
        self._connected: Future[None] = Future()
        client = paho.Client(CallbackAPIVersion.VERSION2, self._identifier)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.will_set(self._layout.status, OFFLINE, QOS, retain=True)
        client.connect_timeout = min(self._timeout_s, CONNECT_S)
        if self._broker.user is not None:
            client.username_pw_set(self._broker.user, self._broker.password)
        if self._broker.tls is not None:
            client.tls_set_context(self._broker.tls)
        client.connect_async(self._broker.host, self._broker.port, KEEPALIVE_S)
        return client, MqttConnection(client, self._fail_attempt)

    def _restart(self) -> None:
        with self._changing:
            if not self._closed:
                self._connection.close()
                self._client, self._connection = self._connect()

    def _on_connect(self, client: paho.Client, _userdata: Any, _flags: Any, code: Any, _properties: Any) -> None:
        if code.is_failure:
            self._finish_attempt(SinkError(f"no connection to {self.name}: it says {str(code).lower()}; check the user and the password"))
            return
        client.publish(self._layout.status, ONLINE, QOS, retain=True)
        for mqtt_message in self._retained.copy().values():
            client.publish(mqtt_message.topic, mqtt_message.payload, QOS, retain=True)
        client.subscribe(self._layout.status, QOS)
        self._finish_attempt()

    def _fail_attempt(self, error: Exception) -> None:
        self._finish_attempt(SinkError(f"no connection to {self.name}: it cannot be reached ({reason(error)})"))

    def _on_disconnect(self, _client: paho.Client, _userdata: Any, _flags: Any, _code: Any, _properties: Any) -> None:
        if self._connected.done() and not self._connected.exception():
            self._connected = Future()

    def _finish_attempt(self, error: SinkError | None = None) -> None:
        """An attempt to connect has succeeded, or failed with an error; the next one is made without being asked for."""
        attempt: Future[None] = Future() if self._connected.done() else self._connected
        if error is None:
            attempt.set_result(None)
        else:
            attempt.set_exception(error)
        self._connected = attempt

    def _on_message(self, client: paho.Client, _userdata: Any, message: paho.MQTTMessage) -> None:
        """Correct a late `offline`: the last will of a connection that was lost long ago, or of another program of this node."""
        if message.payload == OFFLINE and not self._closed:
            client.publish(self._layout.status, ONLINE, QOS, retain=True)


def read_url(
    url: SplitResult, *, site: str, node: str, labels: Callable[[], Labels] | None = None, memory: RetainedTopics | None = None
) -> Callable[[], Mqtt]:
    """What opens the sink of `mqtt://user@host:1883/prefix?discovery=1`; `mqtts://` encrypts.

    Options: `password_file=PATH` (or the variable STREAMVC_MQTT_PASSWORD), `ca_file=PATH` (who signed the broker's certificate), `discovery=1`
    (Home Assistant; or its prefix, if not `homeassistant`), `kinds=event,state,health`, `phases=start,end`.

    Raises:
        SinkError: The URL or an option cannot be used.
    """
    if not url.hostname or url.fragment:
        raise SinkError("a broker is written as mqtt://[USER@]HOST[:PORT][/PREFIX][?OPTION=VALUE&...]")
    if url.password is not None:
        raise SinkError(f"a password in an address is seen by all users of this machine; put it into a file (password_file=) or ${PASSWORD_VARIABLE}")
    options = read_options(url.query, ("password_file", "ca_file", "discovery", "kinds", "phases"))
    user = unquote(url.username) if url.username else None
    password = read_secret(options, "password_file", PASSWORD_VARIABLE) if user else None
    broker = Broker(url.hostname, url.port or PORTS[url.scheme], user, password, _tls(url.scheme, options.get("ca_file")))
    discovery = options.get("discovery")
    found = DISCOVERY_PREFIX if discovery == "1" else discovery and _topic(discovery.strip("/"))
    layout = TopicLayout(_topic(unquote(url.path).strip("/") or PREFIX), site, node, found)
    choice = read_choice(options, KINDS)
    if found and not {"state", "health"} <= choice.kinds:
        raise SinkError("discovery= needs state and health, which Home Assistant is shown; add them to kinds=, or leave that out")
    return partial(Mqtt, broker, layout, choice, labels=labels, memory=memory)


def _tls(scheme: str, ca_file: str | None) -> ssl.SSLContext | None:
    if scheme == "mqtt":
        if ca_file is not None:
            raise SinkError("ca_file= is for mqtts://, which encrypts; mqtt:// does not")
        return None
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise SinkError(f"cannot read certificates in {ca_file} (ca_file)") from error


def _topic(name: str) -> str:
    if not name.isprintable() or any(sign in name for sign in "+#") or name.startswith("$"):
        raise SinkError(f"{name!a} cannot be the beginning of an MQTT topic; leave out +, # and a $ in front")
    return name
