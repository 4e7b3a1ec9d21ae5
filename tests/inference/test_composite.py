"""Several parts make one feature: side by side, each as it is by itself, with one look for the person."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from streamvc.errors import BundleError, InferenceError
from streamvc.inference.backbone import Backbone
from streamvc.inference.extractors import open_extractor
from streamvc.inference.views import HOLD_TICKS
from streamvc.types import Array, Box
from tests.inference.figure import Image, figure_images, joined
from tests.inference.settings import BACKBONE, picture

PERSON, CHANGE = f"{BACKBONE}:person", f"{BACKBONE}:person:difference"
ALL = f"pose+{PERSON}+{CHANGE}"
MOVES = f"{BACKBONE}:movement:greys+{BACKBONE}:movement:difference"


@pytest.fixture(scope="module")
def images(demo_clip: Path) -> list[Image]:
    """First nobody, then somebody who walks in."""
    return figure_images(demo_clip, 24)


def features(name: str, images: list[Image], ticks: tuple[int, ...] = ()) -> Array:
    extractor = open_extractor(name)
    stepped = [extractor.step(image, num_ticks) for image, num_ticks in zip(images, ticks or [1] * len(images), strict=True)]
    return np.stack([feature.values for feature in stepped if feature])


@pytest.mark.parametrize("whole", [ALL, MOVES])
def test_each_part_is_what_it_is_by_itself(images: list[Image], whole: str) -> None:
    ticks = (1,) * 14 + (2, 1, 3, 1, 1, 2, 1, 1, 1, 1)
    found = features(whole, images, ticks)
    assert found.dtype == np.float32
    assert found.shape == (24, sum(joined(whole).part_sizes))
    np.testing.assert_array_equal(found, np.concatenate([features(name, images, ticks) for name in whole.split("+")], axis=1))


def test_what_moves_is_looked_at_without_a_pose(images: list[Image]) -> None:
    extractor = joined(f"{BACKBONE}:movement")
    assert extractor.pose is None
    first = extractor.step(images[0]).values
    np.testing.assert_array_equal(first, Backbone.load(BACKBONE).features(images[0][96:384, 176:464]))
    moved = [extractor.step(image).values for image in images[1:]]
    assert not np.array_equal(moved[-1], Backbone.load(BACKBONE).features(images[-1][96:384, 176:464]))


def test_nobody_is_the_whole_picture_and_somebody_is_not(images: list[Image]) -> None:
    found, whole = features(PERSON, images), features(BACKBONE, images)
    is_whole = [np.array_equal(one, other) for one, other in zip(found, whole, strict=True)]
    assert is_whole[0]
    assert not any(is_whole[-4:])


def test_a_person_who_leaves_is_held_for_a_second_and_forgotten(images: list[Image]) -> None:
    empty = images[0]
    extractor, backbone = joined(PERSON), Backbone.load(BACKBONE)
    for image in images:
        extractor.step(image)
    after = [extractor.step(empty).values for _ in range(HOLD_TICKS + 1)]
    is_whole = [np.array_equal(values, backbone.features(empty)) for values in after]
    assert is_whole == [False] * HOLD_TICKS + [True]


def test_a_difference_is_grey_where_there_is_none_before_or_nothing_moved(images: list[Image]) -> None:
    extractor = joined(f"{BACKBONE}:difference")
    grey = Backbone.load(BACKBONE).features(np.full((224, 224, 3), 127, np.uint8))
    first, same, moved = (extractor.step(image).values for image in (images[-2], images[-2], images[-1]))
    extractor.reset()
    again = extractor.step(images[0]).values
    for values in (first, same, again):
        np.testing.assert_array_equal(values, grey)
    assert not np.array_equal(moved, grey)


def test_a_difference_is_half_of_what_changed_around_grey() -> None:
    before, now = picture(224, 224), np.roll(picture(224, 224), 40, axis=1)
    expected = np.rint(127 + (now.astype(float) - before) / 2).clip(0, 255).astype(np.uint8)
    extractor = joined(f"{BACKBONE}:difference")
    extractor.step(before)
    np.testing.assert_array_equal(extractor.step(now).values, Backbone.load(BACKBONE).features(expected))


def test_three_frames_in_grey_are_the_colours_of_one_picture() -> None:
    images = [np.roll(picture(224, 224), shift, axis=1) for shift in (0, 20, 40, 60)]
    greys = [cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) for image in images]
    extractor, backbone = joined(f"{BACKBONE}:greys"), Backbone.load(BACKBONE)
    found = [extractor.step(image).values for image in images]
    for number, blue_green_red in enumerate([(0, 0, 0), (1, 0, 0), (2, 1, 0), (3, 2, 1)]):
        np.testing.assert_array_equal(found[number], backbone.features(cv2.merge([greys[index] for index in blue_green_red])))
    extractor.reset()
    np.testing.assert_array_equal(extractor.step(images[0]).values, found[0])


def test_a_difference_and_greys_are_over_the_same_time_where_frames_are_missing() -> None:
    """Pictures that brighten evenly: what is missing lies half way, so that the features are those of all frames."""
    images = [np.full((224, 224, 3), level, np.uint8) + picture(224, 224) // 4 for level in range(20, 140, 10)]
    for kind in ("difference", "greys"):
        whole, thinned = joined(f"{BACKBONE}:{kind}"), joined(f"{BACKBONE}:{kind}")
        expected = [whole.step(image).values for image in images]
        given = {0: 1, 2: 2, 4: 2, 5: 1, 6: 1, 9: 3, 11: 2}  # frames, with the ticks that each stands for
        found = {number: thinned.step(images[number], num_ticks).values for number, num_ticks in given.items()}
        for number in (4, 5, 6, 9, 11):
            np.testing.assert_array_equal(found[number], expected[number], err_msg=f"{kind} {number}")


def test_reset_is_total(images: list[Image]) -> None:
    name = f"{ALL}+{MOVES}"
    used = joined(name)
    for image in images[-6:]:
        used.step(image)
    used.reset()
    again = np.stack([used.step(image).values for image in images[-9:]])
    np.testing.assert_array_equal(again, features(name, images[-9:]))


def test_another_size_of_frames_is_another_stream(images: list[Image]) -> None:
    smaller = [np.ascontiguousarray(image[::2, ::2]) for image in images[-5:]]
    found = features(ALL, [*images[-5:], *smaller])
    np.testing.assert_array_equal(found[5:], features(ALL, smaller))


def test_features_are_the_callers_own(images: list[Image]) -> None:
    extractor = joined(ALL)
    first = extractor.step(images[-2]).values
    kept = first.copy()
    extractor.step(images[-1])
    np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize("name", [PERSON, MOVES, f"{BACKBONE}:difference"])
def test_what_is_no_image_is_refused(name: str) -> None:
    with pytest.raises(InferenceError, match=r"must be \(H, W, 3\) uint8"):
        joined(name).step(np.zeros((9, 9), np.uint8))


def test_the_parts_and_their_sizes_are_named_in_order() -> None:
    extractor = joined(f"{BACKBONE}:center+pose+{CHANGE}")
    assert [part.name for part in extractor.parts] == [f"{BACKBONE}:center", "pose", CHANGE]
    assert extractor.part_sizes == (1280, extractor.feature_size - 2560, 1280)
    assert open_extractor(BACKBONE).part_sizes == (1280,)


def test_those_that_give_the_same_features_have_one_identity_and_no_others() -> None:
    names = [
        "pose",
        MOVES,
        f"{BACKBONE}:movement",
        PERSON,
        CHANGE,
        f"{BACKBONE}:difference",
        f"{BACKBONE}:center:difference",
        BACKBONE,
        f"{BACKBONE}+pose",
        f"pose+{BACKBONE}",
        ALL,
    ]
    assert len({open_extractor(name).identity for name in names}) == len(names)
    assert open_extractor(f"{BACKBONE}:whole+pose").identity == open_extractor(f"{BACKBONE}+pose").identity
    assert open_extractor(PERSON).identity != open_extractor(PERSON.replace("f16", "int8")).identity


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pose+resnet", "backbone 'resnet' was not found"),
        ("pose+pose", "pose is there twice"),
        (f"{BACKBONE}+{BACKBONE}:whole", "is there twice"),
        (f"pose+{BACKBONE}:left", ":whole, :center, :person, :movement or :foreground"),
        (f"{BACKBONE}:difference:person", ":whole, :center, :person, :movement or :foreground"),
        ("pose+", "between two"),
        ("pose+colour:64", "pictures cannot be joined"),
        ("", "no name of an extractor"),
    ],
)
def test_a_name_that_is_none_is_refused_in_one_line(name: str, message: str) -> None:
    with pytest.raises(BundleError, match=message) as caught:
        open_extractor(name)
    assert "\n" not in str(caught.value)


def test_it_tells_whom_it_judged_and_where_it_looked(images: list[Image]) -> None:
    extractor = joined(PERSON)
    extractor.step(images[0])
    assert extractor.focus is None  # nobody is there
    for image in images[1:]:
        extractor.step(image)
    focus = extractor.focus
    assert focus
    assert focus.landmarks is not None
    (box,) = focus.boxes
    hips = focus.landmarks[[23, 24], :2].mean(axis=0)
    assert box.left < hips[0] < box.left + box.width
    assert box.top < hips[1] < box.top + box.height
    cut = images[-1][box.top : box.top + box.height, box.left : box.left + box.width]
    np.testing.assert_array_equal(features(PERSON, images)[-1], Backbone.load(BACKBONE).features(cut))
    extractor.reset()
    assert extractor.focus is None


def test_without_a_pose_it_tells_the_box_alone(images: list[Image]) -> None:
    extractor = joined(f"{BACKBONE}:movement")
    extractor.step(images[0])
    assert extractor.focus
    assert (extractor.focus.landmarks, extractor.focus.boxes) == (None, (Box(176, 96, 288, 288),))
    assert Backbone.load(BACKBONE).focus is None
