"""Readers with bare ZeroMQ sockets, and other processes."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import zmq

from streamvc.publish import wire
from streamvc.publish.publisher import Publisher
from streamvc.publish.sockets import neighbour

ANY_PORT = "tcp://127.0.0.1:*"
PATIENCE_S = 20.0  # for what is bound to come
SILENCE_S = 0.2  # for what must not come

Socket = zmq.Socket[bytes]


@contextmanager
def bare_socket(kind: int) -> Iterator[Socket]:
    with zmq.Context() as context, context.socket(kind) as bare:
        bare.set(zmq.LINGER, 0)
        bare.set(zmq.RCVTIMEO, round(1000 * PATIENCE_S))
        yield bare


@contextmanager
def reading(publisher: Publisher, *prefixes: bytes) -> Iterator[Socket]:
    """A reader of the feed that has joined."""
    with bare_socket(zmq.SUB) as reader:
        for prefix in prefixes or (b"sv1/",):
            reader.subscribe(prefix)
        reader.connect(publisher.endpoint)
        assert publisher.wait_for_subscriber(PATIENCE_S)
        yield reader


@contextmanager
def asking(publisher: Publisher) -> Iterator[Socket]:
    """A client of the publisher that requests are sent with."""
    with bare_socket(zmq.DEALER) as client:
        client.connect(neighbour(publisher.endpoint, "requests"))
        yield client


def receive(reader: Socket, number: int) -> list[wire.Message]:
    """So many messages that are no heartbeats."""
    found: list[wire.Message] = []
    while len(found) < number:
        message = wire.split(reader.recv_multipart())
        if message.topic.kind != "heartbeat":
            found.append(message)
    return found


def ask(client: Socket, asked: wire.SnapshotQuery | wire.SinceQuery) -> tuple[list[wire.Message], wire.AnswerEnd | wire.Refusal]:
    """The messages of the answer, and its end."""
    client.send_multipart(wire.join_request(wire.Request(b"id", asked)))
    messages: list[wire.Message] = []
    while True:
        identifier, answer = wire.split_answer(client.recv_multipart())
        assert identifier == b"id"
        if not isinstance(answer, wire.Message):
            return messages, answer
        messages.append(answer)


@contextmanager
def running(script: str, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """Python in another process, which can be talked to."""
    command = [sys.executable, "-c", script, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()
