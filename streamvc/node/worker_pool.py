"""The threads of the workers. One that hangs, as its network never answers, is left behind, and another one serves its cameras."""

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

HANGS_S = 10.0  # at one frame: it will not come back
FIRST_S = 60.0  # at the first of a camera, as a network may prepare itself
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
        self._watched = time.monotonic()

    def add(self, worker: InferenceWorker) -> None:
        """Run another one."""
        self._members.append(_Member(worker, self._thread(worker).start()))

    def watch(self, now: float) -> None:
        """Replace those that hang. To be called about each second, with `time.monotonic()`."""
        passed_s, self._watched = min(now - self._watched, UNSEEN_S), now
        for member in list(self._members):
            at = member.worker.at
            if at is None:
                member.at = None
            elif at is not member.at:
                member.at, member.at_s = at, min(now - at.taken, passed_s)
            else:
                member.at_s += passed_s
                if member.at_s > (HANGS_S if at.session.num_samples else FIRST_S):
                    self._replace(member, at)

    def _replace(self, member: _Member, at: Work[Session]) -> None:
        if worker := member.worker.replace(at):
            logger.error("%s: its frame hangs in a network; from now on another thread serves the others", at.camera, extra={"camera": at.camera})
            member.thread.leave_behind()
            self._members.remove(member)
            self.add(worker)

    def close(self) -> None:
        """Wait for their ends; first, what they work on is to be closed."""
        with ExitStack() as closing:
            for member in self._members:
                closing.callback(member.thread.close)
