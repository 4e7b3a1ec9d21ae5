"""The whole pipeline, with the shipped model, on the shipped clip and on pictures that the figure renderer makes."""

import random
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import streamvc
from streamvc.capture.source import open_source
from streamvc.errors import InferenceError, SourceError
from streamvc.events import Detection, Event, Health
from streamvc.health import STALL_S
from streamvc.inference.recognizer import Recognizer
from streamvc.pipeline import Stages, Tuning, Watch, camera_name, classify
from streamvc.types import Frame
from tests.capture.servers import Camera


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer.load("figure")


@pytest.fixture(scope="module")
def clip_frames(demo_clip: Path) -> list[Frame]:
    """The demo's clip, decoded."""
    with open_source(demo_clip) as source:
        return [replace(frame, image=frame.image.copy()) for frame in source]


def detections(recognizer: Recognizer, frames: Iterable[Frame]) -> list[Detection]:
    stages = Stages(recognizer, update_s=0.0)
    found = [detection for frame in frames for detection in stages.step(frame)]
    return found + stages.flush("end_of_stream")


def watch_events(recognizer: Recognizer, clip: Path, *, pace: bool = False) -> list[Event]:
    with open_source(clip, pace=pace, policy="every") as source:
        return [event for step in Watch(source, recognizer, camera="c").steps() for event in step.events]


def without_clock(event: Event) -> Event:
    """The event without what the wall clock had a part in."""
    return replace(event, timing=replace(event.timing, capture=0.0, decoded_s=0.0, features_s=0.0, decided_s=0.0))


def test_two_runs_and_the_stages_in_one_thread_give_the_same_events(recognizer: Recognizer, demo_clip: Path, clip_frames: list[Frame]) -> None:
    first, second = (watch_events(recognizer, demo_clip) for _ in range(2))
    assert [without_clock(event) for event in first] == [without_clock(event) for event in second]
    outline = [(event.phase, event.label, event.score, event.stream_start_s, event.stream_end_s) for event in first if event.phase != "update"]
    offline = detections(recognizer, clip_frames)
    assert outline == [(item.phase, item.label, item.score, item.t_start, item.t_end) for item in offline]
    assert outline


@pytest.mark.slow
def test_played_at_its_own_speed_a_clip_gives_the_events_of_its_replay(recognizer: Recognizer, demo_clip: Path) -> None:
    live, replay = watch_events(recognizer, demo_clip, pace=True), watch_events(recognizer, demo_clip)
    assert [without_clock(event) for event in live] == [without_clock(event) for event in replay]


def at_rate(frames: list[Frame], fps: float) -> list[Frame]:
    """What a camera of another rate would have sent: at each of its moments, the newest picture there is."""
    moments = np.arange(0.0, frames[-1].timestamp, 1 / fps)
    newest = np.searchsorted([frame.timestamp for frame in frames], moments + 1e-6, side="right") - 1
    return [replace(frames[number], index=index, timestamp=float(moment)) for index, (number, moment) in enumerate(zip(newest, moments, strict=True))]


@pytest.mark.parametrize("fps", [10, 15, 30])
def test_the_frame_rate_does_not_change_the_events(recognizer: Recognizer, clip_frames: list[Frame], fps: int) -> None:
    assert_same_events(detections(recognizer, clip_frames), detections(recognizer, at_rate(clip_frames, fps)), hop_s(recognizer))


def hop_s(recognizer: Recognizer) -> float:
    return recognizer.bundle.manifest.stride / recognizer.bundle.manifest.rate_hz


def test_dropped_frames_do_not_change_the_events(recognizer: Recognizer, clip_frames: list[Frame]) -> None:
    whole = detections(recognizer, clip_frames)
    rng = random.Random(1)
    thinned = detections(recognizer, [frame for frame in clip_frames if rng.random() >= 0.2])
    assert_same_events(whole, thinned, hop_s(recognizer))


def assert_same_events(expected: list[Detection], found: list[Detection], tolerance_s: float) -> None:
    assert [(item.phase, item.label) for item in found] == [(item.phase, item.label) for item in expected]
    for one, other in zip(expected, found, strict=True):
        assert other.t_start == pytest.approx(one.t_start, abs=tolerance_s + 1e-6)
        assert (other.t_end or 0.0) == pytest.approx(one.t_end or 0.0, abs=tolerance_s + 1e-6)


