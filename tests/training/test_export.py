from pathlib import Path
from typing import Literal

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the train extra")

from streamvc.errors import InferenceError
from streamvc.inference.backbone import Backbone
from streamvc.inference.bundle import Bundle, write_bundle
from streamvc.inference.manifest import BackboneReference, BundleSettings, Thresholds
from streamvc.inference.recognizer import Recognizer
from streamvc.metrics import softmax
from streamvc.training.evaluate import predict
from streamvc.training.export import HeadFiles, check_export, export_gru
from streamvc.training.features import Extraction
from streamvc.training.gru import TrainedGru, train_gru
from streamvc.training.plan import GruSettings
from tests.training.clips import ACTIONS
from tests.training.conftest import BACKBONE

pytestmark = pytest.mark.train

SETTINGS = GruSettings(window=6, warm_up=3, num_units=8, num_seen=10, num_moving=7, windows_per_clip=4, max_epochs=3)


@pytest.fixture(scope="module")
def head(extraction: Extraction) -> TrainedGru:
    truth = np.array([ACTIONS.index(clip.label) for clip in extraction.clips])
    watched = np.array([clip.group == "g00" for clip in extraction.clips])
    return train_gru([track.segments() for track in extraction.tracks], truth, 2, watched, SETTINGS, seed=0)


@pytest.fixture(scope="module")
def files(head: TrainedGru) -> HeadFiles:
    return export_gru(head)


def bundle_of(files: HeadFiles, folder: Path, mode: Literal["window", "stateful"] = "window") -> Bundle:
    manifest = Backbone.load(BACKBONE).manifest
    settings = BundleSettings(
        name="small",
        version="1",
        recipe="gru",
        labels=ACTIONS,
        background=None,
        backbone=BackboneReference(name=manifest.name, sha256=manifest.sha256),
        input=manifest.input,
        feature_size=manifest.feature_size,
        rate_hz=5.0,
        window=SETTINGS.window,
        stride=1,
        warm_up=SETTINGS.warm_up,
        mode=mode,
        projection_size=files.projection_size,
        state_size=files.state_size,
        temperature=1.7,
        smoothing_s=0.6,
        thresholds=Thresholds(),
    )
    return write_bundle(folder / "small", settings, {"project.tflite": files.project, "step.tflite": files.step, "CARD.md": b""})


@pytest.mark.parametrize("mode", ["window", "stateful"])
def test_the_recogniser_gives_the_scores_of_keras_on_a_clip(
    head: TrainedGru, files: HeadFiles, extraction: Extraction, tmp_path: Path, mode: Literal["window", "stateful"]
) -> None:
    recognizer, model = Recognizer.load(bundle_of(files, tmp_path, mode).path), head.keras_model()
    track = extraction.tracks[0]
    (ticks,) = track.segments()
    predictions = list(predict(recognizer, track))
    assert len(predictions) == len(ticks) - SETTINGS.warm_up + 1
    for prediction, end in zip(predictions, range(SETTINGS.warm_up, len(ticks) + 1), strict=True):
        seen = ticks[max(0, end - SETTINGS.window) : end] if mode == "window" else ticks[:end]
        expected = softmax(np.asarray(model(seen[None]))[0, -1] / 1.7)
        np.testing.assert_allclose(prediction.scores, expected, atol=1e-5)


def test_the_recogniser_gives_the_same_from_the_video(files: HeadFiles, extraction: Extraction, tmp_path: Path) -> None:
    from streamvc.capture.source import open_source

    recognizer = Recognizer.load(bundle_of(files, tmp_path).path)
    from_features = list(predict(recognizer, extraction.tracks[1]))
    recognizer.reset()
    with open_source(extraction.clips[1].path) as source:
        from_video = [prediction for frame in source if (prediction := recognizer.step(frame))]
    assert [(one.index, one.timestamp) for one in from_video] == [(one.index, one.timestamp) for one in from_features]
    np.testing.assert_array_equal([one.scores for one in from_video], [one.scores for one in from_features])


def test_the_export_is_checked_against_keras(head: TrainedGru, files: HeadFiles, extraction: Extraction, tmp_path: Path) -> None:
    batch = np.stack([track.segments()[0][: SETTINGS.window] for track in extraction.tracks])
    assert check_export(head, bundle_of(files, tmp_path), [batch, batch[:, :3]]) < 1e-5


def test_an_export_that_does_not_agree_with_keras_is_refused(head: TrainedGru, files: HeadFiles, extraction: Extraction, tmp_path: Path) -> None:
    other = TrainedGru(head.basis, head.gru, (head.dense[0] + 0.1, -head.dense[1] + 0.5), head.history, head.best_epoch)
    other.dense[0][:, 0] += 0.5
    batch = np.stack([track.segments()[0][: SETTINGS.window] for track in extraction.tracks])
    with pytest.raises(InferenceError, match="differ from Keras'"):
        check_export(other, bundle_of(files, tmp_path), [batch])
