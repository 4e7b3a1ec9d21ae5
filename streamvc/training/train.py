"""From a folder of clips to a bundle that is ready to watch."""

import tempfile
import time
from collections.abc import Sequence
from itertools import compress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamvc.errors import DataError
from streamvc.inference.backbone import Backbone
from streamvc.inference.bundle import MANIFEST, Bundle, write_bundle
from streamvc.inference.manifest import BackboneReference, BundleSettings
from streamvc.inference.recognizer import Recognizer
from streamvc.metrics import fit_temperature, softmax
from streamvc.training.card import card
from streamvc.training.dataset import Dataset, load_dataset
from streamvc.training.evaluate import judge, measure, predict
from streamvc.training.export import HeadFiles, check_export, export_gru
from streamvc.training.features import Extraction, extract
from streamvc.training.folds import group_folds, hold_out
from streamvc.training.gru import TrainedGru, train_gru
from streamvc.training.plan import Plan
from streamvc.training.progress import Advance, silent
from streamvc.training.report import Report
from streamvc.training.windows import Floats, Ints
from streamvc.types import Prediction

WATCHED_SHARE = 1 / 6  # of the clips, in whole groups: not learned from, they tell when to stop
NUM_CHECKED = 32  # clips on which the exported head is held against Keras


def train(
    data: Path,
    out: Path,
    plan: Plan | None = None,
    *,
    overwrite: bool = False,
    cache: Path | None = None,
    num_workers: int | None = None,
    advance: Advance = silent,
) -> Report:
    """Train a recogniser on labelled clips, measure it on folds by group, and write its bundle.

    Nothing is written to `out` before all is done; features are kept on the way, so that a training that was interrupted goes on quickly.

    Args:
        data: A folder per label, a CSV or a folder with a `clips.csv`; see `load_dataset`.
        out: The bundle's folder; its last part is the bundle's name.
        plan: What to train, and how to measure it.
        overwrite: Whether a bundle that is there may be replaced.
        cache: Folder of cached features; `cache_folder()` if not given.
        num_workers: How many clips are looked at at a time; as many as there are cores if not given.
        advance: Is told of the progress.

    Raises:
        DataError: The data or the plan cannot be used, or `out` is taken.
        BundleError: The backbone is missing or the bundle cannot be written.
        InferenceError: The exported head does not agree with Keras.
    """
    plan = plan or Plan()
    _refuse_taken(out, overwrite)
    dataset = load_dataset(data)
    if plan.background not in (None, *dataset.labels):
        raise DataError(f"the background label {plan.background} is not one of {', '.join(dataset.labels)}")
    extraction = extract(dataset.clips, plan.backbone, plan.rate_hz, cache=cache, num_workers=num_workers, advance=advance).lasting(plan.head.warm_up)
    if gone := sorted(set(dataset.labels) - {clip.label for clip in extraction.clips}):
        raise DataError(f"not one clip of {', '.join(gone)} can be used; the first: {extraction.skipped[0].reason}")
    with tempfile.TemporaryDirectory(prefix="streamvc-") as scratch:
        report, settings, head = _Training(out.name, plan, dataset, extraction, Path(scratch), advance).run()
    _write(out, settings, head, card(report))
    return report


def _refuse_taken(out: Path, overwrite: bool) -> None:
    if not out.exists():
        return
    if not (out / MANIFEST).is_file():
        raise DataError(f"{out} exists and is not a bundle; choose another folder")
    if not overwrite:
        raise DataError(f"{out} exists; choose another folder, or allow it to be replaced with --overwrite")


