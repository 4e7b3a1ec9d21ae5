"""Throws many inputs at every parser and socket of the event feed, and says how many, how long it took, and how much memory it left behind.

python scripts/fuzz_events.py                 10,000 inputs each
python scripts/fuzz_events.py 500 -k sockets  fewer, with arguments for pytest
"""

import os
import sys
import time
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parent.parent
NUM_INPUTS = 10_000
FILES = ("tests/publish/test_fuzz.py", "tests/publish/test_fuzz_sockets.py")


class Figures:
    """Prints a line for each test; memory is that of the program at the other end of the socket."""

    def __init__(self, num_inputs: int) -> None:
        self._num_inputs = num_inputs

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> object:
        before, began = _others_mb(), time.monotonic()
        try:
            return (yield)
        finally:
            name = item.name.removeprefix("test_").replace("_", " ")
            grown = f"{_others_mb() - before:+7.1f} MB" if before else ""
            print(f"\n{name:60} {self._num_inputs:6} inputs {time.monotonic() - began:7.1f} s {grown}", end="  ")


def _others_mb() -> float:
    return float(sum(child.memory_info().rss for child in psutil.Process().children()) / 1024**2)


def main(arguments: list[str]) -> int:
    """Run the tests with so many inputs; returns pytest's exit code."""
    num_inputs = int(arguments.pop(0)) if arguments and arguments[0].isdigit() else NUM_INPUTS
    os.environ["STREAMVC_FUZZ_INPUTS"] = str(num_inputs)
    options = ["-s", "--no-header", "-p", "no:cacheprovider", "--timeout", "0", "--rootdir", str(ROOT)]
    return pytest.main([*options, *(str(ROOT / file) for file in FILES), *arguments], plugins=[Figures(num_inputs)])


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    os.chdir(ROOT)
    raise SystemExit(main(sys.argv[1:]))
