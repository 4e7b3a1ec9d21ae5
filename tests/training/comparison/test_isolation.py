import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from streamvc.training.comparison.isolation import run_isolated
from streamvc.training.dataset import load_dataset


def test_work_is_done_by_another_process_which_may_print(tmp_path: Path) -> None:
    code = f"import os; print('hello'); open({str(tmp_path / 'done')!r}, 'w').write(str(os.getpid()))"
    assert run_isolated(partial(exec, code)) is None
    assert int((tmp_path / "done").read_text()) != os.getpid()


@pytest.mark.parametrize(
    ("code", "reason"), [("raise ValueError('first\\nsecond')", "ValueError: first"), ("raise MemoryError", "MemoryError: no reason given")]
)
def test_what_went_wrong_is_told_in_one_line(code: str, reason: str) -> None:
    assert run_isolated(partial(exec, code)) == reason


def test_our_own_errors_are_told_as_they_are(tmp_path: Path) -> None:
    assert run_isolated(partial(load_dataset, tmp_path / "gone")) == f"{tmp_path / 'gone'} does not exist"


def test_a_process_that_dies_is_told_of() -> None:
    assert "killed (code 9)" in (run_isolated(partial(exec, "import os; os._exit(9)")) or "")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_the_work_ends_with_the_process_that_waits_for_it() -> None:
    work = "import sys, threading; print('begun', file=sys.stderr, flush=True); threading.Event().wait()"
    code = f"from functools import partial; from streamvc.training.comparison.isolation import run_isolated; run_isolated(partial(exec, {work!r}))"
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) as waiting:
        assert waiting.stderr is not None
        assert waiting.stderr.readline() == b"begun\n"
        waiting.kill()
        assert waiting.stderr.read() == b""  # ends when both are gone, as both hold it
