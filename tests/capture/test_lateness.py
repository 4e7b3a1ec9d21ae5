"""Streams in simulated time, read by decoders that are slow or held up."""

import random

import pytest

from streamvc.capture.lateness import Lateness
from streamvc.types import Clock

FPS, GOP = 25, 50
STALENESS_S = 0.5
SKIPPING_S = 0.0001  # what a picture costs that is left out


class Stream:
    """A camera, and a decoder that reads it; while that is hopelessly late, it leaves out all that lies there, and then waits for a keyframe."""

    def __init__(self, cost_s: float, *, num: int = 3000, clock: Clock = "pts", jitter_s: float = 0.0, drift: float = 0.0) -> None:
        rng = random.Random(1)
        self.lateness = Lateness(STALENESS_S)
        self.come = [number / FPS * (1 + drift) + rng.uniform(0, jitter_s) for number in range(num)]
        self.cost_s, self.clock = cost_s, clock
        self.held_up: dict[int, float] = {}  # seconds for which the decoder is stopped before a picture
        self.errors: list[float] = []  # of the moment at which each picture is said to have come
        self.ages: list[float] = []  # how long ago each picture that was decoded had come, when it was ready
        self.skipped: list[int] = []

    def read(self) -> "Stream":
        now, is_cut = 0.0, False
        for number, come in enumerate(self.come):
            now += self.held_up.get(number, 0.0)
            was_waited_for = number > 0 and come > now
            now = max(now, come)
            is_cut = self.lateness.is_hopeless or (is_cut and number % GOP != 0)
            said = self.lateness.step(number / FPS if self.clock == "pts" else now, self.clock, now, was_waited_for=was_waited_for)
            self.errors.append(said - come)
            now += SKIPPING_S if is_cut else self.cost_s
            if is_cut:
                self.skipped.append(number)
            else:
                self.ages.append(now - come)
        return self


@pytest.mark.parametrize(("jitter_s", "drift"), [(0.0, 0.0), (0.2, 0.0), (0.0, 0.001), (0.0, -0.001)])
def test_a_decoder_that_keeps_up_is_never_hopeless(jitter_s: float, drift: float) -> None:
    stream = Stream(0.005, jitter_s=jitter_s, drift=drift).read()
    assert not stream.skipped
    assert max(abs(error) for error in stream.errors) <= jitter_s + 0.001


def test_what_was_held_up_for_a_moment_is_told_as_old_and_then_caught_up_with() -> None:
    stream = Stream(0.001)
    stream.held_up = {1000: 3.0}
    stream.read()
    assert not stream.skipped
    assert max(abs(error) for error in stream.errors) < 0.002
    assert max(stream.ages) > 2.9


def test_a_network_that_becomes_slower_for_good_makes_nothing_late() -> None:
    stream = Stream(0.005)
    stream.come[1000:] = [come + 2.0 for come in stream.come[1000:]]
    stream.read()
    assert not stream.skipped
    assert [error < -1.9 for error in stream.errors[1000:1010]] == [True] * 4 + [False] * 6
    assert max(abs(error) for error in stream.errors[1004:]) < 0.002


@pytest.mark.parametrize("speed", [1.5, 4.0, 20.0])
def test_what_was_held_up_is_old_also_where_it_comes_only_as_fast_as_the_network_can(speed: float) -> None:
    stream = Stream(0.001)
    truth = list(stream.come)
    for number in range(1000, len(truth)):
        stream.come[number] = max(truth[number], truth[1000] + 4.0 + (number - 1000) / FPS / speed)
    stream.read()
    assert not stream.skipped
    said = [error + come for error, come in zip(stream.errors, stream.come, strict=True)]
    assert max(abs(one - right) for one, right in zip(said, truth, strict=True)) < 0.01


def test_a_burst_is_of_pictures_that_should_have_come_before() -> None:
    stream = Stream(0.001)
    truth = list(stream.come)
    stream.come[1000:1050] = [stream.come[1050]] * 50
    stream.read()
    assert not stream.skipped
    assert [error + come for error, come in zip(stream.errors, stream.come, strict=True)] == pytest.approx(truth, abs=0.002)


@pytest.mark.parametrize("clock", ["pts", "arrival"])
def test_a_decoder_that_is_too_slow_is_never_late_for_long(clock: Clock) -> None:
    """It needs twice the time that there is, for two minutes: it would be a minute late."""
    stream = Stream(0.08, clock=clock).read()
    late = [age for age in stream.ages if age > STALENESS_S]
    assert max(late) < 1.6
    assert 0.25 < len(stream.ages) / len(stream.come) < 0.55  # what there is time for
    assert len(late) < 0.5 * len(stream.ages)
    if clock == "pts":
        assert max(abs(error) for error in stream.errors) < 0.002


def test_who_skips_goes_on_until_it_has_caught_up() -> None:
    lateness = Lateness(STALENESS_S)
    lateness.step(0.0, "pts", 100.0, was_waited_for=True)
    told = []
    for timestamp, late_s in ((1.0, 1.0), (2.0, 1.0), (2.5, 0.3), (3.0, 0.05)):
        lateness.step(timestamp, "pts", 100.0 + timestamp + late_s, was_waited_for=False)
        told.append(lateness.is_hopeless)
    assert told == [False, True, True, False]


def test_what_lay_there_before_the_first_was_read_is_skipped_too() -> None:
    stream = Stream(0.08)
    stream.come[:50] = [stream.come[50]] * 50  # of two seconds
    stream.read()
    assert stream.skipped[0] < 40
    assert max(abs(error) for error in stream.errors[stream.skipped[0] + 200 :]) < 0.002


def test_one_that_is_a_little_too_slow_skips_seldom() -> None:
    stream = Stream(0.041).read()
    assert len(stream.skipped) < 0.1 * len(stream.come)
    assert max(stream.ages) < 1.2
