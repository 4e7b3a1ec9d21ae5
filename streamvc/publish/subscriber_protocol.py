"""The protocol of a subscriber: what to deliver, what to request from the publisher, what to report. Pure, without sockets and clocks.

A message that follows the last one of its camera and kind is delivered at once. Behind a gap messages wait, and what is missing is requested
(`since`); so is what a heartbeat names and has not come. Messages of an unknown epoch wait until a snapshot says whether sequences go on in it. Where
the reader has no room, messages are not kept but requested later: the publisher's log is the buffer.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from streamvc.events import Heartbeat
from streamvc.publish.liveness_monitor import LivenessMonitor
from streamvc.publish.notices import Missed, Notice, PublisherRestarted
from streamvc.publish.pending_requests import MAX_PENDING, PendingRequests
from streamvc.publish.sequence_tracker import BEGINNING, Position, SequenceKey, SequenceTracker, key_of
from streamvc.publish.wire import KINDS, MAX_LIMIT, AnswerEnd, Kind, Message, Request, SinceQuery, SnapshotQuery

ANSWER_TIMEOUT_S = 30.0  # for a publisher that is alive but does not answer: its port for requests may be closed to us
OLD_ANSWER_TIMEOUT_S = 3.0  # for one that sends no heartbeats either: it is of a version that has neither
CONNECT_S = 0.2  # for the connection for requests, once the feed is connected; by itself it may take seconds to try again


@dataclass(frozen=True, slots=True)
class SubscriptionFilter:
    """Which messages the reader wants. No cameras, or no site, stand for all."""

    kinds: Collection[Kind]
    cameras: Collection[str] = ()
    site: str | None = None

    def matches(self, site: str, camera: str, kind: str) -> bool:
        return kind in self.kinds and (self.site is None or site == self.site) and (not self.cameras or camera in self.cameras)


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """Where a reader goes on: behind `positions`, and for other cameras and kinds at the start of epoch `base_epoch`."""

    base_epoch: int
    positions: Mapping[SequenceKey, Position]


@dataclass(frozen=True, slots=True)
class Reconnect:
    """Connect anew: a connection that hangs may hang for ever. Or only the one for requests, once the feed is connected again."""

    requests_only: bool = False


Action = Message | Notice | Request | ResumePoint | Reconnect


class SubscriberProtocol:
    """Each method takes what happened, and when (seconds of one monotonic clock), and returns what to do now, in order.

    Attributes:
        room: How many messages the reader has room for; set it before each call.
    """

    def __init__(self, wanted: SubscriptionFilter, now: float, *, resume: ResumePoint | None = None, from_s: float | None = None) -> None:
        """Nothing is requested before the first `tick`.

        Args:
            wanted: Which messages to deliver.
            now: The time.
            resume: Where to go on.
            from_s: Without `resume`: begin with what was written at this moment or later (Unix seconds); None begins with what comes.
        """
        self.room = 0
        self._wanted = wanted
        # Base epoch 0 is that of a reader that started at the beginning of the log.
        self._from_s = 0.0 if from_s is None and resume and resume.base_epoch == 0 else from_s
        self._liveness = LivenessMonitor(now)
        self._pending = PendingRequests()
        self._has_answered = False  # the publisher has answered a request
        self._without_answers = False  # it answers none: go on without
        self._is_synchronized = False  # a snapshot has said where the sequences are
        self._base_epoch = resume.base_epoch if resume else 0
        positions = resume.positions if resume else {}
        # Positions count in this epoch; messages of a later one wait until a snapshot has said whether its sequences go on.
        self._epoch = max((self._base_epoch, *(position.epoch for position in positions.values())))
        self._newest_epoch = self._epoch
        self._trackers = {key: SequenceTracker(key, position) for key, position in positions.items()}
        self._behind: dict[SequenceKey, SequenceTracker] = {}  # those with messages that have not been delivered
        self._actions: list[Action] = []

    @property
    def due_s(self) -> float | None:
        """When `tick` must be called; None for never, unless something happens."""
        return min((due for due in (self._liveness.due_s, self._pending.due_s, self._give_up_s) if due is not None), default=None)

    @property
    def num_behind(self) -> int:
        """Messages that are known to exist and have not been delivered."""
        return sum(tracker.num_behind for tracker in self._behind.values())

    def is_pending(self, identifier: bytes) -> bool:
        """Whether this request waits for an answer."""
        return identifier in self._pending

    def message(self, message: Message, now: float) -> list[Action]:
        """A message was received."""
        self._received(now)
        topic = message.topic
        if topic.kind != "state":  # which may be of an earlier run, sent again
            self._liveness.message(message.epoch, now)
        if self._wanted.matches(topic.site, topic.camera, topic.kind):
            self._note_epoch(message.epoch, now)
            tracker = self._tracker(key_of(message), message)
            tracker.hold(message)
            self._release(tracker)
        return self._take_actions(now)

    def heartbeat(self, heartbeat: Heartbeat, site: str, now: float) -> list[Action]:
        """A heartbeat was received from this site."""
        self._received(now)
        if heartbeat.epoch > self._newest_epoch or not self._liveness.has_heartbeats:
            self._without_answers = False
            self._pending.restart_wait(now)
        self._liveness.heartbeat(heartbeat.interval_s)
        if self._wanted.site in (None, site):
            self._note_epoch(heartbeat.epoch, now)
            if heartbeat.epoch <= self._epoch:
                self._note_sequences(site, heartbeat.epoch, heartbeat.sequences)
        return self._take_actions(now)

    def answer(self, identifier: bytes, messages: Sequence[Message], end: AnswerEnd, now: float) -> list[Action]:
        """An answer is complete."""
        if reconnected := self._liveness.received(now):
            self._actions.append(reconnected)
        request = self._pending.pop(identifier, now)
        if request is not None:
            self._has_answered, self._without_answers = True, False
            # A snapshot decides: were it an epoch behind, the next heartbeat would say so.
            self._newest_epoch = end.epoch if request.tracker is None else max(self._newest_epoch, end.epoch)
            if request.tracker is None:
                self._synchronize(messages, end)
            elif end.epoch <= self._epoch:  # else it is requested again when that epoch is known
                self._fill(request.tracker, messages, end, request.known)
        return self._take_actions(now)

    def tick(self, now: float) -> list[Action]:
        """Time has passed, or the reader has room again."""
        if lost := self._liveness.tick(now):
            self._actions.append(lost)
        if self._liveness.should_reconnect(now):
            self._pending.clear()
            self._actions.append(Reconnect())
        self._pending.expire(now)
        if self._give_up_s is not None and now >= self._give_up_s:
            self._pending.clear()
            self._without_answers = True
        for tracker in list(self._behind.values()):
            self._release(tracker)
        return self._take_actions(now)

    def _received(self, now: float) -> None:
        """Something came over the feed, so the publisher is alive and connected."""
        waiting_s = self._pending.waiting_s
        is_late = self._liveness.first_s is None and waiting_s is not None and now - waiting_s > CONNECT_S
        reconnected = self._liveness.received(now)
        if reconnected is not None:
            self._actions.append(reconnected)
            if self._liveness.has_heartbeats:
                self._without_answers = False
                self._pending.restart_wait(now)
        if reconnected is not None or is_late:
            self._pending.clear()
            self._actions.append(Reconnect(requests_only=True))

    def _note_epoch(self, epoch: int, now: float) -> None:
        if epoch > self._newest_epoch:
            self._newest_epoch = epoch
            self._pending.restart_wait(now)

    def _take_actions(self, now: float) -> list[Action]:
        """All that is to be done now."""
        if self._without_answers:
            self._go_on_without_answers()
        elif self._newest_epoch > self._epoch or not self._is_synchronized:
            if not self._pending.has_for(None):
                self._actions.append(self._pending.add(SnapshotQuery(tuple(self._wanted.cameras) or None, self._epoch), now))
        elif self._behind:
            self._request_missing(now)
        actions, self._actions = self._actions, []
        return actions

    def _request_missing(self, now: float) -> None:
        limit = max(1, min(MAX_LIMIT, self.room // min(MAX_PENDING, len(self._behind))))
        for tracker in self._behind.values():
            if self.room <= 0 or self._pending.is_full:
                return
            if not self._pending.has_for(tracker):
                self._actions.append(self._pending.add(self._since(tracker, limit), now, tracker))

    def _since(self, tracker: SequenceTracker, limit: int) -> SinceQuery:
        from_s = self._from_s if tracker.position == BEGINNING else None
        key, position = tracker.key, tracker.position
        # Heartbeats have no tracker.
        return SinceQuery(key.camera, key.kind, position.epoch, position.sequence, limit, from_s or 0.0)  # type: ignore[arg-type]

    def _tracker(self, key: SequenceKey, first: Message | None = None) -> SequenceTracker:
        """The tracker of a key. A new one starts at the base epoch; or at the first message, if the publisher answers no requests."""
        if key not in self._trackers:
            at_first = self._without_answers and first is not None and self._from_s is None
            start = Position(first.epoch, first.sequence - 1) if first and at_first else Position(self._base_epoch, 0)
            self._trackers[key] = SequenceTracker(key, start)
        return self._trackers[key]

    def _note_sequences(self, site: str, epoch: int, sequences: Mapping[str, Mapping[str, int]]) -> None:
        """The publisher has said the last sequence of each camera and kind."""
        for camera, kinds in sequences.items():
            for name, last in kinds.items():
                if last and self._wanted.matches(site, camera, name):
                    tracker = self._tracker(SequenceKey(site, camera, KINDS[name]))
                    tracker.note(Position(epoch, last))
                    self._release(tracker)

    def _release(self, tracker: SequenceTracker) -> None:
        """Deliver what can be delivered, and note whether there is more."""
        self._deliver(tracker.release(self._epoch, self.room))
        if tracker.num_behind:
            self._behind[tracker.key] = tracker
        else:
            self._behind.pop(tracker.key, None)

    def _release_all(self) -> None:
        for tracker in self._trackers.values():
            self._release(tracker)

    def _deliver(self, items: Iterable[Message | Missed]) -> None:
        for item in items:
            self._actions.append(item)
            self.room -= isinstance(item, Message)

    def _synchronize(self, messages: Sequence[Message], end: AnswerEnd) -> None:
        """A snapshot has come, which says where the sequences are."""
        if self._epoch == 0:
            self._discard_before(end.epoch)
            self._join(messages, end)
            self._epoch = end.epoch
        else:
            self._go_on(end.epoch, end.renumbered)
        self._is_synchronized = True
        if end.site is not None and end.epoch == self._epoch:
            self._note_sequences(end.site, end.epoch, end.sequences)
        self._release_all()

    def _join(self, messages: Sequence[Message], end: AnswerEnd) -> None:
        """Start with the present states in the snapshot, where those are wanted, and with what comes after it."""
        if self._from_s is not None:
            self._report_resume_point()
            return
        self._base_epoch = end.epoch
        for tracker in self._trackers.values():
            tracker.start_at(Position(end.epoch, 0))
        for camera, kinds in end.sequences.items():
            for name, last in kinds.items():
                if end.site is not None and self._wanted.matches(end.site, camera, name):
                    self._tracker(SequenceKey(end.site, camera, KINDS[name])).start_at(Position(end.epoch, last))
        for message in messages:
            key = key_of(message)
            if self._wanted.matches(key.site, key.camera, key.kind):
                tracker = self._tracker(key)
                tracker.start_at(Position(message.epoch, message.sequence - 1))
                tracker.hold(message)
        self._report_resume_point()

    def _go_on(self, epoch: int, renumbered: bool) -> None:
        """Go on in this epoch. Sequences may have begun anew more than once: then, in the first of the epochs that messages wait of."""
        if renumbered:
            self._renumber()
            epoch = min([epoch, *(tracker.held_epoch or epoch for tracker in self._trackers.values())])
        if renumbered or epoch > self._epoch:
            self._actions.append(PublisherRestarted(epoch, renumbered))
        self._epoch = epoch

    def _renumber(self) -> None:
        """Sequences begin anew after this epoch."""
        self._base_epoch = self._epoch + 1
        for tracker in self._trackers.values():
            self._deliver(tracker.renumber(self._epoch))
        self._report_resume_point()

    def _report_resume_point(self) -> None:
        self._actions.append(ResumePoint(self._base_epoch, {key: tracker.position for key, tracker in self._trackers.items()}))

    def _fill(self, tracker: SequenceTracker, messages: Sequence[Message], end: AnswerEnd, known: Position) -> None:
        """The log's answer has come: deliver it. Once the log has no more, what it lacks is missed."""
        self._deliver(tracker.fill(message for message in messages if key_of(message) == tracker.key))
        if not (end.more and messages):
            self._deliver(tracker.give_up(known))
        self._release(tracker)

    def _go_on_without_answers(self) -> None:
        """The publisher answers no requests: a new epoch counts as a new numbering, and what is missing is missed."""
        if not self._is_synchronized and self._epoch == 0:
            self._discard_before(self._newest_epoch)
            self._join_without_snapshot()
        self._is_synchronized = True
        while self._epoch < self._newest_epoch:
            self._go_on(self._newest_epoch, renumbered=True)
            self._release_all()
        for tracker in list(self._behind.values()):
            self._deliver(tracker.give_up(tracker.known))
            self._release(tracker)

    def _join_without_snapshot(self) -> None:
        self._epoch = self._newest_epoch
        if self._from_s is None:
            self._base_epoch = self._newest_epoch
            for tracker in self._trackers.values():
                tracker.start_at(tracker.known)
        self._report_resume_point()
        self._release_all()

    def _discard_before(self, epoch: int) -> None:
        """The publisher was restarted before this reader joined: earlier messages are in its log, or were numbered otherwise."""
        for tracker in self._trackers.values():
            tracker.discard_before(epoch)

    @property
    def _give_up_s(self) -> float | None:
        """When to stop waiting for answers; None while there is no need to."""
        waiting_s, first_s = self._pending.waiting_s, self._liveness.first_s
        if waiting_s is None or first_s is None or self._without_answers:
            return None
        if self._has_answered or self._liveness.has_heartbeats:
            return None if self._liveness.is_lost else max(waiting_s, first_s) + ANSWER_TIMEOUT_S
        return waiting_s + (OLD_ANSWER_TIMEOUT_S if self._liveness.without_heartbeats else ANSWER_TIMEOUT_S)
