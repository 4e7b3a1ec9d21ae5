import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("tensorflow", reason="needs the train extra")

from streamvc.errors import BundleError, DataError
from streamvc.inference.bundle import check_bundle
from streamvc.training.dataset import load_dataset
from streamvc.training.evaluate import evaluate
from streamvc.training.features import Extraction
from streamvc.training.plan import HeadSettings, TrainingPlan
from streamvc.training.recipes import plan_for
from streamvc.training.report import TrainingReport
from streamvc.training.train import train
from tests.training.clips import ACTIONS, render

pytestmark = pytest.mark.train

PLAN = TrainingPlan(
    num_folds=2, head=HeadSettings(window=8, warm_up=3, units=(12,), num_static=24, num_delta=24, windows_per_clip=10, max_epochs=60, patience=15)
)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models") / "shapes"


@pytest.fixture(scope="module")
def report(rendered: Path, cache: Path, out: Path) -> TrainingReport:
    return train(rendered, out, replace(PLAN, about="Drawn by a test.", command="streamvc train shapes", min_rate_hz=2.5), cache=cache)


def test_what_is_trained_knows_the_clips_it_learned_from(report: TrainingReport, out: Path, rendered: Path, cache: Path) -> None:
    found = evaluate(out, rendered, cache=cache)
    assert found.clip_top1 >= 0.85
    assert found.num_clips == 8
    assert found.confusion.trace() == found.clip_top1 * 8
    assert list(found.per_label) == list(ACTIONS)


def test_the_bundle_is_whole_and_says_what_it_was_made_for(report: TrainingReport, out: Path) -> None:
    manifest = check_bundle(out).manifest
    assert (manifest.labels, manifest.recipe, manifest.rate_hz, manifest.window) == (ACTIONS, "gru", 5.0, 8)
    assert manifest.temperature == report.temperature
    assert report.difference < 1e-4
    assert sum((out / name).stat().st_size for name in manifest.files) < 1_000_000


def test_the_figures_are_those_of_clips_that_were_not_seen(report: TrainingReport) -> None:
    assert sum(fold.num_clips for fold in report.folds) == report.pooled.num_clips == 8
    assert report.clip_top1.mean == pytest.approx(sum(fold.clip_top1 for fold in report.folds) / 2)
    right, wrong, silent = (getattr(report.pooled.outcomes, name) for name in ("right", "wrong", "silent"))
    assert right + wrong + silent == pytest.approx(1)
    json.dumps(report.as_json())


def test_what_becomes_of_events_at_the_lowest_rate_is_measured_and_told(report: TrainingReport, out: Path) -> None:
    assert check_bundle(out).manifest.min_rate_hz == 2.5
    full, half, dropped = report.rates
    assert (full.rate, half.rate, dropped.rate) == ("5 Hz", "2.5 Hz", "50% dropped")
    streams = report.pooled.streams
    assert full.num == half.num == dropped.num == sum(len(stream.segments) for stream in streams) == 8
    assert full.num_false == sum(event.label != stream.segments[0].label for stream in streams for event in stream.events)
    assert 8 >= full.num_found >= half.num_found > 0
    card = (out / "CARD.md").read_text()
    assert f"| 2.5 Hz | {half.num_found} of 8 | {half.num_false} in 0.01 h |" in card


def test_the_card_tells_the_data_the_figures_and_the_limits(report: TrainingReport, out: Path) -> None:
    card = (out / "CARD.md").read_text()
    assert "Drawn by a test." in card
    assert "8 clips of 2 labels, from 4 groups" in card
    assert str(report.clip_top1) in card
    assert "    streamvc train shapes\n" in card
    assert "## Limits" in card
    assert "Seed 0" in card


@pytest.mark.slow
def test_a_second_training_uses_the_cache_and_gives_the_same_head(
    report: TrainingReport, out: Path, rendered: Path, cache: Path, tmp_path: Path
) -> None:
    again = train(rendered, tmp_path / "shapes", PLAN, cache=cache)
    assert again.extraction.num_cached == 8
    for name in ("project.tflite", "step.tflite"):
        assert (tmp_path / "shapes" / name).read_bytes() == (out / name).read_bytes()


