"""Writes what is published to the log in a thread of its own, and hands each message on when it is written: nobody else waits for the disk.

A log that takes nothing for `PATIENCE_S` (locked, full, damaged, on a disk that does not answer) holds nothing up: messages are handed on as they
are, and wait in memory to be written later.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from streamvc.errors import PublishError
from streamvc.events import Event
from streamvc.publish.database import LogUnavailable
from streamvc.publish.log import Entry, EventLog
from streamvc.publish.records import LogPage
from streamvc.publish.wire import Message, SinceQuery
from streamvc.threads import ChannelClosed, Lock, Mailbox, Worker, wait_for_any

logger = logging.getLogger(__name__)

BACKLOG_SIZE = 100_000  # messages; about 120 MB
BATCH_SIZE = 200  # messages written at once
PATIENCE_S = 0.3  # for which a message waits to be written before it is sent
RETRY_S = 1.0
CLOSE_S = 2.0  # at the end, for what waits to be written


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """A message that is not yet written, or not yet handed on."""

    entry: Entry
    accepted: float
    sent: Future[None] = field(default_factory=Future)


class BufferedLog:
    """Writes to a log, in order. All of it may be called by any thread, and waits for no disk but in `since` and `read`, which read it."""

    def __init__(
        self,
        log: EventLog,
        lasting_problem: str | None = None,
        *,
        send: Callable[[Message], None] = lambda _message: None,
        backlog_size: int = BACKLOG_SIZE,
    ) -> None:
        """Write to this log, from the first message on.

        Args:
            log: Where to write. Nobody else does.
            lasting_problem: Why this is not the log that the user wanted, if so.
            send: Is given each message in order, once it is written or need not wait for that any more. Must not wait.
            backlog_size: Messages that can wait to be written; beyond it the oldest are dropped.
        """
        self._log = log
        self._lasting_problem = lasting_problem
        self._send = send
        self._problem: str | None = None
        self._lock = Lock()
        self._unwritten: deque[_Waiting] = deque()  # oldest first, as the next two
        self._unsent: deque[_Waiting] = deque()
        self._in_hand: list[_Waiting] = []  # being written
        self._sent_row = self._written_row = 0
        self._backlog_size = backlog_size
        self._num_lost = 0
        self._retry_at = 0.0
        self._writer: _Writer | None = None  # from the first message on

    @property
    def path(self) -> Path | None:
        """The log's file; None where it is in memory."""
        return self._log.path

    @property
    def problem(self) -> str | None:
        """Why messages are not written to the log that the user wanted; None while they are."""
        return self._problem or self._lasting_problem

    def write(self, message: Message, event: Event | None) -> Future[None]:
        """Take a message, to be written and handed on; `event` is what it carries, if it is one. Never waits.

        Returns:
            Is done when the message was handed on.
        """
        with self._lock:
            waiting = _Waiting(Entry(self._log.next_row(), message, event), time.monotonic())
            self._hold(waiting)
            self._unsent.append(waiting)
            if self._problem is not None:
                self._hand_on(waiting.entry.row)
            else:
                self._writer = self._writer or _Writer(self._run)
                self._writer.wake()
        return waiting.sent

    def release(self, now: float) -> float:
        """Hand on what has waited too long to be written. To be called at the moment that it returns, by the monotonic clock."""
        with self._lock:
            if self._unsent and now - self._unsent[0].accepted >= PATIENCE_S:
                self._fail(f"the event log {self._log.path or 'in memory'} has taken nothing for {PATIENCE_S:g} s")
            return (self._unsent[0].accepted if self._unsent else now) + PATIENCE_S

    def close(self) -> None:
        """Write all waiting messages; takes no longer than `CLOSE_S`. The log stays open."""
        if self._writer is None or self._writer.close():
            while self._write_some():
                pass
        with self._lock:
            if self._unsent:
                self._hand_on(self._unsent[-1].entry.row)
            if num_unwritten := len(self._unwritten) + len(self._in_hand):
                logger.error("%d messages are lost to the event log: %s", num_unwritten, self._problem or "its disk does not answer")

    def since(self, query: SinceQuery) -> LogPage:
        """The messages behind a position, in the log and in memory.

        Raises:
            PublishError: The log cannot be read.
        """
        # Memory first, and then the log: what is written between the two is then found twice, and not never.
        waiting = [
            entry.message for entry in self._in_memory() if (entry.message.topic.camera, entry.message.topic.kind) == (query.camera, query.kind)
        ]
        return _extended(self._log.since(query.camera, query.kind, query.epoch, query.seq, query.limit, query.from_s), waiting, query)

    def read(self, after_row: int, limit: int) -> list[tuple[int, Message]]:
        """Messages in the order of writing, each with its row, in the log and in memory; as `EventLog.read`.

        Raises:
            PublishError: The log cannot be read, and what is behind `after_row` is in it.
        """
        waiting = self._in_memory()
        try:
            found = self._log.read(after_row, limit)
        except LogUnavailable:
            if after_row < self._written_row or not waiting:
                raise
            found = []
        last_row = found[-1][0] if found else after_row
        return [*found, *((entry.row, entry.message) for entry in waiting if entry.row > last_row)][:limit]

    def listening(self) -> AbstractContextManager[Mailbox[None]]:
        """A mailbox that holds something when there is more to read since it was last emptied."""
        return self._log.listening()

    def _in_memory(self) -> list[Entry]:
        """What was handed on and is not written."""
        with self._lock:
            return [waiting.entry for waiting in (*self._in_hand, *self._unwritten) if waiting.entry.row <= self._sent_row]

    def _run(self, news: Mailbox[None]) -> None:
        while True:
            wait_for_any([news], max(0.0, self._retry_at - time.monotonic()) if self._problem else None)
            news.take()
            if not self._problem or time.monotonic() >= self._retry_at:
                while self._write_some():
                    pass

    def _write_some(self) -> bool:
        """Write the oldest of what waits; False where nothing waits, or the log takes nothing."""
        with self._lock:
            self._in_hand = [self._unwritten.popleft() for _ in range(min(BATCH_SIZE, len(self._unwritten)))]
            if not self._in_hand:
                return False
            last_row = self._in_hand[-1].entry.row
        try:
            self._append(self._in_hand)
        except Exception as error:  # a defect, too: what was taken must not be lost by it
            with self._lock:
                self._unwritten.extendleft(reversed(self._in_hand))
                self._in_hand = []
                self._fail(str(error) if isinstance(error, PublishError) else f"the event log fails with {type(error).__name__}: {error}")
            return False
        with self._lock:
            self._in_hand, self._written_row = [], last_row
            self._hand_on(last_row)
            if self._problem and not self._unwritten:
                logger.warning("the event log is written again; %d messages are missing in it", self._num_lost)
                self._problem, self._num_lost = None, 0
        return True

    def _append(self, waiting: list[_Waiting]) -> None:
        """Write these, or as many of them as can be: those are taken out of the list before an error is raised."""
        try:
            self._log.append_all([each.entry for each in waiting])
        except LogUnavailable:
            raise
        except PublishError:  # of one of them, which would block all others for ever
            while waiting:
                self._append_one(waiting[0].entry)
                waiting.pop(0)

    def _append_one(self, entry: Entry) -> None:
        try:
            self._log.append_all([entry])
        except LogUnavailable:
            raise
        except PublishError as error:
            logger.error("message %d of camera %s is not kept: %s", entry.message.sequence, entry.message.topic.camera, error)
            self._num_lost += 1

    def _hold(self, waiting: _Waiting) -> None:
        if len(self._unwritten) + len(self._in_hand) >= self._backlog_size and self._unwritten:
            if not self._num_lost:
                logger.error("%d messages wait for the event log; from now on, the oldest are dropped", self._backlog_size)
            self._num_lost += 1
            self._unwritten.popleft()
        self._unwritten.append(waiting)

    def _hand_on(self, row: int) -> None:
        """Hand on what is not yet, up to this row."""
        while self._unsent and self._unsent[0].entry.row <= row:
            waiting = self._unsent.popleft()
            self._send(waiting.entry.message)
            self._sent_row = waiting.entry.row
            waiting.sent.set_result(None)
        if self._problem is not None:  # sinks read it from memory then
            self._log.notify()

    def _fail(self, problem: str) -> None:
        """Nothing waits for the log any more, until it has taken all of what waits now."""
        self._retry_at = time.monotonic() + RETRY_S
        if self._problem is None:
            logger.error("events are published but not written: %s", problem)
        self._problem = problem
        if self._unsent:
            self._hand_on(self._unsent[-1].entry.row)


class _Writer:
    """A thread that is woken when there is something to write."""

    def __init__(self, run: Callable[[Mailbox[None]], None]) -> None:
        self._news: Mailbox[None] = Mailbox(1)
        self._worker = Worker("write", partial(run, self._news), self._news.close, close_s=CLOSE_S).start()

    def wake(self) -> None:
        with suppress(ChannelClosed):
            self._news.offer(None)

    def close(self) -> bool:
        """Let it end; False where it does not, for it is in the midst of writing."""
        self._worker.close()
        return not self._worker.is_running


def _extended(page: LogPage, waiting: Sequence[Message], query: SinceQuery) -> LogPage:
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
