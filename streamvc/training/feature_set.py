"""What a training learns from: clips with their features, and those of their varied pictures."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamvc.errors import BundleError, DataError
from streamvc.inference.backbone import Extractor
from streamvc.inference.composite import CompositeExtractor
from streamvc.inference.extractors import open_extractor, parts_of
from streamvc.inference.people.extractor import PeopleExtractor
from streamvc.training.augment import AS_IT_IS, Variation, variations
from streamvc.training.backbones import missing_hint
from streamvc.training.dataset import Clip, Dataset
from streamvc.training.feature_sequence import ALL_FRAMES, FeatureSequence, Thinning, people_of
from streamvc.training.features import Extraction, actors, extract
from streamvc.training.folds import choose_validation
from streamvc.training.plan import HeadSettings, TrainingPlan
from streamvc.training.prediction_trace import whole_files
from streamvc.training.progress import Advance
from streamvc.training.windows import FeatureTable, Ints, build_table, evenly_spaced
from streamvc.types import Array

Flags = NDArray[np.bool_]

MIRRORED = Variation(flip=True)


@dataclass(frozen=True, slots=True, eq=False)
class ThinnedSequences:
    """The feature sequences of the clips of a `FeatureSet`, and of its files, of which frames are missing."""

    sequences: tuple[FeatureSequence, ...]
    files: Mapping[Path, FeatureSequence]


@dataclass(frozen=True, slots=True, eq=False)
class ClipStretches:
    """What is learned from N clips.

    Attributes:
        stretches: Of each clip its stretches between gaps, each (T, D). In untrimmed video the first begins with what came right before the clip.
            Where features are of people, there is one for each person whom the label is of; that of nothing is of everybody.
        num_before: Of each clip, with how many features of that each of its stretches begins.
    """

    stretches: tuple[list[Array], ...]
    num_before: tuple[list[int], ...]


@dataclass(frozen=True, slots=True, eq=False)
class FeatureSet:
    """N clips with their features.

    Attributes:
        extraction: The clips, with a feature sequence for each; where features are of people, of those whom the label is of.
        own: What is learned from their pictures as they are.
        varied: The same, for each variation of the pictures.
        truth: (N,) the label of each clip.
        files: The whole of each file that is untrimmed, or shows nothing, or people.
        thinned: For each way in which frames are missing, the feature sequences of the clips, and of these files.
    """

    extraction: Extraction
    own: ClipStretches
    varied: tuple[ClipStretches, ...]
    truth: Ints
    files: Mapping[Path, FeatureSequence]
    thinned: Mapping[Thinning, "ThinnedSequences"]

    @property
    def clips(self) -> tuple[Clip, ...]:
        """The clips."""
        return self.extraction.clips

    @property
    def sequences(self) -> tuple[FeatureSequence, ...]:
        """Their feature sequences."""
        return self.extraction.sequences

    def training(self, chosen: Flags) -> tuple[FeatureTable, Ints]:
        """The features and labels of chosen clips, for training: those of their variations stand behind them."""
        variants = self.own, *self.varied
        stretches = [clip for variant in variants for clip in compress(variant.stretches, chosen)]
        num_before = [clip for variant in variants for clip in compress(variant.num_before, chosen)]
        return build_table(stretches, num_before), np.tile(self.truth[chosen], len(variants))

    def validation(self, chosen: Flags) -> tuple[FeatureTable, Ints]:
        """The features and labels of chosen clips, for validation: as they are, without variations."""
        own = self.own
        return build_table(list(compress(own.stretches, chosen)), list(compress(own.num_before, chosen))), self.truth[chosen]

    def thin_out(self, chosen: Flags, label: int, share: float) -> Flags:
        """Chosen clips, but of those of a label only as many, evenly from all of them, as make this share."""
        of_label = np.flatnonzero(chosen & (self.truth == label))
        num_kept = round(share / (1 - share) * (chosen.sum() - len(of_label)))
        thinned = chosen.copy()
        if num_kept < len(of_label):
            thinned[of_label] = False
            thinned[of_label[evenly_spaced(len(of_label), num_kept)]] = True
        return thinned

    def choose_validation(self, chosen: Flags, settings: HeadSettings, seed: int) -> Flags:
        """Of chosen clips, those for validation: whole groups, the last rows of the table sorted by label, or none of them."""
        clips = list(compress(self.clips, chosen))
        held = np.zeros(len(chosen), bool)
        if settings.validation == "groups":
            if len({clip.group for clip in clips}) < 2:
                raise DataError("clips of three groups are needed at least: one for training, one for validation, one to test on")
            held[chosen] = choose_validation(clips, settings.validation_share, seed)
        elif settings.validation == "last-rows":
            order = sorted(np.flatnonzero(chosen), key=lambda index: (self.clips[index].label, str(self.clips[index].path)))
            held[order[len(order) - round(len(order) * settings.validation_share) :]] = True
        return held


def load_feature_set(dataset: Dataset, plan: TrainingPlan, *, cache: Path, num_workers: int | None, advance: Advance) -> FeatureSet:
    """Extract, or load from the cache, the features of a data set's clips, as a plan wants them.

    Raises:
        DataError: Not one clip of a label can be used, or the cache cannot be written.
        BundleError: The backbone is missing or damaged.
    """
    extractor = open_named(plan.backbone, plan.rate_hz)  # a missing one is better noticed now
    personal = isinstance(extractor, PeopleExtractor)

    def look(clips: Sequence[Clip], variation: Variation, thinning: Thinning = ALL_FRAMES) -> Extraction:
        sees = plan.backbone, plan.rate_hz
        if variation == MIRRORED and isinstance(extractor, CompositeExtractor) and extractor.mirrors:
            return look(clips, AS_IT_IS, thinning).mirrored(extractor)  # which costs nothing
        return extract(clips, *sees, variation=variation, thinning=thinning, cache=cache, num_workers=num_workers, advance=advance)

    def look_at_files(clips: Sequence[Clip], variation: Variation, thinning: Thinning = ALL_FRAMES) -> dict[Path, FeatureSequence]:
        whole = look(whole_files(clips), variation, thinning)
        return {clip.path: sequence for clip, sequence in zip(whole.clips, whole.sequences, strict=True)}

    extraction = look(dataset.clips, AS_IT_IS)
    long = [clip for clip in extraction.clips if personal or dataset.untrimmed or clip.label == plan.background]
    files = look_at_files(long, AS_IT_IS) if long else {}
    extraction = (extraction.of_actors(files, plan.background) if personal else extraction).lasting(plan.head.first)
    if gone := sorted(set(dataset.labels) - {clip.label for clip in extraction.clips}):
        raise DataError(f"not one clip of {', '.join(gone)} can be used; the first: {extraction.skipped[0].reason}")
    kinds = [(variation, ALL_FRAMES) for variation in variations(plan.head.augment, plan.head.num_variations, plan.seed)]
    kinds += [(AS_IT_IS, thinning) for thinning in _thinnings(plan)]
    looks = {kind: look(extraction.clips, *kind) for kind in kinds}
    if lost := [each.skipped[0].reason for each in looks.values() if each.clips != extraction.clips]:
        raise DataError(f"a clip that could be read once could not be read again: {lost[0]}")
    varied_files = {kind: look_at_files(long, *kind) if long and (personal or dataset.untrimmed or kind[1] != ALL_FRAMES) else {} for kind in kinds}
    learned = {kind: each for kind, each in looks.items() if kind[1] == ALL_FRAMES or "thin" in plan.head.augment}
    num_before = plan.head.window - 1
    if personal:
        own = _of_actors(extraction.clips, files, plan.background, num_before)
        varied = [_filled_people(_of_actors(extraction.clips, varied_files[kind], plan.background, num_before), own) for kind in learned]
        looks = {kind: each.of_actors(varied_files[kind], plan.background) for kind, each in looks.items()}
    else:
        before = _before(extraction, files if dataset.untrimmed else {}, num_before)
        own = _behind(before, extraction, before)
        varied = [
            _behind(_before(each, varied_files[kind] if dataset.untrimmed else {}, num_before), _filled(each, extraction), before)
            for kind, each in learned.items()
        ]
    return FeatureSet(
        extraction,
        own,
        tuple(varied),
        np.array([dataset.labels.index(clip.label) for clip in extraction.clips]),
        files,
        {kind[1]: ThinnedSequences(looks[kind].sequences, varied_files[kind]) for kind in kinds if kind[1] != ALL_FRAMES},
    )


def _thinnings(plan: TrainingPlan) -> list[Thinning]:
    """The ways in which frames are missing that a plan asks for: fewer, evenly, and as many at random."""
    if plan.min_rate_hz is None:
        return []
    return [Thinning(plan.min_rate_hz), Thinning(dropped=1 - plan.min_rate_hz / plan.rate_hz)]


def _before(extraction: Extraction, files: Mapping[Path, FeatureSequence], num: int) -> list[Array]:
    """What came right before each clip in its file, as live: at most so many features, (B, D)."""
    return [
        files[clip.path].before(clip.start_s, num) if clip.path in files else sequence.features[:0]
        for clip, sequence in zip(extraction.clips, extraction.sequences, strict=True)
    ]


def _filled(thinned: Extraction, whole: Extraction) -> Extraction:
    """The same, with a clip of which no frame is left as it is."""
    pairs = zip(thinned.sequences, whole.sequences, strict=True)
    return replace(thinned, sequences=tuple(its_own if len(its_own.features) else other for its_own, other in pairs))


def _behind(before: Sequence[Array], extraction: Extraction, lengths: Sequence[Array]) -> ClipStretches:
    """The stretches of each clip, the first behind what came before it; that is as long as `lengths`, the oldest standing for what is missing."""
    parts = list(zip(before, (sequence.stretches() for sequence in extraction.sequences), map(len, lengths), strict=True))
    return ClipStretches(
        tuple([_padded(np.concatenate([early, first]), length - len(early)), *rest] for early, (first, *rest), length in parts),
        tuple([length, *(0 for _ in rest)] for _, (_, *rest), length in parts),
    )


def _of_actors(clips: Sequence[Clip], files: Mapping[Path, FeatureSequence], background: str | None, most_before: int) -> ClipStretches:
    """The stretches of the people whom the labels are of, each behind what is known of that person from before the clip."""
    people = {path: people_of(whole) for path, whole in files.items()}
    cut = [
        [each for track in actors(clip, files[clip.path], background) for each in _cut(people[clip.path][track], clip, most_before)] for clip in clips
    ]
    return ClipStretches(tuple([stretch for stretch, _ in each] for each in cut), tuple([num for _, num in each] for each in cut))


def _cut(person: FeatureSequence, clip: Clip, most_before: int) -> Iterator[tuple[Array, int]]:
    """A person's features within a clip, (T, D), behind at most so many from before it, and how many these are; nothing where they are not there."""
    begin, end = np.searchsorted(person.timestamps, [clip.start_s, np.inf if clip.end_s is None else clip.end_s])
    if begin < end:
        num_before = int(person.num_ticks[:begin].sum())
        num_cut = max(num_before - most_before, 0)
        yield np.repeat(person.features[:end], person.num_ticks[:end], axis=0)[num_cut:], num_before - num_cut


def _filled_people(varied: ClipStretches, own: ClipStretches) -> ClipStretches:
    """The same, with a clip in which nobody is found any more as it is."""
    stretches = zip(varied.stretches, own.stretches, strict=True)
    num_before = zip(varied.stretches, varied.num_before, own.num_before, strict=True)
    return ClipStretches(tuple(its or other for its, other in stretches), tuple(its if there else other for there, its, other in num_before))


def _padded(stretch: Array, num_missing: int) -> Array:
    return np.concatenate([np.repeat(stretch[:1], num_missing, axis=0), stretch]) if num_missing else stretch


def open_named(name: str, rate_hz: float) -> Extractor:
    """As `open_extractor`; the error says how to make a backbone that can be made."""
    try:
        return open_extractor(name, rate_hz)
    except BundleError as error:
        hints = filter(None, (missing_hint(part.partition(":")[0]) for part in parts_of(name)))
        hint = next(hints, "`streamvc backbones` lists those that are there or can be made")
        raise BundleError(f"{error}; {hint}") from error
