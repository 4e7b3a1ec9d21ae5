"""Writes what is published to the log, and keeps it in memory while the log cannot be written."""

import logging
import time
from collections import deque
from dataclasses import dataclass, replace

from streamvc.errors import PublishError
from streamvc.events import Event
from streamvc.publish.database import LogUnavailable
from streamvc.publish.log import EventLog
from streamvc.publish.records import LogPage
from streamvc.publish.wire import Message, SinceQuery

logger = logging.getLogger(__name__)

BACKLOG_SIZE = 100_000  # messages; about 120 MB
RETRY_S = 1.0
NUM_RETRIED = 200  # messages written in one go, for nobody to wait long


@dataclass(frozen=True, slots=True)
class _Entry:
    message: Message
    event: Event | None


class BufferedLog:
    """Writes to a log, in order; messages that cannot be written wait in memory until they can.

    `write` and `retry` are called under the publisher's lock, `since` by the socket's thread.
    """

    def __init__(self, log: EventLog, lasting_problem: str | None = None, *, backlog_size: int = BACKLOG_SIZE) -> None:
        """Write to this log.

        Args:
            log: Where to write.
            lasting_problem: Why this is not the log that the user wanted, if so.
            backlog_size: Messages that can wait; beyond it the oldest are dropped.
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
        """Why messages are not written to the log that the user wanted; None while they are."""
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
        """Write some of the waiting messages, if it is time to."""
        if time.monotonic() >= self._retry_at:
            self._write_oldest(NUM_RETRIED)

    def close(self) -> None:
        """Write all waiting messages. The log stays open."""
        self._write_oldest(len(self._backlog))
        if self._backlog:
            logger.error("%d messages are lost to the event log: %s", len(self._backlog), self._problem)

    def since(self, query: SinceQuery) -> LogPage:
        """The messages behind a position, in the log and in memory.

        Raises:
            PublishError: The log cannot be read.
        """
        # Memory first, and then the log: what is written between the two is then found twice, and not never.
        waiting = [
            entry.message for entry in self._backlog.copy() if (entry.message.topic.camera, entry.message.topic.kind) == (query.camera, query.kind)
        ]
        return _extended(self._log.since(query.camera, query.kind, query.epoch, query.seq, query.limit, query.from_s), waiting, query)

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
        except PublishError as error:  # it would block all others for ever
            logger.error("message %d of camera %s is not kept: %s", entry.message.sequence, entry.message.topic.camera, error)
            self._num_lost += 1

    def _hold(self, entry: _Entry) -> None:
        if len(self._backlog) >= self._backlog_size:
            if not self._num_lost:
                logger.error("%d messages wait for the event log; from now on, the oldest are dropped", self._backlog_size)
            self._num_lost += 1
            self._backlog.popleft()
        self._backlog.append(entry)

    def _fail(self, error: PublishError) -> None:
        self._retry_at = time.monotonic() + RETRY_S
        if self._problem is None:
            logger.error("events are published but not written: %s", error)
        self._problem = str(error)


def _extended(page: LogPage, waiting: list[Message], query: SinceQuery) -> LogPage:
    """The log's messages, followed by those that wait to be written, which are newer."""
    if page.more or not waiting:
        return page
    last = max(page.last, query.seq if not page.renumbered else 0)
    newer = [message for message in waiting if message.sequence > last]
    room = query.limit - len(page.messages)
    return replace(
        page,
        messages=[*page.messages, *newer[:room]],
        first=page.first or waiting[0].sequence,
        last=waiting[-1].sequence,
        more=len(newer) > room,
    )
