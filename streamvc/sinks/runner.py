"""Delivers what is in the log to sinks: each in a thread of its own, at its own pace, at least once. Publishing never waits for a sink."""

import hashlib
import logging
import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Protocol

from streamvc.errors import StreamvcError
from streamvc.publish.records import row_at
from streamvc.publish.wire import Message
from streamvc.sinks.mqtt_topics import Labels
from streamvc.sinks.opening import open_sink
from streamvc.sinks.positions import Positions, RetainedTopics
from streamvc.sinks.sink import Sink
from streamvc.threads import ChannelClosed, Mailbox, Worker, wait_for_any

logger = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
DRAIN_S = 5.0  # at the end, for what was published last to arrive


class MessageLog(Protocol):
    """What sinks are fed from: an `EventLog`, or a publisher's `kept`."""

    @property
    def path(self) -> Path | None:
        """Its file; None where it is in memory."""
        ...

    def read(self, after_row: int, limit: int, /) -> list[tuple[int, Message]]:
        """Messages in the order of writing, each with its row."""
        ...

    def listening(self) -> AbstractContextManager[Mailbox[None]]:
        """A mailbox that holds something when there is more to read."""
        ...


@contextmanager
def run_sinks(
    log: MessageLog, addresses: Sequence[str], *, site: str, node: str, labels: Callable[[], Labels] | None = None, drain_s: float = DRAIN_S
) -> Iterator[Callable[[], str | None]]:
    """Deliver to these sinks what is written to the log until the block is left, and then the rest, for at most `drain_s`.

    Gives what says, in words, which of them takes nothing just now; None while all do. Any thread may ask.

    A sink that an earlier run had too goes on at its position, if the log is a file; a new one begins with what comes.

    Args:
        log: Is open for longer than the block.
        addresses: See `open_sink`.
        site: The publisher's site.
        node: The publisher's machine.
        labels: Which cameras are watched now, each with the activities that its models know; asked for by other threads.
        drain_s: How long what was published last may take to arrive.

    Raises:
        SinkError: An address cannot be used.
    """
    with ExitStack() as stack:
        if not addresses:
            yield lambda: None
            return
        sinks: dict[str, Sink] = {}
        positions = stack.enter_context(closing(Positions(log.path and Path(f"{log.path}.sinks"))))
        for address in dict.fromkeys(addresses):
            memory = RetainedTopics(positions, _key(address))
            sinks[address] = stack.enter_context(closing(open_sink(address, site=site, node=node, labels=labels, memory=memory)))
        deliveries = [SinkRunner(log, sink, _key(address), positions, drain_s) for address, sink in sinks.items()]
        for delivery in deliveries:
            stack.enter_context(closing(delivery))
        try:
            yield lambda: next((delivery.problem for delivery in deliveries if delivery.problem), None)
        finally:
            for delivery in deliveries:  # all at once, and not one after the other
                delivery.finish()


class SinkRunner:
    """Delivers to one sink, from now until `close`.

    Attributes:
        problem: Why it takes nothing just now, in words; None while it does.
    """

    def __init__(self, log: MessageLog, sink: Sink, key: str, positions: Positions, drain_s: float) -> None:
        """Begin behind the position that is kept for `key`."""
        self._log = log
        self._sink = sink
        self._key = key
        self._positions = positions
        self._drain_s = drain_s
        self._row = positions.begin(key, row_at(time.time()))
        self.problem: str | None = None
        self._num_failures = 0
        self._closing: Mailbox[None] = Mailbox(1)
        self._finish_by = math.inf
        self._is_stopped = False
        self._finished: Future[None] = Future()
        self._worker = Worker("sink", self._run, self._stop).start()

    def finish(self) -> None:
        """Deliver what is in the log now, and then stop. Returns at once."""
        self._finish_by = min(self._finish_by, time.monotonic() + self._drain_s)
        self._closing.close()

    def close(self) -> None:
        """Finish, and wait at most `drain_s` for it."""
        self._worker.close()

    def _stop(self) -> None:
        self.finish()
        with suppress(TimeoutError):
            self._finished.result(max(0.0, self._finish_by - time.monotonic()))
        self._is_stopped = True
        self._sink.close()

    def _run(self) -> None:
        try:
            with self._log.listening() as news:
                self._deliver_all(news)
        except BaseException as error:  # handed over to who closes it
            self.problem = f"{self._sink.name} gets nothing any more: its thread has failed with {type(error).__name__}"
            raise
        finally:
            self._finished.set_result(None)

    def _deliver_all(self, news: Mailbox[None]) -> None:
        while True:
            finishing = self._is_finishing()  # before the log is read, so that nothing that is in it now is missed
            if self._is_stopped:
                return
            news.take()
            try:
                if self._deliver_some():
                    continue
                awaited, pause_s = [news], None
            except Exception as error:  # a defect of a sink, too: it must not end the thread without a word
                self._fail(error)
                awaited, pause_s = [], pause(self._num_failures)
            if finishing:
                return
            wait_for_any([self._closing, *awaited], pause_s)

    def _deliver_some(self) -> bool:
        """Deliver a batch; False where there is nothing to deliver."""
        rows = self._log.read(self._row, self._sink.batch_size)
        wanted = [message for _, message in rows if self._sink.choice.wants(message)]
        if wanted:
            self._sink.deliver(wanted)
            self._succeed()
        if rows:
            self._row = rows[-1][0]
            self._positions.advance(self._key, self._row)
        return bool(rows)

    def _is_finishing(self) -> bool:
        try:
            self._closing.take()
        except ChannelClosed:
            return True
        return False

    def _fail(self, error: Exception) -> None:
        self._num_failures += 1
        is_expected = isinstance(error, StreamvcError)
        reason = str(error) if is_expected else f"{self._sink.name} fails with {type(error).__name__}: {error}"
        self.problem = reason
        if self._num_failures == 1:
            logger.error("%s; what is published waits in the log, and is tried again", reason, exc_info=not is_expected)
        else:
            logger.info("%s (tried %d times)", reason, self._num_failures)

    def _succeed(self) -> None:
        if self._num_failures:
            logger.warning("%s takes events again, after %d failures", self._sink.name, self._num_failures)
        self._num_failures, self.problem = 0, None


def pause(num_failures: int) -> float:
    """Seconds to wait after so many failures in a row: twice as long after each, and a little by chance, so that not all come back at once."""
    return float(min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(num_failures - 1, 16)) * random.uniform(0.5, 1.0))


def _key(address: str) -> str:
    """What the position of a sink is kept under: its address may hold a secret."""
    return hashlib.sha256(address.encode()).hexdigest()[:16]
