"""Keeps what is published: in the log and, while that cannot be written, in memory."""

import logging
import time
from collections import deque
from dataclasses import dataclass, replace

from streamvc.errors import PublishError
from streamvc.events import Event
from streamvc.publish.database import LogUnavailable
from streamvc.publish.log import EventLog
from streamvc.publish.records import Answer
from streamvc.publish.wire import Message, Since

logger = logging.getLogger(__name__)

BACKLOG_SIZE = 100_000  # messages; about 120 MB
RETRY_S = 1.0
NUM_RETRIED = 200  # messages written in one go, for nobody to wait long


@dataclass(frozen=True, slots=True)
class _Entry:
    message: Message
    event: Event | None


class Journal:
    """Writes to a log, in order; what the log does not take waits in memory until it does.

    `write` and `retry` are called under the publisher's lock, `since` by the socket's thread.
    """

    def __init__(self, log: EventLog, lasting_problem: str | None = None, *, backlog_size: int = BACKLOG_SIZE) -> None:
        """Begin.

        Args:
            log: Where to write.
            lasting_problem: Why this is not the log that was asked for, if so.
            backlog_size: Messages that can wait; the oldest are given up for more.
        """
        self._log = log
        self._lasting_problem = lasting_problem
        self._problem: str | None = None
        self._backlog: deque[_Entry] = deque()  # oldest first
        self._backlog_size = backlog_size
        self._num_lost = 0
        self._retry_at = 0.0

    @property
    def problem(self) -> str | None:
        """Why what is published is not in the log that was asked for; None where it is."""
        return self._problem or self._lasting_problem

    def write(self, message: Message, event: Event | None) -> None:
        """Keep a message; `event` is what it carries, if it is one.

        Raises:
            PublishError: It cannot stand in a log.
        """
        if self._backlog:
            self._hold(_Entry(message, event))
            self.retry()
            return
        try:
            self._log.append(message, event)
        except LogUnavailable as error:
            self._fail(error)
            self._hold(_Entry(message, event))

    def retry(self) -> None:
        """Write some of what waits, if it is time to."""
        if time.monotonic() >= self._retry_at:
            self._write_oldest(NUM_RETRIED)

    def close(self) -> None:
        """Write all that waits. The log stays open."""
        self._write_oldest(len(self._backlog))
        if self._backlog:
            logger.error("%d messages are lost to the event log: %s", len(self._backlog), self._problem)

    def since(self, asked: Since) -> Answer:
        """What is kept behind a position, in the log and in memory.

        Raises:
            PublishError: The log cannot be read.
        """
        # First, and then the log: what is written meanwhile is found twice, and not never.
        waiting = [
            entry.message for entry in self._backlog.copy() if (entry.message.topic.camera, entry.message.topic.kind) == (asked.camera, asked.kind)
        ]
        return _extended(self._log.since(asked.camera, asked.kind, asked.epoch, asked.seq, asked.limit, asked.from_s), waiting, asked)

    def _write_oldest(self, number: int) -> None:
        try:
            while self._backlog and number > 0:
                self._append(self._backlog[0])
                self._backlog.popleft()
                number -= 1
        except LogUnavailable as error:
            self._fail(error)
        if self._problem and not self._backlog:
            logger.warning("the event log is written again; %d messages are missing in it", self._num_lost)
            self._problem, self._num_lost = None, 0

    def _append(self, entry: _Entry) -> None:
        try:
            self._log.append(entry.message, entry.event)
        except LogUnavailable:
            raise
        except PublishError as error:  # it would stand in the way of all others for ever
            logger.error("message %d of camera %s is not kept: %s", entry.message.sequence, entry.message.topic.camera, error)
            self._num_lost += 1

    def _hold(self, entry: _Entry) -> None:
        if len(self._backlog) >= self._backlog_size:
            if not self._num_lost:
                logger.error("%d messages wait for the event log; from now on, the oldest are given up", self._backlog_size)
            self._num_lost += 1
            self._backlog.popleft()
        self._backlog.append(entry)

    def _fail(self, error: PublishError) -> None:
        self._retry_at = time.monotonic() + RETRY_S
        if self._problem is None:
            logger.error("events are published but not written: %s", error)
        self._problem = str(error)


def _extended(answer: Answer, waiting: list[Message], asked: Since) -> Answer:
    """The log's answer with what waits to be written, which is newer."""
    if answer.more or not waiting:
        return answer
    last = max(answer.last, asked.seq if not answer.renumbered else 0)
    newer = [message for message in waiting if message.sequence > last]
    room = asked.limit - len(answer.messages)
    return replace(
        answer,
        messages=[*answer.messages, *newer[:room]],
        first=answer.first or waiting[0].sequence,
        last=waiting[-1].sequence,
        more=len(newer) > room,
    )
