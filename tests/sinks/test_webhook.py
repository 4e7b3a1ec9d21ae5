"""Webhooks, to real HTTP servers on loopback."""

import json
import logging
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from urllib.parse import urlsplit

import pytest

from streamvc.errors import SinkError
from streamvc.sinks.webhook import NUM_REFUSALS, Webhook, sign, verify
from tests.capture.servers import serving
from tests.sinks.certificates import make_certificate
from tests.sinks.messages import EVENTS

BODIES = [message.body for message in EVENTS]


@dataclass
class Receiver:
    """Answers each post with the next of these codes, and from then on with the last."""

    codes: Sequence[int] = (204,)
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    connections: set[tuple[str, int]] = field(default_factory=set)
    lock: AbstractContextManager[bool] = field(default_factory=Lock)
    answered: "SimpleQueue[bytes]" = field(default_factory=SimpleQueue)
    answer: bytes = b"so be it"
    protocol: str = "HTTP/1.0"

    @contextmanager
    def on(self) -> Iterator[str]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = receiver.protocol

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with receiver.lock:  # a post that was given up may still be on its way when the next one comes
                    code = receiver.codes[min(len(receiver.bodies), len(receiver.codes) - 1)]
                    receiver.paths.append(self.path)
                    receiver.headers.append(dict(self.headers))
                    receiver.bodies.append(body)
                    receiver.connections.add(self.client_address)
                self.send_response(code)
                self.send_header("Location", "/elsewhere")
                if code != 204:
                    self.send_header("Content-Length", str(len(receiver.answer)))
                self.end_headers()
                if code != 204:
                    self.wfile.write(receiver.answer)
                receiver.answered.put(body)  # the next post may be here already

            def log_message(self, *_: object) -> None:
                pass

        with serving(Handler) as host:
            yield f"http://{host}"


def webhook(address: str) -> Webhook:
    return Webhook.from_url(urlsplit(address))


def test_events_are_posted_as_cloudevents_in_order() -> None:
    receiver = Receiver()
    with receiver.on() as address:
        webhook(f"{address}/hooks/caf\u00e9 1?key=a%20b#kinds=event").deliver(EVENTS)
    assert receiver.bodies == BODIES
    assert receiver.paths == ["/hooks/caf%C3%A9%201?key=a%20b"] * 3
    assert {headers["Content-Type"] for headers in receiver.headers} == {"application/cloudevents+json; charset=utf-8"}
    assert "Streamvc-Signature" not in receiver.headers[0]


def test_what_is_posted_is_signed_with_the_secret(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret\n")
    receiver = Receiver()
    with receiver.on() as address:
        webhook(f"{address}#secret_file={tmp_path / 'secret'}").deliver(EVENTS[:1])
    assert verify(receiver.headers[0]["Streamvc-Signature"], BODIES[0], "s3cret", time.time())
    assert "s3cret" not in str(receiver.headers)


def test_the_secret_may_be_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMVC_WEBHOOK_SECRET", "s3cret")
    receiver = Receiver()
    with receiver.on() as address:
        webhook(address).deliver(EVENTS[:1])
    assert verify(receiver.headers[0]["Streamvc-Signature"], BODIES[0], "s3cret", time.time())


def test_a_signature_is_of_this_body_this_secret_and_this_moment() -> None:
    signature = sign(b"body", "secret", 1_000_000)
    assert signature == "t=1000000,v1=11d4eb93b1bf0a7b9071554bb76194056128298a81337d8992a52da94db636e1"
    assert verify(signature, b"body", "secret", 1_000_200)
    assert not verify(signature, b"Body", "secret", 1_000_200)
    assert not verify(signature, b"body", "Secret", 1_000_200)
    assert not verify(signature, b"body", "secret", 1_000_301)
    assert not verify(signature, b"body", "secret", 999_699)
    assert not verify(signature.replace("t=1000000", "t=1000100"), b"body", "secret", 1_000_200)
    for garbage in ("", "t=,v1=", "t=1,v1=00", "v1=" + 64 * "0", "t=\u0661,v1=" + 64 * "0", f"t={10**30},v1={64 * '0'}"):
        assert not verify(garbage, b"body", "secret", 1_000_000)


@pytest.mark.parametrize("code", [408, 429, 500, 503])
def test_a_server_that_is_not_able_to_is_given_it_again(code: int) -> None:
    receiver = Receiver([*[code] * 2 * NUM_REFUSALS, 200])
    with receiver.on() as address:
        sink = webhook(address)
        for _ in range(2 * NUM_REFUSALS):
            with pytest.raises(SinkError, match=f"is not able to: it answers {code}"):
                sink.deliver(EVENTS[:1])
        sink.deliver(EVENTS[:1])
    assert set(receiver.bodies) == {BODIES[0]}


@pytest.mark.parametrize("code", [302, 400, 401, 404, 410])
def test_what_is_refused_again_and_again_is_given_up_and_said(code: int, caplog: pytest.LogCaptureFixture) -> None:
    receiver = Receiver([code])
    with receiver.on() as address:
        sink = webhook(f"{address}/T0KEN")
        for _ in range(NUM_REFUSALS - 1):
            with pytest.raises(SinkError, match=f"refuses: it answers {code}"):
                sink.deliver(EVENTS[:1])
        sink.deliver(EVENTS[:1])
        sink.deliver(EVENTS[1:2])  # one that goes on refusing does not hold up the others
        receiver.codes = [200]
        sink.deliver(EVENTS[2:])
        receiver.codes = [code]
        with pytest.raises(SinkError, match="refuses"):
            sink.deliver(EVENTS[:1])
    assert set(receiver.paths) == {"/T0KEN"}
    given_up = [record.message for record in caplog.records if record.levelno == logging.ERROR]
    assert [json.loads(body)["id"] in line for body, line in zip(BODIES, given_up, strict=False)] == [True, True]
    assert "T0KEN" not in caplog.text


def test_a_server_that_is_not_there_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(SinkError, match=f"http://127.0.0.1:{port} cannot be reached: Connection refused"):
        webhook(f"http://127.0.0.1:{port}/T0KEN").deliver(EVENTS)


@pytest.mark.parametrize("said", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000])
def test_what_is_no_answer_is_no_success(said: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(said)

        answering = pool.submit(answer)
        with pytest.raises(SinkError, match="cannot be reached"):
            webhook(f"http://127.0.0.1:{server.getsockname()[1]}").deliver(EVENTS[:1])
        answering.result()


@pytest.mark.parametrize(("codes", "answer", "num"), [([204], b"", 1), ([200], b"ok", 1), ([503, 400, 200], b"no", 1), ([200], b"x" * 1_000_000, 3)])
def test_a_connection_is_kept_unless_its_answer_is_too_long(codes: list[int], answer: bytes, num: int) -> None:
    receiver = Receiver(codes, answer=answer, protocol="HTTP/1.1")
    with receiver.on() as address, closing(webhook(address)) as sink:
        for event in EVENTS:
            with suppress(SinkError):
                sink.deliver([event])
    assert receiver.bodies == BODIES
    assert len(receiver.connections) == num


def test_a_connection_that_the_server_has_closed_is_made_anew() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        ThreadPoolExecutor(1) as pool,
        closing(webhook(f"http://127.0.0.1:{server.getsockname()[1]}")) as sink,
    ):
        for event in EVENTS:
            posting = pool.submit(sink.deliver, [event])
            connection, _ = server.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(answer)
                posting.result(5.0)


