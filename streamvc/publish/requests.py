"""Answers what subscribers ask: the present (`snapshot`) and the past (`since`)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from streamvc.errors import PublishError
from streamvc.publish.present import Present
from streamvc.publish.records import Answer
from streamvc.publish.wire import MAX_ID_BYTES, End, Message, Refusal, Request, Since, Snapshot, join_answer, split_request


@dataclass(frozen=True, slots=True, eq=False)
class Desk:
    """Answers for a publisher of this site, node and epoch.

    Attributes:
        present: What is true now.
        since: Finds what was published before; raises PublishError where it cannot.
        knows: Whether an epoch was one of the log's.
    """

    site: str
    node: str
    epoch: int
    present: Present
    since: Callable[[Since], Answer]
    knows: Callable[[int], bool]

    def reply(self, parts: Sequence[bytes]) -> list[list[bytes]]:
        """All parts of the answer to what somebody sent; none where it does not even have an id."""
        identifier = parts[0] if parts else b""
        if not 1 <= len(identifier) <= MAX_ID_BYTES:
            return []
        try:
            answers = self.answer(split_request(parts))
        except PublishError as error:
            answers = [Refusal(str(error))]
        return [join_answer(identifier, answer) for answer in answers]

    def answer(self, request: Request) -> list[Message | End | Refusal]:
        """The messages that were asked for, and the end.

        Raises:
            PublishError: The log cannot be read.
        """
        if isinstance(request.asked, Snapshot):
            return self._snapshot(request.asked)
        return self._since(request.asked)

    def _snapshot(self, asked: Snapshot) -> list[Message | End | Refusal]:
        cameras = None if asked.cameras is None else frozenset(asked.cameras)
        messages = self.present.messages(cameras)
        renumbered = asked.epoch != 0 and not self.knows(asked.epoch)
        sequences = self.present.sequences(cameras)
        end = End("snapshot", len(messages), self.epoch, renumbered, site=self.site, node=self.node, sequences=sequences)
        return [*messages, end]

    def _since(self, asked: Since) -> list[Message | End | Refusal]:
        found = self.since(asked)
        return [*found.messages, End("since", len(found.messages), self.epoch, found.renumbered, found.more, found.first, found.last)]
