"""The documents are right: their Python runs, and the commands, options, files and headings that they name exist.

A comment on the line before a fence of Python says what its reader has beside it:

    <!-- given: CODE -->        runs before it
    <!-- endless -->            it receives events until it is stopped: a camera is watched meanwhile, and it must print something
    <!-- not run: REASON -->    it needs what is not here
"""

import re
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from streamvc.bench.latency import free_port
from streamvc.bench.start import STREAMVC
from streamvc.cli import main

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
SCRIPTS = "".join(script.read_text(encoding="utf-8") for script in (ROOT / "scripts").iterdir() if script.is_file())
PATIENCE_S = 90
NODE = """
publish: tcp://127.0.0.1:{port}
http: null
log: null
cameras:
  - {{name: yard, source: clip.mp4, models: [figure]}}
"""

FENCE = re.compile(r"^(?:<!-- *(?P<comment>.*?) *-->\n)?```(?P<language>\w*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
KINDS = ("", "given", "endless", "not run")


@dataclass(frozen=True, slots=True)
class Fence:
    """Python in a document. `kind` and `words` are those of the comment before it."""

    place: str
    code: str
    kind: str
    words: str


def python_fences(document: Path) -> Iterator[Fence]:
    """The fences of a document, each behind the imports of those before it."""
    text, imports = document.read_text(encoding="utf-8"), ""
    for found in FENCE.finditer(text):
        if found["language"] != "python":
            continue
        kind, _, words = (found["comment"] or "").partition(": ")
        assert kind in KINDS, f"{document}: a comment before a fence begins with one of {KINDS}"
        assert words or kind != "not run", f"{document}: why is it not run?"
        yield Fence(f"{document.name}:{text.count(chr(10), 0, found.start('code')) + 1}", imports + found["code"], kind, words)
        imports += "".join(f"{line}\n" for line in found["code"].splitlines() if line.startswith(("import ", "from ")))


FENCES = [fence for document in DOCUMENTS for fence in python_fences(document)]


@pytest.fixture
def port() -> int:
    return free_port()


def program(folder: Path, clip: Path, fence: Fence, port: int) -> list[str | Path]:
    """The command that runs a fence in a folder with what documents take for granted. There is no webcam here: the clip stands for it."""
    shutil.copy(clip, folder / "clip.mp4")
    (folder / "models").symlink_to(ROOT / "models")
    (folder / "node.yaml").write_text(NODE.format(port=port))
    given = fence.words if fence.kind == "given" else ""
    code = f"{given}\n{fence.code}".replace('"0"', '"clip.mp4"').replace(":7788", f":{port}").replace(":7789", f":{port + 1}")
    (folder / "program.py").write_text(code, encoding="utf-8")
    return [sys.executable, "-u", folder / "program.py"]


def fences_of(*kinds: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("fence", [fence for fence in FENCES if fence.kind in kinds], ids=lambda fence: fence.place)


@fences_of("", "given")
def test_python_in_documents_runs(fence: Fence, demo_clip: Path, port: int, tmp_path: Path) -> None:
    result = subprocess.run(program(tmp_path, demo_clip, fence, port), cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE_S)
    assert (result.returncode, result.stderr) == (0, "")


@fences_of("endless")
def test_python_that_receives_events_receives_some(fence: Fence, demo_clip: Path, port: int, tmp_path: Path) -> None:
    command = program(tmp_path, demo_clip, fence, port)
    watch = [*STREAMVC, "watch", "clip.mp4", "-m", "figure", "--camera", "yard", "--headless", "--pace", "--no-log", "--wait-for-subscriber", "30"]
    with (
        subprocess.Popen([*watch, "--publish", f"tcp://127.0.0.1:{port}"], cwd=tmp_path, stdout=subprocess.DEVNULL) as publisher,
        subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as reader,
    ):
        give_up = threading.Timer(PATIENCE_S, reader.kill)
        give_up.start()
        assert reader.stdout
        line = reader.stdout.readline()
        give_up.cancel()
        reader.kill()
        publisher.terminate()
    assert line


def commands(text: str) -> Iterator[str]:
    """Commands of streamvc: each line of a fence, or inline code."""
    for found in FENCE.finditer(text):
        if found["language"] in ("", "bash", "sh"):
            yield from re.sub(r"\\\n\s*", " ", found["code"]).splitlines()
    text = FENCE.sub("", text)
    yield from re.findall(r"`([^`\n]+)`", text.replace(r"\|", "|"))
    yield from (line.strip() for line in re.sub(r"\\\n\s*", " ", text).splitlines() if line.startswith("    "))


def words_of(command: str) -> list[str]:
    try:
        words = shlex.split(command, comments=True)
    except ValueError:  # an apostrophe of prose
        return []
    return words[1:] if words[:1] == ["streamvc"] else []


def wrong_in(words: list[str]) -> str | None:
    """The first word that is no command, or no option of it."""
    commands: list[click.Command] = [main]
    for number, word in enumerate(words):
        group = commands[0]
        if not isinstance(group, click.Group) or not re.match("[a-z]", word):
            break
        names = word.strip(",").split("|")
        if "." in word:  # `streamvc node node.yaml` is `streamvc node run node.yaml`
            names = ["run"]
        if unknown := [name for name in names if name not in group.commands]:
            return unknown[0] if number == 0 or len(names) > 1 or word.isalpha() else None
        commands = [group.commands[name] for name in names]
    known = {option for command in commands for option in options_of(command)}
    return next((word for word in words if word.startswith("--") and re.split(r"[=\[\],]", word)[0] not in known), None)


def options_of(command: click.Command) -> set[str]:
    return {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}


USES = [
    (document, command) for document in DOCUMENTS for command in dict.fromkeys(commands(document.read_text(encoding="utf-8"))) if words_of(command)
]


@pytest.mark.parametrize(("document", "command"), USES, ids=lambda value: value.name if isinstance(value, Path) else value)
def test_commands_and_options_in_documents_exist(document: Path, command: str) -> None:
    assert wrong_in(words_of(command)) is None


def test_options_that_are_named_alone_exist() -> None:
    known = {option for command in all_commands(main) for option in options_of(command)}
    named = {
        (document.name, option)
        for document in DOCUMENTS
        for text in re.findall(r"`(--[^`\n]+)`", document.read_text(encoding="utf-8"))
        for option in re.findall(r"(?<!\S)--[a-z][a-z0-9-]*", text)
    }
    assert {(document, option) for document, option in named if option not in known and option not in SCRIPTS} == set()


def all_commands(command: click.Command) -> Iterator[click.Command]:
    yield command
    if isinstance(command, click.Group):
        for each in command.commands.values():
            yield from all_commands(each)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_links_within_the_repository_lead_somewhere(document: Path) -> None:
    for found in LINK.finditer(FENCE.sub("", document.read_text(encoding="utf-8"))):
        target, _, heading = found["target"].partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        file = document.parent / target if target else document
        assert file.exists(), found["target"]
        if heading:
            assert heading in anchors(file), found["target"]


def anchors(document: Path) -> set[str]:
    """The names of headings, as links call them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_files_that_are_named_are_there(document: Path) -> None:
    """Paths from the top of the repository, or from the package."""
    text = FENCE.sub("", document.read_text(encoding="utf-8")).partition("\n## Old names")[0]
    named = set(re.findall(r"`((?:streamvc|scripts|tests|docs|deploy|capture|inference|training|publish|sinks|node|view)/[\w./]*\w)`", text))
    assert {path for path in named if not ((ROOT / path).exists() or (ROOT / "streamvc" / path).exists())} == set()
