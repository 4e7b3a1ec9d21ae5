import os
import select
import subprocess
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

import streamvc
from streamvc.threads import ChannelClosed, HangAwareLock, Mailbox, Together, Worker, time_limit

PATIENCE_S = 120.0  # for what is bound to come, on a machine that does much else


def is_readable(mailbox: Mailbox[int]) -> bool:
    return bool(select.select([mailbox], [], [], 0.0)[0])


def release(mailbox: Mailbox[int]) -> None:
    mailbox.close()
    with suppress(ChannelClosed):
        while True:
            mailbox.take()


def test_a_mailbox_can_be_polled_for_what_is_in_it() -> None:
    mailbox: Mailbox[int] = Mailbox(3)

    seen = [is_readable(mailbox)]
    offered = [mailbox.offer(number) for number in range(5)]
    seen.append(is_readable(mailbox))
    taken = mailbox.take()
    seen.append(is_readable(mailbox))

    assert seen == [False, True, False]
    assert offered == [True, True, True, False, False]
    assert taken == [0, 1, 2]
    assert mailbox.take() == []
    release(mailbox)


def test_what_is_in_a_mailbox_can_be_taken_after_it_was_closed() -> None:
    mailbox: Mailbox[int] = Mailbox(3)
    mailbox.offer(1)
    mailbox.close()
    mailbox.close()

    assert is_readable(mailbox)
    with pytest.raises(ChannelClosed):
        mailbox.offer(2)
    assert mailbox.take() == [1]
    assert is_readable(mailbox)
    with pytest.raises(ChannelClosed):
        mailbox.take()


def test_many_writers_lose_nothing_and_keep_their_own_order() -> None:
    mailbox: Mailbox[int] = Mailbox(10_000)

    def write(first: int) -> None:
        for number in range(first, first + 1000):
            assert mailbox.offer(number)

    taken: list[int] = []
    with ThreadPoolExecutor(4) as pool:
        writing = [pool.submit(write, 1000 * writer) for writer in range(4)]
        while len(taken) < 4000:
            select.select([mailbox], [], [], 20.0)
            taken += mailbox.take()
        assert [future.result() for future in writing] == [None] * 4

    assert sorted(taken) == list(range(4000))
    for writer in range(4):
        own = [number for number in taken if number // 1000 == writer]
        assert own == sorted(own)
    release(mailbox)


def test_a_worker_runs_until_the_block_is_left() -> None:
    mailbox: Mailbox[int] = Mailbox(1000)
    stopped = []

    def produce() -> None:
        for number in range(100):
            mailbox.offer(number)

    with Worker("producer", produce, lambda: stopped.append(True)):
        pass
    assert mailbox.take() == list(range(100))
    assert stopped
    release(mailbox)


def test_an_error_that_a_thread_lets_out_is_raised_where_the_block_is_left() -> None:
    def fail() -> None:
        raise OSError("broken")

    with pytest.raises(OSError, match="broken"), Worker("failing", fail, lambda: None):
        pass


def test_a_closed_channel_ends_a_thread_without_an_error() -> None:
    mailbox: Mailbox[int] = Mailbox(1)
    release(mailbox)

    def produce() -> None:
        mailbox.offer(1)

    with Worker("late", produce, lambda: None):
        pass


def test_a_worker_runs_from_its_start_to_its_end() -> None:
    mailbox: Mailbox[int] = Mailbox(1)

    def wait() -> None:
        while True:
            select.select([mailbox], [], [])
            mailbox.take()

    worker = Worker("waiting", wait, mailbox.close)
    seen = [worker.is_running]
    with worker:
        seen.append(worker.is_running)
    assert [*seen, worker.is_running] == [False, True, False]


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority of their own here")
def test_a_worker_may_let_others_go_first() -> None:
    seen: list[int] = []

    def look() -> None:
        seen.append(os.getpriority(os.PRIO_PROCESS, 0))

    for niceness in (0, 5):
        with Worker("patient", look, lambda: None, niceness=niceness):
            pass
    assert [each - os.getpriority(os.PRIO_PROCESS, 0) for each in seen] == [0, 5]


class Answering:
    """Answers numbers by their doubles, but refuses all that come with a seven; waits with the first ones until it is let."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.began = threading.Event()
        self.may_end = threading.Event()

    def __call__(self, numbers: list[int]) -> list[int]:
        self.batches.append(sorted(numbers))
        self.began.set()
        assert self.may_end.wait(PATIENCE_S)
        if 7 in numbers:
            raise ValueError("seven")
        return [2 * number for number in numbers]


def asked(together: Together[int, int], answering: Answering, first: int, others: list[int]) -> list[Future[int]]:
    """What becomes of a question, and of others that wait while it is answered."""
    with ThreadPoolExecutor(1 + len(others)) as pool:
        futures = [pool.submit(together.ask, first)]
        assert answering.began.wait(PATIENCE_S)
        futures += [pool.submit(together.ask, number) for number in others]
        while together.num_waiting < len(others):
            time.sleep(0.001)  # who spins holds the interpreter, and the others do not come to ask
        answering.may_end.set()
    return futures


def test_what_is_asked_while_others_are_answered_is_answered_together() -> None:
    answering = Answering()
    futures = asked(Together(answering), answering, 0, [1, 2, 3, 4, 5, 6])
    assert [future.result() for future in futures] == [0, 2, 4, 6, 8, 10, 12]
    assert answering.batches == [[0], [1, 2, 3, 4, 5, 6]]


def test_what_fails_together_fails_for_all_of_them_and_for_no_one_else() -> None:
    answering = Answering()
    together = Together(answering)
    first, *others = asked(together, answering, 1, [7, 8])
    assert first.result() == 2
    for other in others:
        with pytest.raises(ValueError, match="seven"):
            other.result()
    assert together.ask(9) == 18


def test_what_takes_too_long_is_stopped_and_what_does_not_is_not() -> None:
    stopped: Future[None] = Future()
    with time_limit(0.01, lambda: stopped.set_result(None)):
        stopped.result(10.0)
    with time_limit(60.0, lambda: pytest.fail("it was stopped")):
        pass


def test_a_worker_that_nobody_closed_is_stopped_before_the_program_ends() -> None:
    script = """
import threading
import streamvc
from streamvc.threads import Worker
stop = threading.Event()
def wait():
    stop.wait()
    print("stopped")
Worker("wait", wait, stop.set).start()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)

    assert (done.returncode, done.stdout, done.stderr) == (0, "stopped\n", "")


