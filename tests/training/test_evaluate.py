import csv
import json
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import av
import numpy as np
import pytest
from click.testing import CliRunner

import streamvc
from streamvc.cli import main
from streamvc.errors import DataError
from streamvc.events import Event
from streamvc.inference.bundle import Bundle
from streamvc.inference.manifest import BundleManifest
from streamvc.training.evaluate import ClipResult, evaluate, measure
from streamvc.training.prediction_trace import detect, trace_clip
from streamvc.types import Prediction
from tests.inference.settings import settings

LABELS = ("Walk", "Jump", "Nothing")  # the last one is the background


@pytest.fixture
def bundle() -> Bundle:
    files = dict.fromkeys(("project.tflite", "step.tflite", "CARD.md"), "0" * 64)
    return Bundle(Path(), BundleManifest(**settings(smoothing_s=0.0).model_dump(by_alias=True), files=files), "0" * 64)


def predictions(*scores: tuple[float, float, float]) -> list[list[Prediction]]:
    """One stretch of video without a gap."""
    return [[Prediction(index, index * 0.5, np.array(row, np.float32)) for index, row in enumerate(scores)]]


WALKING, JUMPING, UNSURE, NOTHING = (0.9, 0.05, 0.05), (0.02, 0.96, 0.02), (0.5, 0.3, 0.2), (0.1, 0.1, 0.8)


def evaluate_clip(bundle: Bundle, label: str, stretches: Sequence[Sequence[Prediction]], start_s: float = 0.0) -> ClipResult:
    return ClipResult(LABELS.index(label), detect(bundle, trace_clip(bundle.manifest, label, stretches, start_s)))


def begun(bundle: Bundle, said: list[list[Prediction]]) -> set[str]:
    return {LABELS[label] for label in evaluate_clip(bundle, "Walk", said).started}


def test_what_begins_is_decided_by_the_thresholds_of_the_bundle(bundle: Bundle) -> None:
    assert begun(bundle, predictions(*[WALKING] * 3)) == {"Walk"}
    assert begun(bundle, predictions(WALKING)) == set()  # not long enough
    assert begun(bundle, predictions(*[UNSURE] * 5)) == set()
    assert begun(bundle, predictions(*[WALKING] * 3, *[JUMPING] * 3)) == {"Walk", "Jump"}


def test_a_clip_is_a_stream_of_one_segment_unless_it_shows_nothing(bundle: Bundle) -> None:
    walk = evaluate_clip(bundle, "Walk", predictions(*[NOTHING] * 2, *[WALKING] * 4)).stream
    assert [(segment.label, segment.start_s, segment.end_s) for segment in walk.segments] == [(0, 0.0, pytest.approx(2.5 + 1 / 5))]
    assert [(event.start_s, event.published_s, event.end_s) for event in walk.events] == [(1.0, 1.5, 2.5)]
    assert evaluate_clip(bundle, "Nothing", predictions(NOTHING)).stream.segments == ()
    assert evaluate_clip(bundle, "Walk", predictions(WALKING, WALKING), start_s=-3.0).stream.duration_s == pytest.approx(3.7)


def test_outcomes_tell_right_from_wrong_and_silent(bundle: Bundle) -> None:
    results = [
        evaluate_clip(bundle, "Walk", predictions(*[WALKING] * 3)),
        evaluate_clip(bundle, "Walk", predictions(*[WALKING] * 3, *[JUMPING] * 3)),
        evaluate_clip(bundle, "Jump", predictions(*[UNSURE] * 3)),
        evaluate_clip(bundle, "Nothing", predictions(*[NOTHING] * 3)),
        evaluate_clip(bundle, "Nothing", predictions(*[JUMPING] * 3)),
    ]
    outcomes = measure(results, LABELS).outcomes
    assert (outcomes.right, outcomes.wrong, outcomes.silent) == pytest.approx((0.4, 0.4, 0.2))


def test_clips_count_alike_and_so_do_predictions(bundle: Bundle) -> None:
    results = [
        evaluate_clip(bundle, "Walk", predictions(*[WALKING] * 7, *[JUMPING] * 2)),  # right as a whole, 7 of 9
        evaluate_clip(bundle, "Jump", predictions(UNSURE)),  # wrong, 0 of 1
    ]
    found = measure(results, LABELS)
    assert (found.clip_top1, found.window_top1) == (0.5, 0.7)
    assert (found.num_clips, found.num_predictions) == (2, 10)
    assert found.confusion.tolist() == [[1, 0, 0], [1, 0, 0], [0, 0, 0]]
    assert (found.per_label["Walk"].recall, found.per_label["Walk"].precision, found.per_label["Jump"].recall) == (1.0, 0.5, 0.0)


@pytest.fixture(scope="module")
def false_events(demo_clip: Path) -> list[Event]:
    return list(streamvc.watch(demo_clip, "figure", update_s=0))


