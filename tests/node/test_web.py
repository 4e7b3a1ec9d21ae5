import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace

import httpx
import pytest
from prometheus_client import CollectorRegistry

from streamvc.errors import NodeError
from streamvc.node.status import Snapshot, fetch
from streamvc.node.web import MAX_CONNECTIONS, Web, own_names
from tests.node.statuses import SNAPSHOT

PATIENCE_S = 30.0


@contextmanager
def answering(snapshot: Snapshot = SNAPSHOT, problem: str | None = None) -> Iterator[tuple[Web, httpx.Client]]:
    with (
        closing(Web("127.0.0.1:0", lambda: snapshot, lambda: problem, CollectorRegistry())) as web,
        httpx.Client(base_url=f"http://{web.address}", timeout=PATIENCE_S, trust_env=False) as client,
    ):
        yield web, client


def test_the_status_is_told_in_json() -> None:
    with answering() as (web, client):
        assert Snapshot.parse(client.get("/status").content) == SNAPSHOT
        assert fetch(web.address, PATIENCE_S) == fetch(f"http://{web.address}/", PATIENCE_S) == SNAPSHOT


def test_prometheus_is_told_metrics() -> None:
    with answering() as (_, client):
        told = client.get("/metrics")
    assert told.headers["content-type"].startswith("text/plain; version=")
    assert 'streamvc_camera_frames_received_total{camera="yard"} 1000.0' in told.text


def test_a_node_is_healthy_and_ready() -> None:
    with answering() as (_, client):
        healthy, ready = client.get("/healthz"), client.get("/readyz")
    assert (healthy.status_code, healthy.text, ready.status_code, ready.text) == (200, "ok\n", 200, "ready\n")


def test_a_node_that_starts_is_healthy_but_not_ready() -> None:
    with answering(replace(SNAPSHOT, state="starting")) as (_, client):
        assert [client.get(path).status_code for path in ("/healthz", "/readyz")] == [200, 503]


def test_a_node_that_hangs_says_so() -> None:
    with answering(problem="nothing was heard of its hub for 12 s") as (_, client):
        for told in (client.get("/healthz"), client.get("/readyz")):
            assert (told.status_code, told.text) == (503, "nothing was heard of its hub for 12 s\n")


def test_what_is_not_there_is_not_found() -> None:
    with answering() as (_, client):
        assert [client.get("/").status_code, client.post("/status").status_code] == [404, 405]


def test_it_closes_while_somebody_keeps_his_connection() -> None:
    with answering() as (web, client):
        client.get("/healthz")
        web.close()
        with pytest.raises(httpx.TransportError):
            client.get("/healthz")


def test_a_port_that_is_taken_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(NodeError, match=f"cannot listen on 127.0.0.1:{port}: Address already in use; give .*free port"):
            Web(f"127.0.0.1:{port}", lambda: SNAPSHOT, lambda: None, CollectorRegistry())


def test_it_listens_on_version_6_too() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    with closing(Web("[::1]:0", lambda: SNAPSHOT, lambda: None, CollectorRegistry())) as web:
        assert web.address.startswith("[::1]:")
        assert httpx.get(f"http://{web.address}/healthz", timeout=PATIENCE_S, trust_env=False).status_code == 200


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("elsewhere.example", 421),
        ("elsewhere.example:7791", 421),
        ("127.0.0.1.elsewhere.example", 421),
        ("localhost.elsewhere.example", 421),
        ("192.0.2.1", 421),
        ("[2001:db8::1]:7791", 421),
        ("[::1", 421),
        ("a b", 421),
        ("", 421),
        ("localhost", 200),
        ("LOCALHOST:80", 200),
        ("localhost.", 200),
        ("127.0.0.1:1", 200),
        ("127.1.2.3", 200),
        ("[::1]:7791", 200),
        ("node.example", 200),
        ("Node.Example:443", 200),
    ],
)
def test_it_answers_to_its_own_names_alone(host: str, code: int) -> None:
    with closing(Web("127.0.0.1:0", lambda: SNAPSHOT, lambda: None, CollectorRegistry(), ["node.example"])) as web:
        for path in ("/status", "/metrics", "/healthz", "/nowhere"):
            told = httpx.get(f"http://{web.address}{path}", headers={"Host": host}, timeout=PATIENCE_S, trust_env=False)
            assert told.status_code == (404 if code == 200 and path == "/nowhere" else code)
            assert ("yard" in told.text) == (code == 200 and path in ("/status", "/metrics"))


def test_one_that_listens_on_all_addresses_answers_to_each_but_to_no_other_name() -> None:
    is_own = own_names("0.0.0.0")
    assert all(map(is_own, ["192.0.2.7", "2001:db8::1", "localhost", "127.0.0.1"]))
    assert not is_own("elsewhere.example")


def test_silent_connections_keep_nobody_out() -> None:
    with answering() as (web, client), ExitStack() as stack:
        host, _, port = web.address.rpartition(":")
        silent = [stack.enter_context(socket.create_connection((host, int(port)), PATIENCE_S)) for _ in range(3 * MAX_CONNECTIONS)]
        assert client.get("/healthz").status_code == 200
        silent[0].settimeout(PATIENCE_S)
        with suppress(ConnectionResetError):
            assert silent[0].recv(1) == b""