def test_a_thread_that_dies_is_logged_when_it_dies(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise OSError("broken")

    worker = Worker("failing", fail, lambda: None).start()
    worker.join(10.0)
    (record,) = caplog.records
    assert (record.levelname, record.getMessage()) == ("ERROR", "the thread streamvc-failing has failed: OSError: broken")
    assert record.exc_info
    with pytest.raises(OSError, match="broken"):
        worker.close()


def test_a_thread_that_hangs_holds_nobody(caplog: pytest.LogCaptureFixture) -> None:
    over = threading.Event()

    def hang() -> None:
        over.wait()

    with Worker("hanging", hang, lambda: None, close_s=0.05) as worker:
        pass
    assert caplog.messages == ["the thread streamvc-hanging has not ended within 0.05 s, and is left behind"]
    over.set()
    worker.join(10.0)


def test_nothing_in_the_package_waits_by_select() -> None:
    """It knows no descriptors above 1,024."""
    package = Path(streamvc.__file__).parent
    assert [path for path in package.rglob("*.py") if "select.select" in path.read_text()] == []


def test_who_waits_for_a_lock_is_told_where_its_holder_hangs() -> None:
    lock, taken, go_on = HangAwareLock(), threading.Event(), threading.Event()

    def hang() -> None:
        with lock:
            taken.set()
            go_on.wait(PATIENCE_S)

    with ThreadPoolExecutor(1) as pool:
        hanging = Worker("hanging", hang, lambda: None).start()
        assert taken.wait(PATIENCE_S)
        waiting = pool.submit(lock.__enter__)
        hanging.leave_behind()
        with pytest.raises(TimeoutError):
            waiting.result(PATIENCE_S)
        with pytest.raises(TimeoutError), lock:
            pass
        hanging.close()
        assert hanging.is_running
    go_on.set()
    hanging.join(PATIENCE_S)
    with lock:  # it has come back
        pass
