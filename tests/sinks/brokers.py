"""A real MQTT broker (mosquitto) on loopback, and a client that hears what it passes on."""

import getpass
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue

import pytest
from paho.mqtt import client as paho
from paho.mqtt import publish as paho_publish
from paho.mqtt.enums import CallbackAPIVersion

PATIENCE_S = 20.0
PLACES = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/sbin"


class Broker:
    """Can be switched on and off; what it was told it forgets when it is off."""

    def __init__(self, folder: Path, *lines: str) -> None:
        program = shutil.which("mosquitto", path=PLACES)
        if program is None:
            pytest.skip("mosquitto is not installed (Debian: apt-get install mosquitto)")
        self.program = program
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        self.settings = folder / "mosquitto.conf"
        common = [f"listener {self.port} 127.0.0.1", f"user {getpass.getuser()}", "persistence false", "log_dest stderr"]
        self.settings.write_text("\n".join([*common, *(lines or ["allow_anonymous true"])]) + "\n")

    @contextmanager
    def on(self) -> Iterator[str]:
        """Gives `127.0.0.1:port`."""
        with subprocess.Popen([self.program, "-c", str(self.settings)], stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            try:
                while not (line := process.stderr.readline()).rstrip().endswith("running"):
                    assert line, "the broker did not start"
                yield f"127.0.0.1:{self.port}"
            finally:
                process.kill()


class Listener:
    """Hears all that the broker passes on, what it has kept first."""

    def __init__(self) -> None:
        self._heard: SimpleQueue[paho.MQTTMessage] = SimpleQueue()

    @contextmanager
    def on(self, address: str) -> Iterator["Listener"]:
        host, _, port = address.rpartition(":")
        ready: SimpleQueue[None] = SimpleQueue()
        client = paho.Client(CallbackAPIVersion.VERSION2)
        client.on_message = lambda _client, _userdata, message: self._heard.put(message)
        client.on_subscribe = lambda *_: ready.put(None)
        client.connect(host, int(port))
        client.loop_start()
        client.subscribe("#", 1)
        ready.get(timeout=PATIENCE_S)
        try:
            yield self
        finally:
            client.disconnect()
            client.loop_stop()

    def kept(self, address: str) -> dict[str, bytes]:
        """What the broker keeps for who comes later, by topic. To be called once, and before `next`."""
        host, _, port = address.rpartition(":")
        paho_publish.single("that/was/all", b".", qos=1, hostname=host, port=int(port))
        kept = {}
        while (message := self._heard.get(timeout=PATIENCE_S)).topic != "that/was/all":
            kept[message.topic] = bytes(message.payload)
        return {topic: payload for topic, payload in kept.items() if payload}

    def next(self, ending: str = "") -> paho.MQTTMessage:
        """The next message of a topic with this end; those before it are passed over."""
        while not (message := self._heard.get(timeout=PATIENCE_S)).topic.endswith(ending):
            pass
        return message