@pytest.fixture(scope="module")
def gappy_clip(demo_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's clip, with 5 s missing while an activity goes on."""
    path = tmp_path_factory.mktemp("gappy") / "gappy.mkv"
    with av.open(str(demo_clip)) as source, av.open(str(path), "w") as target:
        video = source.streams.video[0]
        stream = target.add_stream_from_template(video)
        for packet in source.demux(video):
            if packet.dts is None or packet.pts is None:
                continue
            late = round(5 / packet.time_base) if packet.dts * packet.time_base > 10 else 0
            packet.pts, packet.dts, packet.stream = packet.pts + late, packet.dts + late, stream
            target.mux(packet)
    return path


def untrimmed(folder: Path, clip: Path, segments: Sequence[tuple[float, float, str]]) -> Path:
    folder.mkdir()
    shutil.copy(clip, folder)
    with (folder / "segments.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("video", "start_s", "end_s", "label"), *((clip.name, *segment) for segment in segments)])
    return folder


@pytest.mark.parametrize("clip", ["demo_clip", "gappy_clip"])
def test_untrimmed_video_is_measured_as_watch_hears_it(clip: str, cache: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    video: Path = request.getfixturevalue(clip)
    events = list(streamvc.watch(video, "figure", update_s=0))
    ends = [event for event in events if event.phase == "end"]
    assert len(ends) >= 2
    assert any(end.reason == "gap" for end in ends) == (clip == "gappy_clip")
    found = evaluate(
        "figure", untrimmed(tmp_path / "data", video, [(end.stream_start_s, end.stream_end_s or 0.0, end.label) for end in ends]), cache=cache
    )
    assert [found.stream.events[overlap].f1 for overlap in (0.1, 0.3, 0.5)] == [1.0, 1.0, 1.0]
    assert found.stream.false_events_per_hour == 0.0
    assert found.stream.delay_s == pytest.approx(median(end.decision.min_s for end in ends), abs=0.2)
    assert found.stream.frame_map > 0.85
    assert {label: alarm.num_found for label, alarm in found.alarms.items() if alarm.num} == Counter(end.label for end in ends)
    assert "nothing" not in found.alarms
    assert found.per_label["nothing"].num >= len(ends)  # what lies between them is measured too


def test_what_was_heard_of_nothing_is_counted_by_the_hour(false_events: list[Event], demo_clip: Path, cache: Path, tmp_path: Path) -> None:
    data = untrimmed(tmp_path / "data", demo_clip, [(0.0, 2.0, "Lunge"), (30.0, 32.0, "Boxing")])
    result = CliRunner().invoke(main, ["evaluate", "figure", str(data), "--cache", str(cache), "--json"])
    figures = json.loads(result.stdout)
    num_events = sum(event.phase == "start" for event in false_events)
    assert figures["false_events_per_hour"] == pytest.approx(num_events / 33 * 3600, rel=0.01)
    assert (figures["event_f1_03"], figures["event_recall_05"], figures["delay_s"]) == (0.0, 0.0, None)
    assert len(figures["accuracy_by_tenth"]) == 10
    assert figures["flips_per_min"] > 0
    table = CliRunner().invoke(main, ["evaluate", "figure", str(data), "--cache", str(cache)]).stdout
    assert all(name in table for name in ("frame_map", "event_f1", "delay_s", "flips_per_min", "false_events_per_hour", "clip_top5"))


def test_how_long_an_alarm_may_take_is_for_the_user_to_say(false_events: list[Event], demo_clip: Path, cache: Path, tmp_path: Path) -> None:
    first = next(event for event in false_events if event.phase == "start")
    data = untrimmed(tmp_path / "data", demo_clip, [(first.stream_start_s - 1, first.stream_start_s + 3, first.label)])
    found_in = {}
    for within_s in ("0.5", "5"):
        arguments = ["evaluate", "figure", str(data), "--cache", str(cache), "--within", within_s]
        found_in[within_s] = json.loads(CliRunner().invoke(main, [*arguments, "--json"]).stdout)["alarms"][first.label]
        assert f"within {within_s} s" in CliRunner().invoke(main, arguments).stdout
    assert [found_in[within_s]["num_found"] for within_s in ("0.5", "5")] == [0, 1]
    assert found_in["5"]["num_false"] == sum(event.phase == "start" and event.label == first.label for event in false_events) - 1


def test_a_label_that_the_bundle_does_not_know_is_refused(demo_clip: Path, cache: Path, tmp_path: Path) -> None:
    data = untrimmed(tmp_path / "data", demo_clip, [(0.0, 2.0, "Lunge"), (3.0, 9.0, "Sleeping")])
    with pytest.raises(DataError, match="figure does not know: Sleeping"):
        evaluate("figure", data, cache=cache)
