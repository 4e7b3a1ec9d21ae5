"""A whole watch, with the shipped model, on the shipped clip and on cameras that are served here."""

import itertools
import queue
import random
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import streamvc
from streamvc.capture.address import camera_name
from streamvc.capture.source import open_source
from streamvc.classification import classify
from streamvc.errors import InferenceError, SourceError
from streamvc.events import Event, Health
from streamvc.inference.recognizer import Recognizer
from streamvc.live import Watch, camera_configs, watch
from streamvc.session import Session
from streamvc.testing import Die, Play, ScriptedCamera, Stall
from streamvc.threads import Worker
from streamvc.thresholds import Thresholds
from streamvc.types import Frame, Prediction
from tests.capture.servers import Camera
from tests.capture.videos import textured, write_video


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer.load("figure")


@pytest.fixture(scope="module")
def clip_frames(demo_clip: Path) -> list[Frame]:
    """The demo's clip, decoded."""
    with open_source(demo_clip) as source:
        return [replace(frame, image=frame.image.copy()) for frame in source]


def session_events(recognizer: Recognizer, frames: Iterable[Frame]) -> list[Event]:
    session = Session(recognizer, camera="c", update_s=0.0)
    return [*(event for frame in frames for event in session.take(frame)), *session.close("end_of_stream")]


def watch_events(recognizer: Recognizer, clip: Path, *, pace: bool = False) -> list[Event]:
    return list(watch(clip, recognizer, camera="c", pace=pace, policy="every"))


def without_clock(event: Event) -> Event:
    """The event without what the wall clock had a part in."""
    return replace(event, timing=replace(event.timing, capture=0.0, decoded_s=0.0, features_s=0.0, decided_s=0.0))


def outline(events: Iterable[Event]) -> list[tuple[str, str, float, float, float | None]]:
    return [(event.phase, event.label, event.score, event.stream_start_s, event.stream_end_s) for event in events if event.phase != "update"]


def test_two_runs_and_a_session_in_one_thread_give_the_same_events(recognizer: Recognizer, demo_clip: Path, clip_frames: list[Frame]) -> None:
    first, second = (watch_events(recognizer, demo_clip) for _ in range(2))
    assert [without_clock(event) for event in first] == [without_clock(event) for event in second]
    offline = session_events(recognizer, clip_frames)
    assert outline(first) == outline(offline)
    assert outline(first)


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
    assert_same_events(session_events(recognizer, clip_frames), session_events(recognizer, at_rate(clip_frames, fps)), hop_s(recognizer))


def hop_s(recognizer: Recognizer) -> float:
    return recognizer.bundle.manifest.stride / recognizer.bundle.manifest.rate_hz


def test_dropped_frames_do_not_change_the_events(recognizer: Recognizer, clip_frames: list[Frame]) -> None:
    whole = session_events(recognizer, clip_frames)
    rng = random.Random(1)
    thinned = session_events(recognizer, [frame for frame in clip_frames if rng.random() >= 0.2])
    assert_same_events(whole, thinned, hop_s(recognizer))


def assert_same_events(expected: list[Event], found: list[Event], tolerance_s: float) -> None:
    assert [(item.phase, item.label) for item in found] == [(item.phase, item.label) for item in expected]
    for one, other in zip(expected, found, strict=True):
        assert other.stream_start_s == pytest.approx(one.stream_start_s, abs=tolerance_s + 1e-6)
        assert (other.stream_end_s or 0.0) == pytest.approx(one.stream_end_s or 0.0, abs=tolerance_s + 1e-6)


def test_a_gap_ends_what_runs_and_leaves_nothing_behind(recognizer: Recognizer, clip_frames: list[Frame]) -> None:
    start = session_events(recognizer, clip_frames)[0]
    middle = next(index for index, frame in enumerate(clip_frames) if frame.timestamp > start.stream_start_s + 1.5)
    late = [replace(frame, timestamp=frame.timestamp + 30.0) for frame in clip_frames[middle:]]
    found = session_events(recognizer, clip_frames[:middle] + late)
    assert [(item.phase, item.reason) for item in found[:2]] == [("start", None), ("end", "gap")]
    assert found[1].stream_end_s == pytest.approx(clip_frames[middle - 1].timestamp, abs=0.2)
    alone = session_events(recognizer, late)
    assert outline(found[2:]) == outline(alone)


def test_leaving_the_loop_early_ends_what_runs_for_the_sinks(demo_clip: Path) -> None:
    heard: list[Event] = []
    events = streamvc.watch(demo_clip, model="figure", sinks=[heard.append])
    assert isinstance(events, Iterator)
    start = next(events)
    assert start.phase == "start"
    events.close()
    assert [(event.phase, event.reason) for event in heard if event.phase != "update"] == [("start", None), ("end", "stop")]
    assert heard[-1].event_id == start.event_id


