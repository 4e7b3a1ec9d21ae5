"""What a session makes of the frames that are due is what it makes of all frames, alone and beside others."""

import gc
import json
import shutil
import time
import weakref
from collections import Counter
from collections.abc import Callable, Container, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from streamvc.capture.source import open_source
from streamvc.errors import BundleError, InferenceError
from streamvc.events import Event
from streamvc.inference.folders import sha256
from streamvc.inference.manifest import ImageInput
from streamvc.inference.model_cache import ModelCache
from streamvc.inference.runtime import Model, TensorSpec, open_model
from streamvc.live import watch
from streamvc.recording import Recorder, RecordingSettings
from streamvc.sampling import Sampler
from streamvc.session import Session
from streamvc.thresholds import Thresholds
from streamvc.types import Array, Frame
from tests.conftest import ROOT

FIGURE, FIGHT = "figure", "cctv-fight-fast"
ALWAYS = Thresholds(enter=0.0, leave=0.0, min_s=0.0)
NOTHING_SHOWN: NDArray[np.uint8] = np.empty((0, 0, 3), np.uint8)
RATES_HZ = {FIGURE: 5.0, FIGHT: 10.0}


def session(*given: str, name: str = "yard", models: ModelCache | None = None, **settings: Any) -> Session:
    return Session(given, camera=name, opener=(models or ModelCache()).open, source_id="clip", **settings)


@pytest.fixture(scope="module")
def clip_frames(demo_clip: Path) -> list[Frame]:
    """The frames of the demo's clip that are due at 5 or at 10 Hz."""
    samplers = [Sampler(rate_hz) for rate_hz in RATES_HZ.values()]
    with open_source(demo_clip, policy="every") as source:
        # `sum`, as all samplers have to see each frame.
        return [replace(frame, image=frame.image.copy()) for frame in source if sum(sampler.step(frame) is not None for sampler in samplers)]


def due_at(rate_hz: float, frames: Iterable[Frame]) -> list[Frame]:
    sampler = Sampler(rate_hz)
    return [frame for frame in frames if sampler.step(frame)]


def analysed(session: Session, frames: Iterable[Frame], stills: Container[int] = ()) -> list[Event]:
    """All events; the frames of these numbers are told as still, without their pictures."""
    return [*taken(session, frames, stills), *session.close("end_of_stream")]


def taken(session: Session, frames: Iterable[Frame], stills: Container[int] = ()) -> list[Event]:
    told = [(replace(frame, image=NOTHING_SHOWN) if number in stills else frame, number in stills) for number, frame in enumerate(frames)]
    return [event for frame, is_still in told for event in session.take(frame, is_still=is_still)]


def timeless(events: Iterable[Event]) -> list[Event]:
    """The events without what the clocks had a part in, and the rates without rounding."""
    return [
        replace(
            event,
            timing=replace(event.timing, capture=0.0, decoded_s=0.0, features_s=0.0, decided_s=0.0),
            stream=replace(event.stream, fps_in=round(event.stream.fps_in, 6)),
        )
        for event in events
    ]


def labels(events: Iterable[Event]) -> list[str]:
    return [event.label for event in events if event.phase == "start"]


def test_due_frames_give_the_events_of_all_frames_and_of_a_watch(demo_clip: Path, clip_frames: list[Frame]) -> None:
    given = session(FIGURE)
    assert given.rates_hz == (5.0,)
    found = timeless(analysed(given, due_at(5.0, clip_frames)))
    watched = timeless(watch(demo_clip, FIGURE, camera="yard"))
    assert [replace(event, event_id="") for event in found] == [replace(event, event_id="") for event in watched]
    assert [event.phase for event in found if event.phase != "update"] == 3 * ["start", "end"]


def test_two_models_of_other_rates_give_the_events_of_each(clip_frames: list[Frame]) -> None:
    some = clip_frames[:90]
    both = session(FIGURE, FIGHT, thresholds=ALWAYS)
    assert both.rates_hz == (5.0, 10.0)
    together = timeless(taken(both, some))
    for model in RATES_HZ:
        expected = timeless(taken(session(model, thresholds=ALWAYS), due_at(RATES_HZ[model], some)))
        assert [event for event in together if event.model.name == model] == expected
        assert labels(expected)


