"""Work in a process of its own: its memory is free afterwards, and however it ends, it takes nothing else down.

    python -m streamvc.training.comparison.isolation < PICKLED_CALLABLE

calls it and prints, as JSON, why it failed; null if it did not.
"""

import ctypes
import json
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable

from streamvc.errors import StreamvcError

PR_SET_PDEATHSIG = 1  # of prctl(2)


def run_isolated(work: Callable[[], object]) -> str | None:
    """Do work in a new process and wait for it; returns why it failed, in one line, if it did.

    Args:
        work: What is to be done; it must be possible to pickle it.
    """
    done = subprocess.run([sys.executable, "-m", __name__], input=pickle.dumps(work), stdout=subprocess.PIPE)
    if done.returncode:
        return f"its process was killed (code {done.returncode}), most likely for want of memory"
    error: str | None = json.loads(done.stdout)
    return error


def _do(work: Callable[[], object]) -> str | None:
    try:
        work()
    except StreamvcError as error:
        return str(error)
    except Exception as error:  # this is where a process hands its error over
        return f"{type(error).__name__}: {(str(error).strip() or 'no reason given').splitlines()[0]}"
    return None


def _die_with_parent() -> None:
    """Do not go on for nobody. Only Linux has this; elsewhere the work is done first."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    _die_with_parent()
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever prints meanwhile does not print into the answer
    try:
        json.dump(_do(pickle.load(sys.stdin.buffer)), answer)
    except KeyboardInterrupt:
        sys.exit(130)  # the process that waits was interrupted too
    answer.close()
