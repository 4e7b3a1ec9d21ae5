"""Answers the requests of subscribers: for the present state (`snapshot`), and for what was published before (`since`)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from streamvc.errors import PublishError
from streamvc.publish.last_value_cache import LastValueCache
from streamvc.publish.records import LogPage
from streamvc.publish.wire import MAX_ID_BYTES, AnswerEnd, Message, Refusal, Request, SinceQuery, SnapshotQuery, join_answer, split_request


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
        identifier = parts[0] if parts else b""
        if not 1 <= len(identifier) <= MAX_ID_BYTES:
            return []
        try:
            answers = self.answer(split_request(parts))
        except PublishError as error:
            answers = [Refusal(str(error))]
        return [join_answer(identifier, answer) for answer in answers]

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