def mirrored(frames: Iterable[Frame]) -> list[Frame]:
    """What another camera shows: the same from the other side, and later."""
    return [replace(frame, image=np.ascontiguousarray(frame.image[:, ::-1]), timestamp=frame.timestamp + 0.07) for frame in frames]


@pytest.mark.parametrize("model", [FIGURE, FIGHT])
def test_cameras_that_share_models_give_the_events_of_each_alone(clip_frames: list[Frame], model: str) -> None:
    own = due_at(RATES_HZ[model], clip_frames)[:40]
    streams = {"yard": own, "door": mirrored(own)}
    alone = {name: analysed(session(model, name=name, thresholds=ALWAYS), frames) for name, frames in streams.items()}
    shared = ModelCache()
    sessions = {name: session(model, name=name, models=shared, thresholds=ALWAYS) for name in streams}
    found: dict[str, list[Event]] = {name: [] for name in streams}
    for pair in zip(*streams.values(), strict=True):
        for name, frame in zip(streams, pair, strict=True):
            found[name] += sessions[name].take(frame)
    for name in streams:
        assert timeless(found[name] + sessions[name].close("end_of_stream")) == timeless(alone[name])
    assert timeless(alone["yard"]) != timeless(replace(event, camera="yard") for event in alone["door"])


class Counting:
    """A model that counts its runs."""

    def __init__(self, model: Model, count: Callable[[], None]) -> None:
        self.input, self.output = model.input, model.output
        self._model = model
        self._count = count

    def run(self, fill: Callable[[Array], None]) -> NDArray[np.float32]:
        self._count()
        return self._model.run(fill)


class CountingModels(ModelCache):
    """Counts the runs of each file by its name."""

    def __init__(self) -> None:
        super().__init__()
        self.num_runs: Counter[str] = Counter()

    def open(self, path: Path, runtime: str | None = None, threads: int = 1) -> Model:
        return Counting(super().open(path, runtime, threads), lambda: self.num_runs.update([path.name]))


@pytest.fixture
def other(tmp_path: Path) -> str:
    """A model with the extractor of `figure`, and another opinion."""
    folder = tmp_path / "other"
    shutil.copytree(ROOT / "models" / FIGURE, folder)
    manifest = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**manifest, "name": "other", "smoothing_s": 0.0}))
    return str(folder)


def test_heads_with_the_same_extractor_share_its_pass(clip_frames: list[Frame], other: str) -> None:
    frames, models = due_at(5.0, clip_frames)[:40], CountingModels()
    together = timeless(analysed(session(FIGURE, other, models=models, thresholds=ALWAYS), frames))
    assert models.num_runs["backbone.tflite"] == len(frames)
    assert models.num_runs["project.tflite"] == 2 * len(frames)
    for name, model in ((FIGURE, FIGURE), ("other", other)):
        alone = timeless(analysed(session(model, thresholds=ALWAYS), frames))
        assert [event for event in together if event.model.name == name] == alone
        assert labels(alone)


def held(frames: Sequence[Frame], since: int, until: int) -> list[Frame]:
    """The same, but from one to another the picture stands still."""
    return [replace(frame, image=frames[since].image) if since < number < until else frame for number, frame in enumerate(frames)]


def test_a_still_gives_what_an_identical_frame_gives(clip_frames: list[Frame]) -> None:
    frames, models = held(due_at(5.0, clip_frames)[:60], 22, 45), CountingModels()
    given = session(FIGURE, models=models, thresholds=ALWAYS)
    found = analysed(given, frames, range(23, 45))
    assert models.num_runs["backbone.tflite"] == 60 - 22
    assert (given.num_samples, given.num_still) == (60, 22)
    assert timeless(found) == timeless(analysed(session(FIGURE, thresholds=ALWAYS), frames))


class Snippets:
    """A network of four pictures in a row, which finds their mean colours."""

    input = TensorSpec((1, 4, 32, 32, 3), np.dtype(np.float32))
    output = TensorSpec((1, 1280), np.dtype(np.float32))

    def run(self, fill: Callable[[Array], None]) -> NDArray[np.float32]:
        pictures = np.zeros(self.input.shape, np.float32)
        fill(pictures)
        return np.resize(pictures.mean(axis=(2, 3)) / 255, self.output.shape)


class SnippetModels(ModelCache):
    """Opens that network for any backbone."""

    def open(self, path: Path, runtime: str | None = None, threads: int = 1) -> Model:
        return Snippets() if path.name == "backbone.tflite" else super().open(path, runtime, threads)


