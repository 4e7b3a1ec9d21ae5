"""The bundle `home` through the session: what somebody does in real rooms, and what a rendered figure does."""

from pathlib import Path

import numpy as np
import pytest

from figure import render_clip
from home.sequences import STILL, Sequence, Variation, features, hold, pooled, vary, windows
from streamvc.capture.source import open_source
from streamvc.events import Event
from streamvc.inference.bundle import load_bundle
from streamvc.sampling import Sampler
from streamvc.session import Session
from streamvc.types import Frame
from tests.inference.people.walkers import standing, walking

HEIGHT = np.array([480, 480, 1], np.float32)  # of the picture, for lengths
ROOM = Path("falls", "le2i", "home_02", "124.mp4")  # somebody gets up from a chair, walks across the room and sits down


def events_of(path: Path, rate_hz: float = 5.0) -> list[Event]:
    given = Sampler(rate_hz)
    with Session("home") as session, open_source(path, policy="every") as frames:
        return [event for frame in frames if given.step(frame) for event in session.take(frame)] + session.gap()


def starts(events: list[Event]) -> list[str]:
    return [event.label for event in events if event.phase == "start"]


def test_what_somebody_does_in_a_room_is_heard_in_its_order(shared_data: Path) -> None:
    events = events_of(shared_data / ROOM)
    labels = starts(events)
    assert labels.index("stand up") < labels.index("walk") < len(labels) - labels[::-1].index("sit down")
    walks = next(event for event in events if event.label == "walk")
    assert walks.subject is not None
    assert 3.0 <= (walks.stream_start_s or 0) <= 5.0


def test_half_of_the_frames_are_enough(shared_data: Path) -> None:
    labels = starts(events_of(shared_data / ROOM, rate_hz=2.5))
    assert {"walk", "sit down"} <= set(labels)


@pytest.mark.parametrize("clip", ["walk/s01_walk.mp4", "wave2/s01_wave2.mp4"])
def test_people_outdoors_walk_and_wave(shared_data: Path, clip: str) -> None:
    assert clip.split("/")[0].rstrip("2") in starts(events_of(shared_data / "everyday" / "clips" / clip))


def test_a_figure_that_stands_does_not_walk_nor_wave() -> None:
    """Nothing of the figure was learned."""
    with Session("home") as session:
        images = render_clip("stand", 5, 4.0, fps=5)
        events = [event for number, image in enumerate(images) for event in session.take(Frame(number, number / 5, image, "pts"))]
    assert not {"walk", "wave", "lie down"} & set(starts(events))


def test_it_speaks_of_each_person_down_to_a_third_of_its_rate() -> None:
    manifest = load_bundle("home").manifest
    assert manifest.subject == "person"
    assert manifest.extractor == "movenet-multipose-int8:posture"
    assert (manifest.rate_hz, manifest.least_hz) == (5.0, 1.5)
    assert manifest.background == "nothing"
    assert {"sit down", "stand up", "walk", STILL} < set(manifest.labels)


def test_windows_of_a_skeleton_have_the_heads_statistics() -> None:
    keypoints = np.stack([walking(100 + 8 * number, number / 10).keypoints for number in range(40)]) / HEIGHT
    rows = features(keypoints, 10.0)
    assert len(rows) == 20  # at 5 Hz
    assert len(windows(rows)) == 13  # full, or nearly
    np.testing.assert_allclose(pooled(rows[:10])[: rows.shape[1]], rows[:10].mean(axis=0), rtol=1e-5)
    half = features(keypoints, 10.0, Variation(held=2))
    np.testing.assert_array_equal(half[0::2], half[1::2])


def test_a_variation_changes_what_it_says(rng: np.random.Generator) -> None:
    keypoints = np.repeat(standing(300).keypoints[None] / HEIGHT, 20, axis=0)
    sequence = Sequence(keypoints, 10.0, "sit down", "set", "one")
    np.testing.assert_array_equal(vary(sequence, Variation(), rng), keypoints)
    wider = vary(sequence, Variation(wider=1.5), rng)
    np.testing.assert_allclose(np.ptp(wider[0, :, 0]), 1.5 * np.ptp(keypoints[0, :, 0]), rtol=1e-5)
    mirrored = vary(sequence, Variation(mirror=True), rng)
    np.testing.assert_allclose(features(mirrored, 10.0), features(keypoints, 10.0), atol=1e-4)
    assert not vary(sequence, Variation(lower_body=False), rng)[:, 13:, 2].any()
    held = hold(keypoints[0], 2.0, 10.0, 0.4, rng)
    assert held.shape == (20, 17, 3)
    assert 0 < np.abs(held - keypoints)[:, :, :2].max() < 0.03


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
