"""Whatever a camera shows, features and scores are finite numbers; and what is no picture is refused before it costs anything."""

import tracemalloc
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from streamvc.errors import InferenceError
from streamvc.inference.bundle import list_bundles, load_bundle
from streamvc.inference.extractors import open_extractor
from streamvc.inference.flow import FEATURE_SIZE, FlowFeatures
from streamvc.session import Session
from streamvc.types import size_problem
from tests.inference.figure import Image

SMALL = "efficientnet-lite0-160-int8"
# Each way to look, kind of number and kind of picture is in one of these; networks take long, and are given one shape.
EXTRACTORS = [
    pytest.param("flow+foreground", [(96, 128), (1, 1), (9, 33)], id="numbers"),
    pytest.param("colour+flow:64", [(8, 256)], id="pictures"),
    pytest.param(f"pose/3+{SMALL}:movement+{SMALL}:foreground:difference", [(9, 33)], id="networks"),
    pytest.param(f"{SMALL}:person:greys", [(96, 128)], id="person", marks=pytest.mark.slow),
]


def plain(shape: tuple[int, int], *values: int) -> list[Image]:
    return [np.full((*shape, 3), value, np.uint8) for value in values]


def room(shape: tuple[int, int]) -> Image:
    """Brighter to the right."""
    return np.broadcast_to(np.linspace(0, 255, shape[1]).astype(np.uint8)[None, :, None], (*shape, 3)).copy()


def noise(shape: tuple[int, int], most: int) -> Iterator[Image]:
    rng = np.random.default_rng(0)
    while True:
        yield rng.integers(0, most, (*shape, 3)).astype(np.uint8)


def one_colour(shape: tuple[int, int]) -> list[Image]:
    images = plain(shape, *[0] * 12)
    for number, image in enumerate(images):
        image[..., number % 3] = 255
    return images


STREAMS: dict[str, Callable[[tuple[int, int]], list[Image]]] = {
    "black": lambda shape: plain(shape, *[0] * 12),
    "white": lambda shape: plain(shape, *[255] * 12),
    "grey": lambda shape: plain(shape, *[77] * 12),
    "black, then white": lambda shape: plain(shape, *[0] * 10, *[255] * 6),
    "white, then black": lambda shape: plain(shape, *[255] * 10, *[0] * 6),
    "alternating": lambda shape: plain(shape, *[0, 255] * 7),
    "brighter and brighter": lambda shape: plain(shape, *range(0, 256, 20)),
    "any plain picture": lambda shape: plain(shape, *np.random.default_rng(1).integers(0, 256, 20).tolist()),
    "a colour each": one_colour,
    "dark, then a room": lambda shape: [*plain(shape, *[0] * 10), *[room(shape)] * 5],
    "a room, then dark": lambda shape: [*[room(shape)] * 10, *plain(shape, *[0] * 5)],
    "noise": lambda shape: [image for image, _ in zip(noise(shape, 256), range(12), strict=False)],
    "noise in the dark": lambda shape: [image for image, _ in zip(noise(shape, 3), range(12), strict=False)],
}


@pytest.mark.parametrize(("name", "shapes"), EXTRACTORS)
def test_every_extractor_makes_finite_features_of_every_picture(name: str, shapes: list[tuple[int, int]]) -> None:
    extractor = open_extractor(name)
    for shape in shapes:
        for what, stream in STREAMS.items():
            extractor.reset()
            for number, image in enumerate(stream(shape)):
                feature = extractor.step(image, 1 + (number % 5 == 4))
                assert feature is None or np.isfinite(feature.values).all(), (what, shape, number)


@pytest.mark.parametrize("model", list_bundles())
def test_every_shipped_model_makes_finite_scores_of_a_dark_room_in_which_the_light_goes_on(model: str) -> None:
    scores: list[NDArray[np.float32]] = []
    shape = (90, 160)
    images = [*plain(shape, *[0] * 10), *[room(shape)] * 4, *plain(shape, 255, 0, 255)]
    with Session(model, trace=lambda _model, prediction: scores.append(prediction.scores)) as session:
        rate_hz = session.rates_hz[-1]
        events = [event for number, image in enumerate(images) for event in session.step(image, number / rate_hz)]
        assert session.num_samples == len(images)
    is_of_people = load_bundle(model).manifest.subject == "person"
    assert bool(scores) != is_of_people  # nobody is there
    assert np.isfinite(scores).all()
    assert not (is_of_people and events)


@pytest.mark.parametrize("shape", [(2, 16_000), (16_000, 2), (1, 3000)])
def test_a_thin_picture_costs_the_flow_no_more_memory_than_a_usual_one(shape: tuple[int, int]) -> None:
    flow = FlowFeatures()
    tracemalloc.start()
    for image in plain(shape, 0, 9, 18):
        features = flow.step(image)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert features.shape == (FEATURE_SIZE,)
    assert np.isfinite(features).all()
    assert peak < 20e6


@pytest.mark.parametrize(("width", "height"), [(16_000, 2), (2, 16_000), (1, 33), (12_000, 9_000), (20_000, 3_000), (0, 0)])
def test_what_is_no_picture_is_refused_and_the_words_say_what_would_do(width: int, height: int) -> None:
    session = Session("figure")
    image: Image = np.broadcast_to(np.zeros(3, np.uint8), (height, width, 3))
    with pytest.raises(InferenceError, match=rf"its pictures of {width}x{height} pixels cannot be watched, only those of up to 16384"):
        session.step(image, 0.0)
    assert session.step(np.zeros((48, 64, 3), np.uint8), 0.2) == []


@pytest.mark.parametrize(("width", "height"), [(64, 48), (640, 360), (7680, 4320), (3840, 480), (1080, 1920), (1, 1)])
def test_what_cameras_have_is_watched(width: int, height: int) -> None:
    assert size_problem(width, height) is None
