import threading
import time
from collections.abc import Callable
from pathlib import Path
from queue import Queue

import numpy as np
from numpy.typing import NDArray

from streamvc.capture.source import open_source
from streamvc.events import Event
from streamvc.inference.runtime import Model, open_model
from streamvc.node.scheduler import FrameScheduler
from streamvc.node.worker import InferenceWorker
from streamvc.node.worker_pool import HANGS_S, UNSEEN_S, WorkerPool
from streamvc.session import Session
from streamvc.threads import Worker
from streamvc.thresholds import Thresholds
from streamvc.types import Array, Frame
from tests.node.arrivals import arrived

WAIT_S = 60.0


class Waiting:
    """A network that says when it is asked, and waits for a word before it answers."""

    def __init__(self, model: Model, asked: Queue[None], go_on: threading.Event) -> None:
        self.input, self.output = model.input, model.output
        self._model, self._asked, self._go_on = model, asked, go_on

    def run(self, fill: Callable[[Array], None]) -> NDArray[np.float32]:
        self._asked.put(None)
        self._go_on.wait(WAIT_S)
        return self._model.run(fill)


def test_others_do_not_wait_for_a_frame_that_takes_long_and_what_is_decided_with_it_is_told(demo_clip: Path) -> None:
    due, asked, go_on = FrameScheduler[Session](1e6), Queue[None](), threading.Event()
    failures: Queue[tuple[str, Exception]] = Queue()
    events: dict[str, Queue[Event]] = {"yard": Queue(), "door": Queue()}

    def thread(worker: InferenceWorker) -> Worker:
        return Worker("inference", worker.run, due.close)

    def open_waiting(path: Path, runtime: str | None = None, num_threads: int = 1) -> Model:
        model = open_model(path, runtime, num_threads)
        return Waiting(model, asked, go_on) if path.name == "step.tflite" else model

    with open_source(demo_clip, policy="every") as source:
        frames = [Frame(frame.index, frame.timestamp, frame.image.copy(), "pts", 0.0, 0.0) for frame, _ in zip(source, range(75), strict=False)][::5]
    always = Thresholds(enter=0.0, leave=0.0, min_s=0.0)
    due.add("yard", Session("figure", camera="yard", thresholds=always, opener=open_waiting), worker=0, period_s=0.2)
    due.add("door", Session("figure", camera="door", thresholds=always), worker=0, period_s=0.2)
    pool = WorkerPool(thread)
    pool.add(
        InferenceWorker(
            0, due, publish=lambda event: events[event.camera].put(event), failed=lambda camera, error: failures.put((camera, error)), relief=1
        )
    )

    def see(camera: str, frame: Frame) -> None:
        done = threading.Event()
        due.offer(camera, arrived(frame, release=done.set))
        assert done.wait(WAIT_S)

    for frame in frames[:4]:  # before the first prediction
        see("door", frame)
        see("yard", frame)
    due.offer("yard", arrived(frames[4]))
    asked.get(timeout=WAIT_S)
    now = time.monotonic()
    for number in range(3):
        pool.watch(now + 1.0 + number)
    see("door", frames[4])
    assert events["door"].get(timeout=WAIT_S).phase == "start"
    see("yard", frames[5])  # of no use
    due.end("yard", "gap")
    see("door", frames[5])
    assert events["yard"].empty()
    go_on.set()
    told = [events["yard"].get(timeout=WAIT_S)]
    while told[-1].phase == "start":
        told.append(events["yard"].get(timeout=WAIT_S))
    assert (told[-1].phase, told[-1].reason) == ("end", "gap")
    pool.close()
    assert failures.empty()


