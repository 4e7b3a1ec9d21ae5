"""What a decoder process does: captures a stream, and tells the node of each picture that is wanted."""

import math
import os
import select
import socket
import time
from collections.abc import Callable
from dataclasses import replace

from streamvc.capture.address import redact
from streamvc.capture.loop import capture
from streamvc.capture.messages import Due, Finished, Message, Opened, Started, decode_settings, encode
from streamvc.capture.ring import Ring, new_memory
from streamvc.threads import ChannelClosed
from streamvc.types import Array

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


def run(connection: socket.socket, settings: bytes) -> None:
    """Capture one connection of a camera until it ends or the node hangs up."""
    receiver = SocketReceiver(connection)
    try:
        receiver.say(Started(os.getpid()))
        receiver.say(capture(decode_settings(settings), receiver))
    except ChannelClosed:
        pass
    except Exception as error:  # handed over to the node
        receiver.say(Finished("died", f"{type(error).__name__}: {redact(str(error))}"))
