from dataclasses import replace

import numpy as np
import pytest

from streamvc.view.overlay import AMBER, CARD_WIDTH, GREEN, GREY, MARGIN, Colour, Image, OverlayStatus, draw

RUNNING = OverlayStatus(
    top=(("PushUps", 0.8), ("WallPushups", 0.1), ("Lunges", 0.02)),
    active="PushUps",
    active_s=12.4,
    fps_in=25.0,
    rate_hz=5.0,
    latency_s=0.016,
)
NOTHING = replace(RUNNING, active=None, active_s=0.0)
SIZES = [(320, 240), (640, 480), (641, 479), (1920, 1080), (480, 640), (240, 320)]


def plain(width: int, height: int, brightness: int = 0) -> Image:
    return np.full((height, width, 3), brightness, np.uint8)


def count(picture: Image, colour: Colour) -> int:
    return int((picture == colour).all(axis=2).sum())


def count_shades(picture: Image, colour: Colour) -> int:
    """Pixels of a colour on black, also darker ones: the thin lines of OpenCV 4's letters hardly ever fill a pixel."""
    brightness = picture.max(axis=2) / max(colour)
    return int(((np.abs(picture - brightness[..., None] * colour) < 4).all(axis=2) & (brightness > 0.3)).sum())


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("brightness", [0, 128, 255])
def test_the_picture_itself_is_left_alone(width: int, height: int, brightness: int) -> None:
    image = plain(width, height, brightness)

    picture = draw(image, RUNNING)

    assert (image == brightness).all()
    assert picture.shape == image.shape
    assert picture.dtype == np.uint8
    assert (picture != image).any()


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_only_the_corners_on_the_left_are_drawn_on(width: int, height: int) -> None:
    long = replace(RUNNING, top=(("a very long label that nobody can read " * 3, 1.0),) * 3, active="another long label " * 5, dropped=10**9)
    changed = (draw(plain(width, height, 128), long) != 128).any(axis=2)
    scale = max(0.75, min(height, 0.75 * width) / 480)

    assert not changed[: height // 2, round((MARGIN + CARD_WIDTH) * scale) + 1 :].any()
    assert not changed[:, width - round(MARGIN * scale) + 1 :].any()
    assert not changed[-round(MARGIN * scale) + 1 :].any()


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_a_bar_is_as_long_as_the_score(width: int, height: int) -> None:
    def bar_area(score: float) -> int:
        return count(draw(plain(width, height), replace(NOTHING, top=(("", score),))), GREY)

    whole = bar_area(1.0)

    assert bar_area(0.0) == 0
    assert [bar_area(score) / whole for score in (0.25, 0.5, 0.75)] == pytest.approx([0.25, 0.5, 0.75], abs=0.02)


def test_the_running_label_stands_out_and_nothing_else_does() -> None:
    assert count_shades(draw(plain(640, 480), RUNNING), GREEN) > 500
    assert count_shades(draw(plain(640, 480), NOTHING), GREEN) == 0


def test_no_score_is_made_up_while_warming_up() -> None:
    warm = OverlayStatus(warming_up=True, fps_in=25.0)

    assert (draw(plain(640, 480), warm) == draw(plain(640, 480), replace(warm, top=RUNNING.top))).all()
    assert count(draw(plain(640, 480), warm), GREY) == 0
    assert count_shades(draw(plain(640, 480), warm), AMBER) > 100


def test_drops_are_marked() -> None:
    assert count_shades(draw(plain(640, 480), NOTHING), AMBER) == 0
    assert count_shades(draw(plain(640, 480), replace(NOTHING, dropped=3)), AMBER) > 20


@pytest.mark.parametrize(
    "change", [{"active_s": 13.0}, {"active_s": 75.0}, {"active_s": 4000.0}, {"fps_in": 0.0}, {"rate_hz": 8.0}, {"latency_s": 0.0}, {"dropped": 1}]
)
def test_each_figure_is_shown(change: dict[str, float]) -> None:
    changed = replace(RUNNING, **change)  # type: ignore[arg-type]

    assert (draw(plain(640, 480), changed) != draw(plain(640, 480), RUNNING)).any()


@pytest.mark.parametrize("brightness", [0, 128, 255])
@pytest.mark.parametrize("height", [240, 480, 1080])
def test_text_is_far_brighter_than_what_is_behind_it(brightness: int, height: int) -> None:
    status = OverlayStatus(top=(("PushUps", 0.0),), active="PushUps")
    card = draw(plain(height * 4 // 3, height, brightness), status)[: height // 4, : height // 3].astype(int)
    background = np.median(card[height // 20 : height // 8, height // 20 :], axis=(0, 1)).max()

    assert background <= 90
    assert (card.min(axis=2) > 180).any(axis=1).any() or brightness == 255
    assert card.max() - background > 120


@pytest.mark.parametrize("shape", [(1, 1, 3), (48, 64, 3), (150, 1000, 3), (1000, 150, 3)])
def test_a_picture_without_room_is_returned_as_it_is(shape: tuple[int, int, int]) -> None:
    image = np.full(shape, 7, np.uint8)

    assert (draw(image, RUNNING) == image).all()


def test_a_view_of_a_larger_picture_can_be_drawn_on() -> None:
    large = plain(1280, 960, 50)

    assert (draw(large[::2, ::2], RUNNING) == draw(plain(640, 480, 50), RUNNING)).all()


def test_without_the_strip_only_the_card_is_drawn() -> None:
    image = plain(640, 480, 255)

    picture = draw(image, RUNNING, strip=False)

    np.testing.assert_array_equal(picture[:240], draw(image, RUNNING)[:240])
    assert (picture[240:] == 255).all()
