"""Videos of nothing: what they are cut into, what they do to a training, and what is heard of them."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from streamvc.cli import main
from streamvc.errors import DataError
from streamvc.training.background import resolve_background
from streamvc.training.dataset import Clip, Dataset, load_dataset, load_videos
from streamvc.training.feature_set import load_feature_set
from streamvc.training.operating_curve import CURVE_ODDS
from streamvc.training.plan import TrainingPlan
from streamvc.training.progress import silent
from tests.training.clips import ACTIONS, render
from tests.training.test_train import PLAN


@pytest.fixture(scope="module")
def background_events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four videos of people who do something else; one of them is long."""
    root = tmp_path_factory.mktemp("quiet")
    for actor in range(4):
        render(root / "rooms" / f"room{actor}.mp4", "rest", actor, seconds=24.0 if actor == 0 else 4.0)
    return root


def settle(plan: TrainingPlan, dataset: Dataset, cache: Path) -> tuple[TrainingPlan, Dataset]:
    return resolve_background(plan, dataset, cache=cache, num_workers=2, advance=silent)


def test_long_videos_are_cut_and_each_file_is_a_group(rendered: Path, background_events: Path, cache: Path) -> None:
    plan, dataset = settle(TrainingPlan(background_videos=(background_events,)), load_dataset(rendered), cache)
    assert plan.background == "nothing"
    assert dataset.labels == (*ACTIONS, "nothing")
    pieces = [clip for clip in dataset.clips if clip.label == "nothing"]
    assert [(clip.path.name, clip.start_s, clip.end_s) for clip in pieces if clip.path.name == "room0.mp4"] == [
        ("room0.mp4", 0.0, 10.0),
        ("room0.mp4", 10.0, None),
    ]
    assert len({clip.group for clip in pieces}) == 4
    assert {clip.group for clip in pieces}.isdisjoint(clip.group for clip in dataset.clips if clip.label != "nothing")
    assert list(dataset.clips[:8]) == list(load_dataset(rendered).clips)


def test_each_of_several_sources_is_one_group(rendered: Path, background_events: Path, cache: Path, tmp_path: Path) -> None:
    """So that a fold counts false events in rooms that its training never saw."""
    street = tmp_path / "street.mp4"
    render(street, "rest", actor=5, seconds=3.0)
    _, dataset = settle(TrainingPlan(background_videos=(background_events, street)), load_dataset(rendered), cache)
    groups = {clip.path.name: clip.group for clip in dataset.clips if clip.label == "nothing"}
    assert len({groups[f"room{actor}.mp4"] for actor in range(4)}) == 1
    assert groups["street.mp4"] != groups["room0.mp4"]


def test_a_source_keeps_the_groups_of_its_table(tmp_path: Path) -> None:
    for name in ("a", "b"):
        render(tmp_path / f"{name}.mp4", "rest", actor=0, seconds=0.5)
    (tmp_path / "clips.csv").write_text("path,label,group\na.mp4,run,camera one\nb.mp4,walk,camera two\n")
    assert len({clip.group for clip in load_videos(tmp_path, as_one=True)}) == 2
    (tmp_path / "clips.csv").write_text("path,label\na.mp4,run\nb.mp4,walk\n")
    assert len({clip.group for clip in load_videos(tmp_path, as_one=True)}) == 1
    assert len({clip.group for clip in load_videos(tmp_path)}) == 2


def test_videos_of_the_data_are_not_nothing(rendered: Path, background_events: Path, cache: Path) -> None:
    with pytest.raises(DataError, match="those of the data itself"):
        settle(TrainingPlan(background_videos=(rendered,)), load_dataset(rendered), cache)
    _, dataset = settle(TrainingPlan(background_videos=(rendered, background_events), background="none"), load_dataset(rendered), cache)
    assert {clip.path.parent.name for clip in dataset.clips if clip.label == "none"} == {"rooms"}


