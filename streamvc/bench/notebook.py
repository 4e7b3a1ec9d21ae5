"""CPU time of a prediction the notebooks' way."""

import subprocess
import sys

from streamvc.errors import StreamvcError

NUM_PREDICTIONS = 5


def measure_notebook(model: str) -> float:
    """CPU milliseconds of one prediction with Keras, in a process of its own, whose threads and memory disturb nothing else.

    Raises:
        StreamvcError: TensorFlow could not run it.
    """
    command = [sys.executable, "-m", "streamvc.training.notebook", model, str(NUM_PREDICTIONS)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise StreamvcError(f"the notebooks' way failed: {done.stderr.strip().splitlines()[-1]}")
    return float(done.stdout.split()[-1])
