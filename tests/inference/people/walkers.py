"""Skeletons that are drawn by hand: somebody who stands, walks, falls or lies."""

import math

import numpy as np

from streamvc.inference.people.skeletons import Skeleton

# Of somebody 200 pixels tall who faces the camera: x from the middle, y from the feet upwards.
UPRIGHT = np.array(
    [
        *((0, 190), (4, 194), (-4, 194), (9, 190), (-9, 190)),
        *((22, 160), (-22, 160), (30, 125), (-30, 125), (32, 95), (-32, 95)),
        *((14, 100), (-14, 100), (15, 52), (-15, 52), (15, 4), (-15, 4)),
    ],
    np.float32,
)
FLOOR = 440.0  # y of the floor


def standing(x: float, *, lying: bool = False, score: float = 0.9) -> Skeleton:
    """Somebody in the middle of x; or the same person, lying with the head to the right."""
    return fallen(x, 1.0 if lying else 0.0, score=score)


def fallen(x: float, share: float, *, score: float = 0.9) -> Skeleton:
    """Somebody on the way from standing (0) to lying (1), turned around the feet."""
    angle = share * math.pi / 2
    turned = UPRIGHT @ np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]], np.float32)
    return skeleton(np.stack([x + turned[:, 0], FLOOR - np.maximum(turned[:, 1], 0) - 8], axis=1), score)


def walking(x: float, time_s: float, *, score: float = 0.9) -> Skeleton:
    """Somebody whose arms and legs swing once a second."""
    swing = math.sin(2 * math.pi * time_s)
    points = UPRIGHT * np.array([0.5, 1], np.float32)
    for joints, reach in (((13, 16), 8), ((14, 15), -8), ((15, 10), 20), ((16, 9), -20)):
        points[list(joints), 0] += reach * swing
    return skeleton(np.stack([x + points[:, 0], FLOOR - points[:, 1]], axis=1), score)


def skeleton(points: np.ndarray, score: float) -> Skeleton:
    """Of points, (17, 2), all of them well seen."""
    keypoints = np.concatenate([points, np.full((17, 1), 0.8)], axis=1).astype(np.float32)
    box = np.concatenate([points.min(axis=0) - 4, points.max(axis=0) + 4]).astype(np.float32)
    return Skeleton(keypoints, box, score)
