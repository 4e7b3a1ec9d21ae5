"""Settings of a small bundle, and the picture that backbones are tested with."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from streamvc.inference.backbone import find_backbone
from streamvc.inference.manifest import BackboneManifest, BundleSettings, read_manifest
from tests.inference.gru import Gru

BACKBONE = "efficientnet-lite0-f16"
LABELS = ("Walk", "Jump", "Nothing")


def backbone_manifest(name: str = BACKBONE) -> BackboneManifest:
    return read_manifest(find_backbone(name) / "backbone.json", BackboneManifest)


def settings(**changes: Any) -> BundleSettings:
    """A bundle of `random_gru(1280, 8, 3)` on the shipped backbone."""
    backbone = backbone_manifest()
    fields = {
        "schema": 1,
        "name": "small",
        "version": "1",
        "recipe": "gru",
        "labels": LABELS,
        "background": "Nothing",
        "backbone": {"name": backbone.name, "sha256": backbone.sha256},
        "input": backbone.input,
        "feature_size": 1280,
        "rate_hz": 5.0,
        "window": 6,
        "stride": 1,
        "warm_up": 3,
        "mode": "window",
        "projection_size": 24,
        "state_size": 8,
        "temperature": 1.0,
        "smoothing_s": 0.6,
        "thresholds": {"default": {}, "labels": {"Jump": {"enter": 0.9, "leave": 0.5, "min_s": 0.2, "cooldown_s": 1.0}}},
    }
    return BundleSettings.model_validate(fields | changes)


def settings_for(gru: Gru, **changes: Any) -> BundleSettings:
    """As `settings`, with the sizes of a GRU."""
    labels = tuple("ABCDEFGH"[: gru.num_labels])
    sizes = {"feature_size": len(gru.kernel), "projection_size": 3 * gru.num_units, "state_size": gru.num_units}
    return settings(labels=labels, background=None, thresholds={}, **sizes, **changes)


def picture(width: int = 320, height: int = 240) -> NDArray[np.uint8]:
    """(H, W, 3) uint8, BGR: a coloured scene that is the same everywhere."""
    rows, columns = np.mgrid[0:height, 0:width]
    image = np.stack([255 * columns / width, 255 * rows / height, 127 + 90 * np.sin(columns / 19)], axis=-1).astype(np.uint8)
    cv2.circle(image, (width // 3, height // 2), height // 4, (20, 60, 230), -1)
    cv2.rectangle(image, (width // 2, height // 5), (width - 30, height - 40), (210, 190, 30), -1)
    cv2.line(image, (0, height - 1), (width - 1, 0), (255, 255, 255), 5)
    return image
