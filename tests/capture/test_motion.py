from collections.abc import Iterator

import numpy as np
import pytest

from streamvc.capture.messages import MotionSettings
from streamvc.capture.motion import FreezeDetector, MotionGate, fingerprint, shrink, small_size
from streamvc.capture.zones import Zones
from streamvc.types import Array

SIZE = (360, 640)
RATE_HZ = 5.0


def scenes(noise: float, seed: int) -> Iterator[Array]:
    """A room in which nothing happens, as a camera sees it."""
    rng = np.random.default_rng(seed)
    room = np.add.outer(np.linspace(40, 160, SIZE[0]), np.linspace(0, 40, SIZE[1]))
    while True:
        yield np.clip(room + rng.normal(0, noise, SIZE), 0, 255).astype(np.uint8)


def with_person(luma: Array, x: int, y: int = 200, height: int = 60) -> Array:
    """Somebody stands there, lighter than the room."""
    picture = luma.copy()
    picture[y : y + height, x : x + height // 3] = np.minimum(picture[y : y + height, x : x + height // 3].astype(int) + 60, 255)
    return picture


def passed(pictures: list[Array], gate: MotionGate) -> list[bool]:
    return [gate.step(shrink(picture), number / RATE_HZ) for number, picture in enumerate(pictures)]


def still(number: int, noise: float = 4.0, seed: int = 0) -> list[Array]:
    source = scenes(noise, seed)
    return [next(source) for _ in range(number)]


def settings(sensitivity: float = 0.5) -> MotionSettings:
    return MotionSettings(sensitivity=sensitivity, settle_s=1.0, keep_alive_s=2.0)


def test_the_gate_closes_on_a_noisy_room_and_lets_one_through_now_and_then() -> None:
    told = passed(still(60), MotionGate(settings()))
    assert all(told[:5])
    assert told[10:].count(True) == pytest.approx(50 / RATE_HZ / 2.0, abs=1)


def test_motion_opens_it_at_once() -> None:
    room = still(20)
    walking = [with_person(picture, 300 + 8 * step) for step, picture in enumerate(room[12:])]
    told = passed([*room[:12], *walking], MotionGate(settings()))
    assert not told[11]
    assert all(told[12:])


def test_what_moves_slowly_is_seen_once_it_has_moved_far_enough() -> None:
    # A pixel a second: hardly a change from one picture to the next.
    pictures = [with_person(picture, 300 + number // 5) for number, picture in enumerate(still(100))]
    gate = MotionGate(MotionSettings(settle_s=1.0, keep_alive_s=1000.0))
    assert any(passed(pictures, gate)[10:])


def test_daylight_that_changes_slowly_is_no_motion() -> None:
    pictures = [picture + number // 10 for number, picture in enumerate(still(200, noise=2.0))]  # in 40 s three times what is motion
    assert passed(pictures, MotionGate(settings()))[10:].count(True) == pytest.approx(190 / RATE_HZ / 2.0, abs=1)


def test_motion_outside_the_zone_is_none() -> None:
    left = Zones(include=(((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)),))
    pictures = [with_person(picture, 400 + 10 * (number % 2)) for number, picture in enumerate(still(30))]
    assert all(passed(pictures, MotionGate(settings())))
    assert not all(passed(pictures, MotionGate(settings(), left.mask(*small_size(*SIZE)))))


def test_sensitivity_decides_on_faint_motion() -> None:
    def pictures() -> list[Array]:
        return [np.full(SIZE, 100, np.uint8) if number % 2 else with_faint(number) for number in range(30)]

    def with_faint(_number: int) -> Array:
        picture = np.full(SIZE, 100, np.uint8)
        picture[100:200, 100:200] += 5
        return picture

    assert all(passed(pictures(), MotionGate(settings(sensitivity=1.0))))
    assert not all(passed(pictures(), MotionGate(settings(sensitivity=0.0))))


def test_without_a_gate_all_pass() -> None:
    assert all(passed(still(20), MotionGate(MotionSettings(gate=False))))


def test_after_a_reset_the_next_picture_passes() -> None:
    gate, room = MotionGate(settings()), still(20)
    assert not passed(room, gate)[-1]
    gate.reset()
    assert gate.step(shrink(room[0]), 4.0)


def test_identical_pictures_are_frozen_after_a_while_and_noise_is_not() -> None:
    def frozen(pictures: list[Array]) -> list[bool]:
        detector = FreezeDetector(2.0)
        return [detector.step(fingerprint(picture, shrink(picture)), number / RATE_HZ) for number, picture in enumerate(pictures)]

    same = still(1) * 20
    assert frozen(same) == [False] * 10 + [True] * 10
    assert not any(frozen(still(20, noise=1.0)))
    assert frozen([*same, *still(2, seed=1)])[-2:] == [False, False]


def test_a_picture_is_looked_at_once_a_second_and_at_each_where_it_is_frozen() -> None:
    detector = FreezeDetector(2.0)
    looked = []
    for number in range(16):
        looked.append(detector.looks(number / 4))
        if looked[-1]:
            detector.step(1, number / 4)

    assert [number for number, is_looked_at in enumerate(looked) if is_looked_at] == [0, 4, 8, *range(9, 16)]
    assert detector.looks(0.0)  # time has begun anew
    assert not FreezeDetector(0.0).looks(5.0)


def test_a_picture_that_is_frozen_where_time_begins_anew_is_so_after_a_while_there_too() -> None:
    detector = FreezeDetector(2.0)
    assert [detector.step(7, timestamp) for timestamp in (100.0, 101.0, 5.0, 6.0, 7.0)] == [False] * 4 + [True]


def test_where_frozen_is_off_nothing_is() -> None:
    detector = FreezeDetector(0.0)
    assert not any(detector.step(7, float(second)) for second in range(100))


def test_a_single_pixel_of_the_rows_that_are_read_makes_another_fingerprint() -> None:
    (picture,) = still(1)
    other = picture.copy()
    other[160, 333] ^= 1
    assert fingerprint(picture, shrink(picture)) != fingerprint(other, shrink(other))
