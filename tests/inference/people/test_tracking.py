"""Several people are followed: each keeps a number, and nobody gets that of another."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamvc.inference.people.movenet import MultiPose
from streamvc.inference.people.skeletons import Skeleton
from streamvc.inference.people.tracking import MEMORY_S, PeopleTracker, Track
from tests.inference.people.conftest import read_frames
from tests.inference.people.walkers import standing, walking

HEIGHT = 480


def follow(frames: Sequence[tuple[float, list[Skeleton]]], tracker: PeopleTracker | None = None) -> list[list[Track]]:
    tracker = tracker or PeopleTracker()
    return [tracker.step(skeletons, time_s, HEIGHT) for time_s, skeletons in frames]


def numbers(tracks: list[Track]) -> dict[str, int]:
    """The number of each person; the score says who they are in truth: 0.9 the first, 0.8 the second, ..."""
    return {f"{each.skeleton.score:.1f}": each.number for each in tracks}


@pytest.mark.parametrize("rate_hz", [5, 10, 2.5])
@pytest.mark.parametrize("hidden_s", [0.0, 0.6], ids=["both seen", "one hidden by the other"])
def test_two_who_cross_keep_their_numbers(rate_hz: float, hidden_s: float) -> None:
    frames = []
    for time_s in np.arange(0, 6, 1 / rate_hz):
        one, other = walking(100 + 80 * time_s, time_s, score=0.9), walking(540 - 70 * time_s, time_s, score=0.8)
        hidden = abs(time_s - 440 / 150) < hidden_s / 2
        frames.append((float(time_s), [one] if hidden else [other, one]))
    tracks = follow(frames)
    assert numbers(tracks[0]) == numbers(tracks[-1]) == {"0.8": 1, "0.9": 2}
    assert {track.number for found in tracks for track in found} == {1, 2}


def test_who_is_lost_for_a_moment_is_the_same_and_for_long_is_another() -> None:
    seen = [(0.2 * tick, [standing(200)]) for tick in range(5)]
    tracker = PeopleTracker()
    follow([*seen, *((1.0 + 0.2 * tick, []) for tick in range(6))], tracker)
    (again,) = tracker.step([standing(205)], 2.2, HEIGHT)
    assert (again.number, again.num_seen, again.num_frames) == (1, 6, 12)
    assert again.share == pytest.approx(0.5)
    (other,) = tracker.step([standing(205)], 2.3 + MEMORY_S, HEIGHT)
    assert (other.number, other.first_s) == (2, 2.3 + MEMORY_S)


def test_who_appears_elsewhere_is_somebody_else() -> None:
    first, second = follow([(0.0, [standing(100)]), (0.2, [standing(500)])])
    assert [track.number for track in (*first, *second)] == [1, 2]


def test_who_falls_is_the_same_person() -> None:
    upright, lying = standing(300), standing(300, lying=True)
    assert [[track.number for track in found] for found in follow([(0.0, [upright]), (0.2, [upright]), (0.4, [lying]), (0.6, [lying])])] == [[1]] * 4


def test_who_is_hardly_seen_begins_no_track_but_goes_on_with_one() -> None:
    frames = [(0.0, [standing(100, score=0.15)]), (0.2, [standing(100)]), (0.4, [standing(101, score=0.15)])]
    assert [[track.number for track in found] for found in follow(frames)] == [[], [1], [1]]


def test_after_a_gap_nobody_is_known_and_no_number_is_given_twice() -> None:
    tracker = PeopleTracker()
    follow([(0.0, [standing(100)])], tracker)
    tracker.reset()
    (track,) = tracker.step([standing(100)], 0.2, HEIGHT)
    assert (track.number, track.num_frames) == (2, 1)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.tuples(st.integers(0, 640), st.booleans()), max_size=6), min_size=1, max_size=12))
def test_each_person_has_one_number_and_no_number_comes_back_from_the_dead(places: list[list[tuple[int, bool]]]) -> None:
    last: dict[int, float] = {}
    newest, tracker = 0, PeopleTracker()
    for tick, row in enumerate(places):
        found = tracker.step([standing(place, lying=lying) for place, lying in row], 0.5 * tick, HEIGHT)
        assert len(found) == len(row)
        given_now = [track.number for track in found]
        assert len(set(given_now)) == len(given_now)
        for track in found:
            assert track.number > newest or 0.5 * tick - last[track.number] <= MEMORY_S
            last[track.number] = 0.5 * tick
        newest = max([newest, *given_now])


def test_pedestrians_are_followed_over_seconds(multipose: MultiPose, shared_data: Path) -> None:
    tracker = PeopleTracker()
    spans: dict[int, list[float]] = {}
    for time_s, image in read_frames(shared_data / "streams/vtest.avi", 5, 40):
        for track in tracker.step(multipose.step(image), time_s, image.shape[0]):
            spans.setdefault(track.number, []).append(time_s)
    lengths = [times[-1] - times[0] for times in spans.values()]
    assert max(lengths) > 4
    assert np.median(lengths) > 1.5
