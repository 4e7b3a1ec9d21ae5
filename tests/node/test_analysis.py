"""What a camera's models make of due frames is what they make of all its frames, alone and beside others."""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from streamvc.capture.source import open_source
from streamvc.events import Event
from streamvc.inference.folders import sha256
from streamvc.inference.manifest import ImageInput
from streamvc.inference.models import Models
from streamvc.inference.recognizer import Recognizer
from streamvc.inference.runtime import Model, TensorSpec
from streamvc.node.analysis import CameraAnalysis
from streamvc.node.messages import Arrived
from streamvc.node.settings import CameraConfig, ModelUse, Thresholds
from streamvc.pipeline import Tuning, Watch
from streamvc.recording import Recorder, Recording
from streamvc.sampling import Sampler
from streamvc.types import Array, Frame
from tests.conftest import ROOT
from tests.node.arrivals import arrived

FIGURE, FIGHT = "figure", "cctv-fight-fast"
ALWAYS = Tuning(enter=0.0, leave=0.0, min_s=0.0)
RATES_HZ = {FIGURE: 5.0, FIGHT: 10.0}


def camera(*models: str, name: str = "yard", thresholds: Tuning | None = None, rate_hz: float | None = None) -> CameraConfig:
    told = Thresholds(enter=thresholds.enter, leave=thresholds.leave, min_s=thresholds.min_s) if thresholds else Thresholds()
    return CameraConfig(name=name, source="0", models=tuple(ModelUse(name=model) for model in models), thresholds=told, rate_hz=rate_hz)


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


def arrivals(frames: Iterable[Frame]) -> list[Arrived]:
    return [arrived(frame, received=frame.index + 1) for frame in frames]


def with_due(arrival: Arrived, **changes: Any) -> Arrived:
    return replace(arrival, due=replace(arrival.due, **changes))


def analysed(analysis: CameraAnalysis, given: Iterable[Arrived]) -> list[Event]:
    return [event for each in given for event in analysis.step(each)] + analysis.flush("end_of_stream")


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


def watched(clip: Path, model: str, tuning: Tuning | None = None) -> list[Event]:
    with open_source(clip, policy="every") as source:
        watch = Watch(source, Recognizer.load(model), camera="yard", tuning=tuning)
        return [event for step in watch.steps() for event in step.events]


def labels(events: Iterable[Event]) -> list[str]:
    return [event.label for event in events if event.phase == "start"]


def test_due_frames_give_the_events_of_all_frames(demo_clip: Path, clip_frames: list[Frame]) -> None:
    analysis = CameraAnalysis(camera(FIGURE), Models())
    assert analysis.rates_hz == (5.0,)
    found = analysed(analysis, arrivals(due_at(5.0, clip_frames)))
    assert timeless(found) == timeless(watched(demo_clip, FIGURE))
    assert [event.phase for event in found if event.phase != "update"] == 3 * ["start", "end"]


def test_two_models_of_other_rates_give_the_events_of_each(demo_clip: Path, clip_frames: list[Frame]) -> None:
    some = clip_frames[:90]
    analysis = CameraAnalysis(camera(FIGURE, FIGHT, thresholds=ALWAYS), Models())
    assert analysis.rates_hz == (5.0, 10.0)
    together = timeless(event for each in arrivals(some) for event in analysis.step(each))
    for model in RATES_HZ:
        alone = CameraAnalysis(camera(model, thresholds=ALWAYS), Models())
        expected = timeless(event for each in arrivals(due_at(RATES_HZ[model], some)) for event in alone.step(each))
        assert [event for event in together if event.model.name == model] == expected
        assert labels(expected)


def mirrored(frames: Iterable[Frame]) -> list[Frame]:
    """What another camera shows: the same from the other side, and later."""
    return [replace(frame, image=np.ascontiguousarray(frame.image[:, ::-1]), timestamp=frame.timestamp + 0.07) for frame in frames]


