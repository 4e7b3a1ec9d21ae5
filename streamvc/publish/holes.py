"""One camera and kind as a reader has it: what was given, what waits behind a hole, what is missing. Pure."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from streamvc.publish.notices import Missed
from streamvc.publish.wire import Kind, Message

MAX_HELD = 100  # messages that wait behind a hole, of one series; the others are asked for again


@dataclass(frozen=True, slots=True)
class Key:
    """What is numbered together."""

    site: str
    camera: str
    kind: Kind


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in the messages of one camera and kind: behind the message of this epoch and sequence. Later ones are greater."""

    epoch: int
    sequence: int


BEGINNING = Position(0, 0)  # in front of all that is kept, wherever that begins


def key_of(message: Message) -> Key:
    """What a message is numbered with."""
    return Key(message.topic.site, message.topic.camera, message.topic.kind)


def position_of(message: Message) -> Position:
    """Where a message is."""
    return Position(message.epoch, message.sequence)


class Series:
    """The messages of one camera and kind.

    Sequences go on across the publisher's epochs here: where they do not, the position is set in front of the new numbering first.

    Attributes:
        position: All up to here has been given.
        known: The newest message that is known to exist.
    """

    def __init__(self, key: Key, position: Position = BEGINNING) -> None:
        self.key = key
        self.position = position
        self.known = position
        self._held: deque[Message] = deque()
        self._joined = False  # it has begun with what comes, and nothing has come yet

    @property
    def num_behind(self) -> int:
        """Messages that are known to exist and have not been given."""
        return self._num_between(self.known)

    @property
    def held_epoch(self) -> int | None:
        """Of the first message that waits; None where none does."""
        return self._held[0].epoch if self._held else None

    def begin(self, newest: Position) -> None:
        """Begin with what comes: behind `newest`, or in front of what comes first if that is earlier and was only on its way."""
        self._joined = True
        self.position = newest
        self.note(newest)
        if self._held:
            self._meet(self._held[0])

    def note(self, newest: Position) -> None:
        """There is a message of this position."""
        self.known = max(self.known, newest)

    def hold(self, message: Message) -> None:
        """Take a message as it came. What was given or is held already is dropped; so is what finds too many waiting, but it stays known."""
        self._meet(message)
        position = position_of(message)
        if position <= max(self.position, position_of(self._held[-1]) if self._held else BEGINNING):
            return
        self.note(position)
        if len(self._held) < MAX_HELD:
            self._held.append(message)

    def _meet(self, first: Message) -> None:
        if self._joined:
            self._joined = False
            self.position = min(self.position, Position(first.epoch, first.sequence - 1))

    def forget_before(self, epoch: int) -> None:
        """Drop what is held or known of earlier epochs."""
        while self._held and self._held[0].epoch < epoch:
            self._held.popleft()
        if self.known.epoch < epoch:
            self.known = self.position

    def release(self, epoch: int, room: int) -> Iterator[Message]:
        """Give, of what is held, what follows without a hole: of this epoch or earlier, and no more than there is room for."""
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
        """Give what the publisher's log has behind the position. What it lacks in between is missed."""
        for message in messages:
            position = position_of(message)
            if position > self.position:
                yield from self._missed(message.sequence - 1)
                self._joined = False
                self.position = position
                self.note(position)
                yield message

    def concede(self, known: Position) -> Iterator[Message | Missed]:
        """Give what is held up to `known`, and up to there count as missed what is not: nobody has it."""
        while self._held and position_of(self._held[0]) <= known:
            yield from self.fill([self._held.popleft()])
        if self._num_between(known):
            yield from self._missed(known.sequence)
            self.position = known

    def renumber(self, epoch: int) -> Iterator[Message | Missed]:
        """The numbering begins anew behind this epoch: give what is held of it, count as missed what is not, and stand in front of the new one."""
        while self._held and self._held[0].epoch <= epoch:
            yield from self.fill([self._held.popleft()])
        if self.known.epoch <= epoch:
            yield from self._missed(self.known.sequence)
        self.position = Position(epoch + 1, 0)

    def _num_between(self, later: Position) -> int:
        """A message of a later epoch that has the position's own sequence is the same place, since the numbering goes on."""
        if later <= self.position or later.sequence == self.position.sequence:
            return 0
        ahead = later.sequence - self.position.sequence
        return ahead if ahead > 0 else later.sequence  # where sequences were given a second time, after a log that could not be written

    def _missed(self, last: int) -> Iterator[Missed]:
        if last > self.position.sequence and self.position != BEGINNING:
            yield Missed(self.key.camera, self.key.kind, self.position.sequence + 1, last)
