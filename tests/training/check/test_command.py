"""`streamvc data check` as a user calls it."""

import json
import shutil
from pathlib import Path

import jsonschema
from click.testing import CliRunner, Result

from streamvc.cli import main

NUMBER = {"type": "number"}
COUNTS = {"type": "object", "additionalProperties": {"type": "integer"}}
SCHEMA = {
    "type": "object",
    "required": ["usable", "num_clips", "num_groups", "grouping", "labels", "lengths_s", "rates", "sizes", "codecs", "ignored", "problems"],
    "properties": {
        "labels": {"additionalProperties": {"required": ["num_clips", "num_groups", "seconds", "num_train", "num_test"]}},
        "lengths_s": {"required": ["min", "median", "max"], "additionalProperties": NUMBER},
        **dict.fromkeys(("rates", "sizes", "codecs"), COUNTS),
        "problems": {"items": {"required": ["kind", "text", "items", "is_fatal"]}},
    },
}


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["data", "check", *map(str, arguments)])


def test_what_there_is_is_printed(rendered: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(rendered, tmp_path / "data"))
    (data / "cross" / ".DS_Store").touch()
    (data / "jump" / "notes.txt").touch()
    result = run(data, "--sheet", tmp_path / "sheet.png")
    assert result.exit_code == 0, result.output
    for line in (
        "cross         4       4       12",
        "together      8       4       24",
        "groups           by file names (_g08_)",
        "lengths          3.0 to 3.0 s, median 3.0 s",
        "frames/s         10 (8)",
        "sizes            160x120 (8)",
        "codecs           mpeg4 (8)",
        "passed over      1 *.txt",
        "left by systems  1 .DS_Store",
        "no problems",
    ):
        assert line in result.stdout.splitlines()
    assert (tmp_path / "sheet.png").stat().st_size > 1000


def test_json_holds_it_all(rendered: Path) -> None:
    found = json.loads(run(rendered, "--json").stdout)
    jsonschema.validate(found, SCHEMA)
    assert (found["num_clips"], found["usable"], found["problems"]) == (8, True, [])


def test_a_pattern_of_groups_can_be_given(rendered: Path) -> None:
    found = json.loads(run(rendered, "--json", "--group", r"g0([01])|g(\d+)").stdout)
    assert (found["grouping"], found["num_groups"]) == ("pattern", 4)


def test_what_makes_training_impossible_is_exit_code_1(rendered: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(rendered, tmp_path / "data"))
    for path in (data / "jump").iterdir():
        path.write_bytes(b"")
    result = run(data)
    assert result.exit_code == 1
    assert "error: 1 label without a clip that can be used" in result.stdout
    assert "warning: 4 videos that cannot be read will be skipped" in result.stdout
    shutil.rmtree(data / "jump")
    result = run(data)
    assert result.exit_code == 1
    assert "the one label cross" in result.stderr


def test_of_many_only_the_first_are_printed(rendered: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(rendered, tmp_path / "data"))
    for number in range(7):
        (data / "jump" / f"v_jump_g09_c{number}.mp4").write_bytes(b"")
    lines = run(data).stdout.splitlines()
    assert lines[-1] == "  and 2 more; --json names all"
    assert sum("the file is empty" in line for line in lines) == 5


def test_no_name_of_a_file_is_obeyed_by_a_terminal(rendered: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(rendered, tmp_path / "data"))
    (data / "jump" / "v_jump_g09_\x1b[2J\u202e.mp4").write_bytes(b"")
    shown = run(data).stdout
    assert r"\x1b[2J\u202e" in shown
    assert all(line.isprintable() for line in shown.splitlines())