def test_stopping_ends_what_runs(recognizer: Recognizer, demo_clip: Path) -> None:
    found: list[Event] = []
    events = watch(demo_clip, recognizer, camera="c", update_s=0.0)
    for event in events:
        found.append(event)
        events.stop()
    assert [(event.phase, event.reason) for event in found] == [("start", None), ("end", "stop")]


def test_another_thread_may_stop_it_while_the_camera_is_silent() -> None:
    with ScriptedCamera([Play(1.0), Stall(30.0)]) as camera:
        events = watch(camera.url, "figure")
        ended = queue.SimpleQueue[float]()

        def read() -> None:
            list(events)
            ended.put(time.monotonic())

        with Worker("reader", read, events.stop):
            while camera.num_connections < 1:
                time.sleep(0.01)
            time.sleep(1.5)  # into the silence
            begun = time.monotonic()
            events.stop()
            assert ended.get(timeout=10.0) - begun < 2.0


def test_how_the_camera_fares_is_reported_beside(recognizer: Recognizer, demo_clip: Path) -> None:
    told: list[Health] = []
    events = watch(demo_clip, recognizer, camera="c", report=told.append, pace=True)
    for _ in events.steps():
        if len(told) == 2:
            events.stop()
    assert [(health.camera, health.status, health.reason) for health in told] == [
        ("c", "up", None),
        ("c", "up", None),
        ("c", "ended", "stop"),
    ]
    assert told[1].fps_in == pytest.approx(25.0, rel=0.1)
    assert told[1].rate_hz == pytest.approx(recognizer.bundle.manifest.rate_hz, rel=0.1)


def filmed(frames: Iterable[Frame]) -> Iterator[NDArray[np.uint8]]:
    """The pictures, when a camera would send them."""
    begun = time.monotonic()
    for number, frame in enumerate(frames):
        time.sleep(max(0.0, begun + number / 25 - time.monotonic()))
        yield frame.image


def test_a_camera_that_falls_silent_stalls_and_once_it_is_lost_that_is_an_error(recognizer: Recognizer, clip_frames: list[Frame]) -> None:
    told: list[Health] = []
    heard: list[Event] = []
    always = Thresholds(enter=0.0, leave=0.0, min_s=0.0)
    with Camera(filmed(clip_frames[175:215]), then="fall silent").on() as host, pytest.raises(SourceError, match="lost"):
        list(watch(f"http://{host}/", recognizer, camera="c", once=True, sinks=[heard.append], report=told.append, thresholds=always))
    assert [(health.status, health.reason) for health in told if health.fps_in is None] == [("up", None), ("stalled", "gap"), ("down", "lost")]
    assert told[-1].detail
    assert {event.reason for event in heard if event.phase == "end"} == {"gap"}


def test_a_camera_that_is_lost_is_connected_again_and_what_it_shows_then_is_recognised(recognizer: Recognizer, clip_frames: list[Frame]) -> None:
    pictures = itertools.cycle([frame.image for frame in clip_frames[175:330]])
    heard: list[Event] = []
    with ScriptedCamera([Play(5.0), Die(), Play(30.0)], pictures=pictures, size=(640, 480)) as camera:
        events = watch(camera.url, recognizer, camera="c", sinks=[heard.append], update_s=0.0)
        for event in events:
            if event.phase == "start" and len([each for each in heard if each.phase == "start"]) == 2:
                break
        events.close()
    assert [(event.phase, event.reason) for event in heard] == [("start", None), ("end", "gap"), ("start", None), ("end", "stop")]
    assert len({event.event_id for event in heard}) == 2
    for event in heard:
        assert event.t_start is not None
        assert time.time() - 60 < event.t_start <= event.timing.capture


def test_a_camera_that_is_not_there_is_an_error_at_once() -> None:
    begun = time.monotonic()
    with pytest.raises(SourceError, match="refused"):
        list(watch("tcp://127.0.0.1:9/", "figure"))
    assert time.monotonic() - begun < 5.0


def test_several_sources_are_watched_side_by_side(recognizer: Recognizer, demo_clip: Path, tmp_path: Path) -> None:
    shutil.copy(demo_clip, tmp_path / "other.mp4")
    found = list(watch([demo_clip, tmp_path / "other.mp4"], "figure", update_s=0.0))
    alone = watch_events(recognizer, demo_clip)
    for camera in ("figure", "other"):
        assert outline(event for event in found if event.camera == camera) == outline(alone)
    assert len({event.event_id for event in found}) == 2 * len({event.event_id for event in alone})


