from collections import Counter, deque
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streamvc.training.windows import FeatureTable, Windows, all_windows, build_table, sample_windows, select_windows

WINDOW, WARM_UP = 4, 2

lengths_of_stretches = st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=3), min_size=1, max_size=4)


def numbered(lengths: list[list[int]]) -> list[list[np.ndarray]]:
    """Clips of stretches whose features are distinct numbers."""
    numbers = iter(range(1000))
    return [[np.array([[next(numbers)] for _ in range(length)], np.float32) for length in stretches] for stretches in lengths]


def contents(table: FeatureTable, windows: Windows) -> list[tuple[int, list[float]]]:
    """The clip and the features of each window."""
    return [
        (int(clip), table.features[rows[:length], 0].tolist())
        for rows, length, clip in zip(windows.rows, windows.lengths, windows.clips, strict=True)
    ]


def live(clips: list[list[np.ndarray]]) -> list[tuple[int, list[float]]]:
    """What a recogniser's window holds at each prediction, clip by clip."""
    seen = []
    for number, stretches in enumerate(clips):
        for stretch in stretches:
            window: deque[float] = deque(maxlen=WINDOW)
            for count, feature in enumerate(stretch[:, 0].tolist(), start=1):
                window.append(feature)
                if count >= WARM_UP:
                    seen.append((number, list(window)))
    return seen


@given(lengths_of_stretches)
def test_every_window_is_what_the_recogniser_sees(lengths: list[list[int]]) -> None:
    clips = numbered(lengths)
    table = build_table(clips)
    assert contents(table, all_windows(table, WINDOW, WARM_UP)) == live(clips)


@given(lengths_of_stretches, st.integers(1, 3), st.integers(0, 9))
def test_drawn_windows_lie_within_a_stretch_and_each_clip_has_as_many(lengths: list[list[int]], num_per_clip: int, seed: int) -> None:
    clips = numbered(lengths)
    table = build_table(clips)
    windows = sample_windows(table, WINDOW, WARM_UP, num_per_clip, partial=0.5, rng=np.random.default_rng(seed))
    assert np.bincount(windows.clips).tolist() == [num_per_clip] * len(clips)
    stretches = {(number, value): index for number, clip in enumerate(clips) for index, part in enumerate(clip) for value in part[:, 0].tolist()}
    for clip, features in contents(table, windows):
        assert features == list(np.arange(features[0], features[0] + len(features)))
        assert len({stretches[clip, feature] for feature in features}) == 1
        assert len(features) <= WINDOW


@given(st.integers(2, 30), st.data())
def test_windows_reach_back_to_what_came_before_the_clip_as_live(length: int, data: st.DataObject) -> None:
    video = numbered([[length]])
    cuts = sorted({0, length, *data.draw(st.lists(st.integers(1, length - 1), max_size=4))})
    before = [min(begin, WINDOW - 1) for begin in cuts[:-1]]
    clips = [[video[0][0][begin - reach : end]] for (begin, end), reach in zip(pairwise(cuts), before, strict=True)]
    table = build_table(clips, [[num] for num in before])
    assert [features for _, features in contents(table, all_windows(table, WINDOW, WARM_UP))] == [features for _, features in live(video)]
    for speed in (False, True):
        drawn = sample_windows(table, WINDOW, WARM_UP, 3, partial=0.5, rng=np.random.default_rng(0), varied_speed=speed)
        for clip, features in contents(table, drawn):
            assert cuts[clip] <= features[-1] < cuts[clip + 1]
            assert min(features) >= cuts[clip] - before[clip]


def test_windows_drawn_by_length_end_at_each_feature_as_often() -> None:
    table = build_table(numbered([[2], [14], [4]]), [[0], [4], [0]])
    windows = sample_windows(table, WINDOW, 1, 1000, partial=0.0, rng=np.random.default_rng(0), by_length=True)
    counts = Counter(features[-1] for _, features in contents(table, windows))
    assert sorted(counts) == [0, 1, *range(6, 20)]
    assert min(counts.values()) > 0.7 * max(counts.values())


def test_without_partial_windows_all_are_as_long_as_they_would_be_live() -> None:
    table = build_table(numbered([[9]]))
    windows = sample_windows(table, WINDOW, WARM_UP, 200, partial=0.0, rng=np.random.default_rng(0))
    assert {tuple(features) for _, features in contents(table, windows)} == {tuple(features) for _, features in live(numbered([[9]]))}


@given(lengths_of_stretches)
def test_a_filled_window_begins_with_its_oldest_feature_in_place_of_those_that_are_missing(lengths: list[list[int]]) -> None:
    table = build_table(numbered(lengths))
    windows = all_windows(table, WINDOW, WARM_UP)
    filled = windows.filled()
    for (_, features), (_, full) in zip(contents(table, windows), contents(table, filled), strict=True):
        assert full == [features[0]] * (WINDOW - len(features)) + features


@given(lengths_of_stretches, st.integers(1, 4))
def test_thinning_keeps_as_many_of_each_clip_as_there_are_up_to_a_number(lengths: list[list[int]], num: int) -> None:
    windows = all_windows(build_table(numbered(lengths)), WINDOW, WARM_UP)
    if not len(windows.clips):
        return
    thin = windows.thinned(num)
    before, after = np.bincount(windows.clips), np.bincount(thin.clips)
    assert after.tolist() == np.minimum(before, num).tolist()
    assert set(map(tuple, thin.rows.tolist())) <= set(map(tuple, windows.rows.tolist()))


def test_the_first_features_are_taken_of_the_longest_stretch() -> None:
    table = build_table(numbered([[2, 6], [3]]))
    assert contents(table, select_windows(table, WINDOW, "first")) == [(0, [2, 3, 4, 5]), (1, [8, 9, 10])]


def test_features_are_taken_evenly_and_repeated_where_there_are_too_few() -> None:
    table = build_table(numbered([[12], [2], [4]]))
    assert contents(table, select_windows(table, WINDOW, "even")) == [(0, [1, 4, 7, 10]), (1, [12, 12, 13, 13]), (2, [14, 15, 16, 17])]


def test_another_speed_moves_all_but_the_last_feature_and_stays_in_the_stretch() -> None:
    table = build_table(numbered([[5], [9, 9]]))
    plain, varied = (
        sample_windows(table, WINDOW, WARM_UP, 300, partial=0.2, rng=np.random.default_rng(0), varied_speed=speed) for speed in (False, True)
    )
    pairs = list(zip(contents(table, plain), contents(table, varied), strict=True))
    assert all(one[1][-1] == other[1][-1] and len(one[1]) == len(other[1]) for one, other in pairs)
    assert {other[1][-1] - other[1][0] for one, other in pairs if len(one[1]) == WINDOW} == {2, 3, 4}
    starts = {0, 5, 14}
    for _, (_, features) in pairs:
        assert features == sorted(features)
        assert not any(features[0] < start <= features[-1] for start in starts)
