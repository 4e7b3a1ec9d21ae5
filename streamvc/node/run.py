"""Runs a node until it is told to stop, and follows its configuration file."""

import logging
import math
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from streamvc.errors import NodeError, StreamvcError
from streamvc.node.config import read_config
from streamvc.node.document import camera_files
from streamvc.node.node import Node

logger = logging.getLogger(__name__)

LOOK_S = 1.0  # between two looks at the files
INSIST_S = 1.0  # after a first signal to stop; what stops a service may well send two at once
STOP = (signal.SIGINT, signal.SIGTERM)

Version = list[tuple[Path, int, int, int]]  # of a configuration's files: what changes when one is written


def run(path: Path, on_start: Callable[[Node], None] = lambda _node: None) -> None:
    """Watch the cameras of a configuration until SIGTERM or SIGINT comes. For the main thread.

    When the file is changed, or on SIGHUP, the cameras are changed to what it says. Where it cannot be used, that is logged, and all stays as it was.

    Args:
        path: The configuration.
        on_start: Is called once, when all cameras are being connected.

    Raises:
        StreamvcError: The configuration, or something that it names, cannot be used; or a part of the node has failed.
    """
    files = _Files(path)
    config = read_config(path)
    with _signals() as signals, Node(config) as node:
        on_start(node)
        if not config.cameras:
            logger.info("there is no camera yet; add one with `streamvc node add %s NAME SOURCE`", path)
        _follow(node, path, files, signals)
        logger.info("stopping")


def _follow(node: Node, path: Path, files: "_Files", signals: socket.socket) -> None:
    """Do what the file says, until a signal to stop comes."""
    while (number := _next_signal(signals)) not in STOP:
        if number is not None:
            files = _Files(path)
        if number is not None or files.has_changed():
            _reload(node, path)
        if node.failure:
            raise NodeError(f"{node.failure}; the log says more")


class _Files:
    """Notices that a configuration was written, when its files have stayed as they are for one look: an editor may write one in several steps."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._used = self._seen = self._version()

    def has_changed(self) -> bool:
        """Whether there is a version of them that was not there at the last yes."""
        before, self._seen = self._seen, self._version()
        if self._seen in (None, self._used) or self._seen != before:
            return False
        self._used = self._seen
        return True

    def _version(self) -> Version | None:
        try:
            paths = [self._path, *camera_files(self._path)]
            found = [(path, path.stat() if path.exists() else path.lstat()) for path in paths]  # a link may lead nowhere
        except OSError:  # one is being replaced, or gone: what runs goes on
            return None
        return [(path, status.st_mtime_ns, status.st_size, status.st_ino) for path, status in found]


def _reload(node: Node, path: Path) -> None:
    try:
        changes = node.apply(read_config(path))
    except StreamvcError as error:
        logger.error("the configuration cannot be used, all stays as it was: %s", error)
    else:
        logger.log(logging.WARNING if changes.later else logging.INFO, "the configuration was read again: %s", changes)


@contextmanager
def _signals() -> Iterator[socket.socket]:
    """A socket that gets the numbers of the signals that come. One to stop that comes a while after the first has its usual effect."""
    reading, writing = socket.socketpair()
    first = math.inf  # when one to stop came

    def take(number: int, _frame: object) -> None:
        nonlocal first
        if number in STOP:
            first = min(first, time.monotonic())
            if time.monotonic() - first > INSIST_S:
                signal.signal(number, before[number])
                signal.raise_signal(number)

    with reading, writing:
        reading.settimeout(LOOK_S)
        writing.setblocking(False)
        descriptor = signal.set_wakeup_fd(writing.fileno())
        before = {int(number): signal.signal(number, take) for number in (*STOP, signal.SIGHUP)}
        try:
            yield reading
        finally:
            for number, effect in before.items():
                signal.signal(number, effect)
            signal.set_wakeup_fd(descriptor)


def _next_signal(signals: socket.socket) -> int | None:
    """The next signal; None where none comes until it is time to look at the file again."""
    try:
        return signals.recv(1)[0]
    except TimeoutError:
        return None
