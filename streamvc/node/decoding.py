"""What a decoder process does: captures a stream, and tells the node of each picture that is wanted."""

import math
import os
import resource
import select
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from streamvc.capture.address import redact
from streamvc.capture.loop import capture
from streamvc.capture.messages import Due, Finished, Message, Opened, decode_settings, encode
from streamvc.capture.ring import Ring, new_memory
from streamvc.errors import SourceError
from streamvc.node.confine import confine
from streamvc.threads import ChannelClosed
from streamvc.types import Array

MAX_SETTINGS_BYTES = 1 << 18  # more than one datagram can hold
MEMORY_BYTES = 768 << 20  # of a decoder's own: enough for 8K; what a stream makes grow without end is ended there
NEARLY = 0.9  # of the memory: a step that is larger than what is left is not made
RETRY_S = 0.001  # seconds between two looks for a free slot, of what can wait: nobody is told when one is given back


class SocketReceiver:
    """Pictures go into shared memory, and the word of them through a connection. See `Receiver`."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._poller = select.poll()
        self._poller.register(connection, select.POLLRDHUP)
        self._ring: Ring  # set by `open`
        self._is_lossless = False

    def open(self, opened: Opened) -> None:
        width, height = opened.handed_size
        descriptor = new_memory(height, width)
        self._ring = Ring(descriptor, height, width)
        self._is_lossless = opened.policy == "every"
        self.say(opened, (descriptor,))
        os.close(descriptor)

    def put(self, due: Due, write: Callable[[Array], None] | None) -> bool:
        if write is None:
            self.say(replace(due, decoded=time.monotonic()))
            return True
        while (slot := self._ring.claim()) is None:
            if not self._is_lossless:
                return False
            self.wait_until(time.monotonic() + RETRY_S)
        write(self._ring.slot(slot))
        self.say(replace(due, slot=slot, decoded=time.monotonic()))
        return True

    def say(self, message: Message, descriptors: tuple[int, ...] = ()) -> None:
        """Send a message; waits where the node is far behind."""
        try:
            socket.send_fds(self._connection, [encode(message)], descriptors)
        except OSError as error:
            raise ChannelClosed from error

    def wait_until(self, moment: float) -> None:
        if self._poller.poll(max(0, math.ceil((moment - time.monotonic()) * 1000))):
            raise ChannelClosed


def run(connection: socket.socket) -> None:
    """Capture one connection of a camera, by the settings that come through it, until it ends or the node hangs up."""
    receiver = SocketReceiver(connection)
    try:
        settings = decode_settings(connection.recv(MAX_SETTINGS_BYTES))
        with suppress(SourceError, OSError):  # the first is told when it is opened; for the other, the kernel will not
            confine(settings.source)
        said = capture(settings, receiver)
    except ChannelClosed:
        return
    except Exception as error:  # handed over to the node
        said = Finished("died", f"{type(error).__name__}: {redact(str(error))}")
    if said.reason != "end_of_stream" and _is_memory_used_up():  # what comes of that looks like anything
        said = Finished("died", f"it takes more than {MEMORY_BYTES >> 20} MiB of memory, which is too much for one camera; has a picture no end?")
    with suppress(ChannelClosed):
        receiver.say(said)


def _is_memory_used_up() -> bool:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10 > MEMORY_BYTES * NEARLY
