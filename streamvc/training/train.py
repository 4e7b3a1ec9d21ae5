"""From a folder of clips to a bundle that is ready to watch."""

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from itertools import chain
from math import inf
from pathlib import Path
from typing import Literal

import numpy as np

from streamvc._version import __version__
from streamvc.errors import DataError
from streamvc.inference.backbone import Backbone
from streamvc.inference.bundle import Bundle, write_bundle
from streamvc.inference.composite import CompositeExtractor
from streamvc.inference.manifest import BackboneReference, BundleSettings
from streamvc.inference.people.extractor import PeopleExtractor
from streamvc.inference.pictures import PictureExtractor
from streamvc.inference.recognizer import Recognizer
from streamvc.metrics import top_k
from streamvc.training.background import resolve_background
from streamvc.training.card import card
from streamvc.training.checkpoint import CheckpointFolder
from streamvc.training.cross_validation import CrossValidation, Fold, Stretches
from streamvc.training.dataset import Dataset, load_dataset, merge_labels
from streamvc.training.evaluate import Evaluation
from streamvc.training.export import check_export
from streamvc.training.feature_sequence import FeatureSequence, people_of
from streamvc.training.feature_set import FeatureSet, Flags, load_feature_set, open_named
from streamvc.training.features import cache_folder
from streamvc.training.fit import SplitData, Trainer
from streamvc.training.folds import make_folds
from streamvc.training.history import TrainingHistory
from streamvc.training.inputs import IdentityInputs, Inputs, fit_inputs, input_sizes
from streamvc.training.networks.network import HeadFiles, HeadSpec
from streamvc.training.open_set import OpenSet, measure_left_out
from streamvc.training.operating_curve import curve_rows
from streamvc.training.plan import TrainingPlan
from streamvc.training.prediction_trace import length_s, predict_file, predict_people
from streamvc.training.preparation import check_bundle_folder, rounds_of
from streamvc.training.progress import Advance, silent
from streamvc.training.recipes import find_recipe
from streamvc.training.report import TrainingReport
from streamvc.training.tensorflow import make_repeatable
from streamvc.training.windows import FeatureTable, select_windows
from streamvc.types import Array

# Of a plan's, weights depend on none of these.
WEIGHTLESS = (
    "about",
    "command",
    "version",
    "counted",
    "background_videos",
    "thresholds",
    "smoothing_s",
    "tune",
    "leave_out",
    "false_per_hour",
    "alarm_s",
    "beside",
)
NUM_CHECKED = 32  # clips on which the exported head is held against Keras


def train(
    data: Path,
    out: Path,
    plan: TrainingPlan | None = None,
    *,
    overwrite: bool = False,
    cache: Path | None = None,
    num_workers: int | None = None,
    advance: Advance = silent,
) -> TrainingReport:
    """Train a recogniser on labelled clips, measure it on folds by group, and write its bundle.

    Nothing is written to `out` before all is done. Features, and the state of the training after each epoch, are kept on the way: one that was
    interrupted or killed goes on where it was when it is asked for again, and comes to the same end.

    Args:
        data: A data set; see `load_dataset`.
        out: The bundle's folder; its last part is the bundle's name.
        plan: What to train, and how to measure it; see `plan_for`.
        overwrite: Whether a bundle that is there may be replaced.
        cache: Folder of cached features and of trainings that go on; `cache_folder()` if not given.
        num_workers: How many clips are decoded at a time; as many as there are cores if not given.
        advance: Is called with the progress.

    Raises:
        DataError: The data or the plan cannot be used, or `out` is taken.
        BundleError: The backbone is missing or the bundle cannot be written.
        InferenceError: The exported head does not agree with Keras.
    """
    plans = [plan or TrainingPlan()]
    return train_best(data, out, plans, overwrite=overwrite, cache=cache, num_workers=num_workers, advance=advance)


