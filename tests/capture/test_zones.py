import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streamvc.capture.zones import GREY, Polygon, Zones

LEFT = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
WHOLE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
MIDDLE = ((0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75))


def share(zones: Zones, height: int = 90, width: int = 160) -> float:
    mask = zones.mask(height, width)
    assert mask is not None
    return float((mask == 255).mean())


def test_without_zones_all_is_looked_at() -> None:
    image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    Zones().apply(image)
    assert Zones().mask(4, 4) is None
    assert (image == np.arange(48).reshape(4, 4, 3)).all()


def test_a_polygon_covers_its_share_of_the_picture() -> None:
    assert share(Zones((WHOLE,))) == 1
    assert abs(share(Zones((LEFT,))) - 0.5) <= 1 / 160
    assert abs(share(Zones((((0.0, 0.0), (1.0, 0.0), (0.0, 1.0)),))) - 0.5) < 0.01


def test_polygons_add_up_and_what_is_excluded_is_left_out() -> None:
    assert share(Zones((LEFT, WHOLE))) == 1
    mask = Zones((LEFT, MIDDLE), (((0.0, 0.0), (1.0, 0.0), (1.0, 0.5), (0.0, 0.5)),)).mask(100, 100)
    assert mask is not None
    assert not mask[:50].any()
    assert mask[60, 10] == mask[60, 60] == 255
    assert mask[60, 90] == mask[90, 60] == 0
    assert share(Zones((), (LEFT,))) + share(Zones((LEFT,))) == 1


def test_a_stream_and_its_sub_stream_look_at_the_same() -> None:
    zones = Zones((((0.1, 0.2), (0.9, 0.3), (0.5, 1.0)),), (MIDDLE,))
    large, small = zones.mask(720, 1280), zones.mask(180, 320)
    assert large is not None
    assert small is not None
    assert (large[2::4, 2::4] == small).mean() > 0.99


def test_what_is_outside_becomes_grey_in_place_and_the_rest_stays() -> None:
    picture = np.random.default_rng(1).integers(0, 255, (90, 160, 3), np.uint8)
    image, zones = picture.copy(), Zones((LEFT,), (MIDDLE,))
    zones.apply(image)
    mask = zones.mask(90, 160)
    assert mask is not None
    assert (image[mask == 255] == picture[mask == 255]).all()
    assert (image[mask == 0] == GREY).all()


@given(st.integers(0, 19), st.integers(0, 19), st.floats(0.02, 0.98), st.floats(0.02, 0.98))
def test_each_pixel_that_a_zone_reaches_into_is_looked_at(one: int, other: int, in_one: float, in_other: float) -> None:
    left, right = sorted((one + in_one, other + in_other))
    mask = Zones((((left / 20, 0.0), (right / 20, 0.0), (right / 20, 1.0), (left / 20, 1.0)),)).mask(4, 20)
    assert mask is not None
    assert np.flatnonzero(mask[1]).tolist() == list(range(int(left), int(right) + 1))


corners = st.tuples(st.floats(0, 1), st.floats(0, 1))
polygon_lists = st.lists(st.lists(corners, min_size=3, max_size=6).map(tuple), min_size=1, max_size=3).map(tuple)


@given(polygon_lists, st.integers(1, 80), st.integers(1, 80))
def test_any_polygons_give_a_mask_and_excluding_them_its_opposite(polygons: tuple[Polygon, ...], height: int, width: int) -> None:
    inside, outside = Zones(polygons).mask(height, width), Zones((), polygons).mask(height, width)
    assert inside is not None
    assert outside is not None
    assert (inside == 255 - outside).all()
    assert set(np.unique(inside)) <= {0, 255}
