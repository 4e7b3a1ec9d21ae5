import numpy as np
import pytest

from streamvc.errors import DataError
from streamvc.training.augment import AS_IT_IS, CROP_SHARE, Variation, variations
from streamvc.training.recipes import plan_for

rng = np.random.default_rng(0)
IMAGE = rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)


def test_without_a_variation_the_picture_is_the_very_same() -> None:
    assert AS_IT_IS.apply(IMAGE) is IMAGE


def test_a_picture_is_mirrored_cut_and_recoloured() -> None:
    np.testing.assert_array_equal(Variation(flip=True).apply(IMAGE), IMAGE[:, ::-1])
    np.testing.assert_array_equal(Variation(upend=True).apply(IMAGE), IMAGE[::-1])
    np.testing.assert_array_equal(Variation(crop=(0.5, 0.0, 1.0)).apply(IMAGE), IMAGE[20:, :30])
    brighter = Variation(bias=(10.0, 0.0, -10.0)).apply(IMAGE).astype(int)
    np.testing.assert_array_equal(brighter, np.clip(IMAGE.astype(int) + np.array([10, 0, -10]), 0, 255))
    stronger = Variation(gain=1.2).apply(IMAGE)
    assert stronger.std() > IMAGE.std()
    assert abs(stronger.mean() - IMAGE.mean()) < 5


def test_only_the_kinds_asked_for_are_drawn_and_the_seed_decides() -> None:
    assert variations(["speed"], 3, seed=0) == ()
    assert variations(["flip"], 4, seed=0) == (Variation(flip=True),)
    assert set(variations(["flip", "upend"], 4, seed=0)) == {Variation(flip=True), Variation(upend=True), Variation(flip=True, upend=True)}
    assert variations(["upend"], 4, seed=0) == (Variation(upend=True),)
    drawn = variations(["crop", "colour"], 20, seed=1)
    assert drawn == variations(["crop", "colour"], 20, seed=1)
    assert drawn != variations(["crop", "colour"], 20, seed=2)
    assert all(CROP_SHARE <= each.crop[0] <= 1 and not each.flip for each in drawn)
    assert len({each.gain for each in drawn}) == 20


def test_each_variation_has_a_text_of_its_own() -> None:
    drawn = variations(["flip", "upend", "crop", "colour"], 8, seed=0)
    assert len({*map(str, drawn), str(AS_IT_IS)}) == 9


def test_a_lowest_rate_is_one_that_a_model_can_be_used_at_and_clips_are_thinned_to_it() -> None:
    assert plan_for("pooled", min_rate_hz=2.5, settings={"augment": "flip,thin"}).min_rate_hz == 2.5
    for min_rate_hz in (0.5, 5.5):
        with pytest.raises(DataError, match="the lowest rate must be from 1 to the rate itself, 5 frames/s"):
            plan_for("pooled", min_rate_hz=min_rate_hz)
    with pytest.raises(DataError, match="say which with --min-rate-hz"):
        plan_for("pooled", settings={"augment": "thin"})
