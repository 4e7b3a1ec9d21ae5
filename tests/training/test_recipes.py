"""Every recipe: it learns, is measured, is exported, and runs live as it was measured."""

from pathlib import Path

import numpy as np
import pytest

from streamvc.capture.source import open_source
from streamvc.errors import BundleError, DataError
from streamvc.inference.extractors import open_extractor, parts_of
from streamvc.inference.recognizer import Recognizer
from streamvc.live import watch
from streamvc.thresholds import Thresholds
from streamvc.training.backbones import missing_hint
from streamvc.training.dataset import Clip, load_dataset
from streamvc.training.evaluate import evaluate
from streamvc.training.features import extract
from streamvc.training.prediction_trace import predict
from streamvc.training.recipes import RECIPES, plan_for
from tests.training.clips import render

pytestmark = pytest.mark.train

SMALL = {"window": 6, "warm_up": 3, "max_epochs": 3, "windows_per_clip": 2, "validation_windows_per_clip": 2, "augment": ""}
# What is made smaller than a recipe has it, so that all of them take no longer than a few seconds.
SMALLER: dict[str, dict[str, object]] = {
    "frame-vote": {"warm_up": 1},
    "vgg16-frames": {"dense": (16,), "warm_up": 1},
    "lrcn": {"units": (8,), "width": 0.25, "stride": 1},
    "c3d": {"width": 0.05, "stride": 2},
    "i3d": {"width": 0.1, "stride": 2, "max_epochs": 1},
    "i3d-rnn": {"window": 3, "warm_up": 1},
    "i3d-mlp": {"window": 3, "warm_up": 1},
    "two-stream": {"width": 0.1, "stride": 2},
    "convlstm": {"width": 0.2, "stride": 2},
}
PICTURES = {"lrcn": "colour:32", "c3d": "colour:32", "i3d": "colour:32", "two-stream": "colour+flow:32"}
MAPS = ("vgg16-frames", "convlstm")
SNIPPETS = ("i3d-rnn", "i3d-mlp")
PARTS = {
    "pooled": "pose+efficientnet-lite0-f16:person:greys",
    "statistics": "pose/2+flow",
    "linear": "movenet+flow",
    "scales": "foreground+efficientnet-lite0-f16:foreground",
}


# One of each form, each kind of network and each kind of input; the others are slow together.
QUICK = ("frame-vote", "lrcn", "gru", "conv1d", "mlp", "maxmin", "statistics", "linear", "c3d", "convlstm", "i3d-mlp")


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models, for small backbones."""
    return tmp_path_factory.mktemp("models")


def extractor(recipe: str, models: Path) -> str:
    """The name of a small one for a recipe, which is made if need be."""
    from streamvc.training.backbones.make import make_backbone
    from streamvc.training.backbones.options import BackboneOptions

    out = models / "backbones"
    if recipe in MAPS and not (out / "small-map").is_dir():
        make_backbone("efficientnet-lite0-map", BackboneOptions("none", size_px=64, name="small-map"), out=out)
    if recipe in SNIPPETS and not (out / "small-i3d").is_dir():
        make_backbone("i3d-rgb", BackboneOptions("none", size_px=32, num_frames=4, name="small-i3d"), out=out)
    return (
        PICTURES.get(recipe)
        or PARTS.get(recipe)
        or ("small-map" if recipe in MAPS else "small-i3d" if recipe in SNIPPETS else "efficientnet-lite0-f16")
    )


@pytest.fixture(scope="session")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip with missing frames, singly and several in a row, and with a gap."""
    path = tmp_path_factory.mktemp("broken") / "broken.mp4"
    missing = {3, 4, 9, 10, 11, 12, 13, 14, 20, 21, 22}
    render(path, "cross", actor=2, seconds=8.0, missing=missing | set(range(35, 55)))
    return path


@pytest.fixture(scope="session")
def parted(rendered: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rendered clips, one group of which is for testing: a single fold takes less time than two."""
    table = tmp_path_factory.mktemp("parted") / "clips.csv"
    rows = [f"{clip.path},{clip.label},{clip.group},{'test' if clip.group == 'g00' else 'train'}" for clip in load_dataset(rendered).clips]
    table.write_text("\n".join(["path,label,group,split", *rows]))
    return table


def assert_live_is_offline(recognizer: Recognizer, video: Path, backbone: str, cache: Path) -> None:
    sequence = extract([Clip(video, "", "")], backbone, 5.0, cache=cache).sequences[0]
    offline = list(predict(recognizer, sequence))
    recognizer.reset()
    with open_source(video, policy="every") as source:
        live = [prediction for frame in source if (prediction := recognizer.step(frame))]
    assert [each.timestamp for each in live] == [each.timestamp for each in offline]
    assert len(live) >= 2
    assert np.array_equal([each.scores for each in live], [each.scores for each in offline])


@pytest.mark.parametrize("name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in RECIPES])
def test_it_trains_exports_and_streams_as_it_was_measured(
    name: str, rendered: Path, parted: Path, broken: Path, models: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from streamvc.training.train import train

    monkeypatch.setenv("STREAMVC_MODELS", str(models))
    backbone = extractor(name, models)
    plan = plan_for(name, backbone=backbone, rate_hz=5.0, settings=SMALL | SMALLER.get(name, {}), split="given")
    report = train(parted, tmp_path / "models" / name, plan, cache=cache)
    found = evaluate(report_path := tmp_path / "models" / name, rendered, cache=cache)
    assert (found.num_clips, report.pooled.num_clips) == (8, 2)
    assert found.confusion.sum() == 8

    recognizer = Recognizer.load(report_path)
    assert recognizer.bundle.manifest.form == RECIPES[name].streams
    assert_live_is_offline(recognizer, broken, backbone, cache)
    clip = load_dataset(rendered).clips[0]
    assert_live_is_offline(recognizer, clip.path, backbone, cache)
    events = list(watch(clip.path, report_path, thresholds=Thresholds(enter=0.4, leave=0.3, min_s=0.0)))
    phases = [event.phase for event in events if event.phase != "update"]
    assert phases.count("start") == phases.count("end") >= 1


def test_a_plan_refuses_what_is_no_recipe_no_setting_or_no_value() -> None:
    with pytest.raises(DataError, match="did you mean stacked-lstm"):
        plan_for("staked-lstm")
    with pytest.raises(DataError, match="did you mean units"):
        plan_for("lstm", settings={"unit": "3"})
    for name, value in {"window": "many", "stride": 0, "units": "", "dropout": 2, "learning_rate": "nan", "validation_share": 0}.items():
        with pytest.raises(DataError, match=f"setting {name}"):
            plan_for("lstm", settings={name: value})


def test_a_plan_reads_settings_as_text() -> None:
    head = plan_for(
        "stacked-lstm", settings={"units": "64,32", "causal": "false", "validation_windows_per_clip": "none", "augment": "flip,speed"}
    ).head
    assert head.units == (64, 32)
    assert head.causal is False
    assert head.validation_windows_per_clip is None
    assert head.augment == ("flip", "speed")


def test_the_settings_that_shipped_cards_name_are_known() -> None:
    head = plan_for(settings={"watched_share": "0.15", "nothing_share": "0.3", "num_seen": "32"}).head
    assert (head.validation_share, head.background_share, head.num_static) == (0.15, 0.3, 32)


def test_default_backbones_are_there_or_can_be_made() -> None:
    for name in {recipe.backbone for recipe in RECIPES.values()}:
        try:
            open_extractor(name)
        except BundleError:
            assert any("streamvc backbones make" in (missing_hint(part.partition(":")[0]) or "") for part in parts_of(name))
