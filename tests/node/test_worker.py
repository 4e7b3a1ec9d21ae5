import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from queue import Queue

import numpy as np
import pytest
from numpy.typing import NDArray

from streamvc.capture.source import open_source
from streamvc.errors import InferenceError, MessageError, PublishError
from streamvc.events import Event, Reason
from streamvc.inference.model_cache import ModelCache
from streamvc.inference.runtime import Model, Opener, open_model
from streamvc.node.scheduler import FrameScheduler
from streamvc.node.worker import InferenceWorker, Step
from streamvc.publish.cloudevents import encode
from streamvc.recording import NOTHING, Recorder, RecordingSettings
from streamvc.sampling import Sampler
from streamvc.session import Session
from streamvc.threads import Worker
from streamvc.thresholds import Thresholds
from streamvc.types import Array, Frame
from tests.node.arrivals import arrived

WAIT_S = 60.0


class Bench:
    """A worker in its thread, and all that it says."""

    def __init__(self, relief: int | None = None) -> None:
        self.due = FrameScheduler[Session](1e6)
        self.models = ModelCache()
        self.events: list[Event] = []
        self.steps: Queue[Step] = Queue()
        self.failures: Queue[tuple[str, Exception]] = Queue()
        self.released: Counter[str] = Counter()
        self._inference = InferenceWorker(
            0, self.due, publish=self._publish, failed=lambda camera, error: self.failures.put((camera, error)), relief=relief
        )
        self.thread = Worker("inference", self._run, self.due.close)

    def _publish(self, event: Event) -> None:
        encode(event, site="site", node="node", time=0.0)
        self.events.append(event)

    def _run(self) -> None:
        for step in self._inference.steps():
            if step.frame is not None or not step.events:
                self.steps.put(step)

    def add(self, name: str, recorder: Recorder | None = None, opener: Opener | None = None) -> None:
        always = Thresholds(enter=0.0, leave=0.0, min_s=0.0)
        session = Session("figure", camera=name, thresholds=always, recorder=recorder, opener=opener or self.models.open)
        self.due.add(name, session, worker=0, period_s=0.2)

    def offer(self, name: str, frame: Frame, *, still: bool = False) -> None:
        self.due.offer(name, arrived(frame, still=still, release=lambda: self.released.update([name])))

    def see(self, name: str, frame: Frame, *, still: bool = False) -> Step:
        """Offer a frame, and wait until it has been used."""
        self.offer(name, frame, still=still)
        return self.steps.get(timeout=WAIT_S)

    def show_all(self, streams: Mapping[str, Sequence[Frame]]) -> None:
        """Offer the frames of some cameras, and wait until all have been used."""
        for name, frames in streams.items():
            self.due.keep_all(name, True)
            for frame in frames:
                self.offer(name, frame)
        self.due.add("last", Session("figure", opener=self.models.open), worker=0, period_s=1.0, priority="low")
        self.offer("last", frames[0])
        while self.steps.get(timeout=WAIT_S).camera != "last":
            pass
        del self.released["last"]

    def outline(self, name: str) -> list[tuple[str, str, float, str | None]]:
        return [(event.phase, event.label, event.stream_start_s, event.reason) for event in self.events if event.camera == name]


@pytest.fixture(scope="module")
def frames(demo_clip: Path) -> list[Frame]:
    """The first 3 s of the demo's clip, at 5 Hz."""
    sampler = Sampler(5.0)
    with open_source(demo_clip, policy="every") as source:
        due = [replace(frame, image=frame.image.copy()) for frame in source if frame.timestamp < 3 and sampler.step(frame)]
    assert len(due) == 15
    return due


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    with made.thread:
        yield made


def test_a_camera_that_fails_is_ended_and_does_not_touch_the_others(bench: Bench, frames: list[Frame]) -> None:
    for name in ("yard", "door", "broken"):
        bench.add(name)
    for number, frame in enumerate(frames):
        for name in ("yard", "door"):
            bench.see(name, frame)
        if number < 10:
            bench.see("broken", frame)
    bench.offer("broken", replace(frames[-1], image=np.zeros((9, 9), np.uint8)))
    camera, error = bench.failures.get(timeout=WAIT_S)
    assert (camera, type(error)) == ("broken", InferenceError)
    assert {reason for phase, _, _, reason in bench.outline("broken") if phase == "end"} == {"error"}
    assert bench.outline("yard") == bench.outline("door")
    assert all(reason is None for *_, reason in bench.outline("yard"))
    bench.see("broken", frames[-1])
    assert bench.released == {"yard": 15, "door": 15, "broken": 12}


