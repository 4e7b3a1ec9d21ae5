"""What an analysed frame costs each bundle, beside a pass of the bare EfficientNet-Lite0 in float16: all in one run, frame by frame in turn.

    python scripts/cost_per_frame.py [BUNDLE ...] [--video PATH] [--rounds 5] [--threads 1]

Without names it takes all bundles that are found. Frames, 640x480, are those of the demo's clip, or of the video. A frame's cost is all that happens
from the picture to the events: views, preprocessing, networks, numbers and head; decoding is not in it. The structure of MoViNet-A0-Stream, the
strongest peer, runs beside them where TensorFlow is there to build it. Milliseconds depend on the machine; what
can be carried to another is `x Lite0`: the CPU time of a frame by that of the bare pass, the median over the rounds.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import cv2
import numpy as np
from numpy.typing import NDArray

from streamvc.capture.source import open_source
from streamvc.demo import CLIP
from streamvc.errors import StreamvcError
from streamvc.inference.backbone import find_backbone
from streamvc.inference.bundle import list_bundles
from streamvc.inference.runtime import open_model
from streamvc.session import Session
from streamvc.types import Frame

LITE0 = "efficientnet-lite0-f16"
PEER = "MoViNet-A0-Stream, random"
SIZE = (640, 480)
APART_S = 0.2  # from one frame to the next, as at 5 Hz
NUM_FRAMES = 60
NUM_WARM = 10  # frames of each round that are not counted

Step = Callable[[int, NDArray[np.uint8]], object]


@dataclass(frozen=True, slots=True)
class Spent:
    """Of one round: CPU seconds of a frame, the mean, and wall seconds, the median."""

    cpu_s: float
    wall_s: float


def read_frames(video: Path) -> list[NDArray[np.uint8]]:
    images: list[NDArray[np.uint8]] = []
    with open_source(video, policy="every") as source:
        for frame in source:
            if frame.timestamp >= len(images) * APART_S:
                images.append(cv2.resize(frame.image, SIZE, interpolation=cv2.INTER_AREA))
            if len(images) == NUM_FRAMES:
                break
    if len(images) <= NUM_WARM:
        raise SystemExit(f"{video}: is too short: {(NUM_WARM + 1) * APART_S:.0f} s are needed at least")
    return images


def bare_pass(threads: int) -> Step:
    model = open_model(find_backbone(LITE0) / "backbone.tflite", None, threads)
    model.run(lambda tensor: tensor.fill(0))
    return lambda _number, _image: model.run(lambda _tensor: None)


def watch(name: str, threads: int) -> Step:
    session = Session(name, threads=threads)
    period_s = 1 / session.rates_hz[-1]

    def step(number: int, image: NDArray[np.uint8]) -> object:
        if number == 0:
            session.gap()
        return session.take(Frame(number, number * period_s, image))

    return step


def movinet(threads: int) -> Step:
    """The strongest peer, as TensorFlow makes it; see `scripts/movinet.py`."""
    with tempfile.TemporaryDirectory() as folder:
        from movinet import MoViNet, convert

        convert(path := Path(folder, "movinet.tflite"))
        network = MoViNet(path, threads)
    return lambda _number, image: network.step(image)


def one_round(steps: Sequence[Step], images: Sequence[NDArray[np.uint8]]) -> list[Spent]:
    cpu_s, wall_s = np.zeros((2, len(steps), len(images)))
    for number, image in enumerate(images):
        for row, step in enumerate(steps):
            cpu, wall = time.process_time(), time.perf_counter()
            step(number, image)
            cpu_s[row, number], wall_s[row, number] = time.process_time() - cpu, time.perf_counter() - wall
    return [Spent(float(cpu[NUM_WARM:].mean()), float(np.median(wall[NUM_WARM:]))) for cpu, wall in zip(cpu_s, wall_s, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", nargs="*", metavar="BUNDLE", help="names or folders (default: all that are found)")
    parser.add_argument("--video", type=Path, default=CLIP, help="(default: the demo's clip)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    cv2.setNumThreads(arguments.threads)
    names = arguments.bundles or list_bundles()
    try:
        images = read_frames(arguments.video)
        peers = {PEER: movinet(arguments.threads)} if find_spec("tensorflow") else {}  # which makes it
        steps = [bare_pass(arguments.threads), *peers.values(), *(watch(name, arguments.threads) for name in names)]
        rounds = [one_round(steps, images) for _ in range(arguments.rounds)]
    except StreamvcError as error:
        raise SystemExit(str(error)) from error
    print(f"{'':32}{'x Lite0':>8}{'lowest':>8}{'highest':>8}{'ms':>8}")
    for row, name in enumerate([f"a bare pass of {LITE0}", *peers, *names]):
        ratios = [spent[row].cpu_s / spent[0].cpu_s for spent in rounds]
        wall_ms = median(spent[row].wall_s for spent in rounds) * 1e3
        print(f"{name:32}{median(ratios):8.2f}{min(ratios):8.2f}{max(ratios):8.2f}{wall_ms:8.1f}")


if __name__ == "__main__":
    main()
