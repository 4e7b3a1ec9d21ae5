"""`streamvc train` and `streamvc evaluate` as a user calls them."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from streamvc.cli import main

pytest.importorskip("tensorflow", reason="needs the train extra")


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_a_model_is_trained_shown_and_evaluated(rendered: Path, cache: Path, tmp_path: Path) -> None:
    out = tmp_path / "models" / "mine"
    trained = run("train", rendered, "--out", out, "--folds", "2", "--window", "8", "--cache", cache, "--about", "Made by the tests.")
    assert trained.exit_code == 0, trained.output
    assert "clip_top1" in trained.stdout
    assert run("models", "check", out).stdout == f"{out}: ok\n"
    assert "Made by the tests." in run("models", "show", out).stdout

    evaluated = run("evaluate", out, rendered, "--cache", cache, "--json")
    figures = json.loads(evaluated.stdout)
    assert {"clip_top1", "window_top1", "per_label", "num_clips"} <= set(figures)
    assert figures["clip_top1"] > 1 / len(figures["per_label"])  # better than chance, on what it was trained on
    assert "clip_top1" in run("evaluate", out, rendered, "--cache", cache).stdout

    again = run("train", rendered, "--out", out, "--folds", "2", "--cache", cache)
    assert again.exit_code == 1
    assert "--overwrite" in again.stderr


def test_of_two_recipes_the_one_that_is_better_on_the_folds_is_kept_and_the_card_says_why(rendered: Path, cache: Path, tmp_path: Path) -> None:
    out = tmp_path / "models" / "mine"
    trained = run("train", rendered, "--out", out, "--folds", "2", "--window", "8", "--cache", cache, "--json")
    report = json.loads(trained.stdout)

    assert set(report["chosen_from"]) == {"linear", "gru"}
    assert report["chosen_from"][report["recipe"]] == max(report["chosen_from"].values()) == report["pooled"]["clip_top1"]
    assert json.loads((out / "model.json").read_text())["recipe"] == report["recipe"]
    assert f"Of these recipes {report['recipe']} was taken, by the share of the clips right on the held-out folds" in (out / "CARD.md").read_text()
    assert "warning: the data shows nothing but activities" in trained.stderr
    named = run("train", rendered, "--out", tmp_path / "gru", "--recipe", "gru", "--folds", "2", "--window", "8", "--cache", cache, "--json")
    assert json.loads(named.stdout)["chosen_from"] == {}


def test_labels_are_merged_by_pairs(rendered: Path, cache: Path, tmp_path: Path) -> None:
    out = tmp_path / "models" / "merged"
    assert "given as LABEL=OTHER" in run("train", rendered, "--out", out, "--merge", "jump").stderr
    assert "no clip has the label swim" in run("train", rendered, "--out", out, "--merge", "swim=jump", "--cache", cache).stderr


def test_thresholds_are_json_as_in_a_manifest(rendered: Path, tmp_path: Path) -> None:
    def refused(text: str) -> str:
        result = run("train", rendered, "--out", tmp_path / "out", "--thresholds", text)
        assert result.exit_code == 2
        return result.stderr.splitlines()[-1]

    assert "Invalid JSON" in refused("{")
    assert refused('{"labels": {"jump": {"enter": 2}}}').startswith("Error: Invalid value for --thresholds: labels.jump.enter: ")


def test_repetitions_are_counted_where_asked_of_labels_that_there_are_by_what_sees_keypoints(rendered: Path, cache: Path, tmp_path: Path) -> None:
    given = ("train", rendered, "--out", tmp_path / "counted", "--cache", cache, "--folds", "2", "--window", "8")
    assert "--count needs keypoints, which efficientnet-lite0-f16 does not give" in run(*given, "--count", "jump").stderr
    assert "--count swim: the data has no such label; it has " in run(*given, "--backbone", "movenet", "--count", "swim").stderr

    assert run(*given, "--backbone", "movenet", "--count", "jump").exit_code == 0
    assert json.loads((tmp_path / "counted" / "model.json").read_text())["counted"] == ["jump"]


def test_data_that_cannot_be_used_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "data" / "only").mkdir(parents=True)
    (tmp_path / "data" / "only" / "a.mp4").write_bytes(b"not a video")
    result = run("train", tmp_path / "data", "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "only" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()
