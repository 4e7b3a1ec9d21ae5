"""What reaches a model while its camera's signal is lost: from a node, from a loop as users write it, and from the
stream loaders of Ultralytics and Roboflow.

    python scripts/bench_lost_signal.py [--lost 6] [--ultralytics PYTHON] [--roboflow PYTHON]

A camera shows a moving picture, then is away (`dies`: the connection is reset, and new ones are refused) or silent (`stalls`), then shows a picture
again. `--ultralytics` and `--roboflow` are each a Python of an environment in which `ultralytics`, or `inference`, is installed. The model is that of
`bench_node.py`.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench_node import Row, show, watched
from bench_videos import quick_model
from streamvc.testing import Die, Play, Refuse, ScriptedCamera, ScriptStep, Stall

PLAY_S, AFTER_S = 5.0, 15.0  # before the loss, and after it
SETTLE_S = 1.0  # in which what was on its way may still come
BLACK = 1.0  # mean grey level up to which a picture is black

OPENCV = """
import cv2, json, sys, threading, time, zlib
url, seconds = sys.argv[1], float(sys.argv[2])
capture, latest = cv2.VideoCapture(url), [None]
def read():
    while True:
        there, image = capture.read()
        if there:
            latest[0] = image
threading.Thread(target=read, daemon=True).start()
until, seen = time.monotonic() + seconds, []
while time.monotonic() < until:
    time.sleep(1 / 5)
    if latest[0] is not None:
        seen.append([time.monotonic(), float(latest[0].mean()), zlib.crc32(latest[0].tobytes())])
print(json.dumps(seen), flush=True)
"""
ULTRALYTICS = """
import json, sys, threading, time, zlib
from ultralytics.data.loaders import LoadStreams
url, seconds = sys.argv[1], float(sys.argv[2])
seen = []
def read():
    for _, images, _ in LoadStreams(url):
        seen.append([time.monotonic(), float(images[0].mean()), zlib.crc32(images[0].tobytes())])
reader = threading.Thread(target=read, daemon=True)
reader.start()
reader.join(seconds)
print("\\n" + json.dumps(seen), flush=True)
import os; os._exit(0)
"""
ROBOFLOW = """
import json, sys, threading, time, zlib
from inference import InferencePipeline
url, seconds = sys.argv[1], float(sys.argv[2])
seen = []
def see(frames):
    for frame in frames if isinstance(frames, list) else [frames]:
        if frame is not None:
            seen.append([time.monotonic(), float(frame.image.mean()), zlib.crc32(frame.image.tobytes())])
    return [{} for _ in (frames if isinstance(frames, list) else [frames])]
pipeline = InferencePipeline.init_with_custom_logic(video_reference=url, on_video_frame=see, max_fps=5)
pipeline.start(use_main_thread=False)
time.sleep(seconds)
print("\\n" + json.dumps(seen), flush=True)
import os; os._exit(0)
"""


@dataclass
class Loss:
    """A camera's script that notes when its signal was lost and when it was back, in seconds of `time.monotonic()`."""

    how: str
    seconds: float
    lost: float = math.inf
    back: float = math.inf

    def steps(self) -> Iterator[ScriptStep]:
        yield Play(PLAY_S)
        self.lost = time.monotonic()
        if self.how == "dies":
            yield Die()
            yield Refuse(self.seconds)
        else:
            yield Stall(self.seconds)
        self.back = time.monotonic()
        yield Play(math.inf)

    @property
    def total_s(self) -> float:
        """How long one has to watch, with time to start."""
        return PLAY_S + self.seconds + AFTER_S


def seen_by(python: str, program: str, loss: Loss) -> Row:
    """Run one who watches in a process of its own, and say what it gave to its model."""
    with ScriptedCamera(loss.steps()) as camera:
        command = [python, "-c", program, camera.url, str(loss.total_s)]
        said = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=loss.total_s + 60).stdout
    seen = [tuple(one) for one in json.loads(said.splitlines()[-1])]
    lost = [(moment, grey, digest) for moment, grey, digest in seen if loss.lost < moment < min(loss.back, loss.lost + loss.seconds)]
    during = [(grey, digest) for moment, grey, digest in lost if grey <= BLACK or moment > loss.lost + SETTLE_S]
    known = {digest for moment, _, digest in seen if moment <= loss.lost + SETTLE_S}
    fresh = [moment for moment, grey, digest in seen if moment >= loss.back and grey > BLACK and digest not in known]
    return {
        "pictures while lost": len(during),
        "black": sum(grey <= BLACK for grey, _ in during),
        "old": sum(digest in known for grey, digest in during if grey > BLACK),
        "told after s": "never",
        "new ones after s": round(fresh[0] - loss.back, 1) if fresh else "never",
    }


def seen_by_node(loss: Loss, model: Path, folder: Path) -> Row:
    """The same of a node."""
    with ScriptedCamera(loss.steps()) as camera, watched(folder, [{"name": "camera", "source": camera.url}], model) as node:
        told = node.await_that(lambda snapshot: time.monotonic() > loss.lost and snapshot.cameras[0].state != "running")
        told_s = time.monotonic() - loss.lost
        time.sleep(max(0.0, loss.lost + SETTLE_S - time.monotonic()))
        settled = node.status().cameras[0].analysed
        while math.isinf(loss.back):
            time.sleep(0.1)
        before = node.status().cameras[0].analysed
        node.await_that(lambda snapshot: snapshot.cameras[0].analysed > before)
    return {
        "pictures while lost": before - settled,
        "black": 0,
        "old": 0,
        "told after s": f"{told_s:.1f} ({told.cameras[0].state})",
        "new ones after s": round(time.monotonic() - loss.back, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lost", type=float, default=6.0, help="seconds")
    parser.add_argument("--ultralytics", metavar="PYTHON")
    parser.add_argument("--roboflow", metavar="PYTHON")
    parser.add_argument("--folder", type=Path, default=Path("bench-node"), help="where the model is kept (default: bench-node)")
    arguments = parser.parse_args()
    model = quick_model(arguments.folder.resolve())
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        watchers: dict[str, Callable[[Loss], Row]] = {
            "streamvc node": lambda loss: seen_by_node(loss, model, Path(folder, loss.how)),
            "OpenCV, a thread": lambda loss: seen_by(sys.executable, OPENCV, loss),
        }
        if arguments.ultralytics:
            watchers["Ultralytics' LoadStreams"] = lambda loss: seen_by(arguments.ultralytics, ULTRALYTICS, loss)
        if arguments.roboflow:
            watchers["Roboflow's InferencePipeline"] = lambda loss: seen_by(arguments.roboflow, ROBOFLOW, loss)
        for how in ("dies", "stalls"):
            rows += [{"camera": how, "watched by": name, **watch(Loss(how, arguments.lost))} for name, watch in watchers.items()]
    show(rows, f"what reaches the model while the signal is lost for {arguments.lost:g} s")


if __name__ == "__main__":
    main()
