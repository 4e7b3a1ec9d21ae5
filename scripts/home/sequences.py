"""Sequences of skeletons of one person, as published sets have them, and how they are varied, so that a head learns what a camera may see."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from streamvc.inference.people.posture import PARTNERS, PostureFeatures
from streamvc.inference.people.skeletons import NUM_KEYPOINTS, SEEN, FloatArray, Skeleton

RATE_HZ, WINDOW = 5.0, 10  # ticks a second, and how many the head looks at
LEAST = 5  # ticks after which there is a prediction
NOTHING, STILL = "nothing", "still"
# What each label of the sets is taken for. Falls are left out: `fall` hears them.
LABELS = {
    "sit down": "sit down",
    "sit on floor": "sit down",
    "stand up": "stand up",
    "stand up from floor": "get up from the floor",
    "walk": "walk",
    "lie (sofa)": "lie down",
    "lie down on floor": "lie down",
    "wave both hands": "wave",
    "drink": "hand at the face",
    "eat": "hand at the face",
    "phone": "hand at the face",
    "read": "hands before the body",
    "use laptop": "hands before the body",
    "put on or take off clothes": "change clothes",
    "touch aching body part": NOTHING,
    "vomit": NOTHING,
    "sneeze or cough": NOTHING,
    "jumping jack": NOTHING,
}
PASSING = ("sit down", "stand up", "get up from the floor", "lie down")  # what begins and ends in another posture
LIMBS = ((7, 9), (8, 10), (9,), (10,), (13, 15), (14, 16), (15,), (16,), (15, 16), (0, 1, 2, 3, 4))
LOWER_BODY = (13, 14, 15, 16)
WELL_SEEN = 11  # keypoints of a posture that is held
SWAY, SWAY_S, TREMBLE = 0.008, 0.5, 0.004  # of who holds still, in sizes, as MoveNet sees them


@dataclass(frozen=True, slots=True, eq=False)
class Sequence:
    """One person who does one thing.

    Attributes:
        keypoints: (T, 17, 3) float32 in COCO's order: x and y in heights of the picture, and score; 0 for what is not seen.
        rate_hz: Frames a second.
        label: What it is, of the values of `LABELS`.
        source: The set.
        subject: Who it is, of all sets.
    """

    keypoints: FloatArray
    rate_hz: float
    label: str
    source: str
    subject: str


@dataclass(frozen=True, slots=True)
class Variation:
    """How a sequence is changed.

    Attributes:
        mirror: Left is right.
        wider: How much wider by its height it is: seen from above, somebody looks shorter.
        tilt: Of the camera, in radians.
        nearer: By what somebody who walks comes nearer in a second, as the logarithm of their size; below 0 they go away.
        jitter: Deviation of each keypoint, by the size of the person.
        missing: Share of the keypoints that are not seen, and of limbs that never are.
        lower_body: Whether that is seen.
        pace: How much faster it goes.
        phase: Where in a tick it begins, 0 to 1.
        held: For how many ticks each frame stands.
    """

    mirror: bool = False
    wider: float = 1.0
    tilt: float = 0.0
    nearer: float = 0.0
    jitter: float = 0.0
    missing: float = 0.0
    lower_body: bool = True
    pace: float = 1.0
    phase: float = 0.0
    held: int = 1


def read(path: Path) -> list[Sequence]:
    """The sequences of a file as data/README.md has it, whose labels are taken for something."""
    with np.load(path) as file:
        keypoints = file["xy_conf"].astype(np.float32)[:, file["to_coco17"]]
        names = file["label_names"][file["label"]]
        columns = zip(file["start"], file["length"], file["fps_assumed"], names, file["source"], file["subject"], strict=True)
        return [
            Sequence(keypoints[start : start + length], float(rate_hz), LABELS[str(name)], str(source), f"{source} {subject}")
            for start, length, rate_hz, name, source, subject in columns
            if str(name) in LABELS
        ]


def variations(rng: Generator) -> Iterator[Variation]:
    """As it is, and as other cameras, networks and rates would have it."""
    yield Variation()
    for low, high in ((0.8, 1.1), (1.0, 1.3), (1.15, 1.5)):
        yield Variation(
            mirror=bool(rng.random() < 0.5),
            wider=rng.uniform(low, high),
            tilt=rng.normal(0, 0.08),
            nearer=rng.uniform(-0.4, 0.4),
            jitter=rng.uniform(0.004, 0.018),
            missing=rng.uniform(0, 0.1),
            lower_body=bool(rng.random() > 0.15),
            pace=rng.uniform(0.75, 1.3),
            phase=rng.random(),
            held=1 if rng.random() < 0.75 else 2,
        )


def vary(sequence: Sequence, variation: Variation, rng: Generator) -> FloatArray:
    """(T, 17, 3) keypoints as the variation would have them; the pace and what follows it are for `features`."""
    varied = sequence.keypoints.copy()
    points, scores = varied[:, :, :2], varied[:, :, 2]
    points += rng.normal(0, 1, points.shape) * variation.jitter * size(sequence.keypoints)
    if sequence.label == "walk":
        points[:] = _coming(points, scores, variation.nearer / sequence.rate_hz)
    points[:, :, 0] *= variation.wider
    cosine, sine = np.cos(variation.tilt), np.sin(variation.tilt)
    points[:] = points @ np.array([[cosine, sine], [-sine, cosine]], np.float32)
    scores[rng.random(scores.shape) < variation.missing] = 0
    for limb in LIMBS:
        if rng.random() < variation.missing:
            scores[:, limb] = 0
    if not variation.lower_body:
        scores[:, LOWER_BODY] = 0
    if not variation.mirror:
        return varied
    points[:, :, 0] *= -1
    mirrored: FloatArray = varied[:, PARTNERS]
    return mirrored


def _coming(points: FloatArray, scores: FloatArray, each: float) -> FloatArray:
    """(T, 17, 2) of somebody who comes nearer in each frame; the horizon is above their head."""
    seen = scores >= SEEN
    if not seen.any():
        return points
    horizon = np.array([np.median(points[seen][:, 0]), points[seen][:, 1].min() - 0.1])
    grown: FloatArray = horizon + (points - horizon) * np.exp(each * (np.arange(len(points)) - len(points) / 2))[:, None, None]
    return grown


def size(keypoints: FloatArray) -> float:
    """How large somebody is, in heights of the picture."""
    extents = [float(np.ptp(frame[frame[:, 2] >= SEEN, :2], axis=0).max()) for frame in keypoints if (frame[:, 2] >= SEEN).sum() > 5]
    return float(np.percentile(extents, 80)) if extents else 0.3


def features(keypoints: FloatArray, rate_hz: float, variation: Variation = Variation()) -> FloatArray:  # it is frozen
    """(N, D) a row for each tick."""
    maker = PostureFeatures()
    rows: list[FloatArray] = []
    frames_per_tick = rate_hz * variation.pace / RATE_HZ
    for tick in range(0, 10_000, variation.held):
        index = int(np.ceil((tick + variation.phase) * frames_per_tick - 1e-6))
        if index >= len(keypoints):
            break
        frame = keypoints[index]
        seen = Skeleton(frame, np.zeros(4, np.float32), 1.0) if (frame[:, 2] >= SEEN).any() else None
        rows += [maker.step(seen, tick / RATE_HZ, 1)] * variation.held
    return np.array(rows, np.float32)


def well_seen(keypoints: FloatArray) -> FloatArray:
    """From the first to the last frame in which most of a person is seen; there may be none."""
    found = np.flatnonzero((keypoints[:, :, 2] >= SEEN).sum(axis=1) >= WELL_SEEN)
    return keypoints[found[0] : found[-1] + 1] if len(found) else keypoints[:0]


def hold(frame: FloatArray, duration_s: float, rate_hz: float, scale: float, rng: Generator) -> FloatArray:
    """(T, 17, 3) of somebody of this size who stays as they are in a frame."""
    num = round(duration_s * rate_hz)
    held = np.repeat(frame[None], num, axis=0)
    kept = np.exp(-1 / rate_hz / SWAY_S)
    sway = np.zeros((NUM_KEYPOINTS, 2))
    for each in held:
        sway = kept * sway + np.sqrt(1 - kept**2) * rng.normal(0, SWAY * scale, sway.shape)
        each[:, :2] += sway + rng.normal(0, TREMBLE * scale, sway.shape)
    return held


def pooled(window: FloatArray) -> FloatArray:
    """(5 D,) what the head makes of up to W rows: `streamvc.training.networks.windows` has the same statistics."""
    change = np.abs(np.diff(window, axis=0)).mean(axis=0) if len(window) > 1 else np.zeros(window.shape[1], np.float32)
    statistics = [window.mean(axis=0), np.sqrt(window.var(axis=0) + 1e-6), window.max(axis=0), window.min(axis=0), change]
    return np.concatenate(statistics).astype(np.float32)


def windows(rows: FloatArray, ends: NDArray[np.intp] | None = None) -> list[FloatArray]:
    """The statistics of the windows that end behind so many rows; of a clip: of all that are full, or nearly."""
    if ends is None:
        ends = np.arange(min(max(LEAST, len(rows) if len(rows) < WINDOW else WINDOW - 2), len(rows)), len(rows) + 1)
    return [pooled(rows[max(0, end - WINDOW) : end]) for end in ends if end]


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """Windows to learn from.

    Attributes:
        statistics: (N, 5 D) of each window.
        labels: (N,) what it shows.
        sequences: (N,) the number of the sequence that it is from.
        kinds: (N,) 0 for a sequence as it is, 1 for a varied one, 2 for one with what comes before and after it, 3 for who holds still.
    """

    statistics: FloatArray
    labels: NDArray[np.str_]
    sequences: NDArray[np.intp]
    kinds: NDArray[np.intp]


def examples(sequences: list[Sequence], seed: int = 0) -> Examples:
    """The windows of sequences, as they are and varied."""
    found: list[tuple[FloatArray, str, int, int]] = []
    for number, sequence in enumerate(sequences):
        rng = np.random.default_rng((seed, number))
        for kind, variation in enumerate(variations(rng)):
            rows = features(vary(sequence, variation, rng), sequence.rate_hz, variation)
            found += [(each, sequence.label, number, min(kind, 1)) for each in windows(rows)]
        clear = well_seen(sequence.keypoints)
        if sequence.label in PASSING and len(clear) > 1:
            found += [(each, sequence.label, number, 2) for _ in range(2) for each in _in_passing(replace(sequence, keypoints=clear), rng)]
            found += [(each, STILL, number, 3) for frame in (clear[0], clear[-1]) for each in _still(replace(sequence, keypoints=clear), frame, rng)]
    statistics, labels, numbers, kinds = zip(*found, strict=True)
    return Examples(np.stack(statistics), np.array(labels), np.array(numbers), np.array(kinds))


def _in_passing(sequence: Sequence, rng: Generator) -> list[FloatArray]:
    """Windows over what somebody does who held still before and does so after: those that have seen a third of it, until it is over."""
    variation = _one(rng)
    varied, scale, rate_hz = vary(sequence, variation, rng), size(sequence.keypoints), sequence.rate_hz * variation.pace
    before_s, after_s = rng.uniform(0.6, 2.4, 2)
    whole = np.concatenate([hold(varied[0], before_s, rate_hz, scale, rng), varied, hold(varied[-1], after_s, rate_hz, scale, rng)])
    rows = features(whole, rate_hz, Variation(phase=variation.phase, held=variation.held))
    lasts_s = len(varied) / rate_hz
    times_s = np.arange(len(rows)) / RATE_HZ
    inside = (times_s >= before_s + max(0.5, 0.35 * lasts_s)) & (times_s <= before_s + lasts_s + 0.8)
    return windows(rows, np.flatnonzero(inside) + 1)


def _still(sequence: Sequence, frame: FloatArray, rng: Generator) -> list[FloatArray]:
    """Windows of somebody who stays as they are in a frame of a sequence."""
    held = hold(frame, 3.0, sequence.rate_hz, size(sequence.keypoints), rng)
    variation = replace(_one(rng), jitter=0.0)
    return windows(features(vary(replace(sequence, keypoints=held), variation, rng), sequence.rate_hz), np.array([LEAST, 8, 12, 15]))


def _one(rng: Generator) -> Variation:
    """One of the variations that change something."""
    _, *changing = variations(rng)
    return changing[int(rng.integers(len(changing)))]
