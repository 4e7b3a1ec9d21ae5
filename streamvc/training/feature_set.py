"""What a training learns from: clips with their features, and those of their varied pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamvc.errors import BundleError, DataError
from streamvc.inference.backbone import Extractor
from streamvc.inference.extractors import open_extractor, parts_of
from streamvc.training.augment import AS_IT_IS, Variation, variations
from streamvc.training.backbones import missing_hint
from streamvc.training.dataset import Clip, Dataset
from streamvc.training.feature_sequence import ALL_FRAMES, FeatureSequence, Thinning
from streamvc.training.features import Extraction, extract
from streamvc.training.folds import choose_validation
from streamvc.training.plan import HeadSettings, TrainingPlan
from streamvc.training.prediction_trace import whole_files
from streamvc.training.progress import Advance
from streamvc.training.windows import FeatureTable, Ints, build_table, evenly_spaced
from streamvc.types import Array

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class ThinnedSequences:
    """The feature sequences of the clips of a `FeatureSet`, and of its files, of which frames are missing."""

    sequences: tuple[FeatureSequence, ...]
    files: Mapping[Path, FeatureSequence]


@dataclass(frozen=True, slots=True, eq=False)
class FeatureSet:
    """N clips with their features.

    Attributes:
        extraction: The clips, with a feature sequence for each.
        stretches: Of each clip its stretches between gaps, each (T, D). In untrimmed video the first begins with what came right before the clip.
        num_before: (N,) with how many features of that.
        varied: For each variation of the pictures, the stretches of each clip, likewise.
        truth: (N,) the label of each clip.
        files: The whole of each file that is untrimmed, or shows nothing.
        thinned: For each way in which frames are missing, the feature sequences of the clips, and of these files.
    """

    extraction: Extraction
    stretches: tuple[list[Array], ...]
    num_before: Ints
    varied: tuple[tuple[list[Array], ...], ...]
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
        num_variants = 1 + len(self.varied)
        stretches = [clip for variant in (self.stretches, *self.varied) for clip in compress(variant, chosen)]
        return build_table(stretches, np.tile(self.num_before[chosen], num_variants)), np.tile(self.truth[chosen], num_variants)

    def validation(self, chosen: Flags) -> tuple[FeatureTable, Ints]:
        """The features and labels of chosen clips, for validation: as they are, without variations."""
        return build_table(list(compress(self.stretches, chosen)), self.num_before[chosen]), self.truth[chosen]

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
        """Of chosen clips, those for validation: whole groups, or the last rows of the table sorted by label."""
        clips = list(compress(self.clips, chosen))
        held = np.zeros(len(chosen), bool)
        if settings.validation == "groups":
            if len({clip.group for clip in clips}) < 2:
                raise DataError("clips of three groups are needed at least: one for training, one for validation, one to test on")
            held[chosen] = choose_validation(clips, settings.validation_share, seed)
        else:
            order = sorted(np.flatnonzero(chosen), key=lambda index: (self.clips[index].label, str(self.clips[index].path)))
            held[order[len(order) - round(len(order) * settings.validation_share) :]] = True
        return held


def load_feature_set(dataset: Dataset, plan: TrainingPlan, *, cache: Path, num_workers: int | None, advance: Advance) -> FeatureSet:
    """Extract, or load from the cache, the features of a data set's clips, as a plan wants them.

    Raises:
        DataError: Not one clip of a label can be used, or the cache cannot be written.
        BundleError: The backbone is missing or damaged.
    """
    open_named(plan.backbone)  # a missing one is better noticed now

    def look(clips: Sequence[Clip], variation: Variation, thinning: Thinning = ALL_FRAMES) -> Extraction:
        sees = plan.backbone, plan.rate_hz
        return extract(clips, *sees, variation=variation, thinning=thinning, cache=cache, num_workers=num_workers, advance=advance)

    extraction = look(dataset.clips, AS_IT_IS).lasting(plan.head.first)
    if gone := sorted(set(dataset.labels) - {clip.label for clip in extraction.clips}):
        raise DataError(f"not one clip of {', '.join(gone)} can be used; the first: {extraction.skipped[0].reason}")

    def look_at_files(clips: Sequence[Clip], variation: Variation, thinning: Thinning = ALL_FRAMES) -> dict[Path, FeatureSequence]:
        whole = look(whole_files(clips), variation, thinning)
        return {clip.path: sequence for clip, sequence in zip(whole.clips, whole.sequences, strict=True)}

    long = [clip for clip in extraction.clips if dataset.untrimmed or clip.label == plan.background]
    files = look_at_files(long, AS_IT_IS) if long else {}
    kinds = [(variation, ALL_FRAMES) for variation in variations(plan.head.augment, plan.head.num_variations, plan.seed)]
    kinds += [(AS_IT_IS, thinning) for thinning in _thinnings(plan)]
    looks = {kind: look(extraction.clips, *kind) for kind in kinds}
    if lost := [each.skipped[0].reason for each in looks.values() if each.clips != extraction.clips]:
        raise DataError(f"a clip that could be read once could not be read again: {lost[0]}")
    before = _before(extraction, files if dataset.untrimmed else {}, plan.head.window - 1)
    varied_files = {kind: look_at_files(long, *kind) if long and (dataset.untrimmed or kind[1] != ALL_FRAMES) else {} for kind in kinds}
    learned = {kind: each for kind, each in looks.items() if kind[1] == ALL_FRAMES or "thin" in plan.head.augment}
    varied = [(each, _before(each, varied_files[kind] if dataset.untrimmed else {}, plan.head.window - 1)) for kind, each in learned.items()]
    return FeatureSet(
        extraction,
        _behind(before, extraction, before),
        np.array([len(each) for each in before]),
        tuple(_behind(its_before, _filled(each, extraction), before) for each, its_before in varied),
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


def _behind(before: Sequence[Array], extraction: Extraction, lengths: Sequence[Array]) -> tuple[list[Array], ...]:
    """The stretches of each clip, the first behind what came before it; that is as long as `lengths`, the oldest standing for what is missing."""
    parts = zip(before, (sequence.stretches() for sequence in extraction.sequences), map(len, lengths), strict=True)
    return tuple([_padded(np.concatenate([early, first]), length - len(early)), *rest] for early, (first, *rest), length in parts)


def _padded(stretch: Array, num_missing: int) -> Array:
    return np.concatenate([np.repeat(stretch[:1], num_missing, axis=0), stretch]) if num_missing else stretch


def open_named(name: str) -> Extractor:
    """As `open_extractor`; the error says how to make a backbone that can be made."""
    try:
        return open_extractor(name)
    except BundleError as error:
        hints = filter(None, (missing_hint(part.partition(":")[0]) for part in parts_of(name)))
        hint = next(hints, "`streamvc backbones` lists those that are there or can be made")
        raise BundleError(f"{error}; {hint}") from error
