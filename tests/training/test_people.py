"""Features of people: kept by track, learned from by the track that a label is of, measured track by track, and the same as live."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from figure import render_clip
from streamvc.capture.source import open_source
from streamvc.inference.bundle import load_bundle
from streamvc.inference.extractors import open_extractor
from streamvc.inference.people.features import FallFeatures
from streamvc.inference.people.skeletons import Skeleton
from streamvc.inference.people.tracking import PeopleTracker
from streamvc.sampling import Sampler
from streamvc.stream_metrics import Segment
from streamvc.training.dataset import Clip, load_dataset
from streamvc.training.evaluate import evaluate, measure_unknown
from streamvc.training.feature_sequence import NOBODY, FeatureSequence, actor_in, people_of
from streamvc.training.feature_set import FeatureSet, load_feature_set
from streamvc.training.features import extract
from streamvc.training.plan import HeadSettings, TrainingPlan
from streamvc.training.prediction_trace import PredictionTrace, detect, length_s
from streamvc.training.progress import silent
from streamvc.training.train import train
from streamvc.types import Prediction
from tests.inference.people.walkers import fallen, standing, walking

NAME, RATE_HZ, FPS = "movenet-multipose-int8:fall", 5.0, 10
WIDTH, HEIGHT = 640.0, 480.0
SECONDS = 4.0


def render_room(path: Path, seed: int, empty_s: float = 0.0, seconds: float = SECONDS) -> None:
    """Somebody squats on the left, and somebody waves on the right; before, nobody is there."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=FPS)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 800, 480, "yuv420p", 4_000_000
        squats, waves = (render_clip(activity, seed, seconds, fps=FPS) for activity in ("Squat", "Wave"))
        images = [np.full((480, 800, 3), 90, np.uint8)] * round(empty_s * FPS)
        images += [np.concatenate([left[:, 120:520], right[:, 120:520]], axis=1) for left, right in zip(squats, waves, strict=True)]
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode(None))


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four rooms, of which each is a group, and one in which nobody is seen."""
    root = tmp_path_factory.mktemp("rooms")
    rows = ["video,start_s,end_s,label,group"]
    for number in range(4):
        render_room(root / f"{number}.mp4", 3 + number, empty_s=1.0 if number == 0 else 0.0)
        begin_s = 1.0 if number == 0 else 0.0
        rows += [
            f"{number}.mp4,{begin_s + 2:g},{begin_s + SECONDS:g},squat,g{number}",
            f"{number}.mp4,{begin_s:g},{begin_s + 1.5:g},nothing,g{number}",
        ]
    render_room(root / "dark.mp4", 3, empty_s=2.0, seconds=0.0)
    rows += ["dark.mp4,0,1,squat,g0"]
    (root / "segments.csv").write_text("\n".join(rows))
    return root


@pytest.fixture(scope="module")
def sequence(rooms: Path, cache: Path) -> FeatureSequence:
    return extract([Clip(rooms / "0.mp4", "", "")], NAME, RATE_HZ, cache=cache).sequences[0]


def live(path: Path) -> Iterator[tuple[float, int, np.ndarray]]:
    """Time, track and feature of each row that the live stages make."""
    extractor, sampler = open_extractor(NAME, RATE_HZ), Sampler(RATE_HZ)
    with open_source(path, policy="every") as source:
        for frame in source:
            if sample := sampler.step(frame):
                feature = extractor.step(sample.frame.image, sample.num_ticks)
                assert feature is not None
                assert feature.subjects is not None
                yield from ((sample.timestamp, subject.track, row) for subject, row in zip(feature.subjects, feature.values, strict=True))


def test_a_row_is_kept_for_each_person_and_one_for_a_frame_without_anybody(rooms: Path, cache: Path, sequence: FeatureSequence) -> None:
    assert sequence.tracks is not None
    assert sequence.boxes is not None
    somebody = sequence.tracks != NOBODY
    rows = [*live(rooms / "0.mp4")]
    assert list(zip(sequence.timestamps[somebody].tolist(), sequence.tracks[somebody].tolist(), strict=True)) == [row[:2] for row in rows]
    np.testing.assert_array_equal(sequence.features[somebody], np.stack([row[2] for row in rows]))
    assert sequence.timestamps[~somebody].tolist() == [0.0, 0.2, 0.4, 0.6, 0.8]
    assert not sequence.features[~somebody].any()
    assert length_s(sequence) == pytest.approx(1 + SECONDS)
    again = extract([Clip(rooms / "0.mp4", "", "")], NAME, RATE_HZ, cache=cache)
    assert again.num_cached == 1
    for name, values in again.sequences[0].columns().items():
        np.testing.assert_array_equal(values, getattr(sequence, name))


def test_each_person_is_a_stretch(sequence: FeatureSequence) -> None:
    people = people_of(sequence)
    assert NOBODY not in people
    assert [len(stretch) for stretch in sequence.stretches()] == [len(person.features) for person in people.values()]
    first = next(iter(people))
    np.testing.assert_array_equal(sequence.of([first]).features, people[first].features)
    late = sequence.between(2.0, 3.0)
    assert late.timestamps.min() == 2.0
    assert late.timestamps.max() < 3.0


def followed(*scenes: dict[int, Skeleton]) -> FeatureSequence:
    """The sequence of frames 0.2 s apart, each with skeletons."""
    tracker, makers, rows = PeopleTracker(), dict[int, FallFeatures](), []
    for number, scene in enumerate(scenes):
        for track in tracker.step(list(scene.values()), number / RATE_HZ, round(HEIGHT)):
            feature = makers.setdefault(track.number, FallFeatures()).step(track.skeleton, number / RATE_HZ, round(HEIGHT))
            rows.append((feature, number, track.number, track.skeleton.box / np.array([WIDTH, HEIGHT, WIDTH, HEIGHT], np.float32)))
    features, numbers, tracks, boxes = (np.array(column) for column in zip(*rows, strict=True))
    ones = np.ones(len(rows), np.int64)
    return FeatureSequence(features, numbers, (numbers / RATE_HZ).astype(np.float64), ones, np.zeros(len(rows)), tracks, boxes)


def test_who_falls_is_told_from_who_stands_by_and_from_who_passes() -> None:
    scenes = [{0: walking(120, number / 5), 1: fallen(400, min(max(number - 10, 0) / 4, 1))} for number in range(20)]
    for number in range(11, 14):
        scenes[number][2] = standing(620 - 10 * number)
    sequence = followed(*scenes)
    people = people_of(sequence)
    boxes = {track: person.boxes for track, person in people.items()}
    faller = next(track for track, each in boxes.items() if each is not None and each[0, 0] > 0.5)
    assert len(people) == 3
    assert actor_in(sequence, 2.6, 4.0) == faller  # it has begun before
    assert actor_in(sequence, 0.0, None) == faller
    assert actor_in(sequence, 9.0, 10.0) == NOBODY


@pytest.fixture(scope="module")
def plan() -> TrainingPlan:
    head = HeadSettings(
        window=5, warm_up=1, inputs="standard", units=(8,), augment=("flip", "thin"), num_variations=1, max_epochs=4, validation="training"
    )
    return TrainingPlan(backbone=NAME, head=head, background="nothing", min_rate_hz=2.5, num_folds=2)


@pytest.fixture(scope="module")
def feature_set(rooms: Path, plan: TrainingPlan, cache: Path) -> FeatureSet:
    return load_feature_set(load_dataset(rooms), plan, cache=cache, num_workers=2, advance=silent)


def test_a_label_is_learned_from_one_person_and_nothing_from_all(feature_set: FeatureSet, plan: TrainingPlan) -> None:
    squats = [index for index, clip in enumerate(feature_set.clips) if clip.label == "squat"]
    assert len(squats) == 4
    for index in squats:
        (track,) = people_of(feature_set.sequences[index])
        whole = people_of(feature_set.files[feature_set.clips[index].path])[track]
        assert whole.boxes is not None
        assert np.median(whole.boxes[:, 2]) < 0.6  # who squats is on the left
        (stretch,), (num_before,) = feature_set.own.stretches[index], feature_set.own.num_before[index]
        assert num_before == plan.head.window - 1
        np.testing.assert_array_equal(stretch, whole.features[-len(stretch) :])
    nothing = [index for index, clip in enumerate(feature_set.clips) if clip.label == "nothing"]
    assert any(len(feature_set.own.stretches[index]) > 1 for index in nothing)
    table, truth = feature_set.training(np.ones(len(feature_set.clips), bool))
    assert len(set(table.clips)) == len(truth) == 4 * len(feature_set.clips)  # mirrored, at half the rate, with half of the frames


@pytest.mark.slow
def test_a_bundle_of_people_is_trained_and_measured(rooms: Path, plan: TrainingPlan, cache: Path, tmp_path: Path) -> None:
    report = train(rooms, tmp_path / "squat", plan, cache=cache, num_workers=2)
    manifest = load_bundle(tmp_path / "squat").manifest
    assert (manifest.subject, manifest.extractor, manifest.min_rate_hz) == ("person", NAME, 2.5)
    assert len(report.folds) == 2
    assert report.pooled.alarms["squat"].num == 5  # that of which nothing is seen is missed
    measured = evaluate(tmp_path / "squat", rooms, cache=cache)
    assert measured.stream == evaluate(tmp_path / "squat", rooms, cache=cache).stream
    assert sum(stream.duration_s for stream in measured.streams) == pytest.approx(4 * SECONDS + 3, abs=0.5)
    assert measure_unknown(tmp_path / "squat", rooms, cache=cache).hours == pytest.approx((4 * SECONDS + 3) / 3600, rel=0.05)


def test_two_people_of_one_moment_are_one_event_and_of_two_are_two() -> None:
    bundle = load_bundle("figure")
    labels = bundle.manifest.labels
    bundle = replace(bundle, manifest=bundle.manifest.model_copy(update={"subject": "person", "smoothing_s": 0.0}))
    label = next(index for index, each in enumerate(labels) if each != bundle.manifest.background)

    def person(begin_s: float) -> list[Prediction]:
        scores = [
            np.eye(len(labels), dtype=np.float32)[label if begin_s <= time_s < begin_s + 2 else bundle.manifest.labels.index("nothing")]
            for time_s in np.arange(0, 20, 0.2)
        ]
        return [Prediction(number, number / 5, each) for number, each in enumerate(scores)]

    def events(*begins_s: float) -> list[float]:
        trace = PredictionTrace([person(begin_s) for begin_s in begins_s], [Segment(label, 0, 1)], 20.0)
        stream = detect(bundle, trace)
        assert (np.diff(stream.timestamps) >= 0).all()
        return [round(event.start_s, 1) for event in stream.events]

    assert events(4.0, 5.0) == events(5.0, 4.0) == [4.0]
    assert events(4.0, 12.0) == [4.0, 12.0]
    assert events(4.0) == [4.0]
