"""Breaks the core on purpose, one small change at a time, and sees whether the tests notice: a mutant that no test kills shows what no test sees.

    scripts/mutate [NAME ...] [--list] [--jobs 2]

The mutants stand in `mutants.toml`, each with its file, a text that is in it once, what is put there instead, and the tests that should see it. Each
is put into a copy of the tree, never into this one. Prints which were killed, and by which test. The exit code is 1 where fewer than 95 % were, or
where one could not be tried: its text is not there (once) any more, or its tests fail as they are.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Literal

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

ROOT = Path(__file__).resolve().parent.parent
MUTANTS = ROOT / "scripts" / "mutants.toml"
BAR = 0.95  # share of the mutants that must be killed
TIME_LIMIT_S = 300.0  # for the tests of a mutant; those of one that hangs have seen it
CHECK_LIMIT_S = 1200.0  # for the tests of all mutants, as they are
PASSED, FAILED = 0, 1  # exit codes of pytest; the others mean that nothing was tested
FIRST_FAILED = re.compile(r"^(?:FAILED|ERROR) \S*?(\w+\.py::\S+)", re.MULTILINE)

Outcome = Literal["killed", "survived", "untried"]


@dataclass(frozen=True, slots=True)
class Mutant:
    """A change of a file, and what is to notice it: arguments of pytest."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    @property
    def problem(self) -> str | None:
        """Why it cannot be tried; None where it can."""
        path = ROOT / self.file
        if not path.is_file():
            return f"there is no {self.file} any more"
        number = path.read_text(encoding="utf-8").count(self.old)
        if number != 1:
            return f"its text stands {number} times in {self.file}, it must be there once: change it in {MUTANTS.name} as {self.file} was changed"
        if missing := [test for test in self.tests if not (ROOT / test.partition("::")[0]).exists()]:
            return f"there is no {missing[0]} any more"
        return None


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a mutant: which test has seen it, or why it was not tried."""

    mutant: Mutant
    outcome: Outcome
    why: str
    seconds: float


def read_mutants() -> list[Mutant]:
    with MUTANTS.open("rb") as file:
        return [Mutant(name, **(fields | {"tests": tuple(fields["tests"])})) for name, fields in tomllib.load(file).items()]


def copy_tree(folder: Path) -> Path:
    """A copy of what git knows of the tree, or could."""
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True)
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def run_tests(tree: Path, tests: tuple[str, ...], limit_s: float) -> tuple[int | None, str]:
    """The exit code of pytest, None after so long, and what it has printed."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    environment = os.environ | {"PYTHONPATH": str(tree), "TF_CPP_MIN_LOG_LEVEL": "3"}
    with subprocess.Popen(
        command, cwd=tree, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as process:
        try:
            said, _ = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            return None, ""
        finally:
            with suppress(ProcessLookupError):  # all that the tests have started ends with them
                os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, said


def try_mutant(mutant: Mutant, trees: "SimpleQueue[Path]") -> Result:
    """Put a mutant into a copy of the tree, run its tests there, and take it out again."""
    tree = trees.get()
    path = tree / mutant.file
    text = path.read_text(encoding="utf-8")
    begun = time.monotonic()
    try:
        write(path, text.replace(mutant.old, mutant.new))
        code, said = run_tests(tree, mutant.tests, TIME_LIMIT_S)
    finally:
        write(path, text)
        trees.put(tree)
    seconds = time.monotonic() - begun
    if code is None:
        return Result(mutant, "killed", f"its tests do not end within {TIME_LIMIT_S:g} s", seconds)
    if code == PASSED:
        return Result(mutant, "survived", "", seconds)
    if code == FAILED or code < 0:
        found = FIRST_FAILED.search(said)
        return Result(mutant, "killed", found[1] if found else f"exit code {code}", seconds)
    return Result(mutant, "untried", f"pytest ends with exit code {code}:\n{said[-2000:]}", seconds)


def write(path: Path, text: str) -> None:
    """Write a module; what was compiled of it goes, as Python tells old from new by the second alone."""
    path.write_text(text, encoding="utf-8")
    for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*"):
        compiled.unlink()


def try_all(mutants: list[Mutant], num_jobs: int, console: Console) -> list[Result]:
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder, Progress(console=console, transient=True) as progress:
        trees: SimpleQueue[Path] = SimpleQueue()
        for number in range(num_jobs):
            trees.put(copy_tree(Path(folder, str(number))))
        task = progress.add_task("their tests, as they are", total=None)
        tree = trees.get()
        code, said = run_tests(tree, tuple(sorted({test for mutant in mutants for test in mutant.tests})), CHECK_LIMIT_S)
        trees.put(tree)
        if code != PASSED:
            console.print(said[-4000:] or "they do not end", markup=False)
            sys.exit("the tests fail without any mutant; mend them first")
        progress.update(task, description="mutants", total=len(mutants))
        results = []
        with ThreadPoolExecutor(num_jobs) as pool:
            try:
                for done in as_completed([pool.submit(try_mutant, mutant, trees) for mutant in mutants]):
                    results.append(result := done.result())
                    print_result(result, console)
                    progress.advance(task)
            finally:
                pool.shutdown(cancel_futures=True)  # where this was interrupted
        return results


def print_result(result: Result, console: Console) -> None:
    colour = {"killed": "green", "survived": "red", "untried": "yellow"}[result.outcome]
    console.print(f"[{colour}]{result.outcome:8}[/] {result.mutant.name} [dim]{result.seconds:.1f} s {escape(result.why)}[/]", highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="of mutants; all if none is given")
    parser.add_argument("--list", action="store_true", help="print the mutants, and try none")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many are tried at a time")
    arguments = parser.parse_args()
    console = Console(soft_wrap=True)
    mutants = read_mutants()
    if unknown := sorted(set(arguments.names) - {mutant.name for mutant in mutants}):
        sys.exit(f"there is no mutant {unknown[0]}; see --list")
    mutants = [mutant for mutant in mutants if not arguments.names or mutant.name in arguments.names]
    if arguments.list:
        for mutant in mutants:
            console.print(f"{mutant.name} [dim]{mutant.file}: {escape(' '.join(mutant.tests))}[/]", highlight=False)
        return
    if problems := [f"{mutant.name}: {mutant.problem}" for mutant in mutants if mutant.problem]:
        sys.exit("\n".join(problems))
    results = try_all(mutants, min(arguments.jobs, len(mutants)), console)
    num_killed = sum(result.outcome == "killed" for result in results)
    for outcome in ("survived", "untried"):
        if named := sorted(result.mutant.name for result in results if result.outcome == outcome):
            console.print(f"{outcome}: {', '.join(named)}", highlight=False)
    console.print(f"{num_killed} of {len(results)} mutants killed ({num_killed / len(results):.0%})", highlight=False)
    sys.exit(num_killed < BAR * len(results) or any(result.outcome == "untried" for result in results))


if __name__ == "__main__":
    main()
