"""The rendered figure as frames, and bundles whose features have several parts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamvc.capture.source import open_source
from streamvc.inference.bundle import load_bundle
from streamvc.inference.composite import CompositeExtractor
from streamvc.inference.extractors import open_extractor
from streamvc.inference.manifest import BundleSettings

Image = NDArray[np.uint8]
APART = 5  # frames of 25 a second, so that there are 5


def figure_images(clip: Path, num: int) -> list[Image]:
    """The first images of the demo's clip, 0.2 s apart: an empty room into which somebody walks."""
    images: list[Image] = []
    with open_source(clip, policy="every") as source:
        for frame in source:
            if frame.index % APART == 0:
                images.append(frame.image.copy())
            if len(images) == num:
                break
    return images


def joined(name: str) -> CompositeExtractor:
    extractor = open_extractor(name)
    assert isinstance(extractor, CompositeExtractor)
    return extractor


def joined_settings(extractor_name: str, **changes: Any) -> BundleSettings:
    """The settings of the figure bundle, made for an extractor of several parts."""
    extractor, own = joined(extractor_name), load_bundle("figure").manifest.model_dump(by_alias=True, exclude={"files"})
    made_for = {
        "backbone": None,
        "input": None,
        "parts": extractor.parts,
        "pose": extractor.pose,
        "feature_size": extractor.feature_size,
    }
    return BundleSettings.model_validate(own | made_for | changes)


def figure_files() -> Mapping[str, bytes]:
    """The files of the figure bundle, whose head sees 1280 numbers."""
    bundle = load_bundle("figure")
    return {name: (bundle.path / name).read_bytes() for name in bundle.manifest.files}