def test_an_error_on_the_way_ends_what_runs(recognizer: Recognizer, demo_clip: Path) -> None:
    told: list[Health] = []
    heard: list[Event] = []
    head = recognizer.bundle.open_head(None)

    class Failing:
        """A head that gives up once something goes on."""

        def scores(self) -> NDArray[np.float32]:
            if heard:
                raise InferenceError("the runtime refused")
            return head.scores()

        def __getattr__(self, name: str) -> object:
            return getattr(head, name)

    failing = Recognizer(recognizer.bundle, recognizer.extractor, Failing())  # type: ignore[arg-type]
    with pytest.raises(InferenceError):
        list(watch(demo_clip, failing, camera="c", sinks=[heard.append], report=told.append))
    assert [(event.phase, event.reason) for event in heard] == [("start", None), ("end", "error")]
    assert [(health.status, health.reason) for health in told[-1:]] == [("down", "error")]
    assert "its analysis failed: InferenceError: the runtime refused" in str(told[-1].detail)


def test_a_sink_that_fails_costs_no_other_sink_and_no_camera_anything(recognizer: Recognizer, demo_clip: Path) -> None:
    told: list[Health] = []
    heard: list[Event] = []

    def broken(event: Event) -> None:
        if event.phase != "start":
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):  # at the end
        for _ in watch(demo_clip, recognizer, camera="c", sinks=[broken, heard.append], report=told.append):
            pass
    assert outline(heard) == outline(watch_events(recognizer, demo_clip))
    assert [(health.status, health.reason) for health in told if health.camera == "c"][-1] == ("ended", "end_of_stream")
    assert [health.status for health in told if health.camera != "c"][:2] == ["degraded", "up"]
    assert "sink broken has failed: OSError: [Errno 28] No space left on device" in [health.detail for health in told]


def test_who_is_told_of_health_and_fails_costs_nothing_else(recognizer: Recognizer, demo_clip: Path, caplog: pytest.LogCaptureFixture) -> None:
    def deaf(_health: Health) -> None:
        raise ValueError("a defect")

    found = list(watch(demo_clip, recognizer, camera="c", report=deaf))
    assert outline(found) == outline(watch_events(recognizer, demo_clip))
    assert "the report of health has failed: ValueError: a defect" in caplog.text


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
    always = Thresholds(enter=0.0, leave=0.0, min_s=0.0)
    events = list(watch(demo_clip, recognizer, camera="c", thresholds=always))
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


def test_thresholds_keep_what_is_not_given_and_the_thresholds_in_order(recognizer: Recognizer) -> None:
    decision = recognizer.bundle.decision(recognizer.labels[0])
    assert Thresholds().apply(decision) == decision
    assert Thresholds(enter=decision.leave / 2).apply(decision).leave == decision.leave / 2
    assert Thresholds(leave=0.95).apply(decision).enter == pytest.approx(0.95)
    with pytest.raises(ValueError, match="above enter"):
        Thresholds(enter=0.3, leave=0.6)


def test_predictions_are_those_of_the_recogniser_alone(recognizer: Recognizer, clip_frames: list[Frame]) -> None:
    recognizer.reset()
    own_loop = [prediction for frame in clip_frames if (prediction := recognizer.step(frame))]
    seen: list[Prediction] = []
    session = Session(recognizer, trace=lambda _model, prediction: seen.append(prediction))
    for frame in clip_frames:
        session.take(frame)
    assert [prediction.index for prediction in seen] == [prediction.index for prediction in own_loop]
    np.testing.assert_array_equal([prediction.scores for prediction in seen], [prediction.scores for prediction in own_loop])


APART = "its pictures are 1.2 s apart, so that nothing can be recognised: each model needs one a second at least"


def test_pictures_that_are_too_far_apart_are_told_at_once(recognizer: Recognizer, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    slow = write_video(tmp_path / "slow.mp4", [textured(number) for number in range(8)], fps=Fraction(4, 5))
    assert list(watch(slow, recognizer, camera="c")) == []
    assert caplog.messages[0] == f"c: {APART}"
    with pytest.raises(SourceError, match=r"slow\.mp4: not enough frames for figure, which needs 2 a second"):
        classify(slow, recognizer)


def test_keyframes_that_are_too_far_apart_are_told(recognizer: Recognizer, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    options = {"g": "50", "keyint_min": "50", "sc_threshold": "0", "preset": "ultrafast"}
    clip = write_video(tmp_path / "clip.mp4", [textured(number % 50) for number in range(250)], options=options)
    cameras = camera_configs([clip], ["figure"], camera="c", decode="keyframes")
    assert list(Watch(cameras, recognizers={"c": [recognizer]})) == []
    (told,) = [message for message in caplog.messages if "apart" in message]
    assert told.startswith("c: its keyframes are 2.0 s apart, so that nothing can be recognised; say `decode: reference`")
