import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

pytest.importorskip("tensorflow", reason="needs the train extra")
pytest.importorskip("matplotlib", reason="needs the train extra")

from streamvc.cli import main
from streamvc.errors import DataError
from streamvc.inference.bundle import check_bundle
from streamvc.training.comparison.results import Comparison
from streamvc.training.comparison.run import compare, write_whole
from streamvc.training.recipes import plan_for

pytestmark = pytest.mark.train

QUICK = {"max_epochs": 2, "window": 8, "warm_up": 3}
VOTE, MLP, ABSENT = (plan_for(name, settings=QUICK, num_folds=2) for name in ("frame-vote", "mlp", "gru"))
PLANS = [VOTE, MLP, replace(ABSENT, backbone="no-such-backbone")]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compared")


@pytest.fixture(scope="module")
def compared(rendered: Path, cache: Path, out: Path) -> Comparison:
    return compare(rendered, out, PLANS, cache=cache)


def times_written(out: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in out.glob("*.json")}


@pytest.mark.slow
def test_each_recipe_has_a_bundle_and_figures_and_one_that_fails_says_why(compared: Comparison, out: Path) -> None:
    vote, mlp, absent = compared.rows
    assert (vote.streams, mlp.streams) == ("step", "window")
    for row in (vote, mlp):
        assert row.trained is not None
        assert row.cost is not None
        assert row.error is None
        assert check_bundle(out / row.recipe).manifest.recipe == row.recipe
        assert sum(map(sum, row.trained.confusion)) == 8
        assert len(row.trained.losses) == 2
        assert [timeline.label for timeline in row.trained.timelines] == list(row.trained.labels)
        assert row.cost.extractor_ms > row.cost.head_ms > 0
    assert absent.trained is None
    assert "no-such-backbone" in (absent.error or "")
    assert not (out / "gru").exists()


@pytest.mark.slow
def test_what_was_made_is_not_made_again_unless_it_was_damaged_or_the_plan_is_another(
    compared: Comparison, rendered: Path, cache: Path, out: Path
) -> None:
    before = times_written(out)
    again = compare(rendered, out, [MLP], cache=cache)
    assert times_written(out) == before
    assert again.rows[0].trained == compared.rows[1].trained

    (out / "mlp" / "model.json").write_bytes(b"damaged")
    assert compare(rendered, out, [MLP], cache=cache).rows[0].error is None
    after = times_written(out)
    assert after["mlp.json"] > before["mlp.json"]
    assert after["frame-vote.json"] == before["frame-vote.json"]


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.mark.slow
def test_the_command_shows_a_table_and_writes_the_reports(compared: Comparison, rendered: Path, cache: Path, out: Path) -> None:
    settings = [argument for name, value in QUICK.items() for argument in ("--set", f"{name}={value}")]
    result = run("compare", rendered, "--recipes", "mlp", "--out", out, "--folds", "2", "--cache", cache, *settings)
    assert result.exit_code == 0, result.output
    assert compared.rows[1].trained is not None
    assert str(compared.rows[1].trained.clip_top1) in result.stdout
    assert "| mlp | window |" in (out / "comparison.md").read_text()
    assert json.loads((out / "comparison.json").read_text())["recipes"][0]["recipe"] == "mlp"
    assert "</html>" in (out / "comparison.html").read_text()


def test_what_cannot_be_done_is_one_clear_line(rendered: Path, tmp_path: Path) -> None:
    assert "--recipes" in run("compare", rendered, "--out", tmp_path).stderr
    assert "did you mean" in run("compare", rendered, "--recipes", "grus", "--out", tmp_path).stderr
    assert "does not exist" in run("compare", tmp_path / "gone", "--recipes", "gru", "--out", tmp_path).stderr
    assert "NAME=VALUE" in run("compare", rendered, "--recipes", "gru", "--set", "window", "--out", tmp_path).stderr
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot be written"):
        write_whole(tmp_path / "file" / "comparison.md", "text")
