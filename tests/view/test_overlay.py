from dataclasses import replace

import numpy as np
import pytest

from streamvc.detection import Candidate
from streamvc.types import Box, Focus, SeenPerson
from streamvc.view.canvas import GREEN, WHITE, Colour, Image
from streamvc.view.overlay import AMBER, CARD_WIDTH, GREY, MARGIN, OverlayStatus, PastActivity, draw

RUNNING = OverlayStatus(
    top=(("PushUps", 0.8), ("WallPushups", 0.1), ("Lunges", 0.02)),
    active="PushUps",
    active_s=12.4,
    fps_in=25.0,
    rate_hz=5.0,
    latency_s=0.016,
)
NOTHING = replace(RUNNING, active=None, active_s=0.0)
PUSHING = Candidate("PushUps", 0.93, 0.95, 0.5)
SMALL = [(320, 240), (352, 288), (400, 300), (426, 240), (240, 320)]
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
def test_a_margin_and_the_right_of_the_upper_half_are_left_alone(width: int, height: int) -> None:
    long = replace(RUNNING, top=(("a very long label that nobody can read " * 3, 1.0),) * 3, active="another long label " * 5, dropped=10**9)
    changed = (draw(plain(width, height, 128), long) != 128).any(axis=2)
    scale = max(0.75, min(height, 0.75 * width) / 480)

    assert not changed[: height // 2, round((MARGIN + CARD_WIDTH) * scale) + 1 :].any()
    assert not changed[:, width - round(MARGIN / 2 * scale) + 1 :].any()
    assert not changed[-round(MARGIN / 2 * scale) + 1 :].any()


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
    picture = draw(plain(height * 4 // 3, height, brightness), status)
    card = (picture[-40:-5, 5:] if height == 240 else picture[: height // 4, : height // 3]).astype(int)
    background = np.median(card[card.shape[0] // 5 : card.shape[0] // 2, height // 20 :], axis=(0, 1)).max()

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


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_a_tick_on_the_bar_marks_the_score_that_is_needed(width: int, height: int) -> None:
    status = replace(NOTHING, top=(("", 0.5),))

    def tick(threshold: float) -> float:
        """Where it is, in pixels from the left."""
        changed = draw(plain(width, height), replace(status, thresholds={"": threshold})) != draw(plain(width, height), status)
        columns = np.flatnonzero(changed.any(axis=(0, 2)))
        assert len(columns) in range(1, 8)
        return float(columns.mean())

    left, right = tick(0.0), tick(1.0)

    assert [(tick(share) - left) / (right - left) for share in (0.25, 0.7, 0.95)] == pytest.approx([0.25, 0.7, 0.95], abs=0.03)


def test_a_label_that_needs_no_score_has_no_tick() -> None:
    assert (draw(plain(640, 480), replace(NOTHING, thresholds={"Boxing": 0.5})) == draw(plain(640, 480), NOTHING)).all()


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_what_is_nearest_to_an_activity_stands_in_place_of_none_and_what_it_needs(width: int, height: int) -> None:
    none, near = (draw(plain(width, height), replace(NOTHING, candidate=candidate)) for candidate in (None, PUSHING))

    assert (count_shades(none, AMBER), count_shades(near, AMBER) > 20) == (0, True)  # "needs 95 %"
    for change in ({"score": 0.91}, {"enter": 0.97}, {"label": "PullUps"}, {"score": 0.96}):
        assert (draw(plain(width, height), replace(NOTHING, candidate=replace(PUSHING, **change))) != near).any()
    assert (draw(plain(width, height), replace(RUNNING, candidate=PUSHING)) == draw(plain(width, height), RUNNING)).all()


def test_a_score_below_its_threshold_is_not_rounded_up_to_it() -> None:
    close, closer = (draw(plain(640, 480), replace(NOTHING, top=(), candidate=replace(PUSHING, score=score))) for score in (0.941, 0.9496))

    assert (close == closer).all()  # both 94 %


@pytest.mark.parametrize(("width", "height"), SMALL)
def test_on_a_small_picture_only_the_bottom_is_drawn_on(width: int, height: int) -> None:
    past = tuple(PastActivity(label, 12.0, 3.0) for label in "abc")
    for status in (RUNNING, NOTHING, replace(NOTHING, candidate=PUSHING), OverlayStatus(warming_up=True), replace(RUNNING, past=past, dropped=9)):
        changed = (draw(plain(width, height, 128), status) != 128).any(axis=(1, 2))
        assert changed.any()
        assert not changed[: round(0.8 * height)].any()


def test_the_last_activities_stand_in_the_lower_right_the_newest_three() -> None:
    past = [PastActivity("PushUps", 12.4, None), PastActivity("Lunges", 5.0, 3.0), PastActivity("Boxing", 5.0, 70.0), PastActivity("Wave", 5.0, 99.0)]
    bare = draw(plain(960, 540, 128), NOTHING)
    changed = (draw(plain(960, 540, 128), replace(NOTHING, past=past)) != bare).any(axis=2)

    assert changed[270:, 480:].any()
    assert not changed[:270].any()
    assert not changed[:, :480].any()
    assert (draw(plain(960, 540, 128), replace(NOTHING, past=past[:3])) == draw(plain(960, 540, 128), replace(NOTHING, past=past))).all()


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_last_activities_and_the_rates_do_not_cover_each_other(width: int, height: int) -> None:
    past = (PastActivity("a long label that is cut off", 4000.0, 70.0),) * 3
    status = replace(RUNNING, dropped=10**6)
    rates = draw(plain(width, height, 255), replace(status, top=(), active=None)) < 128
    both = draw(plain(width, height, 255), replace(status, top=(), active=None, past=past)) < 128

    assert both[rates].all()  # or it would be shaded twice, and its text written over
    np.testing.assert_array_equal(
        draw(plain(width, height, 255), replace(status, past=past))[-round(0.03 * height) :, : width // 4],
        draw(plain(width, height, 255), status)[-round(0.03 * height) :, : width // 4],
    )


@pytest.mark.parametrize("enlarged", [1.0, 3.0])
def test_whom_a_model_judges_is_shown_by_their_skeleton(enlarged: float) -> None:
    landmarks = np.zeros((33, 4), np.float32)
    landmarks[[11, 12, 13]] = [(100, 60, 0, 1), (60, 60, 0, 1), (120, 90, 0, 0.1)]  # shoulders, and an elbow that is not seen
    focus = Focus((Box(0, 0, 160, 160),), landmarks)
    picture = draw(plain(320, 240, 128), OverlayStatus(focus=[focus]), enlarged=enlarged)
    bare = draw(plain(320, 240, 128), OverlayStatus(), enlarged=enlarged)
    rows, columns = np.nonzero((picture != bare).any(axis=2))

    assert (picture[round(60 * enlarged), round(80 * enlarged)] > 200).all()
    assert (rows.min() / enlarged, rows.max() / enlarged) == pytest.approx((60, 60), abs=5)
    assert (columns.min() / enlarged, columns.max() / enlarged) == pytest.approx((60, 100), abs=5)


@pytest.mark.parametrize("active", [None, "PushUps"])
def test_or_by_the_corners_of_the_box_that_it_looks_at(active: str | None) -> None:
    focus = Focus((Box(300, 150, 200, 200),), None)
    picture = draw(plain(640, 480, 128), replace(RUNNING, active=active, focus=[focus]))
    rows, columns = np.nonzero((picture != draw(plain(640, 480, 128), replace(RUNNING, active=active))).any(axis=2))

    assert (rows.min(), rows.max(), columns.min(), columns.max()) == pytest.approx((150, 350, 300, 500), abs=4)
    assert (picture[152:348, 330:470] == 128).any(axis=2).mean() > 0.9  # its inside is left alone
    assert count(picture[140:360, 290:510], GREEN if active else WHITE) > 50


def standing(track: int, left: float) -> SeenPerson:
    """Somebody 60 pixels wide and 200 tall, whose hands are not seen."""
    keypoints = np.zeros((17, 3), np.float32)
    for pair, across, down in (((5, 6), 15, 30), ((7, 8), 25, 70), ((11, 12), 12, 100), ((13, 14), 12, 145), ((15, 16), 12, 195)):
        keypoints[pair[0]], keypoints[pair[1]] = (left + 30 + across, 200 + down, 0.9), (left + 30 - across, 200 + down, 0.9)
    return SeenPerson(track, np.array([left, 200, left + 60, 400], np.float32), keypoints)


@pytest.mark.parametrize("enlarged", [1.0, 2.0])
def test_each_person_has_their_skeleton_box_and_label(enlarged: float) -> None:
    focus = Focus((), None, (standing(1, 300), standing(2, 450)))
    picture = draw(plain(640, 480, 128), OverlayStatus(focus=[focus], doing={2: ["fall"]}), enlarged=enlarged)
    bare = draw(plain(640, 480, 128), OverlayStatus(), enlarged=enlarged)
    changed = (picture != bare).any(axis=2)
    idle, doing = (slice(round(x * enlarged), round((x + 130) * enlarged)) for x in (296, 446))

    for columns, own, other in ((idle, WHITE, GREEN), (doing, GREEN, WHITE)):
        assert count(picture[:, columns], own) > 200
        assert count(picture[:, columns], other) == 0
    rows, across = (np.nonzero(changed[:, idle])[axis] / enlarged for axis in (0, 1))
    assert (rows.min(), rows.max()) == pytest.approx((200, 400), abs=6)
    assert (across.min(), across.max()) == pytest.approx((4, 64), abs=6)
    rows = np.nonzero(changed[:, doing])[0] / enlarged
    assert 170 < rows.min() < 190  # the label stands on the box
    waist = picture[round(250 * enlarged) : round(280 * enlarged), round(330 * enlarged)]
    assert (waist == bare[round(250 * enlarged) : round(280 * enlarged), round(330 * enlarged)]).all()  # nothing is drawn where nothing is


def test_the_label_of_somebody_at_the_edge_can_be_read() -> None:
    high = SeenPerson(1, np.array([600, -20, 660, 200], np.float32), np.zeros((17, 3), np.float32))
    status = OverlayStatus(focus=[Focus((), None, (high,))], doing={1: ["sitting down"]})
    dark = (draw(plain(640, 480, 255), status)[:20, 400:].max(axis=2) < 200).any(axis=0)

    assert dark[-2:].all()  # the panel behind it reaches to the edge of the picture, and no further
    assert 80 < dark.sum() < 160


def test_a_small_picture_is_enlarged_before_it_is_drawn_on() -> None:
    picture = draw(plain(320, 240, 128), RUNNING, enlarged=3.0)

    assert picture.shape == (720, 960, 3)
    assert (picture[:360] != 128).any()  # there is room for the card then
    np.testing.assert_array_equal(picture, draw(plain(960, 720, 128), RUNNING))