@pytest.fixture
def snippets(tmp_path: Path) -> str:
    """A model whose features are each made of four frames in a row."""
    backbone, model = tmp_path / "backbones" / "snippets", tmp_path / "snippets"
    backbone.mkdir(parents=True)
    (backbone / "backbone.tflite").write_bytes(b"replaced")
    given = ImageInput(size_px=32, crop="whole", resize="linear", colour="rgb", mean=0.0, scale=1.0).model_dump()
    digest = sha256(backbone / "backbone.tflite")
    about = {"schema": 1, "name": "snippets", "sha256": digest, "input": given, "feature_size": 1280, "num_frames": 4, "licence": "", "source": ""}
    (backbone / "backbone.json").write_text(json.dumps(about))
    shutil.copytree(ROOT / "models" / FIGURE, model)
    manifest = json.loads((model / "model.json").read_text())
    changed = {"name": "snippets", "backbone": {"name": "snippets", "sha256": digest}, "input": given, "warm_up": 1}
    (model / "model.json").write_text(json.dumps({**manifest, **changed}))
    return str(model)


def test_a_still_is_a_frame_where_a_feature_is_made_of_several(clip_frames: list[Frame], snippets: str) -> None:
    frames = held(due_at(5.0, clip_frames)[:60], 22, 45)
    one, two = (analysed(session(snippets, models=SnippetModels(), thresholds=ALWAYS), frames, stills) for stills in (range(23, 45), ()))
    assert timeless(one) == timeless(two)
    assert labels(one)


def test_stills_that_are_missing_are_stood_for_by_the_next(clip_frames: list[Frame]) -> None:
    numbered = [pair for pair in enumerate(held(due_at(5.0, clip_frames)[:60], 22, 45)) if pair[0] not in (30, 31, 35)]
    frames = [frame for _, frame in numbered]
    stills = [place for place, (number, _) in enumerate(numbered) if 22 < number < 45]
    one, two = (analysed(session(FIGURE, thresholds=ALWAYS), frames, each) for each in (stills, ()))
    assert timeless(one) == timeless(two)


def test_a_still_before_any_frame_says_nothing(clip_frames: list[Frame]) -> None:
    given = session(FIGURE, thresholds=ALWAYS)
    assert not taken(given, clip_frames[:40], range(40))
    assert given.top == ()


def test_a_still_behind_a_gap_shows_nothing_that_was_seen_before_it(clip_frames: list[Frame]) -> None:
    given = session(FIGURE, thresholds=ALWAYS)
    assert taken(given, clip_frames[:40])
    given.gap()
    assert not taken(given, clip_frames[40:80], range(40))
    assert given.top == ()


def test_a_gap_in_the_stream_ends_what_runs(clip_frames: list[Frame]) -> None:
    frames = due_at(5.0, clip_frames)[:40]
    given = session(FIGURE, thresholds=ALWAYS)
    before = taken(given, frames)
    assert given.running
    first, *others = taken(given, [replace(frame, timestamp=frame.timestamp + 60) for frame in frames])
    assert (first.phase, first.reason, first.event_id) == ("end", "gap", before[0].event_id)
    assert first.stream.gap_s == pytest.approx(60 - frames[-1].timestamp)
    starts = [event for event in others if event.phase == "start"]
    assert starts[0].stream_start_s == pytest.approx(60 + before[0].stream_start_s)


@pytest.mark.parametrize("how", ["segment", "backwards"])
def test_where_time_jumps_what_was_seen_is_void(clip_frames: list[Frame], how: str) -> None:
    frames = due_at(5.0, clip_frames)[:40]
    again = [replace(frame, segment=1, timestamp=frames[-1].timestamp + 0.2 + frame.timestamp) for frame in frames] if how == "segment" else frames
    given = session(FIGURE, thresholds=ALWAYS)
    first, second = taken(given, frames), taken(given, again)
    num_running = (
        len(first) - 2 * len([event for event in first if event.phase == "end"]) - len([event for event in first if event.phase == "update"])
    )
    assert [event.reason for event in second[:num_running]] == num_running * ["gap"]
    rest = [(event.phase, event.label, event.score) for event in second[num_running:]]
    assert rest == [(event.phase, event.label, event.score) for event in first]
    ids = [event.event_id for event in first + second if event.phase == "start"]
    assert len(ids) == len(set(ids)) == 2 * len(labels(first))