@pytest.mark.parametrize("model", [FIGURE, FIGHT])
def test_cameras_that_share_models_give_the_events_of_each_alone(clip_frames: list[Frame], model: str) -> None:
    own = due_at(RATES_HZ[model], clip_frames)[:40]
    streams = {"yard": arrivals(own), "door": arrivals(mirrored(own))}

    def make(name: str, models: Models) -> CameraAnalysis:
        return CameraAnalysis(camera(model, name=name, thresholds=ALWAYS), models)

    alone = {name: analysed(make(name, Models()), given) for name, given in streams.items()}
    shared = Models()
    analyses = {name: make(name, shared) for name in streams}
    found: dict[str, list[Event]] = {name: [] for name in streams}
    for pair in zip(*streams.values(), strict=True):
        for name, each in zip(streams, pair, strict=True):
            found[name] += analyses[name].step(each)
    for name in streams:
        assert timeless(found[name] + analyses[name].flush("end_of_stream")) == timeless(alone[name])
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


class CountingModels(Models):
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
    both = CameraAnalysis(camera(FIGURE, other, thresholds=ALWAYS), models)
    together = timeless(analysed(both, arrivals(frames)))
    assert models.num_runs["backbone.tflite"] == len(frames)
    assert models.num_runs["project.tflite"] == 2 * len(frames)
    for name, model in ((FIGURE, FIGURE), ("other", other)):
        alone = timeless(analysed(CameraAnalysis(camera(model, thresholds=ALWAYS), Models()), arrivals(frames)))
        assert [event for event in together if event.model.name == name] == alone
        assert labels(alone)


def held(frames: Sequence[Frame], since: int, until: int) -> list[Frame]:
    """The same, but from one to another the picture stands still."""
    return [replace(frame, image=frames[since].image) if since < number < until else frame for number, frame in enumerate(frames)]


def test_a_still_gives_what_an_identical_frame_gives(clip_frames: list[Frame]) -> None:
    frames, models = held(due_at(5.0, clip_frames)[:60], 22, 45), CountingModels()
    told = [arrived(frame, still=22 < number < 45, received=frame.index + 1) for number, frame in enumerate(frames)]
    found = analysed(CameraAnalysis(camera(FIGURE, thresholds=ALWAYS), models), told)
    assert models.num_runs["backbone.tflite"] == 60 - 22
    assert timeless(found) == timeless(analysed(CameraAnalysis(camera(FIGURE, thresholds=ALWAYS), Models()), arrivals(frames)))


class Snippets:
    """A network of four pictures in a row, which finds their mean colours."""

    input = TensorSpec((1, 4, 32, 32, 3), np.dtype(np.float32))
    output = TensorSpec((1, 1280), np.dtype(np.float32))

    def run(self, fill: Callable[[Array], None]) -> NDArray[np.float32]:
        pictures = np.zeros(self.input.shape, np.float32)
        fill(pictures)
        return np.resize(pictures.mean(axis=(2, 3)) / 255, self.output.shape)


class SnippetModels(Models):
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
    told = [arrived(frame, still=22 < number < 45) for number, frame in enumerate(frames)]
    shown = [arrived(frame) for frame in frames]
    one, two = (analysed(CameraAnalysis(camera(snippets, thresholds=ALWAYS), SnippetModels()), given) for given in (told, shown))
    assert timeless(one) == timeless(two)
    assert labels(one)


def test_stills_that_are_missing_are_stood_for_by_the_next(clip_frames: list[Frame]) -> None:
    frames = held(due_at(5.0, clip_frames)[:60], 22, 45)
    told = [arrived(frame, still=22 < number < 45) for number, frame in enumerate(frames) if number not in (30, 31, 35)]
    shown = [arrived(frame) for number, frame in enumerate(frames) if number not in (30, 31, 35)]
    one, two = (analysed(CameraAnalysis(camera(FIGURE, thresholds=ALWAYS), Models()), given) for given in (told, shown))
    assert timeless(one) == timeless(two)


def test_a_still_before_any_frame_says_nothing(clip_frames: list[Frame]) -> None:
    analysis = CameraAnalysis(camera(FIGURE, thresholds=ALWAYS), Models())
    assert not [event for frame in clip_frames[:40] for event in analysis.step(arrived(frame, still=True))]
    assert analysis.top == ()


