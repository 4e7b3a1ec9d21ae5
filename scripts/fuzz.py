"""Gives many mutated inputs to the real program, in a process of its own, and says what crashed, hung, grew, or got no clear answer.

python scripts/fuzz.py                               10,000 of each kind; a day, and of networks and bundles most of it
python scripts/fuzz.py 500 networks bundles          fewer, of these
python scripts/fuzz.py 1 networks --first 4711       that one again
python scripts/fuzz.py 5000 --first 5000 --out bad   the second half; what is found is written there

A kind is a function that gives a `Kind`; it is named in KINDS by its module and name. An input depends on the seed, the kind and its number alone.
"""

import argparse
import json
import os
import random
import select
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Literal

import psutil

from streamvc.errors import StreamvcError

ROOT = Path(__file__).parent.parent
KINDS = {
    "networks": "fuzz_models:networks",
    "bundles": "fuzz_models:bundles",
    "manifests": "fuzz_models:manifests",
    "videos": "fuzz_videos:videos",
    "configurations": "tests.publish.mutations:configurations",
    "messages": "tests.publish.mutations:messages",
    "requests": "tests.publish.mutations:requests",
}
NUM_INPUTS = 10_000
GROWTH_MB, PEAK_MB = 200.0, 1000.0  # of memory: kept from then on, and at any time

Outcome = Literal["used", "refused", "defect", "crash", "hang", "grew"]


@dataclass(frozen=True)
class Kind:
    """Inputs of one kind.

    Attributes:
        make: Makes an input, of this randomness alone.
        use: Gives an input to the program, as a file. `StreamvcError` is a refusal; any other error is a defect.
        file: The file's name.
        timeout_s: Seconds after which it hangs.
        num_first: Inputs after which the process has loaded all that it needs, and should not grow any more.
    """

    make: Callable[[random.Random], bytes]
    use: Callable[[Path], None]
    file: str
    timeout_s: float = 100.0
    num_first: int = 100


@dataclass(frozen=True)
class Finding:
    """What an input has done: its number, and the error, the signal or the megabytes."""

    number: int
    outcome: Outcome
    detail: str


@dataclass
class Result:
    """What came of the inputs of a kind."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    peak_mb: float = 0.0

    def add(self, number: int, outcome: Outcome, detail: str) -> None:
        self.outcomes[outcome] += 1
        if outcome == "refused":
            self.refusals[detail] += 1
        elif outcome != "used":
            self.findings.append(Finding(number, outcome, detail))


def find(kind: str) -> Kind:
    """The kind of this name, or of this `module:function`."""
    module, _, name = KINDS.get(kind, kind).partition(":")
    found: Kind = getattr(import_module(module), name)()
    return found


def randomness(kind: str, seed: int, number: int) -> random.Random:
    return random.Random(f"{kind} {seed} {number}")


def run(kind: str, num_inputs: int, *, seed: int = 0, first: int = 0, out: Path | None = None) -> Result:
    """Give so many inputs of a kind to the program; those that did something else than they may are written to `out`."""
    result, made = Result(), find(kind)
    numbers = iter(range(first, first + num_inputs))
    num_written, is_over = 0, False
    while not is_over:
        with tempfile.TemporaryDirectory(prefix="streamvc-fuzz-") as scratch:
            is_over = _serve_until_dead(kind, made, seed, numbers, result, scratch)
        for finding in result.findings[num_written:] if out else ():
            path = Path(out or "", f"{kind.replace(':', '-')}-{seed}-{finding.number}-{finding.outcome}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(made.make(randomness(kind, seed, finding.number)))
            path.with_name(f"{path.name}.txt").write_text(finding.detail, errors="replace")
        num_written = len(result.findings)
    return result


def _serve_until_dead(kind: str, made: Kind, seed: int, numbers: Iterator[int], result: Result, scratch: str) -> bool:
    """Feed one process, which may write to a folder of its own, until it ends, or there are no more inputs; True then."""
    environment = os.environ | {"TMPDIR": scratch}
    command = [sys.executable, __file__, "--serve", kind, "--seed", str(seed)]
    settled_mb, count = 0.0, 0
    pipe, null = subprocess.PIPE, subprocess.DEVNULL
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=null, text=True, cwd=ROOT, env=environment) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for count, number in enumerate(numbers):
            process.stdin.write(f"{number}\n")
            process.stdin.flush()
            ready, _, _ = select.select([process.stdout], [], [], made.timeout_s)
            answer = process.stdout.readline() if ready else None
            if not answer:
                _end(process)
                result.add(number, "hang" if answer is None else "crash", "" if answer is None else f"exit code {process.wait()}")
                return False
            outcome, detail, kept_mb, peak_mb = json.loads(answer)
            result.add(number, outcome, detail)
            result.peak_mb = max(result.peak_mb, peak_mb)
            settled_mb = kept_mb if count <= made.num_first else settled_mb
            if kept_mb > settled_mb + GROWTH_MB or peak_mb > PEAK_MB:
                result.add(number, "grew", f"to {kept_mb:.0f} MB from {settled_mb:.0f} MB, {peak_mb:.0f} MB at most")
                _end(process)
                return False
        process.stdin.close()
    return True


def _end(process: subprocess.Popen[str]) -> None:
    """End it, and what it has started."""
    try:
        children = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        children = []
    process.kill()
    for child in children:
        child.kill()


def serve(kind: str, seed: int) -> None:
    """Use the inputs whose numbers come on standard input; answer each with what came of it, and with the memory that is used."""
    made, memory = find(kind), psutil.Process()
    path = Path(tempfile.gettempdir(), made.file)
    for line in sys.stdin:
        path.write_bytes(made.make(randomness(kind, seed, int(line))))
        outcome, detail = _use(made, path)
        print(json.dumps([outcome, detail.replace(str(path), made.file), memory.memory_info().rss / 2**20, _peak_mb()]), flush=True)


def _peak_mb() -> float:
    """The most memory that this program has used. Not by `getrusage`, which counts that of the program that has started it, too."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def _use(made: Kind, path: Path) -> tuple[Outcome, str]:
    try:
        made.use(path)
    except StreamvcError as error:
        text = str(error)
        return ("refused", text) if text.isprintable() else ("defect", f"an error that is not one line: {text!a}")
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        return "defect", f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"
    return "used", ""


