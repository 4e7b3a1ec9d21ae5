import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from streamvc.cli import main
from streamvc.inference.bundle import load_bundle, write_bundle
from streamvc.inference.manifest import BundleSettings
from streamvc.publish.publisher import Publisher
from tests.capture.videos import plain, write_video
from tests.publish.samples import START
from tests.training.clips import render


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def assert_one_clear_line(result: Result, *words: str) -> None:
    """An error is one line on standard error, exit code 1, and says what it is about."""
    assert result.exit_code == 1, result.output
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    for word in words:
        assert word in lines[0]


def test_help_loads_none_of_the_heavy_libraries() -> None:
    heavy = ("numpy", "cv2", "av", "zmq", "tensorflow", "pydantic", "ai_edge_litert", "matplotlib")
    code = f"import sys; sys.argv[1:] = ['--help']; import atexit; atexit.register(lambda: print([m for m in {heavy!r} if m in sys.modules]))\n"
    code += "from streamvc.cli import main; main()"
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert printed.splitlines()[-1] == "[]"


def commands(group: click.Group = main, *above: str) -> Iterator[tuple[str, ...]]:
    """All commands and groups of them."""
    yield above
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, *above, name)
        else:
            yield *above, name


@pytest.mark.parametrize("command", list(commands()), ids=" ".join)
def test_each_command_has_help_with_examples_and_exit_codes(command: tuple[str, ...]) -> None:
    result = run(*command, "--help")
    assert result.exit_code == 0
    assert f"streamvc {' '.join(command).removesuffix(' run')} ".rstrip() in result.output.split("Examples:")[1]
    assert "Exit codes: 0 done" in result.output


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_for_the_shell(shell: str) -> None:
    assert "_STREAMVC_COMPLETE" in run("completion", shell).output


def test_model_names_are_completed() -> None:
    environment = {"COMP_WORDS": "streamvc watch 0 --model fig", "COMP_CWORD": "4", "_STREAMVC_COMPLETE": "bash_complete"}
    result = CliRunner().invoke(main, [], env=environment, prog_name="streamvc")
    assert "figure" in result.output


