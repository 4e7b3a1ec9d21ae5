"""Watch, node, session and evaluation give the same events of real clips, to the last digit: they are one engine."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from streamvc.capture.source import open_source
from streamvc.events import Event
from streamvc.inference.recognizer import Recognizer
from streamvc.live import watch
from streamvc.node.node import Node
from streamvc.node.settings import NodeConfig
from streamvc.session import Session
from streamvc.thresholds import Thresholds
from tests.node.nodes import config, listening

MODELS = {"cctv-fight-fast": ("cctv-fight", 10), "figure": ("falls", 5), "exercise-fast": ("exercise", 5)}
# Low, so that real clips give many events of any model.
LOW = Thresholds(enter=0.3, leave=0.2, min_s=0.2, cooldown_s=0.2)
Outline = list[tuple[str, str, float, float | None, str | None]]


def outline(events: Iterable[Event]) -> Outline:
    return [(event.phase, event.label, event.stream_start_s, event.duration_s, event.reason) for event in events]


def scores(events: Iterable[Event]) -> list[float]:
    return [event.score for event in events]


def chosen(folder: Path, num: int) -> list[Path]:
    """Some of a folder's clips, of different sources, always the same."""
    clips = sorted(folder.rglob("*.mp4"))
    return clips[:: max(1, len(clips) // num)][:num]


def of_session(recognizer: Recognizer, clip: Path) -> list[Event]:
    with open_source(clip, policy="every") as source:
        session = Session(recognizer, camera="c", thresholds=LOW, update_s=0)
        return [*(event for frame in source for event in session.take(replace(frame))), *session.close("end_of_stream")]


def of_node(model: str, clips: list[Path]) -> dict[str, list[Event]]:
    """The events of a node whose cameras are these clips, one behind the other has come to its end."""
    given = {"models": [{"name": model, "thresholds": {"enter": 0.3, "leave": 0.2, "min_s": 0.2, "cooldown_s": 0.2}}], "motion": {"gate": False}}
    heard: dict[str, list[Event]] = {str(number): [] for number in range(len(clips))}
    for number, clip in enumerate(clips):
        settings: NodeConfig = config({"name": str(number), "source": str(clip), **given}, limits={"staleness_s": 30.0})
        with Node(settings) as node, listening(node.endpoint) as ear:
            ear.health(str(number), "ended")
            while sum((event.phase == "start") - (event.phase == "end") for event in ear.heard if isinstance(event, Event)):
                ear.event(str(number), "end")
            heard[str(number)] = [event for event in ear.heard if isinstance(event, Event) and event.phase != "update"]
    return heard


@pytest.mark.parametrize("model", MODELS)
def test_watch_and_session_give_the_same_events_of_real_clips(shared_data: Path, model: str) -> None:
    folder, num = MODELS[model]
    recognizer = Recognizer.load(model)
    total = 0
    for clip in chosen(shared_data / folder, num):
        expected = of_session(recognizer, clip)
        found = list(watch(clip, model, camera="c", thresholds=LOW, update_s=0))
        assert outline(found) == outline(expected), clip
        assert scores(found) == scores(expected), clip
        total += len(found)
    assert total > num  # else it says nothing


@pytest.mark.slow
def test_a_node_gives_the_events_of_a_session_of_real_clips(shared_data: Path) -> None:
    recognizer = Recognizer.load("cctv-fight-fast")
    clips = chosen(shared_data / "cctv-fight", 6)
    for number, events in of_node("cctv-fight-fast", clips).items():
        assert outline(events) == outline(of_session(recognizer, clips[int(number)])), clips[int(number)]