def test_what_hangs_is_what_was_seen_at_one_frame_all_the_time_and_not_what_was_stopped_with_the_program(demo_clip: Path) -> None:
    due, asked, go_on = FrameScheduler[Session](1e6), Queue[None](), threading.Event()
    failures: Queue[tuple[str, Exception]] = Queue()
    threads: list[Worker] = []

    def thread(worker: InferenceWorker) -> Worker:
        threads.append(Worker("inference", worker.run, due.close))
        return threads[-1]

    def open_waiting(path: Path, runtime: str | None = None, num_threads: int = 1) -> Model:
        model = open_model(path, runtime, num_threads)
        return Waiting(model, asked, go_on) if path.name == "project.tflite" else model

    with open_source(demo_clip, policy="every") as source:
        frames = [Frame(frame.index, frame.timestamp, frame.image.copy(), "pts", 0.0, 0.0) for frame, _ in zip(source, range(6), strict=False)]
    due.add("yard", Session("figure", opener=open_waiting), worker=0, period_s=0.2)
    due.add("door", Session("figure"), worker=0, period_s=0.2)
    due.keep_all("yard", True)
    pool = WorkerPool(thread)
    pool.add(InferenceWorker(0, due, publish=lambda _event: None, failed=lambda camera, error: failures.put((camera, error))))
    go_on.set()
    due.offer("yard", arrived(frames[0]))
    asked.get(timeout=WAIT_S)
    go_on.clear()
    due.offer("yard", arrived(frames[5]))
    asked.get(timeout=WAIT_S)  # it hangs from now on
    now = time.monotonic()
    for _ in range(round(HANGS_S / UNSEEN_S)):
        pool.watch(now := now + 3600.0)
    assert failures.empty()
    pool.watch(now + 1.0)
    camera, error = failures.get_nowait()
    assert (camera, str(error).endswith("s, and is left behind")) == ("yard", True)
    due.end("yard", "error")  # as whoever is told of it does
    for frame in frames[:2]:
        done = threading.Event()
        due.offer("door", arrived(frame, release=done.set))
        assert done.wait(WAIT_S)
    pool.close()
    assert [each.is_running for each in threads] == [True, False]
    go_on.set()
    threads[0].join(WAIT_S)


def test_where_a_frame_comes_back_just_when_it_is_given_up_what_went_on_ends_once_and_what_began_with_it_is_not_told(demo_clip: Path) -> None:
    due, asked, go_on = FrameScheduler[Session](1e6), Queue[None](), threading.Event()
    events: Queue[Event] = Queue()

    def open_waiting(path: Path, runtime: str | None = None, num_threads: int = 1) -> Model:
        model = open_model(path, runtime, num_threads)
        return Waiting(model, asked, go_on) if path.name == "project.tflite" else model

    with open_source(demo_clip, policy="every") as source:
        frames = [Frame(frame.index, frame.timestamp, frame.image.copy(), "pts", 0.0, 0.0) for frame, _ in zip(source, range(75), strict=False)][::5]
    always = Thresholds(enter=0.0, leave=0.0, min_s=0.0)
    due.add("yard", Session("figure", camera="yard", thresholds=always, opener=open_waiting), worker=0, period_s=0.2)
    due.keep_all("yard", True)
    worker = InferenceWorker(0, due, publish=events.put, failed=lambda _camera, _error: None)
    thread = Worker("inference", worker.run, due.close).start()
    go_on.set()
    num_taken = 0
    for frame in frames[:-1]:
        num_taken += 1
        done = threading.Event()
        due.offer("yard", arrived(frame, release=done.set))
        assert done.wait(WAIT_S)
        asked.get(timeout=WAIT_S)
        if not events.empty():
            break
    begun = {event.event_id for event in events.queue if event.phase == "start"}
    assert begun
    go_on.clear()
    due.offer("yard", arrived(frames[num_taken]))
    asked.get(timeout=WAIT_S)
    work = worker.at
    assert work
    other = worker.hand_over(work)
    assert other
    assert worker.give_up(work)
    go_on.set()
    thread.join(WAIT_S)
    ended = [event for event in events.queue if event.phase == "end"]
    assert {event.event_id for event in ended} == begun
    assert {event.reason for event in ended} == {"error"}

    due.end("yard", "error")  # as whoever is told of it does
    due.close()
    other.run()
    assert [event for event in events.queue if event.phase == "end"] == ended