@pytest.mark.parametrize("said", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"])
def test_an_answer_without_end_ends_the_post(said: bytes) -> None:
    """A byte now and then: each comes in time, all of them never do. A status that is there counts."""
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:
        sink = Webhook(urlsplit(f"http://127.0.0.1:{server.getsockname()[1]}"), timeout_s=0.4)
        posting = pool.submit(sink.deliver, EVENTS[:1])
        connection, _ = server.accept()
        with connection:
            connection.settimeout(0.05)
            heard = connection.recv(65_536)
            connection.sendall(said)
            while heard:  # until the other side hangs up
                with suppress(TimeoutError):
                    heard = connection.recv(65_536)
                with suppress(OSError):
                    connection.sendall(b"x")
        with nullcontext() if said.endswith(b"\r\n\r\n") else pytest.raises(SinkError, match=r"does not answer within 0.4 s"):
            posting.result(5.0)


def test_a_handshake_without_end_ends_the_post_too() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:
        sink = Webhook(urlsplit(f"https://127.0.0.1:{server.getsockname()[1]}"), timeout_s=0.4)
        posting = pool.submit(sink.deliver, EVENTS[:1])
        connection, _ = server.accept()
        with connection:
            connection.settimeout(0.05)
            heard = connection.recv(65_536)
            connection.sendall(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc")  # the beginning of a long record
            while heard:  # until the other side hangs up
                with suppress(TimeoutError):
                    heard = connection.recv(65_536)
                with suppress(OSError):
                    connection.sendall(b"x")
        with pytest.raises(SinkError, match=r"does not answer within 0.4 s"):
            posting.result(5.0)


def test_an_answer_may_take_longer_than_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamvc.sinks.webhook.CONNECT_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:
        posting = pool.submit(webhook(f"http://127.0.0.1:{server.getsockname()[1]}").deliver, EVENTS[:1])
        connection, _ = server.accept()
        with connection:
            connection.recv(65_536)
            with pytest.raises(TimeoutError):
                posting.result(0.3)
            connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
        posting.result(5.0)


def test_close_ends_a_post_that_is_never_answered() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:
        sink = webhook(f"http://127.0.0.1:{server.getsockname()[1]}")
        posting = pool.submit(sink.deliver, EVENTS)
        connection, _ = server.accept()
        with connection:
            connection.recv(65_536)
            sink.close()
            with pytest.raises(SinkError, match="cannot be reached"):
                posting.result(5.0)
    with pytest.raises(SinkError, match="was closed"):
        sink.deliver(EVENTS)


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, key = make_certificate(tmp_path)
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as plain, ThreadPoolExecutor(1) as pool, served.wrap_socket(plain, server_side=True) as server:
        address = f"https://127.0.0.1:{plain.getsockname()[1] if plain.fileno() >= 0 else server.getsockname()[1]}"

        def answer() -> bytes:
            try:
                connection, _ = server.accept()
            except ssl.SSLError:
                return b""
            with closing(connection):
                heard = b""
                while not heard.endswith(BODIES[0]):
                    heard += connection.recv(65_536)
                connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
                return heard

        answering = pool.submit(answer)
        with pytest.raises(SinkError, match="certificate"):
            webhook(address).deliver(EVENTS[:1])
        assert answering.result() == b""
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        answering = pool.submit(answer)
        with closing(webhook(address)) as sink:
            sink.deliver(EVENTS[:1])
        assert answering.result().endswith(BODIES[0])