def test_a_gap_ends_what_runs_and_leaves_nothing_behind(recognizer: Recognizer, clip_frames: list[Frame]) -> None:
    start = detections(recognizer, clip_frames)[0]
    middle = next(index for index, frame in enumerate(clip_frames) if frame.timestamp > start.timestamp + 0.5)
    late = [replace(frame, timestamp=frame.timestamp + 30.0) for frame in clip_frames[middle:]]
    found = detections(recognizer, clip_frames[:middle] + late)
    assert [(item.phase, item.reason) for item in found[:2]] == [("start", None), ("end", "gap")]
    assert found[1].t_end == pytest.approx(clip_frames[middle - 1].timestamp, abs=0.2)
    alone = detections(recognizer, late)
    assert [replace(item, timestamp=0.0) for item in found[2:]] == [replace(item, timestamp=0.0) for item in alone]


def test_leaving_the_loop_early_ends_what_runs_for_the_sinks(demo_clip: Path) -> None:
    heard: list[Event] = []
    events = streamvc.watch(demo_clip, model="figure", sinks=[heard.append])
    assert isinstance(events, Iterator)
    start = next(events)
    assert start.phase == "start"
    events.close()  # type: ignore[attr-defined]  # it is a generator
    assert [(event.phase, event.reason) for event in heard if event.phase != "update"] == [("start", None), ("end", "stop")]
    assert heard[-1].event_id == start.event_id


def test_stopping_ends_what_runs(recognizer: Recognizer, demo_clip: Path) -> None:
    found: list[Event] = []
    with open_source(demo_clip) as source:
        watch = Watch(source, recognizer, camera="c", update_s=0.0)
        for step in watch.steps():
            found += step.events
            if step.events:
                watch.stop()
    assert [(event.phase, event.reason) for event in found] == [("start", None), ("end", "stop")]


def test_how_the_camera_fares_is_reported_beside(recognizer: Recognizer, demo_clip: Path) -> None:
    told: list[Health] = []
    with open_source(demo_clip) as source:
        watch = Watch(source, recognizer, camera="c", report=told.append)
        for _ in watch.steps():
            if len(told) == 2:
                watch.stop()
    assert [(health.camera, health.status, health.reason) for health in told] == [
        ("c", "up", None),
        ("c", "up", None),
        ("c", "ended", "stop"),
    ]
    assert told[1].fps_in == pytest.approx(25.0)
    assert told[1].rate_hz == pytest.approx(recognizer.bundle.manifest.rate_hz)


def filmed(frames: Iterable[Frame]) -> Iterator[NDArray[np.uint8]]:
    """The pictures, when a camera would send them."""
    begun = time.monotonic()
    for number, frame in enumerate(frames):
        time.sleep(max(0.0, begun + number / 25 - time.monotonic()))
        yield frame.image


def test_a_camera_that_falls_silent_stalls_and_is_lost(recognizer: Recognizer, clip_frames: list[Frame]) -> None:
    told: list[Health] = []
    always = Tuning(enter=0.0, leave=0.0, min_s=0.0)
    with (
        Camera(filmed(clip_frames[175:215]), then="fall silent").on() as host,
        open_source(f"http://{host}/", policy="every", read_timeout_s=STALL_S + 1.0) as source,
    ):
        events: list[Event] = []
        watch = Watch(source, recognizer, camera="c", sinks=[events.append], report=told.append, tuning=always)
        with pytest.raises(SourceError):
            list(watch.steps())
    assert [(health.status, health.reason) for health in told] == [("up", None), ("stalled", None), ("down", "lost")]
    assert told[-1].detail
    assert {event.reason for event in events if event.phase == "end"} == {"lost"}


