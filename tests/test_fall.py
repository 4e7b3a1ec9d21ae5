"""The bundle `fall` finds real falls, in a session, and the laboratory says the same of them as the session."""

import csv
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamvc.capture.source import open_source
from streamvc.events import Event
from streamvc.inference.recognizer import Recognizer
from streamvc.session import Session
from streamvc.thresholds import Thresholds
from streamvc.training.dataset import Clip
from streamvc.training.feature_sequence import people_of
from streamvc.training.features import extract
from streamvc.training.prediction_trace import PredictionTrace, detect, length_s, predict_file

LATE_S = 3.0  # after somebody lies


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer.load("fall")


def watched(recognizer: Recognizer, clip: Path, thresholds: Thresholds | None = None) -> list[Event]:
    with open_source(clip, policy="every") as source:
        session = Session(recognizer, thresholds=thresholds, update_s=0)
        return [*(event for frame in source for event in session.take(frame)), *session.close("end_of_stream")]


def falls(folder: Path) -> Iterator[tuple[Path, float, float]]:
    """The clips of falls, with when the first begins and is over."""
    found = defaultdict[str, list[tuple[float, float]]](list)
    with (folder / "segments.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if row["label"].startswith("Fall"):
                found[row["video"]].append((float(row["start_s"]), float(row["end_s"])))
    yield from ((folder / video, *min(spans)) for video, spans in found.items())


def test_falls_before_a_webcam_are_found(recognizer: Recognizer, shared_data: Path) -> None:
    heard = {}
    for clip, start_s, end_s in falls(shared_data / "fall"):
        events = [event for event in watched(recognizer, clip) if (event.phase, event.label) == ("start", "fall")]
        assert all(event.subject is not None for event in events)
        heard[clip.name, start_s] = any(start_s <= (event.stream_start_s or 0.0) <= end_s + LATE_S for event in events)
    assert len(heard) == 11
    assert sum(heard.values()) >= 8  # it was trained on them; on rooms not seen its card says how many


def test_daily_life_is_no_fall(recognizer: Recognizer, shared_data: Path) -> None:
    clips = sorted((shared_data / "fall").glob("*/adl/*.mp4"))
    assert len(clips) == 8
    events = [event for clip in clips for event in watched(recognizer, clip)]
    assert not [event for event in events if event.label == "fall"]


def test_the_laboratory_says_what_the_session_says(recognizer: Recognizer, shared_data: Path, tmp_path: Path) -> None:
    manifest = recognizer.bundle.manifest
    clip = shared_data / "fall" / "subject3" / "fall" / "16.mp4"
    sequence = extract([Clip(clip, "", "")], str(recognizer.bundle.path), manifest.rate_hz, cache=tmp_path).sequences[0]
    stream = detect(recognizer.bundle, PredictionTrace(predict_file(recognizer, sequence), (), length_s(sequence)))
    events = [event for event in watched(recognizer, clip) if event.phase == "start"]
    assert len(people_of(sequence)) >= 1
    assert sorted((manifest.labels[event.label], event.start_s) for event in stream.events) == sorted(
        (event.label, event.stream_start_s) for event in events
    )
