import traceback
from pathlib import Path

import pytest

from streamvc.errors import SinkError
from streamvc.sinks.opening import open_sink
from streamvc.sinks.sink import Sink, SinkFilter
from tests.publish.samples import HEALTH, STATE, message
from tests.sinks.messages import EVENTS


def opened(address: str) -> Sink:
    sink = open_sink(address, site="site", node="node")
    sink.close()
    return sink


@pytest.mark.parametrize(
    ("address", "complaint"),
    [
        ("", "there is no sink for 'this'"),
        ("events.jsonl", "there is no sink for 'this'"),
        ("ftp://host/", "there is no sink for 'ftp'"),
        ("http://[::1", "this is not the address of a sink"),
        ("http://host:http/", "this is not the address of a sink"),
        ("http://", "a webhook is written as"),
        ("https://user:secret@host/", "a webhook is written as"),
        ("https://host/#secrets=1", "no option 'secrets'; it has kinds, phases, secret_file"),
        ("https://host/#secret_file=/no/such/file", "cannot read the secret in /no/such/file"),
        ("mqtt:///prefix", "a broker is written as"),
        ("mqtt://user:secret@host", "a password in an address is seen by all"),
        ("mqtt://host/a+b", "cannot be the beginning of an MQTT topic"),
        ("mqtt://host?ca_file=x", "is for mqtts://"),
        ("mqtts://host?ca_file=/no/such/file", "cannot read certificates"),
        ("mqtt://host?discovery=", "to be given once, with a value"),
        ("mqtt://host?discovery=1&discovery=2", "to be given once, with a value"),
        ("file:", "a file is written as file:PATH"),
        ("file://host/events.jsonl", "a file is written as file:PATH"),
        ("file:/no/such/folder/events.jsonl", "cannot write events to"),
        ("file:/", "cannot write events to"),
        ("file:events.jsonl?kinds=event,gossip", "there is no 'gossip'; there are event, health, state"),
        ("file:events.jsonl?phases=begin", "there is no 'begin'; there are end, start, update"),
        ("https://host/#secret_file=/dev/null", "is empty"),
        ("@/no/such/file", "cannot read the address of a sink in /no/such/file"),
    ],
)
def test_what_is_not_a_sink_is_said_and_no_secret_with_it(address: str, complaint: str) -> None:
    with pytest.raises(SinkError, match=complaint) as caught:
        opened(address)
    assert "user:secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "beginning"),
    [
        ("https://user:hunter2@host:8443/T0KEN?key=abc", "sink https://host: "),
        ("mqtt://:hunter2/T0KEN@host", "a sink: "),
        ("https://user:hunter2@host:port/T0KEN", "sink https://host: "),
        ("https://user:hunter\u2100T0KEN@host", "a sink: "),
        ("//T0KEN@host:x/", "sink ://host: "),
        ("file:/", "sink file:/: "),
        ("@/no/such/file", "sink @/no/such/file: "),
        ("http://[::1", "a sink: "),
    ],
)
def test_it_is_said_of_which_sink_but_no_secret(address: str, beginning: str) -> None:
    with pytest.raises(SinkError) as caught:
        opened(address)
    assert str(caught.value).startswith(beginning)
    told = "".join(traceback.format_exception(caught.value))
    assert not [secret for secret in ("hunter", "T0KEN", "abc") if secret in told]


def test_sinks_are_named_without_what_may_be_secret() -> None:
    assert opened("https://host:8443/hooks/T0KEN?key=abc").name == "https://host:8443"
    assert opened("mqtt://user@127.0.0.1:1/prefix").name == "mqtt://127.0.0.1:1"


def test_an_address_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "address").write_text("https://host/T0KEN\n")
    assert opened(f"@{tmp_path / 'address'}").name == "https://host"


def test_a_sink_is_given_what_it_chooses() -> None:
    start, update, end = EVENTS
    state, health = message(STATE, 4, 7), message(HEALTH, 2, 7)
    everything = [start, update, end, state, health]

    def given(choice: SinkFilter) -> list[object]:
        return [one for one in everything if choice.wants(one)]

    assert given(opened("https://host/").choice) == [start, update, end]
    assert given(opened("https://host/#phases=start,end").choice) == [start, end]
    assert given(opened("file:events.jsonl?kinds=state,event&phases=end").choice) == [end, state]
    assert given(opened("mqtt://127.0.0.1:1").choice) == everything
