"""Messages to deliver."""

import json
from collections.abc import Sequence
from dataclasses import replace

from streamvc.publish.log import EventLog
from streamvc.publish.wire import Message
from tests.publish.samples import END, START, message, update

EVENTS = [message(START, 1, 7), message(update(1.0), 2, 7), message(END, 3, 7)]


def number(body: bytes | bytearray) -> int:
    """The sequence in a body."""
    return int(json.loads(body)["data"]["seq"])


def append(log: EventLog, sequences: Sequence[int]) -> list[Message]:
    """Write an event of each number to the log."""
    written = [message(replace(START, event_id=f"event-{sequence}"), sequence, log.epoch) for sequence in sequences]
    for one in written:
        log.append(one)
    return written
