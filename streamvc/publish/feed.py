"""What a subscriber makes of what it hears: what to give its reader, what to ask the publisher, what to say. Pure.

A message that follows the last one of its camera and kind is given at once. One that does not waits, and what is missing is asked for by `since`;
so is what heartbeats say that there is. One of an epoch that is not known yet waits until a snapshot has said whether the numbering goes on in it.
Where the reader has no room, messages are not kept but asked for later: the publisher's log is the buffer.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from streamvc.events import Heartbeat
from streamvc.publish.asking import MAX_ASKED, Asking
from streamvc.publish.holes import BEGINNING, Key, Position, Series, key_of
from streamvc.publish.notices import Missed, Notice, Restarted
from streamvc.publish.pulse import Pulse
from streamvc.publish.wire import KINDS, MAX_LIMIT, End, Kind, Message, Request, Since, Snapshot

PATIENCE_S = 30.0  # with a publisher that is alive and answers nothing: its port for requests may be closed to us
HASTE_S = 0.2  # for the connection for requests, once the other is there; by itself it may take seconds to try again
OLD_PATIENCE_S = 3.0  # the same, if it sends no heartbeats: it is older than both


@dataclass(frozen=True, slots=True)
class Choice:
    """What the reader wants. No cameras, or no site, stand for all."""

    kinds: Collection[Kind]
    cameras: Collection[str] = ()
    site: str | None = None

    def wants(self, site: str, camera: str, kind: str) -> bool:
        return kind in self.kinds and (self.site is None or site == self.site) and (not self.cameras or camera in self.cameras)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a reader is: behind `positions`, and in front of all that others have said since epoch `base`."""

    base: int
    positions: Mapping[Key, Position]


@dataclass(frozen=True, slots=True)
class Reconnect:
    """The connections should be made anew: one that hangs may hang for good. Or that for requests alone: the other is there again."""

    requests_only: bool = False


Step = Message | Notice | Request | Place | Reconnect


