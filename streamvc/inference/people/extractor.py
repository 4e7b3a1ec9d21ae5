"""An extractor that speaks of each person: people are found once in each frame, followed, and each has features of their own."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from streamvc.inference.manifest import BackboneReference, FeaturePart, ImageInput, PartKind
from streamvc.inference.people import features, movenet, posture, tracking
from streamvc.inference.people.features import FallFeatures
from streamvc.inference.people.movenet import MultiPose
from streamvc.inference.people.posture import PostureFeatures
from streamvc.inference.people.skeletons import FloatArray, Skeleton
from streamvc.inference.people.tracking import PeopleTracker, Track
from streamvc.inference.runtime import Opener, open_model
from streamvc.types import Feature, Focus, SeenPerson, Subject


class PersonFeatures(Protocol):
    """Turns the skeletons of one person into features."""

    def step(self, skeleton: Skeleton | None, time_s: float, height_px: int) -> FloatArray:
        """(D,) float32 of the next frame; see `FallFeatures.step`."""


KINDS: dict[PartKind, tuple[Callable[[], PersonFeatures], int, str]] = {  # what makes them, how many numbers, and their version
    "fall": (FallFeatures, features.FEATURE_SIZE, str(features.IDENTITY)),
    "posture": (PostureFeatures, posture.FEATURE_SIZE, str(posture.IDENTITY)),
}


class PeopleExtractor:
    """An `Extractor` whose features have a row for each person who is followed.

    Somebody who is not seen keeps their row for as long as they may be found again (`tracking.MEMORY_S`). Time is that of the ticks.
    """

    def __init__(self, parts: Sequence[FeaturePart], network: MultiPose, rate_hz: float) -> None:
        """Put it together.

        Args:
            parts: What to tell of each person, in this order, each of one of the `KINDS`.
            network: Finds them.
            rate_hz: Ticks per second.
        """
        self.parts = tuple(parts)
        self._network = network
        self._rate_hz = rate_hz
        self._tracker = PeopleTracker()
        self._makers: dict[int, list[PersonFeatures]] = {}  # by track
        self._num_ticks = 0
        self._skeletons: list[Skeleton] = []
        self._shape: tuple[int, ...] = ()
        self._focus: Focus | None = None

    @classmethod
    def open(
        cls,
        parts: Sequence[FeaturePart],
        folder: Path,
        rate_hz: float,
        *,
        runtime: str | None = None,
        threads: int = 1,
        opener: Opener = open_model,
    ) -> Self:
        """Load the network in a folder; see `MultiPose.open`."""
        return cls(parts, MultiPose.open(folder, runtime=runtime, threads=threads, opener=opener), rate_hz)

    @property
    def input(self) -> ImageInput | None:
        """None: the network has its own way."""
        return None

    @property
    def feature_size(self) -> int:
        """D, of each person."""
        return sum(self.part_sizes)

    @property
    def part_sizes(self) -> tuple[int, ...]:
        """The feature size of each part."""
        return tuple(part.feature_size for part in self.parts)

    @property
    def feature_map(self) -> None:
        """None: the features are vectors."""
        return

    @property
    def num_frames(self) -> int:
        """1: each frame makes features."""
        return 1

    @property
    def identity(self) -> str:
        """What says whether two of them give the same features."""
        kinds = " + ".join(f"{part.kind} {KINDS[part.kind][2]}" for part in self.parts)
        return f"{kinds} of {self.people}"

    @property
    def people(self) -> str:
        """What says whether two of them find and follow the same people."""
        return f"people {self._network.identity} {tracking.VERSION} {self._rate_hz!r}"

    @property
    def focus(self) -> Focus | None:
        """Who was seen in the last frame."""
        return self._focus

    def joined(self, parts: Sequence[FeaturePart]) -> Self:
        """One that tells these parts, too, of the same people. It has the network of this one."""
        return type(self)([*self.parts, *(part for part in parts if part not in self.parts)], self._network, self._rate_hz)

    def columns(self, parts: Sequence[FeaturePart]) -> NDArray[np.intp]:
        """Which columns of its features are these parts, in their order."""
        ends = np.cumsum(self.part_sizes)
        found = [np.arange(ends[place] - part.feature_size, ends[place]) for part in parts for place in [self.parts.index(part)]]
        return np.concatenate(found)

    def step(self, image: NDArray[np.uint8], num_ticks: int = 1) -> Feature:
        """Take the next frame that is due; see `Extractor.step`. The feature has a row for each of its `subjects`, of whom there may be none."""
        if self._shape and image.shape != self._shape:  # another camera, or another setting of it
            self.reset()
        self._shape = image.shape
        self._skeletons = self._network.step(image)
        return self.repeat(num_ticks)

    def repeat(self, num_ticks: int) -> Feature:
        """As `step`, for a frame that shows what the last one did."""
        self._num_ticks += num_ticks
        time_s = self._num_ticks / self._rate_hz
        height = self._shape[0] if self._shape else 1
        self._tracker.step(self._skeletons, time_s, height)
        tracks = self._tracker.tracks
        self._makers = {track.number: self._makers.get(track.number) or self._new_makers() for track in tracks}
        seen = [track for track in tracks if track.time_s == time_s]
        self._focus = Focus((), None, tuple(SeenPerson(track.number, track.skeleton.box, track.skeleton.keypoints) for track in seen))
        rows = [self._row(track, time_s, height) for track in tracks]
        values = np.stack(rows) if rows else np.zeros((0, self.feature_size), np.float32)
        return Feature(values, num_ticks, tuple(self._subject(track) for track in tracks))

    def reset(self) -> None:
        """Forget everybody, as after a gap. Numbers of tracks go on."""
        self._tracker.reset()
        self._makers = {}
        self._num_ticks = 0
        self._skeletons = []
        self._shape = ()
        self._focus = None

    def _new_makers(self) -> list[PersonFeatures]:
        return [KINDS[part.kind][0]() for part in self.parts]

    def _row(self, track: Track, time_s: float, height_px: int) -> FloatArray:
        skeleton = track.skeleton if track.time_s == time_s else None
        return np.concatenate([maker.step(skeleton, time_s, height_px) for maker in self._makers[track.number]], dtype=np.float32)

    def _subject(self, track: Track) -> Subject:
        height, width = self._shape[:2]
        shares = track.skeleton.box / np.array([width, height, width, height], np.float32)
        left, top, right, bottom = np.clip(shares, 0, 1).tolist()
        return Subject(track.number, (left, top, right, bottom), track.share)


def person_part(kind: PartKind, manifest: movenet.MoveNetManifest) -> FeaturePart:
    """A part of one of the `KINDS`, of the people whom this network finds."""
    reference = BackboneReference(name=manifest.name, sha256=manifest.sha256)
    return FeaturePart(kind=kind, backbone=reference, input=None, feature_size=KINDS[kind][1])
