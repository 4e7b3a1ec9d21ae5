"""The thread that hears all decoders: cameras come and go here, and each is told of the time that passes."""

import logging
import math
import selectors
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

from streamvc.errors import NodeError
from streamvc.events import Health
from streamvc.health import NOT_WATCHED, REPEAT_S
from streamvc.node.camera import Camera, Channels, Plan
from streamvc.node.overload import Overload
from streamvc.threads import ChannelClosed, Mailbox

logger = logging.getLogger(__name__)

TICK_S = 1.0  # between two looks at rates and schedules
NUM_ORDERS = 1000  # that may wait; far more than ever do


class Order(Protocol):
    """Something for the hub's thread to do."""

    def __call__(self, now: float) -> None: ...


class Hub:
    """Watches cameras in the thread that calls `run`, until `close`. All else may be called, and read, by any thread.

    Attributes:
        cameras: Those that are watched, by name; after the end those that were.
        problem: What the node lacks, in words; None while all cameras are analysed at their rate.
        is_ready: Each camera was connected once, or could not be.
        turned: `time.monotonic()` when it last had nothing to do, in seconds.
    """

    def __init__(
        self,
        node: str,
        channels: Channels,
        *,
        num_connecting: int,
        ends: bool = False,
        watches: Sequence[Callable[[float], None]] = (),
        other_problem: Callable[[], str | None] = lambda: None,
    ) -> None:
        """A hub without cameras.

        Args:
            node: The node's name, for what is told of it as a whole.
            channels: What its cameras speak to.
            num_connecting: Cameras that may be connecting at the same time.
            ends: Nothing is left to do when nothing comes of any camera any more.
            watches: Are called each second, with the time of it: what else is to be looked after.
            other_problem: What the node lacks besides, in words; None for nothing.
        """
        self.cameras: Mapping[str, Camera] = {}
        self.problem: str | None = None
        self.is_ready = False
        self.turned = time.monotonic()
        self._node = node
        self._channels = channels
        self._num_connecting = num_connecting
        self._orders: Mailbox[Order] = Mailbox(NUM_ORDERS)
        self._closed, self._closing = socket.socketpair()
        self._closing.setblocking(False)
        self._ends = ends
        self._watches = watches
        self._other_problem = other_problem
        self._overload = Overload()
        self._told_at = 0.0
        self._next_tick = self._next_step = time.monotonic()

    def change(self, removed: Sequence[str], added: Sequence[Plan]) -> None:
        """Let cameras go, and watch others; the rest is not touched. A camera that is to be watched otherwise is in both.

        Raises:
            NodeError: The hub is closed, or does not answer.
        """
        try:
            accepted = self._orders.offer(partial(self._change, removed, added))
        except ChannelClosed as error:
            raise NodeError("the node is closed") from error
        if not accepted:
            raise NodeError("the node does not answer; start it again")

    def fail(self, camera: str, error: Exception) -> None:
        """A camera's analysis has failed."""
        with suppress(ChannelClosed):
            self._orders.offer(partial(self._fail, camera, error))

    def close(self) -> None:
        """Let all cameras go, and return from `run`. Never waits, and may be called by a signal handler, as no lock is taken."""
        with suppress(OSError):  # it is closed, or was told so already
            self._closing.send(b"\0")

    def run(self) -> None:
        """Watch, until it is closed."""
        selector = self._channels.selector
        selector.register(self._orders, selectors.EVENT_READ)
        selector.register(self._closed, selectors.EVENT_READ, self._orders.close)
        try:
            while True:
                timeout_s = max(0.0, min(self._next_tick, self._next_step) - time.monotonic())
                ready = [key.data for key, _ in selector.select(timeout_s)]
                self.turned = now = time.monotonic()
                for data in ready:
                    match data:
                        case Camera():
                            self._hear(data, now)
                        case None:
                            self._obey(now)
                        case close:
                            selector.unregister(self._closed)
                            close()
                if now >= self._next_tick:
                    self._tick(now)
                if now >= self._next_step:
                    self._step(now)
                if self._ends and self.cameras and all(camera.is_over for camera in self.cameras.values()):
                    self._channels.scheduler.finish()
        finally:
            for camera in self.cameras.values():
                camera.stop()
            if self._ends:
                self._channels.scheduler.finish()
            selector.close()
            self._closed.close()
            self._closing.close()

    def _hear(self, camera: Camera, now: float) -> None:
        was_connecting = camera.is_connecting
        camera.hear(now)
        # Where one has come to something, another may connect.
        self._next_step = now if was_connecting and not camera.is_connecting else min(self._next_step, camera.due)

    def _obey(self, now: float) -> None:
        for order in self._orders.take():
            order(now=now)

    def _change(self, removed: Sequence[str], added: Sequence[Plan], now: float) -> None:
        cameras, changed = dict(self.cameras), {plan.config.name for plan in added}
        for name in removed:
            cameras.pop(name).stop(None if name in changed else NOT_WATCHED)
        for plan in added:
            cameras[plan.config.name] = camera = Camera(plan, self._channels)
            camera.begin(now)
        self.cameras = cameras  # replaced, never changed: others may be reading it
        self._next_tick = now

    def _fail(self, name: str, error: Exception, now: float) -> None:
        if camera := self.cameras.get(name):
            camera.fail(now, error)

    def _step(self, now: float) -> None:
        """Tell the cameras that wait for it that time has passed, the one that has waited longest first."""
        cameras = self.cameras.values()
        num_connecting = sum(camera.is_connecting for camera in cameras)
        for camera in sorted((camera for camera in cameras if camera.due <= now), key=lambda camera: camera.due):
            was_connecting = camera.is_connecting
            camera.step(now, may_connect=num_connecting < self._num_connecting)
            num_connecting += camera.is_connecting - was_connecting
        # One that may not connect yet is still due; it waits for another to have done so.
        self._next_step = min((camera.due for camera in cameras if camera.due > now), default=math.inf)

    def _tick(self, now: float) -> None:
        self._next_tick, self._next_step = now + TICK_S, now
        for watch in self._watches:
            watch(now)
        clock = datetime.now(UTC)
        for camera in self.cameras.values():
            camera.tick(now, clock)
        demands = [demand for camera in self.cameras.values() if (demand := camera.demand())]
        problem = self._overload.step(demands) or next((problem for camera in self.cameras.values() if (problem := camera.problem)), None)
        self._tell(problem or self._other_problem(), now)
        self.is_ready = self.is_ready or all(camera.was_tried for camera in self.cameras.values())

    def _tell(self, problem: str | None, now: float) -> None:
        """Say that the node lacks something, again where that goes on, and when it is over."""
        before, self.problem = self.problem, problem
        if (problem is None) == (before is None) and (problem is None or now - self._told_at < REPEAT_S):
            return
        self._told_at = now
        if problem:
            logger.warning("%s", problem)
        self._channels.report(Health(self._node, "degraded" if problem else "up", None, problem, None, None, 0, seq=None, epoch=None))
