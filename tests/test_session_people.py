"""A session whose model speaks of each person: two who do different things in one picture, found by the real network."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from figure import render_clip
from streamvc.errors import BundleError, InferenceError
from streamvc.events import Event, describe
from streamvc.inference.bundle import load_bundle, write_bundle
from streamvc.inference.extractors import open_extractor
from streamvc.inference.manifest import BundleSettings
from streamvc.inference.people.features import FEATURE_NAMES, FEATURE_SIZE
from streamvc.inference.people.movenet import MANIFEST, MoveNetManifest, find_movenet
from streamvc.inference.recognizer import Recognizer
from streamvc.inference.runtime import Model, TensorSpec, open_model
from streamvc.session import Session
from streamvc.thresholds import Thresholds
from streamvc.types import Array, Frame

RATE_HZ = 5.0
NETWORK = "movenet-multipose-int8"
TALL, CROUCHED, NOBODY = LABELS = ("tall", "crouched", "nothing")
TOP = FEATURE_NAMES.index("top")  # where the upper end of somebody's box is, by the height of the image
CONFIDENT = Thresholds(enter=0.8, leave=0.4, min_s=0.0, smoothing_s=0.0)

Image = NDArray[np.uint8]


class _Projection:
    """Hands on the upper end of the box."""

    input = TensorSpec((1, FEATURE_SIZE), np.dtype(np.float32))
    output = TensorSpec((1, 1), np.dtype(np.float32))

    def run(self, fill: Callable[[Array], None]) -> NDArray[np.float32]:
        given = np.empty(self.input.shape, np.float32)
        fill(given)
        return given[:, TOP : TOP + 1].copy()


class _Step:
    """Tall is whose head is in the upper quarter, crouched whose head is below a third; the state counts the frames."""

    input = TensorSpec((1, 2), np.dtype(np.float32))
    output = TensorSpec((1, 4), np.dtype(np.float32))

    def run(self, fill: Callable[[Array], None]) -> NDArray[np.float32]:
        given = np.empty(self.input.shape, np.float32)
        fill(given)
        top, count = given[0]
        return np.array([[count + 1, 100 * (0.25 - top), 100 * (top - 0.33), 0]], np.float32)


def opener(path: Path, runtime: str | None = None, threads: int = 1) -> Model:
    written: dict[str, type[Model]] = {"project.tflite": _Projection, "step.tflite": _Step}
    return written[path.name]() if path.parent.name == "posture" else open_model(path, runtime, threads)


def settings(**changes: Any) -> BundleSettings:
    network = MoveNetManifest.model_validate_json((find_movenet(NETWORK) / MANIFEST).read_bytes())
    reference = {"name": network.name, "sha256": network.sha256}
    fields: dict[str, Any] = {
        "name": "posture",
        "version": "1",
        "recipe": "by hand",
        "labels": LABELS,
        "background": NOBODY,
        "subject": "person",
        "backbone": None,
        "parts": [{"kind": "fall", "backbone": reference, "input": None, "feature_size": FEATURE_SIZE}],
        "input": None,
        "feature_size": FEATURE_SIZE,
        "rate_hz": RATE_HZ,
        "window": 2,
        "stride": 1,
        "warm_up": 1,
        "mode": "stateful",
        "projection_size": 1,
        "state_size": 1,
        "temperature": 1.0,
        "smoothing_s": 0.0,
        "thresholds": {},
    }
    return BundleSettings.model_validate(fields | changes)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    files = {"project.tflite": b"by hand", "step.tflite": b"by hand", "CARD.md": b"# Posture\n"}
    return write_bundle(tmp_path_factory.mktemp("models") / "posture", settings(), files).path


@cache
def pictures() -> tuple[Image, ...]:
    """(480, 640, 3) each: somebody on the left squats, somebody on the right stands and waves."""
    squats, waves = (list(render_clip(label, seed, 4.0, fps=int(RATE_HZ))) for label, seed in (("Squat", 3), ("Wave", 4)))
    return tuple(np.ascontiguousarray(np.hstack([squat[:, 160:480], wave[:, 160:480]])) for squat, wave in zip(squats, waves, strict=True))


def alone(image: Image) -> Image:
    """Without the one on the right."""
    shown = image.copy()
    shown[:, 320:] = shown[:1, 320:]
    return shown


def frames(images: Iterable[Image], first: int = 0) -> Iterator[Frame]:
    return (Frame(number, number / RATE_HZ, image, "pts") for number, image in enumerate(images, start=first))


def events_of(session: Session, given: Iterable[Frame]) -> list[Event]:
    return [event for frame in given for event in session.take(frame)]


def who(events: Iterable[Event], phase: str = "start") -> set[tuple[str, str]]:
    """Which side begins, or ends, with what."""
    found = [(event.subject, event.label) for event in events if event.phase == phase]
    return {("left" if subject.box[2] < 0.5 else "right", label) for subject, label in found if subject}


def test_two_who_do_different_things_are_both_heard_each_with_their_box(model: Path) -> None:
    with Session(model, thresholds=CONFIDENT, opener=opener) as session:
        events = events_of(session, frames(pictures()[:9]))
        running = session.running

    assert who(events) == {("left", CROUCHED), ("left", TALL), ("right", TALL)}
    right = [event for event in events if event.subject and event.subject.box[0] > 0.5]
    assert {event.subject.track for event in right if event.subject} == {1}
    assert [event.phase for event in right if event.phase != "update"] == ["start"]
    assert {event.subject.track for event in events if event not in right and event.subject} == {2}
    left, top, right_side, bottom = right[0].subject.box  # type: ignore[union-attr]
    assert 0.6 < left < right_side < 0.95
    assert 0.05 < top < bottom < 0.9
    assert {detection.subject.track for detection in running if detection.subject} <= {1, 2}
    assert "  person 1  " in describe(right[0])


def test_each_persons_scores_are_what_they_would_be_if_they_were_alone(model: Path) -> None:
    with Session(model, thresholds=CONFIDENT, opener=opener) as session:
        both = events_of(session, frames(pictures()))
    with Session(model, thresholds=CONFIDENT, opener=opener) as session:
        one = events_of(session, frames(map(alone, pictures())))

    left = [(event.phase, event.label, event.stream_start_s, event.stream_end_s) for event in both if event.subject and event.subject.box[2] < 0.5]
    assert left == [(event.phase, event.label, event.stream_start_s, event.stream_end_s) for event in one]


def test_two_who_begin_at_once_are_two_activities_and_a_recording_names_them_alike_each_time(model: Path) -> None:
    def identifiers() -> list[str]:
        with Session(model, thresholds=Thresholds(enter=0.0, leave=0.0, min_s=0.0), opener=opener, source_id="clip", started_at=0.0) as session:
            first = next(frames(pictures()))
            return [event.event_id for event in session.take(first) if event.phase == "start" and event.label == TALL]

    assert len(set(identifiers())) == 2
    assert identifiers() == identifiers()


def test_what_somebody_does_ends_once_they_are_gone_and_with_it_nothing_else(model: Path) -> None:
    with Session(model, thresholds=CONFIDENT, opener=opener) as session:
        events = events_of(session, frames(pictures()[4:8]))  # both stand
        assert who(events) == {("left", TALL), ("right", TALL)}
        left = events_of(session, frames([alone(pictures()[7])] * 12, first=4))
        assert [(event.label, event.reason) for event in left if event.phase == "end"] == [(TALL, "gone")]
        assert who(left, "end") == {("right", TALL)}
        ended = next(event for event in left if event.phase == "end")
        assert ended.stream_end_s == pytest.approx(3 / RATE_HZ + 1.6, abs=0.21)
        assert ended.subject
        assert ended.subject.seen < 0.5
        assert [detection.label for detection in session.running] == [TALL]


def test_a_gap_ends_what_all_do_and_nobody_is_known_behind_it(model: Path) -> None:
    with Session(model, thresholds=CONFIDENT, opener=opener) as session:
        before = events_of(session, frames(pictures()[4:8]))
        ended = session.gap()
        after = events_of(session, frames(pictures()[4:8], first=100))

    assert [(event.phase, event.label, event.reason) for event in ended] == [("end", TALL, "gap")] * 2
    tracks = [{event.subject.track for event in events if event.subject} for events in (before, ended, after)]
    assert tracks == [{1, 2}, {1, 2}, {3, 4}]


def test_a_still_picture_is_the_same_people_some_time_later(model: Path) -> None:
    with Session(model, thresholds=CONFIDENT, opener=opener) as session, Session(model, thresholds=CONFIDENT, opener=opener) as other:
        image = pictures()[0]
        shown = events_of(session, frames([image] * 8))
        first, *rest = frames([image] * 8)
        told = other.take(first)
        for frame in rest:
            told += other.take(replace(frame, image=np.empty((0, 0, 3), np.uint8)), is_still=True)

    assert [(event.phase, event.label, event.subject) for event in told] == [(event.phase, event.label, event.subject) for event in shown]
    assert who(told) == {("left", CROUCHED), ("right", TALL)}


def test_nobody_is_no_activity_and_no_warming_up(model: Path) -> None:
    with Session(model, thresholds=CONFIDENT, opener=opener) as session:
        assert session.is_warming_up
        assert events_of(session, frames([np.full((480, 640, 3), 90, np.uint8)] * 5)) == []
        assert not session.is_warming_up
        assert session.top == ()
        assert session.thresholds == {TALL: 0.8, CROUCHED: 0.8}


def test_a_model_of_people_and_one_of_the_scene_share_a_session(model: Path) -> None:
    with Session([model, "figure"], thresholds=CONFIDENT, opener=opener) as session:
        events = events_of(session, frames(pictures()))

    assert who(event for event in events if event.model.name == "posture") == {("left", CROUCHED), ("left", TALL), ("right", TALL)}
    assert all(event.subject is None for event in events if event.model.name == "figure")


def test_people_are_drawn_where_they_are(model: Path) -> None:
    with Session(model, thresholds=CONFIDENT, opener=opener) as session:
        events_of(session, frames(pictures()[:2]))
        (focus,) = session.focus

    middles = {person.track: person.keypoints[:, 0].mean() for person in focus.people}
    assert 440 < middles[1] < 560
    assert 100 < middles[2] < 220
    assert all(person.keypoints.shape == (17, 3) and person.box.shape == (4,) for person in focus.people)


def test_a_recognizer_by_itself_cannot_keep_people_apart(model: Path) -> None:
    recognizer = Recognizer.load(model, opener=opener)

    with pytest.raises(InferenceError, match="posture speaks of each person, not of the picture: use a streamvc"):
        recognizer.step(next(frames(pictures())))


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"subject": "scene"}, "subject is scene: all parts are of the kind fall or posture where it is person, and only there"),
        ({"parts": [{"kind": "flow", "backbone": None, "input": None, "feature_size": 44}], "feature_size": 44}, "subject is person: all parts"),
        ({"feature_size": 70}, "feature_size"),
    ],
)
def test_what_a_bundle_speaks_of_is_checked(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        settings(**changes)


def test_the_extractor_has_a_name_and_needs_a_rate(model: Path) -> None:
    name = load_bundle(model).manifest.extractor
    assert name == f"{NETWORK}:fall"
    assert open_extractor(name, RATE_HZ).identity == load_bundle(model).open_extractor().identity
    assert open_extractor(name, 2.5).identity != open_extractor(name, RATE_HZ).identity

    with pytest.raises(ValueError, match="needs a rate_hz"):
        open_extractor(name)
    with pytest.raises(BundleError, match="are joined with none but others of the same network"):
        open_extractor(f"{name}+flow", RATE_HZ)


def test_two_models_of_people_share_one_pass_and_the_numbers_of_the_tracks(model: Path, tmp_path: Path) -> None:
    files = {"project.tflite": b"by hand", "step.tflite": b"by hand", "CARD.md": b"# Posture\n"}
    other = write_bundle(tmp_path / "models" / "posture", settings(version="2"), files).path
    runs: list[Path] = []

    class Counted:
        def __init__(self, path: Path, model: Model) -> None:
            self._path, self._model = path, model
            self.input, self.output = model.input, model.output

        def run(self, fill: Callable[[Array], None]) -> NDArray[np.float32]:
            runs.append(self._path)
            return self._model.run(fill)

    with Session([model, other], thresholds=CONFIDENT, opener=lambda *given: Counted(given[0], opener(*given))) as session:
        events = events_of(session, frames(pictures()[:9]))

    assert [path.name for path in runs].count("movenet.tflite") == 9
    heard = [{(event.subject, event.label) for event in events if event.model.version == version} for version in ("1", "2")]
    assert heard[0] == heard[1]
    assert len(heard[0]) > 3


def test_two_kinds_of_numbers_of_each_person_share_a_pass() -> None:
    names = [f"{NETWORK}:fall", f"{NETWORK}:posture", f"{NETWORK}:fall+{NETWORK}:posture"]
    fall, posture, both = (open_extractor(name, RATE_HZ) for name in names)
    assert both.feature_size == fall.feature_size + posture.feature_size
    for image in pictures()[:3]:
        joined, *apart = (feature.values for extractor in (both, fall, posture) if (feature := extractor.step(image)))
        assert joined.shape == (2, both.feature_size)
        np.testing.assert_array_equal(joined, np.concatenate(apart, axis=1))
