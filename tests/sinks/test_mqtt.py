"""MQTT, through a real broker."""

import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import paho.mqtt.publish
import pytest

from streamvc.errors import SinkError
from streamvc.publish.log import EventLog
from streamvc.sinks import mqtt
from streamvc.sinks.mqtt_topics import TopicLayout
from streamvc.sinks.opening import open_sink
from streamvc.sinks.runner import run_sinks
from streamvc.sinks.sink import Sink
from tests.publish.samples import HEALTH, START, STATE, message
from tests.sinks.brokers import PATIENCE_S, Broker, Listener
from tests.sinks.certificates import make_certificate
from tests.sinks.messages import EVENTS, append, number

UP = message(replace(HEALTH, status="up"), 1, 7)
CONFIRMED = b"\x20\2\0\0"  # CONNACK
STATUS = "streamvc/site/node/status"


@pytest.fixture
def broker(tmp_path: Path) -> Broker:
    return Broker(tmp_path)


@pytest.fixture
def address(broker: Broker) -> Iterator[str]:
    with broker.on() as on:
        yield on


def opened(address: str) -> "closing[Sink]":
    return closing(open_sink(address, site="site", node="node"))


def test_events_state_and_health_have_their_topics_and_are_the_same_bytes(address: str) -> None:
    state = message(STATE, 4, 7)
    with Listener().on(address) as listener, opened(f"mqtt://{address}") as sink:
        sink.deliver([*EVENTS, state, UP])
        event, heard_state, heard_health = listener.next("/event/PushUps"), listener.next("/state"), listener.next("/health")
        assert listener.next("/availability").payload == b"online"
    assert (event.topic, event.payload, event.qos, event.retain) == ("streamvc/site/front_door/event/PushUps", EVENTS[0].body, 1, False)
    assert (heard_state.topic, heard_state.payload) == ("streamvc/site/front_door/state", state.body)
    assert (heard_health.topic, heard_health.payload) == ("streamvc/site/front_door/health", UP.body)


def test_who_comes_later_learns_the_present_and_no_event_of_the_past(address: str) -> None:
    state, down = message(STATE, 4, 7), message(replace(HEALTH, status="down"), 2, 7)
    with opened(f"mqtt://{address}/home/cameras") as sink:
        sink.deliver([*EVENTS, state, UP, down])
        with Listener().on(address) as listener:
            kept = {one.topic.removeprefix("home/cameras/site/"): one.payload for one in (listener.next() for _ in range(4))}
    assert kept == {"front_door/state": state.body, "front_door/health": down.body, "front_door/availability": b"offline", "node/status": b"online"}


def test_names_cannot_leave_their_place_in_a_topic(address: str) -> None:
    strange = message(replace(START, camera="yard/+/#", label="sit & wait/"), 1, 7)
    with Listener().on(address) as listener, opened(f"mqtt://{address}") as sink:
        sink.deliver([strange])
        assert listener.next("wait%2F").topic == "streamvc/site/yard%2F%2B%2F%23/event/sit%20%26%20wait%2F"


def test_the_broker_says_that_the_program_has_gone(address: str) -> None:
    script = """
import sys
from streamvc.sinks import mqtt
from streamvc.sinks.opening import open_sink
from tests.sinks.messages import EVENTS
open_sink(sys.argv[1], site="site", node="node").deliver(EVENTS)
print("delivered", flush=True)
sys.stdin.read()
"""
    command = [sys.executable, "-c", script, f"mqtt://{address}"]
    with Listener().on(address) as listener:
        with opened(f"mqtt://{address}") as sink:
            sink.deliver(EVENTS)
            assert listener.next(STATUS).payload == b"online"
        assert listener.next(STATUS).payload == b"offline"  # goodbye
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"delivered\n"
            assert listener.next(STATUS).payload == b"online"
            process.kill()
            assert listener.next(STATUS).payload == b"offline"  # the last will


def test_a_last_will_that_comes_too_late_is_gainsaid(address: str) -> None:
    host, _, port = address.rpartition(":")
    with Listener().on(address) as listener, opened(f"mqtt://{address}") as sink:
        sink.deliver(EVENTS)
        assert listener.next(STATUS).payload == b"online"
        paho.mqtt.publish.single(STATUS, b"offline", qos=1, retain=True, hostname=host, port=int(port))
        assert [listener.next(STATUS).payload for _ in range(2)] == [b"offline", b"online"]


