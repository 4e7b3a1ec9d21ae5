import math
import random
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamvc.health import STALL_S
from streamvc.node.lifecycle import (
    APART_S,
    DEATHS_S,
    JITTER,
    LEGAL,
    LONGEST_DELAY_S,
    NUM_DEATHS,
    PROVEN_S,
    REFUSED_DELAY_S,
    Kill,
    Lifecycle,
    Start,
)

SILENCE_S = 12.0


def connecting(now: float = 0.0, seed: int = 0) -> Lifecycle:
    life = Lifecycle(open_timeout_s=10.0, read_timeout_s=5.0, rng=random.Random(seed))
    assert life.step(now) == Start()
    life.started(now)
    return life


def running(now: float = 0.0) -> Lifecycle:
    life = connecting(now)
    life.opened(now, SILENCE_S)
    life.arrived(now, frozen=False)
    return life


def test_a_camera_is_connected_at_once_and_runs_with_its_first_picture() -> None:
    life = connecting(1.0)
    assert life.state == "connecting"
    assert life.step(1.0) is None
    life.opened(1.5, SILENCE_S)
    life.arrived(1.5, frozen=False)
    assert (life.state, life.since, life.num_connections) == ("running", 1.5, 1)


def test_that_it_is_to_be_connected_is_said_until_it_is() -> None:
    life = Lifecycle(open_timeout_s=10.0, read_timeout_s=5.0)
    assert life.due() <= 0.0
    assert [life.step(now) for now in (0.0, 1.0, 2.0)] == [Start()] * 3
    life.started(2.0)
    assert life.step(2.0) is None


def test_without_pictures_it_has_stalled_and_with_the_next_it_runs_again() -> None:
    life = running()
    assert life.due() == STALL_S
    assert life.step(STALL_S) is None
    assert life.state == "stalled"
    life.arrived(4.0, frozen=False)
    assert (life.state, life.num_gaps) == ("running", 1)


def test_pictures_that_come_too_late_keep_it_as_it_is() -> None:
    life = running()
    for second in range(1, 30):
        life.heard(float(second))
        assert life.step(second + 0.5) is None
    assert (life.state, life.num_gaps) == ("running", 0)
    life.arrived(30.0, frozen=True)
    life.heard(31.0)
    assert life.state == "frozen"
    assert life.step(31.0 + STALL_S) is None
    assert life.state == "stalled"
    life.heard(35.0)
    assert life.state == "running"


def test_a_frozen_picture_is_a_gap_until_it_changes() -> None:
    life = running()
    life.arrived(1.0, frozen=True)
    assert (life.state, life.num_gaps) == ("frozen", 1)
    life.arrived(1.2, frozen=False)
    assert (life.state, life.num_gaps) == ("running", 1)


def test_a_decoder_that_says_nothing_is_killed_and_again_if_need_be() -> None:
    life = running()
    life.step(STALL_S)
    assert life.due() == SILENCE_S
    action = life.step(SILENCE_S)
    assert isinstance(action, Kill)
    assert "12 s" in action.detail
    assert life.step(SILENCE_S) is None
    assert isinstance(life.step(life.due()), Kill)
    life.finished(SILENCE_S + 1, "died")
    assert (life.state, life.num_deaths) == ("lost", 1)


def test_decoders_that_hang_do_not_set_a_camera_apart() -> None:
    life = connecting()
    for _ in range(2 * NUM_DEATHS):
        hung = life.due()
        assert isinstance(life.step(hung), Kill)
        die(life, hung)
    assert (life.num_deaths, life.is_set_apart) == (2 * NUM_DEATHS, False)


def test_one_that_never_gives_a_picture_is_killed_after_the_time_outs() -> None:
    life = connecting()
    assert 20.0 < life.due() < 30.0
    assert isinstance(life.step(life.due()), Kill)


def delays(life: Lifecycle, number: int, now: float = 0.0) -> list[float]:
    """Seconds to the next connection, of one that fails at once each time."""
    waited = []
    for _ in range(number):
        life.finished(now, "lost")
        waited.append(life.due() - now)
        now = life.due()
        assert life.step(now) == Start()
        life.started(now)
    return waited