class Feed:
    """Each method takes what happened, and when (seconds of one monotonic clock), and returns what to do, in that order.

    Attributes:
        room: Messages that the reader has room for; set it before each call.
    """

    def __init__(self, choice: Choice, now: float, *, place: Place | None = None, from_s: float | None = None) -> None:
        """Nothing is heard or asked before the first `tick`.

        Args:
            choice: What is wanted.
            now: The time.
            place: Where to go on.
            from_s: Without a place: begin with what was written at this moment or later (Unix seconds); None begins with what comes.
        """
        self.room = 0
        self._choice = choice
        # A place in front of all is that of a reader that began at the beginning.
        self._from_s = 0.0 if from_s is None and place and place.base == 0 else from_s
        self._pulse = Pulse(now)
        self._asking = Asking()
        self._answered = False  # it has ever answered
        self._unanswered = False  # the publisher answers no requests: do without
        self._settled = False  # a snapshot has said where the numbering is
        self._base = place.base if place else 0
        positions = place.positions if place else {}
        # Positions are in the numbering of this epoch; messages of a later one wait until a snapshot has said whether it goes on.
        self._epoch = max((self._base, *(position.epoch for position in positions.values())))
        self._newest_epoch = self._epoch
        self._series = {key: Series(key, position) for key, position in positions.items()}
        self._behind: dict[Key, Series] = {}
        self._steps: list[Step] = []

    @property
    def due_s(self) -> float | None:
        """When `tick` is due; None if never, unless something happens."""
        return min((due for due in (self._pulse.due_s, self._asking.due_s, self._hopeless_s) if due is not None), default=None)

    @property
    def num_behind(self) -> int:
        """Messages that are known to exist and have not been given."""
        return sum(series.num_behind for series in self._behind.values())

    def expects(self, identifier: bytes) -> bool:
        """Whether an answer to this request is awaited."""
        return self._asking.expects(identifier)

    def take(self, message: Message, now: float) -> list[Step]:
        """A message has come."""
        self._hear(now)
        topic = message.topic
        if topic.kind != "state":  # which may be one of a run before, sent again
            self._pulse.speak(message.epoch, now)
        if self._choice.wants(topic.site, topic.camera, topic.kind):
            self._hear_epoch(message.epoch, now)
            series = self._series_of(key_of(message), message)
            series.hold(message)
            self._give(series)
        return self._done(now)

    def beat(self, heartbeat: Heartbeat, site: str, now: float) -> list[Step]:
        """A heartbeat has come from this site."""
        self._hear(now)
        if heartbeat.epoch > self._newest_epoch or not self._pulse.beats:
            self._unanswered = False
            self._asking.be_patient(now)
        self._pulse.beat(heartbeat.interval_s)
        if self._choice.site in (None, site):
            self._hear_epoch(heartbeat.epoch, now)
            if heartbeat.epoch <= self._epoch:
                self._note(site, heartbeat.epoch, heartbeat.sequences)
        return self._done(now)

    def answer(self, identifier: bytes, messages: Sequence[Message], end: End, now: float) -> list[Step]:
        """An answer is complete."""
        if back := self._pulse.hear(now):
            self._steps.append(back)
        asked = self._asking.answered(identifier, now)
        if asked is not None:
            self._answered, self._unanswered = True, False
            # A snapshot knows best: were it an epoch behind, the next heartbeat would say so.
            self._newest_epoch = end.epoch if asked.series is None else max(self._newest_epoch, end.epoch)
            if asked.series is None:
                self._settle(messages, end)
            elif end.epoch <= self._epoch:  # else it is asked again when that epoch is known
                self._fill(asked.series, messages, end, asked.known)
        return self._done(now)

    def tick(self, now: float) -> list[Step]:
        """Time has passed, or the reader has room again."""
        if lost := self._pulse.tick(now):
            self._steps.append(lost)
        if self._pulse.reconnects(now):
            self._asking.forget()
            self._steps.append(Reconnect())
        self._asking.expire(now)
        if self._hopeless_s is not None and now >= self._hopeless_s:
            self._asking.forget()
            self._unanswered = True
        for series in list(self._behind.values()):
            self._give(series)
        return self._done(now)

    def _hear(self, now: float) -> None:
        """The feed is there."""
        waiting_s = self._asking.waiting_s
        delayed = self._pulse.first_s is None and waiting_s is not None and now - waiting_s > HASTE_S
        back = self._pulse.hear(now)
        if back is not None:
            self._steps.append(back)
            if self._pulse.beats:
                self._unanswered = False
                self._asking.be_patient(now)
        if back is not None or delayed:
            self._asking.forget()
            self._steps.append(Reconnect(requests_only=True))

    def _hear_epoch(self, epoch: int, now: float) -> None:
        if epoch > self._newest_epoch:
            self._newest_epoch = epoch
            self._asking.be_patient(now)

    def _done(self, now: float) -> list[Step]:
        """All that is to be done by now."""
        if self._unanswered:
            self._do_without()
        elif self._newest_epoch > self._epoch or not self._settled:
            if not self._asking.awaits(None):
                self._steps.append(self._asking.ask(Snapshot(tuple(self._choice.cameras) or None, self._epoch), now))
        elif self._behind:
            self._ask_for_more(now)
        steps, self._steps = self._steps, []
        return steps

    def _ask_for_more(self, now: float) -> None:
        limit = max(1, min(MAX_LIMIT, self.room // min(MAX_ASKED, len(self._behind))))
        for series in self._behind.values():
            if self.room <= 0 or self._asking.full:
                return
            if not self._asking.awaits(series):
                self._steps.append(self._asking.ask(self._since(series, limit), now, series))

    def _since(self, series: Series, limit: int) -> Since:
        from_s = self._from_s if series.position == BEGINNING else None
        key, position = series.key, series.position
        # Heartbeats are no series.
        return Since(key.camera, key.kind, position.epoch, position.sequence, limit, from_s or 0.0)  # type: ignore[arg-type]

    def _series_of(self, key: Key, first: Message | None = None) -> Series:
        """The series; a new one begins in front of all that this camera says, or in front of what it says first if nothing else can be had."""
        if key not in self._series:
            alone = self._unanswered and first is not None and self._from_s is None
            self._series[key] = Series(key, Position(first.epoch, first.sequence - 1) if first and alone else Position(self._base, 0))
        return self._series[key]

    def _note(self, site: str, epoch: int, sequences: Mapping[str, Mapping[str, int]]) -> None:
        """So many messages of each camera and kind have been published."""
        for camera, kinds in sequences.items():
            for name, last in kinds.items():
                if last and self._choice.wants(site, camera, name):
                    series = self._series_of(Key(site, camera, KINDS[name]))
                    series.note(Position(epoch, last))
                    self._give(series)

    def _give(self, series: Series) -> None:
        """Give what can be given, and keep in mind whether there is more."""
        self._push(series.release(self._epoch, self.room))
        if series.num_behind:
            self._behind[series.key] = series
        else:
            self._behind.pop(series.key, None)

    def _give_all(self) -> None:
        for series in self._series.values():
            self._give(series)

    def _push(self, steps: Iterable[Message | Missed]) -> None:
        for step in steps:
            self._steps.append(step)
            self.room -= isinstance(step, Message)

    def _settle(self, messages: Sequence[Message], end: End) -> None:
        """A snapshot has come: now the numbering is known."""
        if self._epoch == 0:
            self._forget_before(end.epoch)
            self._join(messages, end)
            self._epoch = end.epoch
        else:
            self._go_on(end.epoch, end.renumbered)
        self._settled = True
        if end.site is not None and end.epoch == self._epoch:
            self._note(end.site, end.epoch, end.sequences)
        self._give_all()

    def _join(self, messages: Sequence[Message], end: End) -> None:
        """Begin with the present state of all, where that is wanted, and with what comes after the snapshot."""
        if self._from_s is not None:
            self._tell_place()
            return
        self._base = end.epoch
        for series in self._series.values():
            series.begin(Position(end.epoch, 0))
        for camera, kinds in end.sequences.items():
            for name, last in kinds.items():
                if end.site is not None and self._choice.wants(end.site, camera, name):
                    self._series_of(Key(end.site, camera, KINDS[name])).begin(Position(end.epoch, last))
        for message in messages:
            key = key_of(message)
            if self._choice.wants(key.site, key.camera, key.kind):
                series = self._series_of(key)
                series.begin(Position(message.epoch, message.sequence - 1))
                series.hold(message)
        self._tell_place()

    def _go_on(self, epoch: int, renumbered: bool) -> None:
        """Go on in this epoch. Where the numbering began anew it may have done so more than once: then, in the first of the epochs that wait."""
        if renumbered:
            self._renumber()
            epoch = min([epoch, *(series.held_epoch or epoch for series in self._series.values())])
        if renumbered or epoch > self._epoch:
            self._steps.append(Restarted(epoch, renumbered))
        self._epoch = epoch

    def _renumber(self) -> None:
        """The numbering begins anew behind this epoch."""
        self._base = self._epoch + 1
        for series in self._series.values():
            self._push(series.renumber(self._epoch))
        self._tell_place()

    def _tell_place(self) -> None:
        self._steps.append(Place(self._base, {key: series.position for key, series in self._series.items()}))

    def _fill(self, series: Series, messages: Sequence[Message], end: End, known: Position) -> None:
        """What was missing has come, or as much of it as there is."""
        self._push(series.fill(message for message in messages if key_of(message) == series.key))
        if not (end.more and messages):
            self._push(series.concede(known))
        self._give(series)

    def _do_without(self) -> None:
        """Go on although nobody answers: a new epoch is a new numbering, and what is missing is missed."""
        if not self._settled and self._epoch == 0:
            self._forget_before(self._newest_epoch)
            self._join_alone()
        self._settled = True
        while self._epoch < self._newest_epoch:
            self._go_on(self._newest_epoch, renumbered=True)
            self._give_all()
        for series in list(self._behind.values()):
            self._push(series.concede(series.known))
            self._give(series)

    def _join_alone(self) -> None:
        self._epoch = self._newest_epoch
        if self._from_s is None:
            self._base = self._newest_epoch
            for series in self._series.values():
                series.begin(series.known)
        self._tell_place()
        self._give_all()

    def _forget_before(self, epoch: int) -> None:
        """The publisher was restarted before this reader had joined: what came before is in its log, or of another numbering."""
        for series in self._series.values():
            series.forget_before(epoch)

    @property
    def _hopeless_s(self) -> float | None:
        """When to stop waiting for answers; None while there is no need to."""
        waiting_s, first_s = self._asking.waiting_s, self._pulse.first_s
        if waiting_s is None or first_s is None or self._unanswered:
            return None
        if self._answered or self._pulse.beats:
            return None if self._pulse.lost else max(waiting_s, first_s) + PATIENCE_S
        return waiting_s + (OLD_PATIENCE_S if self._pulse.mute else PATIENCE_S)