def test_a_file_that_cannot_be_read_is_told_of(rendered: Path, background_events: Path, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"not a video")
    plan, dataset = settle(TrainingPlan(background_videos=(background_events, tmp_path / "broken.mp4")), load_dataset(rendered), cache)
    material = load_feature_set(dataset, plan, cache=cache, num_workers=2, advance=silent)
    assert [skipped.clip.path.name for skipped in material.extraction.skipped] == ["broken.mp4"]
    assert {path.name for path in material.files} == {f"room{actor}.mp4" for actor in range(4)}


def test_the_datas_own_split_gets_a_share_of_nothing_on_either_side(rendered: Path, background_events: Path, cache: Path) -> None:
    dataset = load_dataset(rendered)
    sided = replace(dataset, clips=tuple(replace(clip, split="test" if clip.group == "g00" else "train") for clip in dataset.clips))
    _, whole = settle(TrainingPlan(background_videos=(background_events,), split="given", num_folds=4), sided, cache)
    sides = [clip.split for clip in whole.clips if clip.label == "nothing"]
    assert set(sides) == {"train", "test"}
    assert len({clip.group for clip in whole.clips if clip.label == "nothing" and clip.split == "test"}) == 1


def test_videos_have_the_groups_of_their_table(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        render(tmp_path / f"{name}.mp4", "rest", actor=0, seconds=0.5)
    (tmp_path / "clips.csv").write_text("path,label,group\na.mp4,run,one\nb.mp4,walk,one\nc.mp4,walk,two\n")
    clips = load_videos(tmp_path)
    assert [(clip.path.name, clip.label) for clip in clips] == [("a.mp4", ""), ("b.mp4", ""), ("c.mp4", "")]
    assert len({clip.group for clip in clips}) == 2
    assert load_videos(tmp_path / "a.mp4") == (Clip(tmp_path / "a.mp4", "", f"{tmp_path / 'a.mp4'}:{tmp_path / 'a.mp4'}"),)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no video files"):
        load_videos(tmp_path / "empty")


def run(*arguments: str | Path) -> str:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.train
def test_training_beside_nothing_tells_activities_and_nothing_apart(rendered: Path, background_events: Path, cache: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorflow", reason="needs the train extra")
    from streamvc.inference.bundle import check_bundle
    from streamvc.training.train import train

    report = train(rendered, tmp_path / "shapes", replace(PLAN, background_videos=(background_events,), false_per_hour=200.0), cache=cache)
    active = [result for result, clip in zip(report.pooled.results, report.tested, strict=True) if clip.label != "nothing"]
    assert len(active) == 8
    right = [result.scores.mean(axis=0).argmax() == result.truth for result in active]
    assert report.pooled.active_clip_top1 == pytest.approx(sum(right) / 8)
    assert report.pooled.background_events is not None
    assert report.pooled.background_events.hours * 3600 == pytest.approx(24 + 3 * 4, abs=1.0)  # each file once, whole
    assert "nothing" not in report.pooled.background_events.events
    manifest = check_bundle(tmp_path / "shapes").manifest
    assert manifest.background == "nothing"
    assert set(manifest.thresholds.labels) <= set(ACTIONS)
    assert (manifest.smoothing_s, manifest.thresholds) == (report.plan.smoothing_s, report.plan.thresholds)
    card = (tmp_path / "shapes" / "CARD.md").read_text()
    assert "false events an hour" in card
    assert "chosen on the folds" in card

    with pytest.raises(DataError, match=r"--false-per-hour 0\.04 cannot be shown: that takes 25 h of video in which nothing goes on"):
        train(rendered, tmp_path / "silent", replace(PLAN, background_videos=(background_events,), false_per_hour=0.04), cache=cache)
    assert [each.odds for each in manifest.curve] == list(CURVE_ODDS)
    wrong = [(each.wrong, each.num_false) for each in manifest.curve]
    assert wrong[0] >= wrong[3] >= wrong[-1]
    assert wrong[0] > wrong[-1]
    assert manifest.curve[3].heard == pytest.approx(report.pooled.active_outcomes.right)
    assert f"| high | {report.curve[2][1]} |" in card

    swept = json.loads(run("evaluate", tmp_path / "shapes", rendered, "--cache", cache, "--sweep", "--plot", tmp_path / "swept.png", "--json"))
    assert [row["sensitivity"] for row in swept["curve"]] == ["", "", "high", "normal", "low", "", ""]
    assert float(swept["curve"][3]["heard right"]) == pytest.approx(swept["active_outcomes"]["right"], abs=1e-3)
    low = json.loads(run("evaluate", tmp_path / "shapes", rendered, "--cache", cache, "--sensitivity", "low", "--json"))
    assert low["active_outcomes"]["right"] == pytest.approx(float(swept["curve"][4]["heard right"]), abs=1e-3)
    never = json.loads(run("evaluate", tmp_path / "shapes", rendered, "--cache", cache, "--enter", "1", "--min-s", "60", "--json"))
    assert never["active_outcomes"]["right"] == 0
    assert "high" in run("evaluate", tmp_path / "shapes", rendered, "--cache", cache, "--sweep")
    run("models", "show", tmp_path / "shapes", "--plot", tmp_path / "card.png")
    for drawn in ("swept.png", "card.png"):
        assert np.asarray(cv2.imread(str(tmp_path / drawn))).std() > 10

    false_events = json.loads(run("evaluate", tmp_path / "shapes", background_events, "--nothing", "--cache", cache, "--json"))
    assert false_events["hours"] * 3600 == pytest.approx(36, abs=1.0)
    assert false_events["false_events_per_hour"] == pytest.approx(sum(false_events["events"].values()) / false_events["hours"])


def test_data_of_other_labels_is_nothing_to_a_bundle(rendered: Path, cache: Path) -> None:
    figures = json.loads(run("evaluate", "figure", rendered, "--cache", cache, "--json"))
    assert figures["hours"] * 3600 == pytest.approx(8 * 3, abs=1.0)
    assert "false events an hour" in run("evaluate", "figure", rendered, "--cache", cache)


SMALL = ("--folds", "2", "--set", "max_epochs=2", "--set", "units=4")


@pytest.mark.train
def test_labels_are_left_out_in_turn(rendered: Path, background_events: Path, cache: Path) -> None:
    pytest.importorskip("tensorflow", reason="needs the train extra")
    found = json.loads(run("open-set", rendered, "--nothing", background_events, *SMALL, "--cache", cache, "--rounds", "2", "--json"))
    assert [each["labels"] for each in found["rounds"]] == [["cross"], ["jump"]]
    assert [each["num_clips"] for each in found["rounds"]] == [4, 4]
    for each in found["rounds"]:
        assert each["heard"]["hours"] * 3600 == pytest.approx(4 * 3, abs=0.5)
        assert set(each["heard"]["events"]) <= set(ACTIONS) - set(each["labels"])  # it was never taught that there is such a label
    assert found["silent"] == pytest.approx(sum(each["num_silent"] for each in found["rounds"]) / 8)
    assert found["heard"]["hours"] * 3600 == pytest.approx(8 * 3, abs=1.0)
    assert found["nothing"]["hours"] * 3600 == pytest.approx(36, abs=1.0)


@pytest.mark.train
@pytest.mark.slow
def test_thresholds_are_chosen_by_what_is_heard_of_left_out_labels_too(rendered: Path, background_events: Path, cache: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorflow", reason="needs the train extra")
    out = tmp_path / "shapes"
    report = json.loads(run("train", rendered, "--out", out, "--nothing", background_events, *SMALL, "--leave-out", "2", "--cache", cache, "--json"))
    assert report["open_set"]["heard"]["hours"] * 3600 == pytest.approx(8 * 3, abs=1.0)
    assert set(report["thresholds"]["labels"]) <= set(ACTIONS)
    assert "never taught" in (out / "CARD.md").read_text()


def test_too_few_labels_cannot_be_parted(rendered: Path, cache: Path) -> None:
    result = CliRunner().invoke(main, ["open-set", str(rendered), "--folds", "2", "--rounds", "1", "--cache", str(cache)])
    assert result.exit_code == 1
    assert "too few are left to train on" in result.stderr
