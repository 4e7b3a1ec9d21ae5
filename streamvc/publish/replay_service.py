"""Answers the requests of subscribers: for the present state (`snapshot`), and for what was published before (`since`)."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from streamvc.errors import PublishError
from streamvc.publish.last_value_cache import LastValueCache
from streamvc.publish.records import LogPage
from streamvc.publish.wire import MAX_ID_BYTES, AnswerEnd, Message, Refusal, Request, SinceQuery, SnapshotQuery, join_answer, split_request
from streamvc.threads import Mailbox, Worker, wait_for_any

LOOKUP_S = 1.0  # after which the log counts as one that does not answer


@dataclass(frozen=True, slots=True, eq=False)
class ReplayService:
    """Answers for a publisher of this site, node and epoch.

    Attributes:
        cache: The newest state and health of each camera.
        since: Reads what was published before; raises PublishError where it cannot.
        knows: Whether an epoch is one of the log's.
    """

    site: str
    node: str
    epoch: int
    cache: LastValueCache
    since: Callable[[SinceQuery], LogPage]
    knows: Callable[[int], bool]

    def reply(self, parts: Sequence[bytes]) -> list[list[bytes]]:
        """All parts of the answer to a request; none where it does not even have an id."""
        if not _has_id(parts):
            return []
        try:
            answers = self.answer(split_request(parts))
        except PublishError as error:
            return self.refuse(parts, str(error))
        return [join_answer(parts[0], answer) for answer in answers]

    def refuse(self, parts: Sequence[bytes], reason: str) -> list[list[bytes]]:
        """The same where a request cannot be answered."""
        return [join_answer(parts[0], Refusal(reason))] if _has_id(parts) else []

    def answer(self, request: Request) -> list[Message | AnswerEnd | Refusal]:
        """The messages that were asked for, and the end.

        Raises:
            PublishError: The log cannot be read.
        """
        if isinstance(request.query, SnapshotQuery):
            return self._snapshot(request.query)
        return self._since(request.query)

    def _snapshot(self, query: SnapshotQuery) -> list[Message | AnswerEnd | Refusal]:
        cameras = None if query.cameras is None else frozenset(query.cameras)
        messages = self.cache.messages(cameras)
        renumbered = query.epoch != 0 and not self.knows(query.epoch)
        sequences = self.cache.sequences(cameras)
        end = AnswerEnd("snapshot", len(messages), self.epoch, renumbered, site=self.site, node=self.node, sequences=sequences)
        return [*messages, end]

    def _since(self, query: SinceQuery) -> list[Message | AnswerEnd | Refusal]:
        page = self.since(query)
        return [*page.messages, AnswerEnd("since", len(page.messages), self.epoch, page.renumbered, page.more, page.first, page.last)]


def _has_id(parts: Sequence[bytes]) -> bool:
    return bool(parts) and 1 <= len(parts[0]) <= MAX_ID_BYTES


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """All parts of the answer to the request of a client."""

    client: bytes
    parts: list[list[bytes]]


class LogReader:
    """Reads the log for answers in a thread of its own, for one request at a time: the thread of the sockets waits for no disk.

    Attributes:
        answers: What it has found; poll it.
    """

    def __init__(self, replay: ReplayService) -> None:
        self._replay = replay
        self._asked: Mailbox[tuple[bytes, Sequence[bytes]]] = Mailbox(1)
        self.answers: Mailbox[Answer] = Mailbox(1)
        self._busy_since: float | None = None
        self._worker = Worker("replay", self._run, self._asked.close, close_s=LOOKUP_S).start()

    @property
    def is_busy(self) -> bool:
        """It reads, and nothing else can be asked."""
        return self._busy_since is not None

    @property
    def is_stuck(self) -> bool:
        """It has read for so long that others should not wait for it."""
        return self._busy_since is not None and time.monotonic() - self._busy_since > LOOKUP_S

    def ask(self, client: bytes, request: Sequence[bytes]) -> None:
        """Have a request answered; not while it is busy."""
        self._busy_since = time.monotonic()
        self._asked.offer((client, request))

    def take(self) -> list[Answer]:
        """The answer, once it is there."""
        found = self.answers.take()
        if found:
            self._busy_since = None
        return found

    def close(self) -> None:
        self.answers.close()
        try:
            self._worker.close()
        finally:
            self.answers.discard()

    def _run(self) -> None:
        try:
            while True:
                wait_for_any([self._asked], None)
                for client, request in self._asked.take():
                    self.answers.offer(Answer(client, self._replay.reply(request)))
        finally:
            self._asked.discard()
