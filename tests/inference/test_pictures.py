import cv2
import numpy as np
import pytest

from streamvc.errors import BundleError, InferenceError
from streamvc.inference.extractors import open_extractor
from streamvc.inference.manifest import PictureKind
from streamvc.inference.pictures import FLOW_LIMIT_PX, PictureExtractor
from tests.inference.settings import picture

SIZE = 64
STILL = 128


def textured(shift_px: int = 0) -> np.ndarray:
    """(H, W, 3) uint8 with a pattern that lies `shift_px` further to the right."""
    rng = np.random.default_rng(0)
    wide = cv2.GaussianBlur(rng.integers(0, 256, (SIZE, 3 * SIZE, 3), dtype=np.uint8), (0, 0), 2)
    wide = cv2.normalize(wide, None, 0, 255, cv2.NORM_MINMAX)
    return np.ascontiguousarray(wide[:, SIZE - shift_px : 2 * SIZE - shift_px])


def step(pictures: PictureExtractor, image: np.ndarray) -> np.ndarray:
    return pictures.step(image).values.reshape(pictures.shape)


def test_colours_are_those_of_the_frame_at_the_size_asked_for() -> None:
    found = step(PictureExtractor("colour", SIZE), picture())
    expected = cv2.cvtColor(cv2.resize(picture(), (SIZE, SIZE)), cv2.COLOR_BGR2RGB)
    np.testing.assert_array_equal(found, expected)


def test_the_centre_is_the_largest_square_in_the_middle() -> None:
    found = step(PictureExtractor("colour", SIZE, "center"), picture(320, 240))
    np.testing.assert_array_equal(found, cv2.cvtColor(cv2.resize(picture(320, 240)[:, 40:280], (SIZE, SIZE)), cv2.COLOR_BGR2RGB))


@pytest.mark.parametrize("shift_px", [3, -4])
def test_flow_is_the_motion_in_pixels(shift_px: int) -> None:
    pictures = PictureExtractor("flow", SIZE)
    step(pictures, textured())
    right, down = (step(pictures, textured(shift_px))[8:-8, 8:-8, channel].astype(float) for channel in (0, 1))
    assert np.median((right - 127.5) / 127.5 * FLOW_LIMIT_PX) == pytest.approx(shift_px, abs=0.3)
    assert np.median((down - 127.5) / 127.5 * FLOW_LIMIT_PX) == pytest.approx(0, abs=0.3)


def test_nothing_has_moved_at_the_start_or_after_a_reset() -> None:
    pictures = PictureExtractor("flow", SIZE)
    assert (step(pictures, textured()) == STILL).all()
    assert (step(pictures, textured(5)) != STILL).any()
    pictures.reset()
    assert (step(pictures, textured()) == STILL).all()


def test_both_are_the_two_side_by_side() -> None:
    both, colour, flow = (PictureExtractor(kind, SIZE) for kind in ("colour+flow", "colour", "flow"))
    for image in (textured(), textured(4)):
        np.testing.assert_array_equal(step(both, image), np.concatenate([step(colour, image), step(flow, image)], axis=2))


def test_what_is_no_image_is_refused() -> None:
    with pytest.raises(InferenceError, match="must be"):
        PictureExtractor("colour", SIZE).step(np.zeros((4, 4), np.uint8))


@pytest.mark.parametrize(("name", "kind", "shape"), [("colour:32", "colour", (32, 32, 3)), ("flow:112:center", "flow", (112, 112, 2))])
def test_pictures_are_named_by_what_is_in_them_and_their_size(name: str, kind: PictureKind, shape: tuple[int, int, int]) -> None:
    pictures = open_extractor(name)
    assert isinstance(pictures, PictureExtractor)
    assert (pictures.kind, pictures.shape) == (kind, shape)
    assert pictures.input.crop == ("center" if "center" in name else "whole")


def test_a_backbone_can_be_given_the_centre_of_frames() -> None:
    whole, centre = open_extractor("efficientnet-lite0-f16"), open_extractor("efficientnet-lite0-f16:center")
    square = np.ascontiguousarray(picture(320, 240)[:, 40:280])
    one, other = centre.step(picture(320, 240)), whole.step(square)
    assert one is not None
    assert other is not None
    np.testing.assert_array_equal(one.values, other.values)
    assert centre.identity != whole.identity


def test_an_unknown_cut_is_refused() -> None:
    with pytest.raises(BundleError, match=":whole, :center, :person, :movement or :foreground"):
        open_extractor("efficientnet-lite0-f16:left")


def test_motion_is_spread_over_the_ticks_of_missing_frames() -> None:
    each, every_other = PictureExtractor("flow", SIZE), PictureExtractor("flow", SIZE)
    for shift_px in (0, 2, 4):
        slow = step(each, textured(shift_px))
    step(every_other, textured(0))
    quick = every_other.step(textured(4), num_ticks=2).values.reshape(every_other.shape)
    inside = slice(8, -8)
    assert np.median(quick[inside, inside, 0]) == pytest.approx(np.median(slow[inside, inside, 0]), abs=2)