def test_after_a_reconnection_nothing_from_before_is_known(clip_frames: list[Frame]) -> None:
    frames = due_at(5.0, clip_frames)
    given = session(FIGURE, thresholds=ALWAYS)
    first = taken(given, frames[:40])
    ends = given.gap()
    assert [(event.event_id, event.reason) for event in ends] == [(event.event_id, "gap") for event in first if event.phase == "start"]
    assert given.running == []
    assert given.top == ()
    # The new stream begins anew, and at a time that the old one had not reached.
    moved = [replace(frame, captured=frame.captured + 9.0) for frame in frames[41:80]]
    found, expected = taken(given, moved), taken(session(FIGURE, thresholds=ALWAYS), moved)
    assert {event.stream.gap_s for event in found} == {moved[0].captured - frames[39].captured}
    for event, other in zip(timeless(found), timeless(expected), strict=True):
        assert replace(event, stream=other.stream, event_id=other.event_id) == other


def test_a_camera_may_be_asked_less_often_than_a_model_likes(clip_frames: list[Frame]) -> None:
    given = session(FIGURE, rate_hz=2.5)
    assert given.rates_hz == (2.5,)
    found = analysed(given, due_at(2.5, clip_frames))
    assert labels(found) == ["JumpingJack", "Squat", "Wave"]
    assert {event.stream.rate_hz for event in found} == {2.5}


def test_what_a_still_decides_shows_the_last_picture(clip_frames: list[Frame], tmp_path: Path) -> None:
    frames = due_at(5.0, clip_frames)[20:40]
    with Recorder("yard", RecordingSettings(tmp_path)) as recorder:
        events = taken(session(FIGURE, thresholds=ALWAYS, recorder=recorder), frames, range(1, 20))
    assert labels(events)
    for suffix in (".jpg", ".mp4"):
        assert {path.stem for path in tmp_path.glob(f"yard/*{suffix}")} == {event.event_id for event in events}
    shown = cv2.imread(str(next(tmp_path.glob("yard/*.jpg"))))
    assert shown is not None
    assert float(np.abs(shown.astype(int) - frames[0].image).mean()) < 3


def test_events_count_the_frames_that_were_not_used(clip_frames: list[Frame]) -> None:
    given = session(FIGURE, thresholds=ALWAYS)
    events = [event for frame in due_at(5.0, clip_frames)[:6] for event in given.take(frame, num_dropped=5)]
    assert {event.stream.dropped for event in events} == {5}


def test_what_it_is_given_is_not_kept(clip_frames: list[Frame]) -> None:
    given = session(FIGURE, FIGHT, thresholds=ALWAYS)
    expected = analysed(session(FIGURE, FIGHT, thresholds=ALWAYS), clip_frames[:40])
    found = []
    for frame in clip_frames[:40]:
        lent = replace(frame, image=frame.image.copy())
        found += given.take(lent)
        lent.image[:] = 255  # its slot is used again
    assert timeless(found + given.close("end_of_stream")) == timeless(expected)


def test_ones_own_pictures_give_the_events_of_a_watch(demo_clip: Path) -> None:
    heard: list[Event] = []
    with Session(FIGURE, camera="yard", sinks=[heard.append]) as own, open_source(demo_clip, policy="every") as source:
        given = [event for frame in source for event in own.step(frame.image, frame.timestamp)]
    expected = list(watch(demo_clip, FIGURE, camera="yard"))

    def outline(events: Iterable[Event]) -> list[tuple[str, str, float, float, float | None]]:
        return [(event.phase, event.label, event.score, event.stream_start_s, event.stream_end_s) for event in events]

    assert outline(given) == outline(heard) == outline(expected)
    assert {event.t_start for event in heard} == {None}


def test_pictures_without_a_time_are_taken_as_they_come(clip_frames: list[Frame]) -> None:
    given = session(FIGURE, thresholds=ALWAYS)
    now, wall = time.monotonic(), time.time()
    events = [event for frame in due_at(5.0, clip_frames)[:12] for event in given.step(frame.image, captured=now - 3.0 + frame.timestamp)]
    start = next(event for event in events if event.phase == "start")
    assert start.stream.clock == "arrival"
    assert start.t_start is not None
    assert start.t_start - (wall - 3.0) == pytest.approx(start.stream_start_s, abs=0.05)