def test_connections_are_tried_less_and_less_often_but_soon_enough() -> None:
    waited = delays(connecting(), 2000)
    assert waited[0] < 1.0
    assert max(waited) < 4.0
    assert all(delay > LONGEST_DELAY_S / 2 for delay in waited[3:])


def test_a_camera_that_refuses_the_login_is_not_asked_again_soon() -> None:
    life = connecting()
    life.finished(0.0, "refused")
    assert life.due() == pytest.approx(REFUSED_DELAY_S, rel=JITTER)


def test_cameras_that_were_lost_together_do_not_come_back_together() -> None:
    assert len({delays(connecting(seed=seed), 1)[0] for seed in range(10)}) == 10


def test_a_connection_that_held_makes_the_next_delay_the_first_again() -> None:
    life = connecting()
    delays(life, 5)
    now = life.due()
    life.opened(now, SILENCE_S)
    assert delays(life, 1, now + PROVEN_S + 0.1)[0] < 1.0


def die(life: Lifecycle, now: float) -> float:
    """The decoder dies at once; gives the moment of the next."""
    life.finished(now, "died")
    now = life.due()
    life.step(now)
    life.started(now)
    return now


def test_a_stream_that_kills_decoders_is_set_apart_and_tried_now_and_then() -> None:
    life, now = connecting(), 0.0
    for _ in range(NUM_DEATHS - 1):
        now = die(life, now)
        assert not life.is_set_apart
    later = die(life, now)
    assert life.is_set_apart
    assert later - now == pytest.approx(APART_S)
    assert die(life, later) - later == pytest.approx(APART_S)
    assert life.num_deaths == NUM_DEATHS + 1


def test_deaths_that_lie_far_apart_do_not_set_it_apart() -> None:
    life, now = connecting(), 0.0
    for _ in range(3 * NUM_DEATHS):
        now = die(life, now + DEATHS_S / (NUM_DEATHS - 2))
    assert not life.is_set_apart


@pytest.mark.parametrize("mended", ["it runs", "it is enabled anew"])
def test_one_that_is_set_apart_is_forgiven(mended: str) -> None:
    life, now = connecting(), 0.0
    for _ in range(NUM_DEATHS):
        now = die(life, now)
    if mended == "it runs":
        life.opened(now, SILENCE_S)
        life.finished(now + DEATHS_S + 0.1, "lost")
    else:
        life.disable(now)
        life.enable(now)
    assert not life.is_set_apart


def test_one_that_is_disabled_wants_nothing_until_it_is_enabled() -> None:
    life = running()
    life.disable(1.0)
    assert life.due() == math.inf
    life.arrived(1.1, frozen=False)
    life.finished(1.2, "lost")
    assert life.state == "disabled"
    life.enable(2.0)
    assert (life.state, life.step(2.0)) == ("connecting", Start())


Told = Literal["step", "opened", "arrived", "frozen", "lost", "refused", "end_of_stream", "died", "disable", "enable"]


@given(st.lists(st.tuples(st.sampled_from(Told.__args__), st.floats(0.0, 30.0)), max_size=60))  # type: ignore[attr-defined]
def test_whatever_happens_it_only_goes_where_it_may(story: list[tuple[Told, float]]) -> None:
    life, now = Lifecycle(open_timeout_s=10.0, read_timeout_s=5.0, rng=random.Random(1)), 0.0
    for told, pause in story:
        before, now = life.state, now + pause
        tell(life, told, now)
        assert life.state == before or life.state in LEGAL[before]
        assert life.state == "disabled" or life.due() < math.inf
        assert life.since <= now


def tell(life: Lifecycle, told: Told, now: float) -> None:
    match told:
        case "step":
            if isinstance(life.step(now), Start):
                life.started(now)
            assert life.due() > now  # otherwise the caller would spin
        case "opened":
            life.opened(now, SILENCE_S)
        case "arrived" | "frozen":
            life.arrived(now, frozen=told == "frozen")
        case "lost" | "refused" | "end_of_stream" | "died":
            life.finished(now, told)
        case "disable":
            life.disable(now)
        case "enable":
            if life.state == "disabled":
                life.enable(now)