def mutated(content: bytes, rng: random.Random, others: list[bytes] | None = None) -> bytes:
    """Some content with one or a few changes: bytes, numbers, pieces that are lost, doubled, moved or from another one."""
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        place, length = rng.randrange(len(changed) + 1), rng.choice((1, 2, 4, 8, rng.randrange(1, 2000)))
        piece = slice(place, place + length)
        match rng.randrange(8):
            case 0 | 1 if place < len(changed):
                changed[place] ^= 1 << rng.randrange(8)
            case 2 if place < len(changed):
                changed[place] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
            case 3:
                changed[piece] = rng.choice((b"\xff", b"\0")) * len(changed[piece])
            case 4:
                number = rng.choice((0, 1, 2**31 - 1, 2**31, 2**32 - 1, rng.randrange(2**32)))
                changed[place : place + 4] = number.to_bytes(4, rng.choice(("little", "big")))
            case 5:
                changed[piece] = changed[piece] * rng.choice((0, 2))
            case 6:
                changed[place:place] = rng.choice(others or [content])[piece]
            case _:
                del changed[max(place, len(changed) - 5000) :]
    return bytes(changed)


def report(kind: str, result: Result, seconds: float) -> str:
    counts = ", ".join(f"{count} {outcome}" for outcome, count in result.outcomes.most_common())
    lines = [f"{kind:12} {seconds:7.0f} s  at most {result.peak_mb:.0f} MB  {counts}"]
    lines += [f"    {finding.outcome:7} {finding.number:6}  {finding.detail}" for finding in result.findings[:50]]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("num_inputs", nargs="?", type=int, default=NUM_INPUTS)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of: {', '.join(KINDS)}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--out", type=Path, help="folder for inputs that did what they may not")
    parser.add_argument("--serve", metavar="KIND", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve, arguments.seed)
        return 0
    is_bad = False
    for kind in arguments.kinds or KINDS:
        began = time.monotonic()
        result = run(kind, arguments.num_inputs, seed=arguments.seed, first=arguments.first, out=arguments.out)
        print(report(kind, result, time.monotonic() - began), flush=True)
        is_bad = is_bad or bool(result.findings)
    return int(is_bad)


if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]
    from fuzz import main as fuzz_main  # as kinds import it: one class `Kind`, not two

    raise SystemExit(fuzz_main())
