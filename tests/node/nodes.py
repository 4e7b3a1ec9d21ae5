"""Nodes on this machine, and what they are heard to say."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from streamvc.events import Event, Health, State
from streamvc.node.node import Node
from streamvc.node.settings import NodeConfig
from streamvc.node.status import Snapshot
from streamvc.publish.subscriber import Subscriber

PATIENCE_S = 30.0

Body = Event | State | Health


def config(*cameras: dict[str, Any], **settings: Any) -> NodeConfig:
    """A node that others cannot hear, with these cameras; each is watched by the model `figure` if it says nothing else."""
    defaults = {"site": "site", "node": "node", "publish": "tcp://127.0.0.1:*", "log": None, "http": None}
    return NodeConfig.model_validate({**defaults, **settings, "cameras": [{"models": ["figure"], **camera} for camera in cameras]})


class Ear:
    """Hears a node."""

    def __init__(self, subscriber: Subscriber[Body]) -> None:
        self._subscriber = subscriber
        self.heard: list[Body] = []
        self._unclaimed: list[Body] = []

    def until(self, is_wanted: Callable[[Body], bool]) -> Body:
        """The first of what is wanted that was not given before. Events and health come from different threads, in any order."""
        while not (found := next(filter(is_wanted, self._unclaimed), None)):
            body = self._subscriber.receive(PATIENCE_S)
            assert body is not None, f"this was not said, but only {self.heard}"
            self.heard.append(body)
            self._unclaimed.append(body)
        self._unclaimed.remove(found)
        return found

    def rest(self) -> None:
        """Hear all that is said until it is quiet, as when the node has stopped."""
        while body := self._subscriber.receive(1.0):
            self.heard.append(body)
            self._unclaimed.append(body)

    def health(self, camera: str, status: str) -> Health:
        """The next word that a camera is so."""
        said = self.until(lambda body: isinstance(body, Health) and (body.camera, body.status) == (camera, status))
        assert isinstance(said, Health)
        return said

    def event(self, camera: str, phase: str) -> Event:
        """The next beginning or end of an activity there."""
        said = self.until(lambda body: isinstance(body, Event) and (body.camera, body.phase) == (camera, phase))
        assert isinstance(said, Event)
        return said


@contextmanager
def listening(endpoint: str) -> Iterator[Ear]:
    """Hears all that is, and was, said of events and health."""
    with Subscriber[Body](endpoint, kinds=["event", "health"], since="beginning") as subscriber:
        yield Ear(subscriber)


@contextmanager
def running(settings: NodeConfig) -> Iterator[tuple[Node, Ear]]:
    """A node, and somebody who hears it."""
    with Node(settings) as node, listening(node.endpoint) as ear:
        yield node, ear


def eventually(node: Node, is_wanted: Callable[[Snapshot], bool]) -> Snapshot:
    """The node's status when it is as wanted."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_wanted(snapshot := node.snapshot()):
        assert time.monotonic() < deadline, snapshot
        time.sleep(0.02)
    return snapshot
