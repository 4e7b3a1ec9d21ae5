"""Time from the capture of a frame to its event at a subscriber in another process."""

import socket
import subprocess
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np

from streamvc.bench.rate import bare_passes, open_bare
from streamvc.bench.start import STREAMVC
from streamvc.errors import StreamvcError
from streamvc.inference.bundle import load_bundle
from streamvc.publish.subscriber import Subscriber

JOIN_S = 20.0  # for the subscriber to find the watch
NUM_PACED = 40  # passes of the bare backbone at the pace of the stream
# Every label is always active, so that each analysed frame makes an event for each.
ALWAYS = ("--enter", "0", "--leave", "0", "--min-s", "0", "--smoothing-s", "0", "--update-s", "0.001")


@dataclass(frozen=True, slots=True)
class Latency:
    """Over all events of one run; `backbone_p50_ms` is the bare backbone at the same pace, measured right after."""

    p50_ms: float
    p99_ms: float
    backbone_p50_ms: float


def measure_latency(clip: Path, model: str, runtime: str | None, threads: int) -> Latency:
    """Play the clip at its own speed through `streamvc watch`, and receive its events here.

    Raises:
        StreamvcError: `watch` failed, or no events came.
    """
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    chosen = ["--runtime", runtime] if runtime else []
    command = [*STREAMVC, "watch", str(clip), "--model", model, "--threads", str(threads), *chosen, "--pace", "--policy", "latest", "--headless"]
    command += ["--publish", endpoint, "--wait-for-subscriber", str(JOIN_S), *ALWAYS]
    with (
        TemporaryDirectory() as folder,
        subprocess.Popen([*command, "--log", f"{folder}/events.db"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process,
    ):
        latencies = []
        with Subscriber(endpoint, timeout_s=JOIN_S) as subscriber:
            for event in subscriber:
                if event.phase == "end":
                    break
                latencies.append(time.time() - event.timing.capture)
        said = process.communicate()[1]
    if process.returncode or not latencies:
        raise StreamvcError(f"watch sent nothing: {said.strip()}")
    bundle = load_bundle(model)
    paced = bare_passes(open_bare(bundle, runtime, threads), NUM_PACED, 1 / bundle.manifest.rate_hz)
    p50, p99 = np.percentile(latencies, [50, 99]) * 1e3
    return Latency(float(p50), float(p99), median(paced) * 1e3)


def free_port() -> int:
    """A TCP port that nobody listens on just now, nor on the next two, as a publisher takes three."""
    while True:
        with ExitStack() as probes, suppress(OSError, OverflowError):
            first = 0
            for offset in range(3):
                probe = probes.enter_context(socket.socket())
                probe.bind(("127.0.0.1", first and first + offset))
                first = first or int(probe.getsockname()[1])
            return first