def test_a_time_that_is_no_number_is_refused(clip_frames: list[Frame]) -> None:
    with pytest.raises(ValueError, match="nan"):
        session(FIGURE).step(clip_frames[0].image, float("nan"))


def test_a_recording_whose_beginning_is_known_has_wall_times(clip_frames: list[Frame]) -> None:
    events = analysed(session(FIGURE, started_at=1e9), due_at(5.0, clip_frames))
    assert [event.t_start for event in events] == [1e9 + event.stream_start_s for event in events]
    assert [event.t_end for event in events] == [None if event.stream_end_s is None else 1e9 + event.stream_end_s for event in events]


def live(frames: Iterable[Frame], began: float) -> list[Frame]:
    return [replace(frame, began=began, captured=began + frame.timestamp, decoded=began + frame.timestamp) for frame in frames]


def test_live_events_are_dated_by_the_clock_of_now_and_never_ahead_of_their_arrival(
    clip_frames: list[Frame], monkeypatch: pytest.MonkeyPatch
) -> None:
    began = time.monotonic() - 100.0
    frames = live(due_at(5.0, clip_frames)[30:80], began)
    given = session(FIGURE, thresholds=Thresholds(enter=0.5, leave=0.3, min_s=0.4))
    real, shift_s = time.time, 0.0
    monkeypatch.setattr(time, "time", lambda: real() + shift_s)
    events = taken(given, frames[:25])
    start = next(event for event in events if event.phase == "start")
    assert start.t_start == pytest.approx(time.time() - time.monotonic() + began + start.stream_start_s, abs=0.01)
    shift_s = 3600.0  # somebody has set the clock
    (end,) = [event for event in given.gap() if event.event_id == start.event_id]
    assert end.t_start == start.t_start
    assert end.t_end == pytest.approx(time.time() - time.monotonic() + began + (end.stream_end_s or 0.0), abs=0.01)
    assert end.duration_s == pytest.approx((end.stream_end_s or 0.0) - end.stream_start_s)
    for event in taken(given, live(due_at(5.0, clip_frames)[80:120], began + 0.1)):
        assert event.t_start is not None
        assert event.t_start <= event.timing.capture


def test_what_starts_with_a_picture_that_came_sooner_than_its_time_says_started_when_it_came(clip_frames: list[Frame]) -> None:
    frames = [replace(frame, captured=frame.captured - 0.5) for frame in live(due_at(5.0, clip_frames)[:20], time.monotonic() - 100.0)]
    starts = [event for event in taken(session(FIGURE, thresholds=ALWAYS), frames) if event.phase == "start"]
    assert starts
    assert [event.t_start for event in starts] == [event.timing.capture for event in starts]


def test_no_two_sessions_give_the_same_identifier_unless_their_frames_are_the_same(clip_frames: list[Frame]) -> None:
    frames = due_at(5.0, clip_frames)[:60]

    def ids(source_id: str | None) -> set[str]:
        events = analysed(Session(FIGURE, source_id=source_id), frames)
        return {event.event_id for event in events}

    assert ids("monday") == ids("monday")
    assert ids("monday").isdisjoint(ids("tuesday"))
    assert ids(None).isdisjoint(ids(None))
    assert ids("monday")


def test_every_sink_hears_every_event_whatever_another_one_raises(clip_frames: list[Frame]) -> None:
    heard: list[Event] = []

    def refuse(_event: Event) -> None:
        raise InferenceError("no")

    given = Session(FIGURE, sinks=[refuse, heard.append], update_s=0)
    for frame in due_at(5.0, clip_frames)[:75]:
        with suppress(InferenceError):
            given.take(frame)
    assert [event.phase for event in heard] == ["start", "end"]


def test_thresholds_may_be_given_for_each_model(clip_frames: list[Frame], other: str) -> None:
    given = session(FIGURE, other, thresholds=[ALWAYS, Thresholds(enter=1.0)])
    events = analysed(given, due_at(5.0, clip_frames)[:40])
    assert {event.model.name for event in events} == {FIGURE}
    with pytest.raises(ValueError, match="thresholds"):
        session(FIGURE, other, thresholds=[ALWAYS])