@pytest.mark.slow
def test_what_is_published_while_the_broker_is_off_arrives_when_it_is_back(broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    with EventLog() as log, run_sinks(log, [f"mqtt://127.0.0.1:{broker.port}"], site="site", node="node", drain_s=PATIENCE_S):
        with broker.on() as address, Listener().on(address) as listener:
            log.append(UP)
            append(log, [1])
            assert number(listener.next("/PushUps").payload) == 1
        append(log, [2, 3])
        with broker.on() as address, Listener().on(address) as listener:
            heard = [number(listener.next("/PushUps").payload) for _ in range(2)]
            while heard[-1] < 3:  # at least once
                heard.append(number(listener.next("/PushUps").payload))
        with broker.on() as address, Listener().on(address) as listener:  # it has forgotten what it was to keep
            assert listener.next("/front_door/health").payload == UP.body
    assert list(dict.fromkeys(heard)) in ([2, 3], [1, 2, 3])  # the broker may have gone before it confirmed the first


def test_a_broker_that_asks_for_a_password_gets_it_and_nobody_else_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broker = Broker(tmp_path, "allow_anonymous false", f"password_file {tmp_path / 'passwords'}")
    (tmp_path / "passwords").touch(0o600)
    subprocess.run([Path(broker.program).parent.parent / "bin" / "mosquitto_passwd", "-b", tmp_path / "passwords", "camera", "s3cret"], check=True)
    (tmp_path / "secret").write_text("s3cret\n")
    with broker.on() as address:
        monkeypatch.setenv("STREAMVC_MQTT_PASSWORD", "wrong")
        with opened(f"mqtt://camera@{address}") as sink, pytest.raises(SinkError, match="not authorized; check the user and the password") as caught:
            sink.deliver(EVENTS)
        with opened(f"mqtt://camera@{address}?password_file={tmp_path / 'secret'}") as sink:
            sink.deliver(EVENTS)
        monkeypatch.setenv("STREAMVC_MQTT_PASSWORD", "s3cret")
        with opened(f"mqtt://camera@{address}") as sink:
            sink.deliver(EVENTS)
    assert "wrong" not in str(caught.value) + caplog.text


WITH_MANY_FILES = """
import os, resource, sys, time
from contextlib import ExitStack
from streamvc.errors import SinkError
from streamvc.sinks.opening import open_sink
from tests.sinks.messages import EVENTS
resource.setrlimit(resource.RLIMIT_NOFILE, (4000, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
with ExitStack() as opened:
    for _ in range(1200):
        opened.enter_context(open(os.devnull))
    sink = open_sink(sys.argv[1], site="site", node="node")
    end = time.monotonic() + 30
    for event in EVENTS[:2]:
        while True:
            try:
                sink.deliver([event])
                break
            except SinkError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)
        print("delivered", flush=True)
        sys.stdin.readline()
    sink.close()
"""


def test_a_program_with_many_open_files_delivers_and_connects_again(broker: Broker) -> None:
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 4000:
        pytest.skip("no more than a few thousand files may be open here")
    command = [sys.executable, "-c", WITH_MANY_FILES, f"mqtt://127.0.0.1:{broker.port}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for goes_on in ("again", ""):  # a broker, and another one
            with broker.on() as address, Listener().on(address) as listener:
                assert process.stdout.readline() == "delivered\n"
                assert listener.next(STATUS).payload == b"online"
                if not goes_on:
                    process.communicate("\n", PATIENCE_S)
                    assert listener.next(STATUS).payload == b"offline"
            if goes_on:
                print(goes_on, file=process.stdin, flush=True)


# paho-mqtt leaves the socket of a failed handshake to the garbage collector.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning")
def test_a_broker_that_encrypts_must_be_vouched_for(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    broker = Broker(tmp_path, "allow_anonymous true", f"certfile {certificate}", f"keyfile {key}")
    with broker.on() as address:
        with opened(f"mqtts://{address}?ca_file={certificate}") as sink:
            sink.deliver(EVENTS)
        with opened(f"mqtts://{address}") as sink, pytest.raises(SinkError, match="certificate"):
            sink.deliver(EVENTS)


def test_what_mqtt_cannot_carry_is_given_up_and_said(address: str, caplog: pytest.LogCaptureFixture) -> None:
    with Listener().on(address) as listener, opened(f"mqtt://{address}") as sink:
        sink.deliver([message(replace(START, label="x" * 70_000), 1, 7), EVENTS[0]])
        assert listener.next("/PushUps").payload == EVENTS[0].body
    assert "gave up what MQTT cannot carry" in caplog.text


@pytest.mark.parametrize(
    ("said", "complaint"), [(b"", "does not answer"), (CONFIRMED, "does not confirm"), (CONFIRMED + bytes(9), "does not confirm")]
)
def test_a_broker_that_does_not_do_its_part_is_left_and_tried_again(said: bytes, complaint: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:
        broker = mqtt.Broker("127.0.0.1", server.getsockname()[1])
        with closing(mqtt.Mqtt(broker, TopicLayout("streamvc", "site", "node"), timeout_s=0.5)) as sink:
            delivering = pool.submit(sink.deliver, EVENTS)
            first, _ = server.accept()
            with first:
                first.recv(1024)
                first.sendall(said)
                with pytest.raises(SinkError, match=complaint):
                    delivering.result(PATIENCE_S)
            again, _ = server.accept()
            again.close()
