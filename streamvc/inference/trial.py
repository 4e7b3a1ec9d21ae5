"""Networks are run once in a process of their own before this one runs them: a single damaged byte can crash a runtime, which no `except` catches.

What passed is remembered by its content, in this process and on disk, so that it is tried once and starting stays quick.
"""

import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
from contextlib import suppress
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from streamvc.errors import InferenceError
from streamvc.types import Array

if TYPE_CHECKING:
    from streamvc.inference.runtime import Model

VERSION = 1  # raise it when more is tried
TIMEOUT_S = 60.0  # for all of it; the largest network that ships takes 0.1 s
MOST_MEMORY = 4 << 30  # bytes of address space besides what the file itself may need
PER_BYTE = 20  # of the file
MOST_WRITTEN = 1 << 20  # bytes of a file: of its messages
MOST_CPU_S = 60  # of processors, also where nobody waits for it any more
NUM_RUNS = 2

_passed: set[str] = set()


def try_out(path: Path, content: bytes, package: str, edge: str) -> None:
    """Run a network in a process of its own, unless that was done before.

    Args:
        path: Where it lies, for messages.
        content: The file.
        package: The package of the runtime.
        edge: The module of ours that is its edge.

    Raises:
        InferenceError: The runtime refuses it, dies of it or does not come to an end, or its outputs are no finite numbers.
    """
    key = hashlib.sha256(f"{VERSION} {package} {_version(package)} {hashlib.sha256(content).hexdigest()}".encode()).hexdigest()
    mark = _folder() / key
    if key in _passed or mark.is_file():
        return
    if problem := _run(path, content, edge):
        raise InferenceError(f"{path}: {problem}")
    _passed.add(key)
    with suppress(OSError):  # then it is tried again next time
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()


def _run(path: Path, content: bytes, edge: str) -> str | None:
    """Why it cannot be used."""
    own = ("HOME", "LD_LIBRARY_PATH", "PATH", "SYSTEMROOT")
    environment = {name: os.environ[name] for name in own if name in os.environ} | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-P", "-m", "streamvc.inference.trial", edge]
    try:
        done = subprocess.run(command, input=content, capture_output=True, env=environment, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return f"it did not come to an end within {TIMEOUT_S:.0f} s when it was tried in a process of its own; get it again"
    except OSError as error:
        return f"it cannot be tried in a process of its own: {error.strerror}"
    if done.returncode < 0:
        name = next((known.name for known in signal.Signals if known == -done.returncode), f"signal {-done.returncode}")
        return f"the runtime dies of it ({name}, in a process of its own): the file is damaged, get it again"
    try:
        problem: str | None = json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        return f"it cannot be tried in a process of its own (exit code {done.returncode}): {''.join(last)}"
    return problem.removeprefix(f"{PLACE}: ").replace(str(PLACE), path.name) if problem else None


def _version(package: str) -> str:
    try:
        return version(package.replace("_", "-"))
    except PackageNotFoundError:
        return ""


def _folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "streamvc" / "tried"


PLACE = Path("network.tflite")  # what the process calls the file, which it is given the content of


def main() -> None:
    """Read a network from standard input, run it, and print what is wrong with it as JSON: null for nothing."""
    content = sys.stdin.buffer.read()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_CPU_S, MOST_CPU_S))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MOST_WRITTEN, MOST_WRITTEN))
    module = import_module(sys.argv[1])
    most = MOST_MEMORY + PER_BYTE * len(content)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    try:
        problem = _problem(module.open_model(content, PLACE, 1))
    except InferenceError as error:
        problem = str(error)
    except MemoryError:
        problem = "it needs more memory than a network of its size can"
    print(json.dumps(problem), flush=True)


def _problem(model: "Model") -> str | None:
    for number in range(NUM_RUNS):
        values = np.random.default_rng(number).uniform(0, 1, model.input.shape)
        if not np.isfinite(_outputs(model, model.input.encode(values))).all():
            return "its outputs are no finite numbers"
    return None


def _outputs(model: "Model", values: Array) -> NDArray[np.float32]:
    return model.run(lambda tensor: np.copyto(tensor, values))


if __name__ == "__main__":
    main()