class Failing:
    """A model whose outputs go through `change`, but for the first ones."""

    def __init__(self, model: Model, change: Callable[[NDArray[np.float32]], NDArray[np.float32]], after: int = 9) -> None:
        self.input, self.output = model.input, model.output
        self._model = model
        self._change = change
        self._after = after
        self._num_runs = 0

    def run(self, fill: Callable[[Array], None]) -> NDArray[np.float32]:
        self._num_runs += 1
        output = self._model.run(fill)
        return self._change(output) if self._num_runs > self._after else output


def crash(_output: NDArray[np.float32]) -> NDArray[np.float32]:
    raise MemoryError("no room for a tensor")


@pytest.mark.parametrize(
    ("change", "file", "words"),
    [
        pytest.param(crash, "backbone.tflite", "no room for a tensor", id="raises"),
        pytest.param(lambda output: output * np.float32("nan"), "step.tflite", "figure: its scores are not finite", id="scores are NaN"),
        pytest.param(lambda output: output + np.float32("inf"), "step.tflite", "figure: its scores are not finite", id="scores are endless"),
        pytest.param(lambda output: output * np.float32("nan"), "backbone.tflite", "figure: what it sees .* is not finite", id="features are NaN"),
    ],
)
def test_a_model_that_fails_costs_its_camera_alone_and_ends_are_told_once(
    bench: Bench, frames: list[Frame], change: Callable[[NDArray[np.float32]], NDArray[np.float32]], file: str, words: str
) -> None:
    def open_failing(path: Path, runtime: str | None = None, threads: int = 1) -> Model:
        model = open_model(path, runtime, threads)
        return Failing(model, change) if path.name == file else model

    bench.add("yard")
    bench.add("door", opener=open_failing)
    bench.show_all({"yard": frames, "door": frames})
    camera, error = bench.failures.get_nowait()
    assert camera == "door"
    assert re.search(words, str(error))
    assert not [reason for *_, reason in bench.outline("yard") if reason]
    assert bench.released == {"yard": 15, "door": 15}
    begun, ended = ([event.event_id for event in bench.events if (event.camera, event.phase) == ("door", phase)] for phase in ("start", "end"))
    assert begun
    assert sorted(begun) == sorted(ended)
    assert all(event.reason == "error" for event in bench.events if (event.camera, event.phase) == ("door", "end"))


def test_it_says_when_a_frame_passed_which_stage(bench: Bench, frames: list[Frame]) -> None:
    bench.add("yard")
    told = [bench.see("yard", frame) for frame in frames]
    still = bench.see("yard", replace(frames[-1], timestamp=3.0), still=True)
    for each in told:
        moments = (each.captured, each.decoded, each.taken, each.featured, each.decided, each.published)
        assert all(before <= after for before, after in pairwise(moments))
    assert (told[-1].camera, told[-1].captured, told[-1].is_analysed, still.is_analysed) == ("yard", frames[-1].captured, True, False)
    assert [event for each in [*told, still] for event in each.events] == bench.events


def test_a_camera_that_is_removed_is_ended_and_what_is_recorded_of_it_is_complete(frames: list[Frame], tmp_path: Path) -> None:
    bench = Bench()
    with bench.thread:
        for name in ("yard", "door"):
            bench.add(name, Recorder(name, RecordingSettings(tmp_path)))
            for frame in frames:
                bench.see(name, frame)
        bench.due.remove("yard")
        bench.see("door", replace(frames[-1], timestamp=3.0))  # behind the end
        assert {reason for phase, _, _, reason in bench.outline("yard") if phase == "end"} == {"stop"}
        assert not [phase for phase, *_ in bench.outline("door") if phase == "end"]
    for name in ("yard", "door"):
        started = {event.event_id for event in bench.events if (event.camera, event.phase) == (name, "start")}
        ended = {event.event_id for event in bench.events if (event.camera, event.phase) == (name, "end")}
        assert started == ended == {path.stem for path in (tmp_path / name).glob("*.mp4")}
        assert started


def test_a_gap_ends_what_runs_and_analysis_goes_on(bench: Bench, frames: list[Frame]) -> None:
    bench.add("yard")
    for _ in range(2):
        for frame in frames:
            bench.see("yard", frame)
        bench.due.end("yard", "gap")
    bench.see("yard", frames[0])
    half = len(bench.outline("yard")) // 2
    assert bench.outline("yard")[:half] == bench.outline("yard")[half:]
    assert {reason for phase, _, _, reason in bench.outline("yard") if phase == "end"} == {"gap"}


def test_that_nothing_can_be_published_any_more_ends_the_worker(frames: list[Frame]) -> None:
    bench, refused = Bench(), Queue[Event]()

    def refuse(event: Event) -> None:
        refused.put(event)
        raise PublishError("closed")

    bench.add("yard")
    inference = InferenceWorker(0, bench.due, publish=refuse, failed=lambda _camera, _error: None)
    thread = Worker("inference", inference.run, bench.due.close).start()
    bench.due.keep_all("yard", True)
    for frame in frames[:5]:  # the fifth is the first that something is decided with
        bench.offer("yard", frame)
    assert refused.get(timeout=WAIT_S).phase == "start"
    with pytest.raises(PublishError):
        thread.close()