def train_best(
    data: Path,
    out: Path,
    plans: Sequence[TrainingPlan],
    *,
    overwrite: bool = False,
    cache: Path | None = None,
    num_workers: int | None = None,
    advance: Advance = silent,
) -> TrainingReport:
    """As `train`, by each of several plans; the bundle is that of the plan that is best on the folds.

    Best is who has most of the clips of activities right or, in untrimmed video, the highest F1 of the events; of equals, the first.
    """
    check_bundle_folder(out, overwrite)
    made = []
    for plan in plans:
        with _training(out.name, data, plan, cache, num_workers, advance) as training:
            made.append(training.run())
    figures = {report.plan.recipe: report.figure for report, _, _ in made}
    report, settings, head = max(made, key=lambda each: each[0].figure)
    kept = report.plan
    beside = {name: _measure_beside(data, kept, name, cache=cache, num_workers=num_workers, advance=advance) for name in kept.beside}
    report = replace(report, beside=beside, chosen_from=figures if len(made) > 1 else {})
    _write(out, settings, head, card(report))
    return report


def _measure_beside(data: Path, plan: TrainingPlan, recipe: str, *, cache: Path | None, num_workers: int | None, advance: Advance) -> Evaluation:
    """How good another recipe is on the same features and folds."""
    other = replace(plan, recipe=recipe, head=find_recipe(recipe).head, min_rate_hz=None, leave_out=0)
    with _training(recipe, data, other, cache, num_workers, advance) as training:
        return training.cross_validate().measure()[1]


def measure_open_set(
    data: Path, plan: TrainingPlan, *, cache: Path | None = None, num_workers: int | None = None, advance: Advance = silent
) -> tuple[OpenSet, Evaluation]:
    """Measure the false events of activities that were never taught: train as `train` does, but write no bundle.

    Args:
        data: A data set; see `load_dataset`.
        plan: What to train, with `leave_out`.
        cache: As for `train`, like those behind it.
        num_workers: As for `train`.
        advance: Is called with the progress.

    Returns:
        The events on the clips of labels that were left out, and how good the recognisers of the folds are with these thresholds.

    Raises:
        DataError: As for `train`; also if the data is untrimmed, or too few labels are left to train on.
        BundleError: The backbone is missing.
    """
    with _training("open-set", data, plan, cache, num_workers, advance) as training:
        cross_validation = training.cross_validate()
        return measure_left_out(cross_validation), cross_validation.measure()[1]


@contextmanager
def _training(name: str, data: Path, plan: TrainingPlan, cache: Path | None, num_workers: int | None, advance: Advance) -> Iterator["Training"]:
    """A training of the data, with a folder for what it writes; its state on disk goes when all is done."""
    cache = cache or cache_folder()
    dataset = merge_labels(load_dataset(data, plan.group), dict(plan.merge))
    plan, dataset = resolve_background(plan, dataset, cache=cache, num_workers=num_workers, advance=advance)
    feature_set = load_feature_set(dataset, plan, cache=cache, num_workers=num_workers, advance=advance)
    checkpoints = _checkpoint_folder(cache, plan, feature_set)
    with tempfile.TemporaryDirectory(prefix="streamvc-") as scratch:
        yield Training(name, plan, dataset, feature_set, checkpoints, Path(scratch), advance)
    checkpoints.clear()


def _checkpoint_folder(cache: Path, plan: TrainingPlan, feature_set: FeatureSet) -> CheckpointFolder:
    """Where a training keeps its state: in a folder whose name stands for all that the weights depend on."""
    return CheckpointFolder(cache / "training" / _key(plan, feature_set))


