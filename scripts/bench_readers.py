"""How many cameras a thread each, OpenCV and one loop come to: what users write, beside what a node does with the same model."""

import argparse
import itertools
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
from numpy.typing import NDArray

from bench_videos import RATE_HZ
from streamvc.inference.recognizer import Recognizer
from streamvc.types import Frame

WARM_UP_S = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class Latest:
    """The newest picture of a camera, and when it was read, in seconds of `time.monotonic()`."""

    index: int
    image: NDArray[np.uint8]
    read: float


class Reader:
    """A thread that reads a file at its own speed, as a camera sends it, and keeps the newest picture."""

    def __init__(self, video: str) -> None:
        self.latest: Latest | None = None
        self._video = video
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        capture = cv2.VideoCapture(self._video)
        interval_s = 1 / capture.get(cv2.CAP_PROP_FPS)
        begun = time.monotonic()
        for index in itertools.count():
            there, image = capture.read()
            if not there:
                return
            self.latest = Latest(index, image, time.monotonic())
            time.sleep(max(0.0, begun + (index + 1) * interval_s - time.monotonic()))


def watch_by_threads(video: Path, model: str | Path, num_cameras: int, seconds: float) -> dict[str, Any]:
    """Run it in a process of its own; returns its figures."""
    command = [sys.executable, __file__, str(video), str(model), str(num_cameras), str(seconds)]
    return dict(json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout))


def watch(video: str, model: str, num_cameras: int, seconds: float) -> dict[str, Any]:
    """Ask the model of each camera's newest picture in turn, at most `RATE_HZ` times a second."""
    recognizers = [Recognizer.load(model) for _ in range(num_cameras)]
    readers = [Reader(video) for _ in range(num_cameras)]
    due = [time.monotonic() + number / num_cameras / RATE_HZ for number in range(num_cameras)]
    begun = time.monotonic() + WARM_UP_S
    analysed, ages = [0] * num_cameras, []
    used_s = -cpu_s()
    while (now := time.monotonic()) < begun + seconds:
        number = due.index(min(due))
        time.sleep(max(0.0, due[number] - now))
        latest = readers[number].latest
        started = time.monotonic()
        due[number] = max(due[number] + 1 / RATE_HZ, started)
        if latest is None:
            continue
        recognizers[number].step(Frame(latest.index, latest.read, latest.image))
        if started >= begun:
            analysed[number] += 1
            ages.append(started - latest.read)
    rates = [count / seconds for count in analysed]
    return {
        "cameras": num_cameras,
        "minutes": round(seconds / 60, 1),
        "Hz, lowest": round(min(rates), 2),
        "Hz, median": round(float(np.median(rates)), 2),
        "below 90 %": sum(rate < 0.9 * RATE_HZ for rate in rates),
        "age p50 ms": round(1e3 * float(np.percentile(ages, 50))),
        "age p99 ms": round(1e3 * float(np.percentile(ages, 99))),
        "oldest ms": round(1e3 * max(ages)),
        "cores": round((used_s + cpu_s()) / (seconds + WARM_UP_S), 2),
        "MB": round(psutil.Process().memory_full_info().uss / 1e6),
    }


def cpu_s() -> float:
    times = psutil.Process().cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("video")
    parser.add_argument("model")
    parser.add_argument("cameras", type=int)
    parser.add_argument("seconds", type=float)
    given = parser.parse_args()
    print(json.dumps(watch(given.video, given.model, given.cameras, given.seconds)), flush=True)
    os._exit(0)  # readers that are still in OpenCV at the end of Python abort
