"""The threads of the workers. Where one is long at a frame, another one serves the other cameras; if its network never answers, it is left behind."""

import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from streamvc.node.scheduler import Work
from streamvc.node.worker import InferenceWorker
from streamvc.session import Session
from streamvc.threads import Worker

logger = logging.getLogger(__name__)

SLOW_S = 0.5  # at one frame, where others are far quicker: they do not wait for it
HANGS_S = 10.0  # at one frame: it will not come back
FIRST_S = 60.0  # at the first of a camera, as a network may prepare itself
LAST_S = 1.0  # for it to come back all the same, at the end
UNSEEN_S = 2.0  # what is longer than that between two looks is the program's own absence, as when it was stopped or its machine is overloaded


@dataclass(slots=True, eq=False)
class _Member:
    """A worker, its thread, and for how long it has been seen at the same frame."""

    worker: InferenceWorker
    thread: Worker
    at: Work[Session] | None = None
    at_s: float = 0.0


class WorkerPool:
    """Runs workers until it is closed. `watch` is for one thread."""

    def __init__(self, thread: Callable[[InferenceWorker], Worker]) -> None:
        """A pool of no workers; `thread` makes the thread of one."""
        self._thread = thread
        self._members: list[_Member] = []
        self._apart: list[_Member] = []  # at frames that take long, while others have their places
        self._watched = time.monotonic()

    def add(self, worker: InferenceWorker) -> None:
        """Run another one."""
        self._members.append(_Member(worker, self._thread(worker).start()))

    def watch(self, now: float) -> None:
        """See to those whose frames take too long. To be called about each second, with `time.monotonic()`."""
        passed_s, self._watched = min(now - self._watched, UNSEEN_S), now
        for member in list(self._apart):
            member.at_s += passed_s
            if member.at is None or member.worker.at is not member.at:
                self._apart.remove(member)  # it has come back, and ended
            elif member.at_s > _bound_s(member.at):
                self._give_up(member, member.at)
        for member in list(self._members):
            at = member.worker.at
            if at is None:
                member.at = None
            elif at is not member.at:
                member.at, member.at_s = at, min(now - at.taken, passed_s)
            else:
                member.at_s += passed_s
            if at and (member.at_s > _bound_s(at) or (member.at_s > SLOW_S and member.worker.is_slower(at, member.at_s))):
                self._hand_over(member, at)

    def _hand_over(self, member: _Member, at: Work[Session]) -> None:
        if worker := member.worker.hand_over(at):
            self._members.remove(member)
            self._apart.append(member)
            self.add(worker)
            if member.at_s > _bound_s(at):
                self._give_up(member, at)

    def _give_up(self, member: _Member, at: Work[Session]) -> None:
        if member.worker.give_up(at):
            logger.error("%s: its frame hangs in a network; other threads serve the others", at.camera, extra={"camera": at.camera})
            member.thread.leave_behind()
        self._apart.remove(member)

    def close(self) -> None:
        """Wait for their ends; first, what they work on is to be closed. One that is long at a frame is given up."""
        with ExitStack() as closing:
            for member in self._members:
                closing.callback(member.thread.close)
            for member in list(self._apart):
                member.thread.join(LAST_S)
                if member.at:
                    self._give_up(member, member.at)


def _bound_s(at: Work[Session]) -> float:
    return HANGS_S if at.session.num_samples else FIRST_S
