"""How long a start takes, in processes of their own."""

import subprocess
import sys
import time
from pathlib import Path
from statistics import median

# Prints when the first prediction is there; this is what `watch` does, without a publisher or a view.
FIRST_PREDICTION = """
import sys, time
from streamvc.capture.source import open_source
from streamvc.inference.recognizer import Recognizer
recognizer = Recognizer.load(sys.argv[2])
with open_source(sys.argv[1]) as source:
    next(prediction for frame in source if (prediction := recognizer.step(frame)))
    print(time.time())
"""


def measure_start(clip: Path, model: str, rounds: int) -> float:
    """Seconds from the start of a Python process to the first prediction on a file; the median."""

    def once() -> float:
        started = time.time()
        printed = subprocess.run([sys.executable, "-c", FIRST_PREDICTION, str(clip), model], check=True, capture_output=True, text=True).stdout
        return float(printed) - started

    return median(once() for _ in range(rounds))


def measure_help(rounds: int) -> float:
    """Seconds that `streamvc --help` takes; the median."""

    def once() -> float:
        started = time.monotonic()
        subprocess.run([*STREAMVC, "--help"], check=True, capture_output=True)
        return time.monotonic() - started

    return median(once() for _ in range(rounds))


# As the installed script does it; the script itself may lie anywhere.
STREAMVC = [sys.executable, "-c", "from streamvc.cli import main; main()"]
