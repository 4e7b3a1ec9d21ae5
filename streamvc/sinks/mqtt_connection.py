"""Connects a paho client, and again when it is lost, in a thread.

paho's own thread waits by `select`, which knows no descriptor above 1,023, and ends for good where a broker sends it what it cannot read.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from selectors import EVENT_READ, EVENT_WRITE

from paho.mqtt import client as paho

from streamvc.threads import ChannelClosed, Mailbox, PollSelector, Worker, wait_for_any

logger = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0  # before it is connected again; doubled each time that it was not
LOOK_S = 1.0  # between two looks whether it is time for a ping


class MqttConnection:
    """The connection of a client that knows where to connect (`connect_async`). Its callbacks are called by the thread that this has."""

    def __init__(self, client: paho.Client, failed: Callable[[Exception], None]) -> None:
        """Begin to connect; `failed` is told of each attempt that came to nothing, by that thread."""
        self._client = client
        self._failed = failed
        self._woken: Mailbox[None] = Mailbox(1)  # there is something to send; closed, that is the end
        client.on_socket_register_write = self._wake
        self._worker = Worker("mqtt", self._run, self._woken.close).start()

    def close(self) -> None:
        """Send what waits, as far as the broker takes it, and disconnect. An attempt to connect is waited for."""
        self._client.disconnect()
        self._worker.close()

    def _wake(self, *_: object) -> None:
        with suppress(ChannelClosed):
            self._woken.offer(None)

    def _run(self) -> None:
        pause_s = FIRST_PAUSE_S
        try:
            while True:
                try:
                    self._client.reconnect()
                    while self._client.socket():
                        self._exchange()
                        pause_s = FIRST_PAUSE_S if self._client.is_connected() else pause_s
                except ChannelClosed:
                    raise
                except Exception as error:  # what a broker sends may break anything in paho; that costs the connection alone
                    self._failed(error)
                    self._hang_up()
                wait_for_any([self._woken], pause_s)
                self._woken.take()
                pause_s = min(LONGEST_PAUSE_S, 2 * pause_s)
        finally:
            with suppress(Exception):  # it was to go in any case
                self._client.loop_write()
            self._hang_up()

    def _exchange(self) -> None:
        """Read and write what can be, as soon as something can be."""
        client, connection = self._client, self._client.socket()
        if connection is None:
            return
        num_read = getattr(connection, "pending", int)()  # of TLS: taken from the socket, and not looked at yet
        with PollSelector() as selector:
            selector.register(connection, EVENT_READ | (EVENT_WRITE if client.want_write() else 0))
            selector.register(self._woken, EVENT_READ)
            ready = {key.fileobj: events for key, events in selector.select(0 if num_read else LOOK_S)}
        self._woken.take()
        if num_read or ready.get(connection, 0) & EVENT_READ:
            client.loop_read()
        if client.want_write():
            client.loop_write()
        client.loop_misc()

    def _hang_up(self) -> None:
        if connection := self._client.socket():
            connection.close()
