"""A person who is looked for in every second tick is held in between."""

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from streamvc.inference.composite import handcrafted_part
from streamvc.inference.extractors import open_extractor
from streamvc.types import Array
from tests.inference.figure import Image, figure_images, joined
from tests.inference.settings import BACKBONE

PERSON = f"{BACKBONE}:person"


@pytest.fixture(scope="module")
def images(demo_clip: Path) -> list[Image]:
    """Somebody walks in."""
    return figure_images(demo_clip, 24)[8:]


def features(name: str, images: list[Image], ticks: list[int] | None = None) -> Array:
    extractor = joined(name)
    return np.stack([extractor.step(image, num_ticks).values for image, num_ticks in zip(images, ticks or [1] * len(images), strict=True)])


def test_every_second_look_is_what_it_is_at_half_the_rate_and_held(images: list[Image]) -> None:
    found, half = features("pose/2", images), features("pose", images[::2], [1] + [2] * 7)
    np.testing.assert_array_equal(found[::2], half)
    np.testing.assert_array_equal(found[1::2], half)
    assert half[-1].any()


def test_after_missing_frames_it_is_looked_for_at_once(images: list[Image]) -> None:
    found = features("pose/2", [images[0], images[4], images[5], images[6]], [1, 4, 1, 1])
    np.testing.assert_array_equal(found[[0, 1, 3]], features("pose", [images[0], images[4], images[6]], [1, 4, 2]))


def test_a_square_that_follows_the_person_waits_for_the_next_look(images: list[Image]) -> None:
    found = features(f"pose/2+{PERSON}", images[-6:])
    seen = features(f"pose+{PERSON}", images[-6::2], [1, 2, 2])
    np.testing.assert_array_equal(found[::2], seen)
    still = features(f"pose/2+{PERSON}", [images[-2], images[-2]])
    np.testing.assert_array_equal(still[0], still[1])


def test_reset_is_total(images: list[Image]) -> None:
    extractor = joined("pose/2")
    for image in images[-3:]:
        extractor.step(image)
    extractor.reset()
    again = np.stack([extractor.step(image).values for image in images[-5:]])
    np.testing.assert_array_equal(again, features("pose/2", images[-5:]))


def test_how_often_it_is_looked_for_is_part_of_what_it_is() -> None:
    assert open_extractor("pose/2").identity != open_extractor("pose").identity
    assert [part.name for part in joined("pose/2+flow").parts] == ["pose/2", "flow"]


def test_only_a_pose_can_wait() -> None:
    with pytest.raises(ValidationError, match="a part of the kind flow is looked at in each tick"):
        handcrafted_part("flow", every=2)