class _Training:
    """One training: the folds first, then the head that is kept."""

    def __init__(self, name: str, plan: Plan, dataset: Dataset, extraction: Extraction, scratch: Path, advance: Advance) -> None:
        self._name = name
        self._plan = plan
        self._dataset = dataset
        self._extraction = extraction
        self._scratch = scratch
        self._advance = advance
        self._backbone = Backbone.load(plan.backbone)
        self._segments = [track.segments() for track in extraction.tracks]
        self._truth = np.array([dataset.labels.index(clip.label) for clip in extraction.clips])

    def run(self) -> tuple[Report, BundleSettings, HeadFiles]:
        """Train; returns what came of it, and the bundle's settings and head."""
        begun = time.monotonic()
        plan, labels = self._plan, self._dataset.labels
        folds = group_folds(self._extraction.clips, plan.num_folds, plan.seed)
        unseen = self._predict_unseen(folds)
        temperature = fit_temperature(*_logits(unseen, self._truth))
        trained = self._train(np.full(len(folds), True))
        head = export_gru(trained)
        settings = self._settings(head, temperature)
        draft = self._draft(settings, head)
        difference = check_export(trained, draft, self._some_windows())
        self._advance("heads", plan.num_folds + 1, plan.num_folds + 1)
        replays = [
            judge(draft, clip.label, [_cooled(prediction, temperature) for prediction in predictions])
            for clip, predictions in zip(self._extraction.clips, unseen, strict=True)
        ]
        report = Report(
            name=self._name,
            plan=plan,
            dataset=self._dataset,
            extraction=self._extraction,
            folds=tuple(measure(list(compress(replays, folds == fold)), labels, plan.background) for fold in range(plan.num_folds)),
            pooled=measure(replays, labels, plan.background, self._extraction.skipped),
            temperature=temperature,
            num_epochs=len(trained.history),
            best_epoch=trained.best_epoch + 1,
            difference=difference,
            train_s=time.monotonic() - begun,
        )
        return report, settings, head

    def _predict_unseen(self, folds: Ints) -> list[list[Prediction]]:
        """The predictions of each clip by the recogniser that has not seen its fold, at temperature 1."""
        predictions: dict[int, list[Prediction]] = {}
        for fold in range(self._plan.num_folds):
            self._advance("heads", fold, self._plan.num_folds + 1)
            head = export_gru(self._train(folds != fold))
            bundle = self._draft(self._settings(head, temperature=1.0), head)
            recognizer = Recognizer(bundle, self._backbone, bundle.open_head())
            for index in np.flatnonzero(folds == fold):
                predictions[int(index)] = list(predict(recognizer, self._extraction.tracks[index]))
        return [predictions[index] for index in range(len(folds))]

    def _train(self, chosen: NDArray[np.bool_]) -> TrainedGru:
        watched = hold_out(list(compress(self._extraction.clips, chosen)), WATCHED_SHARE, self._plan.seed)
        segments = list(compress(self._segments, chosen))
        return train_gru(segments, self._truth[chosen], len(self._dataset.labels), watched, self._plan.head, seed=self._plan.seed)

    def _draft(self, settings: BundleSettings, head: HeadFiles) -> Bundle:
        return _write(self._scratch / self._name, settings, head, card="")

    def _settings(self, head: HeadFiles, temperature: float) -> BundleSettings:
        plan, manifest = self._plan, self._backbone.manifest
        return BundleSettings(
            schema=1,
            name=self._name,
            version=plan.version,
            recipe="gru",
            labels=self._dataset.labels,
            background=plan.background,
            backbone=BackboneReference(name=manifest.name, sha256=manifest.sha256),
            input=manifest.input,
            feature_size=manifest.feature_size,
            rate_hz=plan.rate_hz,
            window=plan.head.window,
            stride=1,
            warm_up=plan.head.warm_up,
            mode=plan.head.mode,
            projection_size=head.projection_size,
            state_size=head.state_size,
            temperature=temperature,
            smoothing_s=plan.smoothing_s,
            thresholds=plan.thresholds,
        )

    def _some_windows(self) -> list[Floats]:
        """The first ticks of clips from all over the data: windows that are just warmed up, and, where clips last so long, full ones."""
        head = self._plan.head
        step = max(1, len(self._segments) // NUM_CHECKED)
        stretches = [max(segments, key=len) for segments in self._segments[::step]]
        batches = [[stretch[:length] for stretch in stretches if len(stretch) >= length] for length in (head.warm_up, head.window)]
        return [np.stack(batch) for batch in batches if batch]


def _write(path: Path, settings: BundleSettings, head: HeadFiles, card: str) -> Bundle:
    return write_bundle(path, settings, {"project.tflite": head.project, "step.tflite": head.step, "CARD.md": card.encode()})


def _logits(predictions: Sequence[Sequence[Prediction]], truth: Ints) -> tuple[NDArray[np.float64], Ints]:
    """Logits of all predictions, (M, L), up to a constant for each, and the right label of each, (M,)."""
    scores = np.stack([prediction.scores for clip in predictions for prediction in clip])
    return _log(scores), np.repeat(truth, [len(clip) for clip in predictions])


def _cooled(prediction: Prediction, temperature: float) -> Prediction:
    """The prediction that the same logits give at a temperature."""
    return Prediction(prediction.index, prediction.timestamp, softmax(_log(prediction.scores) / temperature).astype(np.float32))


def _log(scores: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.log(np.maximum(scores.astype(np.float64), np.finfo(np.float32).tiny))