def test_a_gap_in_the_stream_ends_what_runs(clip_frames: list[Frame]) -> None:
    frames = due_at(5.0, clip_frames)[:40]
    late = [replace(frame, timestamp=frame.timestamp + 60) for frame in frames]
    analysis = CameraAnalysis(camera(FIGURE, thresholds=ALWAYS), Models())
    before = [event for each in arrivals(frames) for event in analysis.step(each)]
    runs = analysis.running
    assert runs
    first, *others = [event for each in arrivals(late) for event in analysis.step(with_due(each, epoch_s=1e9))]
    assert (first.phase, first.reason, first.event_id) == ("end", "gap", before[0].event_id)
    assert first.stream.gap_s == pytest.approx(60 - frames[-1].timestamp)
    starts = [event for event in others if event.phase == "start"]
    assert starts[0].t_start == pytest.approx(1e9 + 60 + before[0].stream_start_s)


def test_after_a_reconnection_nothing_from_before_is_known(clip_frames: list[Frame]) -> None:
    frames = due_at(5.0, clip_frames)
    analysis = CameraAnalysis(camera(FIGURE, thresholds=ALWAYS), Models())
    first = [event for each in arrivals(frames[:40]) for event in analysis.step(each)]
    ends = analysis.flush("gap")
    assert [(event.event_id, event.reason) for event in ends] == [(event.event_id, "gap") for event in first if event.phase == "start"]
    assert analysis.running == analysis.top == ()
    # The new stream begins anew, and at a time that the old one had not reached.
    moved = arrivals([replace(frame, captured=frame.captured + 9.0) for frame in frames[41:80]])
    found = [event for each in moved for event in analysis.step(each)]
    alone = CameraAnalysis(camera(FIGURE, thresholds=ALWAYS), Models())
    expected = [event for each in moved for event in alone.step(each)]
    assert {event.stream.gap_s for event in found} == {moved[0].due.captured - frames[39].captured}
    assert [replace(event, stream=expected[0].stream) for event in timeless(found)] == [
        replace(event, stream=expected[0].stream) for event in timeless(expected)
    ]


def test_a_camera_may_be_asked_less_often_than_a_model_likes(clip_frames: list[Frame]) -> None:
    analysis = CameraAnalysis(camera(FIGURE, rate_hz=2.5), Models())
    assert analysis.rates_hz == (2.5,)
    found = analysed(analysis, arrivals(due_at(2.5, clip_frames)))
    assert set(labels(found)) <= set(Recognizer.load(FIGURE).labels)
    assert labels(found) == ["JumpingJack", "Squat", "Wave"]
    assert {event.stream.rate_hz for event in found} == {2.5}


def test_what_a_still_decides_shows_the_last_picture(clip_frames: list[Frame], tmp_path: Path) -> None:
    frames = due_at(5.0, clip_frames)[20:40]
    with closing(CameraAnalysis(camera(FIGURE, thresholds=ALWAYS), Models(), recorder=Recorder("yard", Recording(tmp_path)))) as analysis:
        told = [arrived(frame, still=number > 0) for number, frame in enumerate(frames)]
        events = [event for each in told for event in analysis.step(each)]
    assert labels(events)
    for suffix in (".jpg", ".mp4"):
        assert {path.stem for path in tmp_path.glob(f"yard/*{suffix}")} == {event.event_id for event in events}
    shown = cv2.imread(str(next(tmp_path.glob("yard/*.jpg"))))
    assert shown is not None
    assert float(np.abs(shown.astype(int) - frames[0].image).mean()) < 3


def test_events_count_the_frames_that_were_not_used(clip_frames: list[Frame]) -> None:
    analysis = CameraAnalysis(camera(FIGURE, thresholds=ALWAYS), Models())
    events = [event for each in arrivals(due_at(5.0, clip_frames)[:6]) for event in analysis.step(with_due(each, dropped=2), 3)]
    assert {event.stream.dropped for event in events} == {5}


def test_what_arrives_is_not_kept(clip_frames: list[Frame]) -> None:
    analysis = CameraAnalysis(camera(FIGURE, FIGHT, thresholds=ALWAYS), Models())
    frames = [replace(frame, image=frame.image.copy()) for frame in clip_frames[:40]]
    expected = analysed(CameraAnalysis(camera(FIGURE, FIGHT, thresholds=ALWAYS), Models()), arrivals(clip_frames[:40]))
    found = []
    for frame in frames:
        found += analysis.step(arrived(frame, received=frame.index + 1))
        frame.image[:] = 255  # its slot is used again
    assert timeless(found + analysis.flush("end_of_stream")) == timeless(expected)