def test_a_recorder_that_fails_costs_the_recording_and_not_the_recognition(
    bench: Bench, frames: list[Frame], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder("yard", RecordingSettings(tmp_path))
    recorder.close()
    bench.add("yard", recorder)
    bench.add("door")
    bench.show_all({"yard": frames, "door": frames})
    assert bench.failures.empty()
    assert bench.outline("yard") == bench.outline("door")
    assert {event.media for event in bench.events} == {NOTHING}
    assert [record.getMessage() for record in caplog.records] == ["a recording is lost: nothing is recorded any more"]


def test_an_event_that_cannot_be_written_costs_its_camera_alone(bench: Bench, frames: list[Frame]) -> None:
    bench.add("")
    bench.add("door")
    bench.show_all({"": frames, "door": frames})
    camera, error = bench.failures.get_nowait()
    assert (camera, type(error)) == ("", MessageError)
    assert bench.outline("door")
    assert {event.camera for event in bench.events} == {"door"}


def test_what_cannot_be_ended_either_is_told_as_failed_and_touches_no_other_camera(bench: Bench, frames: list[Frame]) -> None:
    class BadSession(Session):
        def flush(self, reason: Reason) -> list[Event]:
            raise OverflowError("int too big to convert")

    bench.due.add("broken", BadSession("figure", opener=bench.models.open), worker=0, period_s=0.2)
    bench.add("door")
    bench.show_all({"broken": [replace(frames[0], image=np.zeros((9, 9), np.uint8))], "door": frames})
    assert {bench.failures.get_nowait()[0] for _ in range(2)} == {"broken"}
    assert bench.failures.empty()
    assert len(bench.outline("door")) > 1


class Slow:
    """A model whose second run takes a second, and whose third waits for a word."""

    def __init__(self, model: Model, go_on: Queue[None]) -> None:
        self.input, self.output = model.input, model.output
        self._model = model
        self._go_on = go_on
        self._num_runs = 0

    def run(self, fill: Callable[[Array], None]) -> NDArray[np.float32]:
        self._num_runs += 1
        if self._num_runs == 2:
            time.sleep(1.1)
        if self._num_runs == 3:
            self._go_on.get(timeout=WAIT_S)
        return self._model.run(fill)


def test_a_camera_whose_model_is_slow_gets_a_thread_beside_that_of_the_others(frames: list[Frame], caplog: pytest.LogCaptureFixture) -> None:
    bench, go_on, relieved = Bench(relief=1), Queue[None](), Queue[Step]()

    def open_slow(path: Path, runtime: str | None = None, threads: int = 1) -> Model:
        model = open_model(path, runtime, threads)
        return Slow(model, go_on) if path.name == "backbone.tflite" else model

    relief = InferenceWorker(1, bench.due, publish=bench.events.append, failed=lambda camera, error: bench.failures.put((camera, error)))

    def run_relief() -> None:
        for step in relief.steps():
            relieved.put(step)

    with bench.thread, Worker("relief", run_relief, bench.due.close):
        bench.add("yard")
        bench.add("door", opener=open_slow)
        for number in range(2):
            bench.see("yard", frames[number])
            bench.see("door", frames[number])
        assert [record.getMessage() for record in caplog.records if "takes 1." in record.getMessage()]
        bench.due.keep_all("door", True)
        for frame in frames[2:]:
            bench.offer("door", frame)
            assert bench.see("yard", frame).camera == "yard"  # while the other one waits
        go_on.put(None)
        assert {relieved.get(timeout=WAIT_S).camera for _ in frames[2:]} == {"door"}
    assert bench.failures.empty()
    assert bench.released == {"yard": 15, "door": 15}
    assert bench.outline("door") == bench.outline("yard")
    assert [phase for phase, *_ in bench.outline("door")].count("end") == [phase for phase, *_ in bench.outline("door")].count("start") > 0


def test_cameras_that_are_all_slow_share_the_worker(frames: list[Frame]) -> None:
    bench = Bench(relief=1)

    def open_slow(path: Path, runtime: str | None = None, threads: int = 1) -> Model:
        model = open_model(path, runtime, threads)
        return Failing(model, slowly, after=0) if path.name == "project.tflite" else model

    with bench.thread:
        for name in ("yard", "door"):
            bench.add(name, opener=open_slow)
        for frame in frames[:5]:
            for name in ("yard", "door"):
                assert bench.see(name, frame).camera == name


def slowly(output: NDArray[np.float32]) -> NDArray[np.float32]:
    time.sleep(0.6)
    return output