def _key(plan: TrainingPlan, feature_set: FeatureSet) -> str:
    planned = {name: value for name, value in asdict(plan).items() if name not in WEIGHTLESS}
    clips = [(digest, asdict(replace(clip, path=Path()))) for digest, clip in zip(feature_set.extraction.digests, feature_set.clips, strict=True)]
    weights = Path(f"{plan.head.weights}.index")  # it holds a checksum of each of a checkpoint's tensors
    begun = hashlib.sha256(weights.read_bytes()).hexdigest() if weights.is_file() else None
    text = json.dumps([__version__, planned, open_named(plan.backbone, plan.rate_hz).identity, clips, begun], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


class Training:
    """One training: the folds first, then the head that is kept."""

    def __init__(
        self, name: str, plan: TrainingPlan, dataset: Dataset, feature_set: FeatureSet, checkpoints: CheckpointFolder, scratch: Path, advance: Advance
    ) -> None:
        self._name = name
        self._plan = plan
        self._dataset = dataset
        self._feature_set = feature_set
        self._checkpoints = checkpoints
        self._scratch = scratch
        self._advance = advance
        self._extractor = open_named(plan.backbone, plan.rate_hz)
        self._recipe = find_recipe(plan.recipe)
        make_repeatable(plan.seed, threads=(os.cpu_count() or 1) if self._recipe.sees_pictures else 1)
        self._trainer = Trainer(self._recipe.build(self._spec()), plan.head, len(dataset.labels))
        if plan.head.mode == "stateful" and self._trainer.network.form != "step":
            raise DataError(f"{plan.recipe} sees whole windows, it cannot carry a state; leave out --mode stateful")

    def run(self) -> tuple[TrainingReport, BundleSettings, HeadFiles]:
        """Train; returns the report, and the bundle's settings and head."""
        begun = time.monotonic()
        feature_set = self._feature_set
        cross_validation = self.cross_validate()
        self._advance("heads", self._num_heads - 1, self._num_heads)
        fit, inputs = self._fit(np.full(len(feature_set.clips), True), "final")
        head = self._trainer.network.export(inputs)
        choice = cross_validation.choose()
        settings = choice.put_into(self._settings(head, choice.temperature))
        difference = check_export(self._trainer, inputs, self._draft(settings, head), self._some_stretches())
        self._advance("heads", self._num_heads, self._num_heads)
        folds, pooled = cross_validation.measure()
        settings = settings.model_copy(update={"curve": cross_validation.measure_curve()})
        report = TrainingReport(
            name=self._name,
            curve=tuple(curve_rows(settings)),
            plan=replace(self._plan, smoothing_s=choice.smoothing_s, thresholds=choice.thresholds),
            tuned=cross_validation.tunes,
            dataset=self._dataset,
            extraction=feature_set.extraction,
            folds=tuple(folds),
            pooled=pooled,
            rates=tuple(cross_validation.measure_rates()),
            open_set=measure_left_out(cross_validation) if cross_validation.left_out else None,
            tested=tuple(feature_set.clips[index] for fold in cross_validation.folds for index in fold.clips),
            taken_top1=tuple(fold.taken_top1 for fold in cross_validation.folds if fold.taken_top1 is not None),
            temperature=choice.temperature,
            fit=fit,
            fold_fits=tuple(fold.fit for fold in cross_validation.folds),
            num_parameters=self._trainer.network.model.count_params(),
            difference=difference,
            train_s=time.monotonic() - begun,
        )
        return report, settings, head

    def cross_validate(self) -> CrossValidation:
        """Train once without each fold, and once without the labels of each leave-out round, and make predictions for the clips left out.

        Raises:
            DataError: A fold has no clip that can be used, too few labels are left to train on, or there is too little video for the bound on
                false events that is asked for.
        """
        plan, dataset, feature_set = self._plan, self._dataset, self._feature_set
        self._check_bound()
        # All clips are dealt, also those that cannot be used: recipes that need longer clips have the same folds as the others.
        dealt = dict(zip(dataset.clips, make_folds(dataset.clips, plan.split, plan.num_folds, plan.seed), strict=True))
        fold_of = np.array([dealt[clip] for clip in feature_set.clips])
        num_folds = max(dealt.values()) + 1
        if empty := sorted(set(range(num_folds)) - set(fold_of.tolist())):
            raise DataError(f"not one clip of fold {empty[0] + 1} can be used; the first: {feature_set.extraction.skipped[0].reason}")
        label_of, rounds = np.array([clip.label for clip in feature_set.clips]), rounds_of(plan, dataset, plan.background)
        self._num_heads = num_folds + len(rounds) + 1
        folds = [self._part(f"fold-{number}", fold_of == number, number) for number in range(num_folds)]
        left_out = [
            self._part(f"without-{'-'.join(labels)}", np.isin(label_of, labels), number).without([dataset.labels.index(label) for label in labels])
            for number, labels in enumerate(rounds, start=num_folds)
        ]
        return CrossValidation(plan, dataset, feature_set, folds, left_out)

    def _check_bound(self) -> None:
        """Refuse a bound on false events that so little video cannot show."""
        bound, feature_set = self._plan.false_per_hour, self._feature_set
        if not bound:
            return
        pairs = zip(feature_set.clips, feature_set.extraction.sequences, strict=True)
        nothing = [sequence for clip, sequence in pairs if clip.label == self._plan.background]
        video = list(feature_set.files.values()) if self._dataset.untrimmed else nothing
        hours = sum(map(length_s, video)) / 3600
        if bound * hours < 1:
            what = "video" if self._dataset.untrimmed else "video in which nothing goes on"
            raise DataError(
                f"--false-per-hour {bound:g} cannot be shown: that takes {1 / bound:.3g} h of {what} at least, and there are {hours:.2g} h; "
                "give more of it with --nothing, or leave it out"
            )

    def _part(self, name: str, tested: Flags, number: int) -> Fold:
        """Train without some clips, and make predictions for these, at temperature 1."""
        self._advance("heads", number, self._num_heads)
        feature_set, take = self._feature_set, self._plan.head.take
        fit, inputs = self._fit(~tested, name)
        taken_top1 = None if take == "time" else self._taken_top1(tested, inputs, take)
        head = self._trainer.network.export(inputs)
        bundle = self._draft(self._settings(head, temperature=1.0), head)
        recognizer = Recognizer(bundle, self._extractor, bundle.open_head())
        indices = np.flatnonzero(tested).tolist()
        learned_from = {clip.path for clip, is_tested in zip(feature_set.clips, tested, strict=True) if not is_tested}
        groups = {feature_set.clips[index].group for index in indices}  # a file in which nobody is seen has no clip that can be used, and counts
        paths = {clip.path for clip in self._dataset.clips if clip.group in groups} & set(feature_set.files) - learned_from

        def predict(sequences: Sequence[FeatureSequence], whole: Mapping[Path, FeatureSequence]) -> Fold:
            people = {path: predict_people(recognizer, whole[path]) for path in sorted(paths)}
            clips = {index: self._said(index, people, sequences[index]) or predict_file(recognizer, sequences[index]) for index in indices}
            return Fold(bundle, clips, {path: [*chain.from_iterable(said.values())] for path, said in people.items()}, fit, taken_top1)

        thinned = {thinning: predict(found.sequences, found.files) for thinning, found in feature_set.thinned.items()}
        return replace(predict(feature_set.sequences, feature_set.files), thinned=thinned)

    def _said(self, index: int, people: Mapping[Path, Mapping[int, Stretches]], sequence: FeatureSequence) -> Stretches:
        """The predictions within a clip, of those who act in it, out of those along its whole file, as live; none where it has none."""
        clip = self._feature_set.clips[index]
        if not self._dataset.untrimmed or clip.path not in people:
            return []
        end_s = inf if clip.end_s is None else clip.end_s
        said = [stretch for track in people_of(sequence) for stretch in people[clip.path][track]]
        stretches = [[each for each in stretch if clip.start_s <= each.timestamp < end_s] for stretch in said]
        return [stretch for stretch in stretches if stretch]

    def _fit(self, chosen: Flags, name: str) -> tuple[TrainingHistory, Inputs]:
        plan, feature_set = self._plan, self._feature_set
        if plan.background:
            chosen = feature_set.thin_out(chosen, self._dataset.labels.index(plan.background), plan.head.background_share)
        if plan.head.l2 is not None:
            training, truth = feature_set.training(chosen)
            inputs = self._fit_inputs(training)
            return self._trainer.solve(SplitData(training, truth, inputs, self._trainer.shape), self._background), inputs
        validation = feature_set.choose_validation(chosen, plan.head, plan.seed)
        learned = chosen & ~validation
        training, truth = feature_set.training(learned)
        inputs = self._fit_inputs(training)
        watched = feature_set.validation(validation if validation.any() else learned)
        sides = [SplitData(table, truth, inputs, self._trainer.shape) for table, truth in ((training, truth), watched)]
        return self._trainer.fit(*sides, seed=plan.seed, checkpoint=self._checkpoints.checkpoint(name), advance=self._advance), inputs

    def _fit_inputs(self, training: FeatureTable) -> Inputs:
        if self._recipe.sees_pictures:
            return IdentityInputs(self._extractor.feature_size)
        return fit_inputs(training, self._plan.head, self._extractor.part_sizes)

    def _taken_top1(self, chosen: Flags, inputs: Inputs, take: Literal["first", "even"]) -> float:
        side = SplitData(*self._feature_set.validation(chosen), inputs, self._trainer.shape)
        return top_k(self._trainer.logits(side, select_windows(side.table, self._plan.head.window, take)), side.truth)

    def _spec(self) -> HeadSpec:
        settings, size = self._plan.head, self._extractor.feature_size
        num_inputs, num_static = (size, size) if self._recipe.sees_pictures else input_sizes(self._extractor.part_sizes, settings)
        return HeadSpec(num_inputs, num_static, self._extractor.feature_map, len(self._dataset.labels), settings, self._background)

    @property
    def _background(self) -> int | None:
        """Index of the background label, if there is one."""
        return self._dataset.labels.index(self._plan.background) if self._plan.background else None

    def _draft(self, settings: BundleSettings, head: HeadFiles) -> Bundle:
        return _write(self._scratch / self._name, settings, head, card="")

    def _settings(self, head: HeadFiles, temperature: float) -> BundleSettings:
        plan, extractor, form = self._plan, self._extractor, self._trainer.network.form
        return BundleSettings(
            schema=1,
            name=self._name,
            version=plan.version,
            recipe=plan.recipe,
            labels=self._dataset.labels,
            background=plan.background,
            merged=dict(plan.merge),
            counted=plan.counted,
            form=form,
            backbone=BackboneReference(name=extractor.manifest.name, sha256=extractor.manifest.sha256) if isinstance(extractor, Backbone) else None,
            pictures=extractor.kind if isinstance(extractor, PictureExtractor) else None,
            parts=extractor.parts if isinstance(extractor, CompositeExtractor | PeopleExtractor) else (),
            subject="person" if isinstance(extractor, PeopleExtractor) else "scene",
            pose=extractor.pose if isinstance(extractor, CompositeExtractor) else None,
            input=extractor.input,
            feature_size=extractor.feature_size,
            feature_map=extractor.feature_map,
            rate_hz=plan.rate_hz,
            min_rate_hz=plan.min_rate_hz,
            window=plan.head.window,
            stride=plan.head.stride,
            warm_up=plan.head.warm_up,
            mode=plan.head.mode if form == "step" else "window",
            projection_size=head.projection_size,
            state_size=head.state_size,
            temperature=temperature,
            smoothing_s=plan.smoothing_s,
            thresholds=plan.thresholds,
        )

    def _some_stretches(self) -> list[Array]:
        """The first features of clips from all over the data: windows that are just warmed up, and, where clips last so long, full ones."""
        head, clips = self._plan.head, self._feature_set.own.stretches
        step = max(1, len(clips) // NUM_CHECKED)
        stretches = [max(each, key=len) for each in clips[::step]]
        return [stretch[: (head.warm_up, head.window)[number % 2]] for number, stretch in enumerate(stretches)]


def _write(path: Path, settings: BundleSettings, head: HeadFiles, card: str) -> Bundle:
    return write_bundle(path, settings, {**head.files, "CARD.md": card.encode()})