def test_an_error_on_the_way_ends_what_runs(recognizer: Recognizer, demo_clip: Path) -> None:
    told: list[Health] = []
    heard: list[Event] = []

    def fail_at_the_start(event: Event) -> None:
        heard.append(event)
        if event.phase == "start":
            raise InferenceError("the runtime refused")

    with open_source(demo_clip) as source, pytest.raises(InferenceError):
        list(Watch(source, recognizer, camera="c", sinks=[fail_at_the_start], report=told.append).steps())
    assert [(event.phase, event.reason) for event in heard] == [("start", None), ("end", "error")]
    assert [(health.status, health.reason, health.detail) for health in told[-1:]] == [("down", "error", "the runtime refused")]


def test_an_event_tells_where_when_and_how_it_was_made(recognizer: Recognizer, demo_clip: Path) -> None:
    start, *_ = watch_events(recognizer, demo_clip)
    assert start.camera == "c"
    assert start.model.sha256 == recognizer.bundle.sha256
    assert start.stream.clock == "pts"
    assert start.stream.fps_in == pytest.approx(25.0)
    assert 0 < start.timing.decoded_s < start.timing.features_s < start.timing.decided_s
    assert start.duration_s is None
    assert start.top[0] == (start.label, start.score)


def test_the_end_of_the_file_ends_what_runs(recognizer: Recognizer, demo_clip: Path) -> None:
    always = Tuning(enter=0.0, leave=0.0, min_s=0.0)
    with open_source(demo_clip) as source:
        events = [event for step in Watch(source, recognizer, camera="c", tuning=always).steps() for event in step.events]
    ends = [event for event in events if event.phase == "end"]
    assert {event.reason for event in ends} >= {"end_of_stream"}
    starts = [event.event_id for event in events if event.phase == "start"]
    assert sorted(starts) == sorted(event.event_id for event in ends)


def test_updates_come_once_a_second(recognizer: Recognizer, demo_clip: Path) -> None:
    events = watch_events(recognizer, demo_clip)
    durations = [event.duration_s for event in events if event.event_id == events[0].event_id and event.phase == "update"]
    assert durations
    steps = [later - earlier for earlier, later in pairwise(duration for duration in durations if duration is not None)]
    assert steps == pytest.approx([1.0] * len(steps))


def test_classify_refuses_a_clip_that_is_too_short(recognizer: Recognizer, clip_frames: list[Frame], tmp_path: Path) -> None:
    from streamvc.view.video import VideoWriter

    with VideoWriter(tmp_path / "one.mp4") as writer:
        writer.show(clip_frames[0].image, 0.0)
    with pytest.raises(SourceError, match=r"one\.mp4: too short, figure needs 1 s"):
        classify(tmp_path / "one.mp4", recognizer)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        (0, "camera-0"),
        ("2", "camera-2"),
        ("rtsp://user:secret@192.0.2.7:554/x", "192.0.2.7"),
        ("clips/yard.mp4", "yard"),
        (Path("/a/b.c.avi"), "b.c"),
    ],
)
def test_a_camera_is_named_after_its_source(source: str | int | Path, name: str) -> None:
    assert camera_name(source) == name


def test_tuning_keeps_what_is_not_given_and_the_thresholds_in_order(recognizer: Recognizer) -> None:
    decision = recognizer.bundle.decision(recognizer.labels[0])
    assert Tuning().apply(decision) == decision
    assert Tuning(enter=decision.leave / 2).apply(decision).leave == decision.leave / 2
    assert Tuning(leave=0.95).apply(decision).enter == pytest.approx(0.95)
    with pytest.raises(ValueError, match="above enter"):
        Tuning(enter=0.3, leave=0.6)


def test_scores_are_those_of_the_recogniser_alone(recognizer: Recognizer, clip_frames: list[Frame]) -> None:
    recognizer.reset()
    own_loop = [prediction for frame in clip_frames if (prediction := recognizer.step(frame))]
    stages = Stages(recognizer, tuning=Tuning(smoothing_s=0.0))
    seen = []
    for frame in clip_frames:
        stages.step(frame)
        if stages.prediction is not None and stages.prediction.index == frame.index:
            seen.append(stages.prediction)
    assert [prediction.index for prediction in seen] == [prediction.index for prediction in own_loop]
    np.testing.assert_array_equal([prediction.scores for prediction in seen], [prediction.scores for prediction in own_loop])
