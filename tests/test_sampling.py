import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamvc.sampling import Sample, Sampler, is_enough
from streamvc.types import Frame

IMAGE = np.zeros((2, 2, 3), np.uint8)


def frames(timestamps: list[float]) -> list[Frame]:
    return [Frame(index, timestamp, IMAGE) for index, timestamp in enumerate(timestamps)]


def samples(timestamps: list[float], rate_hz: float = 5.0) -> list[Sample]:
    sampler = Sampler(rate_hz)
    return [sample for frame in frames(timestamps) if (sample := sampler.step(frame))]


@pytest.mark.parametrize("fps", [10, 15, 25, 30, 60])
def test_picks_the_same_moments_at_any_frame_rate(fps: int) -> None:
    picked = [sample.frame.timestamp for sample in samples([index / fps for index in range(4 * fps)])]
    assert picked == pytest.approx([tick / 5 for tick in range(20)])


def test_milliseconds_rounded_down_still_meet_their_tick() -> None:
    picked = samples([0.0, 0.199, 0.399, 0.6])
    assert [sample.frame.timestamp for sample in picked] == [0.0, 0.199, 0.399, 0.6]


def test_a_frame_stands_for_the_ticks_that_were_missed() -> None:
    picked = samples([0.0, 0.2, 0.85, 1.0])
    assert [(sample.frame.timestamp, sample.num_ticks) for sample in picked] == [(0.0, 1), (0.2, 1), (0.85, 3), (1.0, 1)]


def test_a_slow_camera_fills_all_ticks() -> None:
    picked = samples([index / 2 for index in range(9)])
    assert sum(sample.num_ticks for sample in picked) == 1 + 4 * 5


@pytest.mark.parametrize(("timestamps", "gap_s"), [([0.0, 0.2, 3.2], 3.0), ([5.0, 5.2, 0.7], 4.5)])
def test_a_gap_and_a_clock_jump_are_reported_and_start_anew(timestamps: list[float], gap_s: float) -> None:
    last = samples(timestamps)[-1]
    assert last.gap_s == pytest.approx(gap_s)
    assert last.num_ticks == 1


def test_the_grid_lies_on_stream_time_whatever_frame_comes_first() -> None:
    whole = [index / 25 for index in range(100)]
    cut = samples(whole[7:])
    assert [sample.timestamp for sample in cut] == [sample.timestamp for sample in samples(whole)][1:]
    assert [sample.frame.timestamp for sample in cut[1:]] == [sample.frame.timestamp for sample in samples(whole)][2:]


def test_reset_forgets_the_stream() -> None:
    sampler = Sampler(5.0)
    first, late = frames([7.0, 20.0])
    sampler.step(first)
    sampler.reset()
    sample = sampler.step(late)
    assert sample is not None
    assert sample.gap_s == 0.0


@given(st.lists(st.floats(0.001, 0.9), min_size=1, max_size=60))
def test_ticks_keep_up_with_time(steps: list[float]) -> None:
    timestamps = [float(value) for value in np.cumsum([0.0, *steps])]
    picked = samples(timestamps)
    ticks = sum(sample.num_ticks for sample in picked) - 1
    assert picked[-1].timestamp == pytest.approx(ticks / 5)
    assert ticks / 5 - 0.0101 <= timestamps[-1] < (ticks + 1) / 5


@given(st.lists(st.floats(0.001, 2.0), min_size=1, max_size=60))
def test_sampling_what_was_sampled_changes_nothing(steps: list[float]) -> None:
    once = samples([float(value) for value in np.cumsum([0.0, *steps])])
    twice = samples([sample.frame.timestamp for sample in once])
    if all(sample.gap_s == 0.0 for sample in once + twice):
        assert [(sample.frame.timestamp, sample.num_ticks) for sample in twice] == [(sample.frame.timestamp, sample.num_ticks) for sample in once]


@pytest.mark.parametrize(("rate_hz", "gap_s"), [(0.0, 1.0), (5.0, 0.0), (-1.0, 1.0)])
def test_refuses_impossible_settings(rate_hz: float, gap_s: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        Sampler(rate_hz, gap_s)


def test_samples_lie_on_the_grid_of_ticks_wherever_their_frames_fell() -> None:
    picked = samples([0.5, 0.73, 0.93, 1.52])
    assert [sample.timestamp for sample in picked] == pytest.approx([0.4, 0.6, 0.8, 1.4])


@pytest.mark.parametrize(
    ("rate_hz", "least_hz", "enough"), [(5.0, 5.0, True), (29.97 / 6, 5.0, True), (4.9, 5.0, False), (0.5, 0.4, False), (1.0, 0.4, True)]
)
def test_a_rate_is_enough_from_what_the_model_needs_and_a_frame_a_second(rate_hz: float, least_hz: float, enough: bool) -> None:
    assert is_enough(rate_hz, least_hz) is enough
