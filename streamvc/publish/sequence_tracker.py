"""Follows the sequence numbers of one camera and kind: what was delivered, what waits behind a gap, what is missing. Pure."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from streamvc.publish.notices import Missed
from streamvc.publish.wire import Kind, Message

MAX_HELD = 100  # messages of one camera and kind that wait behind a gap; the others are requested again


@dataclass(frozen=True, slots=True)
class SequenceKey:
    """Messages of the same site, camera and kind are numbered together."""

    site: str
    camera: str
    kind: Kind


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """The position right behind the message of this epoch and sequence. Later ones are greater."""

    epoch: int
    sequence: int


BEGINNING = Position(0, 0)  # before everything that the log keeps


def key_of(message: Message) -> SequenceKey:
    """What the message is numbered by."""
    return SequenceKey(message.topic.site, message.topic.camera, message.topic.kind)


def position_of(message: Message) -> Position:
    """The position of a message."""
    return Position(message.epoch, message.sequence)


class SequenceTracker:
    """The messages of one camera and kind, as one subscriber has them.

    Sequences go on from one epoch of the publisher to the next. Where they begin anew, `renumber` is called first.

    Attributes:
        position: All messages up to here have been delivered.
        known: The newest message that is known to exist.
    """

    def __init__(self, key: SequenceKey, position: Position = BEGINNING) -> None:
        self.key = key
        self.position = position
        self.known = position
        self._held: deque[Message] = deque()
        self._is_new = False  # `start_at` was called, and no message has come since

    @property
    def num_behind(self) -> int:
        """Messages that are known to exist and have not been delivered."""
        return self._num_between(self.known)

    @property
    def held_epoch(self) -> int | None:
        """The epoch of the first message that waits; None where none does."""
        return self._held[0].epoch if self._held else None

    def start_at(self, newest: Position) -> None:
        """Start behind `newest`, or before the first message that comes if that one is earlier: it was still on its way."""
        self._is_new = True
        self.position = newest
        self.note(newest)
        if self._held:
            self._adjust_start(self._held[0])

    def note(self, newest: Position) -> None:
        """There is a message of this position."""
        self.known = max(self.known, newest)

    def hold(self, message: Message) -> None:
        """Take a message that was received. One that was delivered or is held already is dropped; so is one where too many wait, but it is noted."""
        self._adjust_start(message)
        position = position_of(message)
        if position <= max(self.position, position_of(self._held[-1]) if self._held else BEGINNING):
            return
        self.note(position)
        if len(self._held) < MAX_HELD:
            self._held.append(message)

    def _adjust_start(self, first: Message) -> None:
        if self._is_new:
            self._is_new = False
            self.position = min(self.position, Position(first.epoch, first.sequence - 1))

    def discard_before(self, epoch: int) -> None:
        """Drop what is held or known of earlier epochs."""
        while self._held and self._held[0].epoch < epoch:
            self._held.popleft()
        if self.known.epoch < epoch:
            self.known = self.position

    def release(self, epoch: int, room: int) -> Iterator[Message]:
        """Deliver the held messages up to the next gap: of this epoch or earlier, and at most `room` of them."""
        while room > 0 and self._held and self._held[0].epoch <= epoch:
            message = self._held[0]
            if position_of(message) > self.position:
                if message.sequence != self.position.sequence + 1:
                    return
                self.position = position_of(message)
                room -= 1
                yield message
            self._held.popleft()

    def fill(self, messages: Iterable[Message]) -> Iterator[Message | Missed]:
        """Deliver messages from the publisher's log. What the log lacks between them is missed."""
        for message in messages:
            position = position_of(message)
            if position > self.position:
                yield from self._missed(message.sequence - 1)
                self._is_new = False
                self.position = position
                self.note(position)
                yield message

    def give_up(self, known: Position) -> Iterator[Message | Missed]:
        """Deliver what is held up to `known`. Nobody has what lacks up to there: it is missed."""
        while self._held and position_of(self._held[0]) <= known:
            yield from self.fill([self._held.popleft()])
        if self._num_between(known):
            yield from self._missed(known.sequence)
            self.position = known

    def renumber(self, epoch: int) -> Iterator[Message | Missed]:
        """Sequences begin anew after this epoch: deliver what is held of it, count the rest as missed, and go to the start of the next numbering."""
        while self._held and self._held[0].epoch <= epoch:
            yield from self.fill([self._held.popleft()])
        if self.known.epoch <= epoch:
            yield from self._missed(self.known.sequence)
        self.position = Position(epoch + 1, 0)

    def _num_between(self, later: Position) -> int:
        """Messages between the position and a later one. The same sequence in a later epoch is the same message: the numbering went on."""
        if later <= self.position or later.sequence == self.position.sequence:
            return 0
        ahead = later.sequence - self.position.sequence
        return ahead if ahead > 0 else later.sequence  # where sequences were given a second time, after a log that could not be written

    def _missed(self, last: int) -> Iterator[Missed]:
        if last > self.position.sequence and self.position != BEGINNING:
            yield Missed(self.key.camera, self.key.kind, self.position.sequence + 1, last)