def test_a_taken_folder_is_refused(report: TrainingReport, out: Path, rendered: Path, cache: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--overwrite"):
        train(rendered, out, PLAN, cache=cache)
    with pytest.raises(DataError, match="is not a bundle"):
        train(rendered, tmp_path, PLAN, cache=cache, overwrite=True)


@pytest.mark.parametrize(
    ("plan", "complaint"),
    [
        (replace(PLAN, background="nothing"), "background label nothing is not one of cross, jump"),
        (replace(PLAN, num_folds=5), "4 groups cannot make 5 folds; ask for 2 to 4"),
        (replace(PLAN, recipe="mlp", head=replace(PLAN.head, mode="stateful")), "cannot carry a state"),
        (replace(PLAN, recipe="c3d"), "learns from pictures or maps"),
        (replace(PLAN, recipe="two-stream", backbone="colour:16"), "choose a --backbone such as colour"),
    ],
)
def test_a_plan_that_does_not_fit_the_data_is_refused(rendered: Path, cache: Path, tmp_path: Path, plan: TrainingPlan, complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        train(rendered, tmp_path / "new", plan, cache=cache)
    assert not (tmp_path / "new").exists()


def test_a_name_that_no_bundle_can_have_is_refused_before_anything_is_done(rendered: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'my model' cannot be a bundle's name"):
        train(rendered, tmp_path / "my model", PLAN)


@pytest.mark.slow
def test_clips_that_a_recipe_cannot_use_do_not_change_the_folds(rendered: Path, cache: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(rendered, tmp_path / "data"))
    render(data / "cross" / "v_cross_g01_c02.mp4", "cross", actor=5, seconds=1.2)
    settings = {"units": (4,), "max_epochs": 1, "window": 10}
    reports = [
        train(data, tmp_path / name, plan_for("mlp", num_folds=2, settings={**settings, **own}), cache=cache)
        for name, own in {"all": {"warm_up": 2}, "few": {"warm_up": 4, "stride": 5}}.items()
    ]
    assert [report.pooled.num_clips for report in reports] == [9, 9]
    few = train(data, tmp_path / "fewer", plan_for("mlp", num_folds=2, settings={**settings, "warm_up": 6, "stride": 5}), cache=cache)
    assert few.pooled.num_clips == 8  # the first prediction comes after 10 features, the short clip has 6
    assert "too short" in few.extraction.skipped[0].reason
    groups = [[{clip.group for clip in report.tested[: report.folds[0].num_clips]} for report in (*reports, few)]]
    assert all(each == groups[0][0] for each in groups[0])


def test_an_unknown_backbone_is_refused(rendered: Path, cache: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="was not found"):
        train(rendered, tmp_path / "new", replace(PLAN, backbone="resnet"), cache=cache)


def test_labels_that_a_bundle_does_not_know_are_named(report: TrainingReport, out: Path, rendered: Path, cache: Path, tmp_path: Path) -> None:
    render(tmp_path / "spin" / "a.mp4", "cross", actor=1)
    render(tmp_path / "cross" / "b.mp4", "cross", actor=2)
    with pytest.raises(DataError, match="does not know: spin"):
        evaluate(out, tmp_path, cache=cache)


INTERRUPTED = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a process that was started in the background ignores it
from pathlib import Path
from streamvc.training.plan import TrainingPlan
from streamvc.training.train import train

def advance(what, num_done, _num):
    if what == "heads":
        print("training", flush=True)

train(Path(sys.argv[1]), Path(sys.argv[2]), TrainingPlan(num_folds=2), cache=Path(sys.argv[3]), advance=advance)
"""


def test_an_interrupted_training_leaves_nothing(rendered: Path, cache: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", INTERRUPTED, str(rendered), str(tmp_path / "models" / "new"), str(cache)]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.communicate()
    assert process.returncode == -signal.SIGINT
    assert not [path for path in tmp_path.rglob("*") if "streamvc" in path.name or path.name == "new"]


KILLED = """
import os, signal, sys
from pathlib import Path
from streamvc.training.recipes import plan_for
from streamvc.training.train import train

SETTINGS = {"window": 8, "warm_up": 3, "units": (12,), "num_seen": 24, "num_moving": 24, "max_epochs": 4}  # of a network that is quick to build
left = [int(sys.argv[4])]

def advance(what, _num_done, _num):
    left[0] -= what == "epochs"
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)

train(Path(sys.argv[1]), Path(sys.argv[2]), plan_for("mlp", num_folds=2, settings=SETTINGS), cache=Path(sys.argv[3]), advance=advance)
"""


@pytest.mark.slow
def test_a_training_that_was_killed_goes_on_and_makes_the_same_bundle(rendered: Path, extraction: Extraction, cache: Path, tmp_path: Path) -> None:
    def run(out: str, kept: str, num_epochs: int) -> int:
        shutil.copytree(cache / "features", tmp_path / kept / "features", dirs_exist_ok=True)
        command = [sys.executable, "-c", KILLED, str(rendered), str(tmp_path / out / "shapes"), str(tmp_path / kept), str(num_epochs)]
        return subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode

    assert run("whole", "one", num_epochs=1000) == 0
    assert run("killed", "other", num_epochs=6) == -signal.SIGKILL  # in the middle of the second fold
    assert not (tmp_path / "killed").exists()
    assert len(list((tmp_path / "other" / "training").rglob("*.npz"))) == 2
    assert run("killed", "other", num_epochs=1000) == 0
    ours, theirs = ((tmp_path / out / "shapes" / "model.json").read_bytes() for out in ("killed", "whole"))
    assert ours == theirs  # it holds the sha256 of all else
    assert not list((tmp_path / "other" / "training").rglob("*.npz"))


def test_untrimmed_video_is_measured_on_whole_files_that_were_not_seen(cache: Path, tmp_path: Path) -> None:
    rows = []
    for actor in range(4):
        for number, action in enumerate(ACTIONS):
            render(tmp_path / "data" / f"{action}{actor}.mp4", action, actor, seconds=4.0)
            rows.append(f"{action}{actor}.mp4,{0.5 * number},3.0,{action}")
    (tmp_path / "data" / "segments.csv").write_text("\n".join(["video,start_s,end_s,label", *rows]))
    plan = plan_for("mlp", num_folds=2, settings={"window": 6, "warm_up": 2, "max_epochs": 5})
    report = train(tmp_path / "data", tmp_path / "models" / "online", plan, cache=cache)
    assert report.plan.background == "nothing"
    duration_s = sum(stream.duration_s for stream in report.pooled.streams)
    assert duration_s == pytest.approx(8 * 4.0, abs=0.5)  # each file once, from its start to its end
    assert sum(len(stream.segments) for stream in report.pooled.streams) == 8
    assert "Each file is a group by itself" in (tmp_path / "models" / "online" / "CARD.md").read_text()


def test_a_fold_without_a_clip_that_can_be_used_is_refused(rendered: Path, cache: Path, tmp_path: Path) -> None:
    rows = [f"{clip.path},{clip.label},{clip.group},train" for clip in load_dataset(rendered).clips]
    for action in ACTIONS:
        render(tmp_path / f"{action}.mp4", action, actor=7, seconds=0.4)
        rows.append(f"{action}.mp4,{action},short,test")
    (tmp_path / "clips.csv").write_text("\n".join(["path,label,group,split", *rows]))
    with pytest.raises(DataError, match=r"not one clip of fold 1 can be used; the first: .*too short"):
        train(tmp_path / "clips.csv", tmp_path / "models" / "new", replace(PLAN, split="given"), cache=cache)
    assert not (tmp_path / "models").exists()