def test_pictures_brought_to_size_before_they_are_given_give_the_same_events(clip_frames: list[Frame]) -> None:
    frames = due_at(5.0, clip_frames)[:40]
    given = session(FIGURE, thresholds=ALWAYS)
    wanted = given.picture_input
    assert wanted
    assert session(FIGURE, FIGHT).picture_input is None
    size = (wanted.size_px, wanted.size_px)
    small = [replace(frame, image=np.asarray(cv2.resize(frame.image, size, interpolation=cv2.INTER_LINEAR), np.uint8)) for frame in frames]
    assert timeless(analysed(given, small)) == timeless(analysed(session(FIGURE, thresholds=ALWAYS), frames))


def test_an_end_that_was_decided_is_not_lost_where_a_model_fails_right_behind_it(clip_frames: list[Frame]) -> None:
    frames = due_at(5.0, clip_frames)[:40]
    given = session(FIGURE, thresholds=ALWAYS)
    before = taken(given, frames)
    num_running = len(given.running)
    assert num_running
    behind_a_gap = replace(frames[-1], timestamp=frames[-1].timestamp + 60.0, image=np.zeros((9, 9), np.uint8))
    with pytest.raises(InferenceError):
        given.take(behind_a_gap)
    ends = given.flush("error")
    assert [(event.phase, event.reason) for event in ends] == num_running * [("end", "gap")]
    assert {event.event_id for event in ends} <= {event.event_id for event in before}


def test_what_it_needs_and_is_nearest_to_can_be_asked_for(clip_frames: list[Frame]) -> None:
    found = session(FIGURE, thresholds=Thresholds(enter=1.0, leave=0.5))
    assert (found.candidate, found.focus) == (None, ())
    taken(found, clip_frames[:80])
    assert set(found.thresholds.values()) == {1.0}
    assert "nothing" not in found.thresholds
    assert found.candidate
    assert (found.candidate.label, found.candidate.score) == found.top[0]


def test_other_thresholds_are_used_from_the_next_frame_on_and_what_goes_on_goes_on(clip_frames: list[Frame]) -> None:
    found = session(FIGURE, thresholds=ALWAYS)
    before = taken(found, clip_frames[:80])
    running = {detection.label for detection in found.running}
    found.retune([Thresholds(enter=1.0, leave=0.0)])
    after = taken(found, clip_frames[80:])
    assert {detection.label for detection in found.running} == running
    assert {event.phase for event in after} == {"update"}
    assert {event.event_id for event in after} <= {event.event_id for event in before}
    assert {event.decision.enter for event in after} == {1.0}


def test_a_rate_below_what_a_model_was_measured_at_is_refused() -> None:
    with pytest.raises(BundleError, match=r"fall needs 2\.5 frames/s at least, and rate_hz allows 2: raise it, or leave it out"):
        session("fall", rate_hz=2)


def test_what_goes_on_ends_when_there_are_too_few_frames_and_begins_anew_when_there_are_enough(clip_frames: list[Frame]) -> None:
    frames = due_at(5.0, clip_frames)
    given = session(FIGURE, thresholds=ALWAYS, update_s=0)
    few = [frame for number, frame in enumerate(frames) if number < 20 or number % 4 == 0 or number > 60]
    told = [(frame.timestamp, given.shortage, given.take(frame)) for frame in few]
    ends = [(event.label, event.reason) for _, _, events in told for event in events if event.phase == "end"]
    assert ends
    assert {reason for _, reason in ends} == {"gap"}
    began = frames[20].timestamp
    assert 1.0 < next(time for time, _, events in told if any(event.phase == "end" for event in events)) - began < 3.5
    within = (began + 3, frames[60].timestamp)
    assert {shortage for time, shortage, _ in told if within[0] < time < within[1]} == {"not enough frames for figure, which needs 2 a second"}
    assert told[10][1] is None is given.shortage
    assert labels(event for _, _, events in told[-5:] for event in events) or given.running


@pytest.mark.parametrize("model", ["figure", "exercise-fast", "cctv-fight", "fall"])
def test_a_session_that_nobody_keeps_gives_its_networks_back_at_once(model: str, clip_frames: list[Frame]) -> None:
    opened: weakref.WeakSet[Model] = weakref.WeakSet()

    def open_noted(path: Path, runtime: str | None = None, threads: int = 1) -> Model:
        found = open_model(path, runtime, threads)
        opened.add(found)
        return found

    gc.collect()
    gc.disable()
    try:
        given = Session(model, thresholds=ALWAYS, opener=open_noted)
        taken(given, clip_frames[:20])
        assert len(opened) >= 2
        del given
        assert len(opened) == 0
    finally:
        gc.enable()