def test_events_of_a_file_are_printed_and_the_frames_counted(demo_clip: Path) -> None:
    result = run("watch", demo_clip, "--model", "figure", "--headless", "--no-publish", "--update-s", "0")
    assert result.exit_code == 0, result.output
    phases = [line.split()[3] for line in result.stdout.splitlines()]
    assert phases == ["start", "end"] * (len(phases) // 2)
    assert phases
    assert " 0 dropped, 0 corrupt" in result.stderr


def test_json_events_are_cloudevents(demo_clip: Path) -> None:
    result = run("watch", demo_clip, "--model", "figure", "--headless", "--no-publish", "--json")
    first = json.loads(result.stdout.splitlines()[0])
    assert first["specversion"] == "1.0"
    assert first["type"] == "dev.streamvc.activity.start.v2"
    assert first["data"]["camera"] == "figure"


def test_the_annotated_video_is_written(demo_clip: Path, tmp_path: Path) -> None:
    video = tmp_path / "annotated.mp4"
    run("watch", demo_clip, "--model", "figure", "--headless", "--no-publish", "--save", video)
    again = run("watch", video, "--model", "figure", "--headless", "--no-publish", "--update-s", "0")
    assert " 0 corrupt" in again.stderr
    assert int(again.stderr.split(" frames")[0].split()[-1]) > 600


def test_classify_ranks_all_labels(demo_clip: Path) -> None:
    result = run("classify", demo_clip, "--model", "figure", "--json")
    ranking = json.loads(result.stdout)["ranking"]
    probabilities = [probability for _, probability in ranking]
    assert sum(probabilities) == pytest.approx(1.0, abs=1e-5)
    assert probabilities == sorted(probabilities, reverse=True)
    lines = run("classify", demo_clip, "--model", "figure").stdout.splitlines()
    assert [line.split()[0] for line in lines] == [label for label, _ in ranking]


def test_classify_writes_a_gif_and_leaves_none_of_a_clip_it_can_say_nothing_of(tmp_path: Path) -> None:
    render(tmp_path / "clip.mp4", "cross", actor=1)
    render(tmp_path / "short.mp4", "cross", actor=1, seconds=0.3)
    found = json.loads(run("classify", tmp_path / "clip.mp4", "--model", "figure", "--gif", tmp_path / "clip.gif", "--json").stdout)
    assert found == json.loads(run("classify", tmp_path / "clip.mp4", "--model", "figure", "--json").stdout)
    assert (tmp_path / "clip.gif").read_bytes().startswith(b"GIF89a")
    assert_one_clear_line(run("classify", tmp_path / "short.mp4", "--model", "figure", "--gif", tmp_path / "short.gif"), "too short")
    assert_one_clear_line(run("classify", tmp_path / "clip.mp4", "--model", "figure", "--gif", tmp_path / "clip.png"), "name it .gif")
    assert {entry.name for entry in tmp_path.iterdir()} == {"clip.mp4", "short.mp4", "clip.gif"}


def test_a_missing_file_and_an_empty_one(tmp_path: Path) -> None:
    assert_one_clear_line(run("watch", tmp_path / "gone.mp4", "--headless", "--no-publish"), "gone.mp4")
    empty = tmp_path / "empty.mp4"
    empty.touch()
    assert_one_clear_line(run("classify", empty), "empty.mp4")


def test_a_model_that_does_not_exist_and_one_that_is_almost_right(demo_clip: Path) -> None:
    assert_one_clear_line(run("watch", demo_clip, "--model", "exercises", "--headless", "--no-publish"), "exercises", "exercise")
    assert_one_clear_line(run("classify", demo_clip, "--model", "/nowhere"), "/nowhere")


def test_a_port_in_use(demo_clip: Path) -> None:
    with Publisher("tcp://127.0.0.1:*") as publisher:
        result = run("watch", demo_clip, "--model", "figure", "--headless", "--publish", publisher.endpoint)
    assert_one_clear_line(result, publisher.endpoint, "use")


def test_a_wrong_option_is_a_usage_error(demo_clip: Path) -> None:
    assert run("watch", demo_clip, "--no-such-option").exit_code == 2
    assert run("watch", demo_clip, "--enter", "1.5").exit_code == 2
    crossed = run("watch", demo_clip, "--model", "figure", "--headless", "--no-publish", "--enter", "0.3", "--leave", "0.6")
    assert crossed.exit_code == 2
    assert "leave" in crossed.stderr


def test_a_model_is_packed_and_installed_elsewhere(tmp_path: Path) -> None:
    packed = run("models", "pack", "figure", "--out", tmp_path / "figure.zip")
    assert packed.exit_code == 0, packed.output
    assert "MB" in packed.stdout
    installed = run("models", "install", tmp_path / "figure.zip", "--to", tmp_path / "models")
    assert installed.stdout == f"{tmp_path / 'models' / 'figure'}: ok\n"
    assert len(installed.stderr.splitlines()) == 7
    assert "0.11 MB  figure/step.tflite" in installed.stderr
    assert run("models", "check", tmp_path / "models" / "figure").exit_code == 0
    assert_one_clear_line(run("models", "install", tmp_path / "figure.zip", "--to", tmp_path / "models"), "--overwrite")
    assert_one_clear_line(run("models", "install", tmp_path / "gone.zip", "--to", tmp_path / "models"), "gone.zip")


def test_models_are_listed_shown_and_checked() -> None:
    names = {row["name"] for row in json.loads(run("models", "list", "--json").stdout)}
    assert {"exercise", "cctv-fight", "figure"} <= names
    assert "figure" in run("models", "show", "figure").stdout
    assert json.loads(run("models", "show", "figure", "--json").stdout)["name"] == "figure"
    checked = run("models", "check")
    assert checked.exit_code == 0, checked.output
    assert "exercise: ok" in checked.stdout
    missing = run("models", "check", "figure", "no-such-model")
    assert missing.exit_code == 1
    assert "no-such-model" in missing.stderr


def test_recipes_are_listed_with_their_settings() -> None:
    listed = {recipe["name"]: recipe for recipe in json.loads(run("recipes", "--json").stdout)}
    assert {recipe["streams"] for recipe in listed.values()} == {"step", "window", "clip"}
    assert listed["gru"]["streams"] == "step"
    assert listed["bilstm"]["streams"] == "window"
    assert listed["c3d"]["streams"] == "clip"
    assert all(recipe["trains"] and recipe["exports"] for recipe in listed.values())
    assert all(name in run("recipes").stdout for name in listed)
    assert "units             64,64" in run("recipes", "conv1d").stdout
    assert json.loads(run("recipes", "gru-classic", "--json").stdout)["units"] == [16, 8]
    assert_one_clear_line(run("recipes", "conv2d"), "did you mean conv1d")


def test_subscribe_prints_what_is_published() -> None:
    with Publisher("tcp://127.0.0.1:*") as publisher, ThreadPoolExecutor(1) as pool:

        def publish() -> None:
            assert publisher.wait_for_subscriber(20.0)
            for event in (START, replace(START, label="Lunges")):
                publisher.publish(event)

        publishing = pool.submit(publish)
        result = run("subscribe", publisher.endpoint, "--label", "Lunges", "--count", "1", "--timeout", "20", "--json")
        publishing.result()
    assert result.exit_code == 0, result.output
    body = json.loads(result.stdout)
    assert body["data"]["label"] == "Lunges"
    assert body["data"]["seq"] == 2


def test_a_subscriber_that_hears_nothing_leaves_after_its_time() -> None:
    with Publisher("tcp://127.0.0.1:*") as publisher:
        result = run("subscribe", publisher.endpoint, "--timeout", "0.2")
    assert (result.exit_code, result.stdout) == (0, "")


def test_one_broken_bundle_hides_no_other_from_the_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMVC_MODELS", str(tmp_path))
    for name, text in {"broken": "{", "evil\x1b[2J": "[]"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.json").write_text(text)
    for options in ([], ["--json"]):
        listed = run("models", "list", *options)
        assert listed.exit_code == 1
        assert "figure" in listed.stdout
        assert "broken: " in listed.stderr
        assert r"evil\x1b[2J: " in listed.stderr
        assert "\x1b" not in listed.output


def test_a_card_with_escapes_is_refused_by_the_check_and_shown_without_them(tmp_path: Path) -> None:
    files = {name: (load_bundle("figure").path / name).read_bytes() for name in ("project.tflite", "step.tflite")}
    settings = BundleSettings(**load_bundle("figure").manifest.model_dump(by_alias=True, exclude={"files"}))
    bundle = write_bundle(tmp_path / "mine", settings, {**files, "CARD.md": b"# Mine\n\n\x1b]0;title\x07 \xe2\x80\xae \xff\n"})
    shown = run("models", "show", bundle.path).stdout
    assert shown.endswith("# Mine\n\n\\x1b]0;title\\x07 \\u202e \ufffd\n\n")
    assert_one_clear_line(run("models", "show", tmp_path / "\x1b[2J"), r"\x1b[2J")
    checked = run("models", "check", bundle.path)
    assert (checked.exit_code, checked.stdout) == (1, "")
    assert "CARD.md: is no UTF-8 text" in checked.stderr
    for card in (b"\x1b]0;title\x07", "\u202e".encode(), b"x" * 1_100_000):
        write_bundle(tmp_path / "mine", settings, {**files, "CARD.md": card})
        assert "a card is text of up to 1 MB" in run("models", "check", bundle.path).stderr


def test_a_clip_of_less_than_a_frame_a_second_has_too_few_of_them(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clip = write_video(tmp_path / "slow.mp4", map(plain, range(12)), fps=1, ticks=range(0, 24, 2))
    short = "not enough frames for figure, which needs 2 a second"
    refused = run("classify", clip, "--model", "figure")
    assert refused.exit_code == 1
    assert f"slow.mp4: {short}" in refused.stderr
    assert run("watch", clip, "--model", "figure", "--headless", "--no-publish").exit_code == 0
    assert "slow: its pictures are 2.0 s apart, so that nothing can be recognised" in caplog.text


def test_a_rate_that_is_too_low_for_a_model_is_refused(demo_clip: Path) -> None:
    watched = run("watch", demo_clip, "--model", "fall", "--rate-hz", "2", "--headless", "--no-publish")
    assert_one_clear_line(watched, "fall needs 2.5 frames/s at least, and rate_hz allows 2")
    assert "at 5 Hz, 2.5 at least" in run("models", "show", "fall").stdout
