"""The videos and the model that `bench_node.py` measures with; made once, and kept in its folder.

The model is for measuring alone: it has learned by heart what the clip of `streamvc demo` shows.
"""

import csv
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from streamvc.testing import recording

DEMO = Path(__file__).resolve().parents[1] / "streamvc" / "demo"
BACKBONE = "efficientnet-lite0-160-int8"
RATE_HZ = 5.0
NUM_FRAMES = 825  # that are encoded: the clip of the demo once; the rest are their packets again
BIT_RATE = 400_000  # bits/s, as the smaller streams of network cameras are set
CAMERA = {"preset": "veryfast", "profile": "high", "bf": "0", "g": "50", "maxrate": "400k", "bufsize": "400k"}  # no B-frames, a short GOP
NOISE = 2.0  # grey levels, the standard deviation of a sensor's by lamplight
NUM_NOISES = 50  # pictures of noise that take turns

Image = NDArray[np.uint8]
Size = tuple[int, int]

SIZE: Size = (640, 360)


def encode(path: Path, images: Iterable[Image], size: Size, fps: int) -> Path:
    """Write BGR images of this size as a camera would send them."""
    partial = path.with_suffix(".partial")
    with av.open(str(partial), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=fps, options=CAMERA)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.bit_rate = BIT_RATE
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode())
    return partial.replace(path)


def repeat(source: Path, path: Path, seconds: float) -> Path:
    """The packets of a video again and again, for so long."""
    partial = path.with_suffix(".partial")
    with av.open(str(source)) as given, av.open(str(partial), "w", format="mp4") as container:
        video = given.streams.video[0]
        stream = container.add_stream_from_template(video)
        assert isinstance(stream, VideoStream)
        assert video.duration
        assert video.time_base
        for offset in range(0, round(seconds / video.time_base), video.duration):
            given.seek(0)
            for packet in given.demux(video):
                if packet.dts is None or packet.pts is None:
                    continue  # the end
                packet.pts, packet.dts, packet.stream = packet.pts + offset, packet.dts + offset, stream
                container.mux(packet)
    return partial.replace(path)


def noisy(images: Iterator[Image]) -> Iterator[Image]:
    """Pictures (all of one size) as a sensor sees them, with noise: without it they would be decoded far too easily."""
    first = next(images)
    rng = np.random.default_rng(0)
    noises = itertools.cycle([rng.normal(0.0, NOISE, first.shape).astype(np.float32) for _ in range(NUM_NOISES)])
    for image in itertools.chain([first], images):
        yield np.clip(image + next(noises), 0, 255).astype(np.uint8)


def moving_video(folder: Path, seconds: float, source: Path | None = None, *, size: Size = SIZE, fps: int = 25) -> Path:
    """`source` as a camera of this size and rate sends it, for so long."""
    source = source or DEMO / "figure.mp4"
    name = f"{source.stem}-{size[0]}x{size[1]}-{fps}"
    return _kept(folder, name, seconds, recording(source), size, fps)


def still_video(folder: Path, seconds: float, *, size: Size = SIZE, fps: int = 25) -> Path:
    """An empty room by lamplight, for so long."""
    return _kept(folder, f"still-{size[0]}x{size[1]}-{fps}", seconds, itertools.repeat(next(recording(DEMO / "figure.mp4"))), size, fps)


def _kept(folder: Path, name: str, seconds: float, images: Iterator[Image], size: Size, fps: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    loop, path = folder / f"{name}.mp4", folder / f"{name}-{seconds:g}s.mp4"
    if not loop.exists():
        print(f"making {loop}", file=sys.stderr)
        encode(loop, itertools.islice(noisy(cv2.resize(image, size) for image in images), NUM_FRAMES), size, fps)
    return path if path.exists() else repeat(loop, path, seconds)


def quick_model(folder: Path) -> Path:
    """A recogniser of the whole picture at 160 px in int8, trained on the demo's clip; needs the `train` extra the first time."""
    path = folder / "bench-160"
    if not (path / "model.json").exists():
        data = folder / "segments"
        _make_segments(data)
        command = [sys.executable, "-c", "from streamvc.cli import main; main()", "train", str(data), "--out", str(path)]
        command += ["--backbone", BACKBONE, "--rate-hz", str(RATE_HZ), "--no-tune", "--folds", "3"]
        subprocess.run(command, check=True, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"})
    return path


def _make_segments(folder: Path) -> None:
    """The demo's clip in three shades, so that there are groups to split by."""
    folder.mkdir(parents=True, exist_ok=True)
    segments = json.loads((DEMO / "figure.json").read_text())
    rows = []
    for shade in (0.8, 1.0, 1.2):
        images = itertools.islice(recording(DEMO / "figure.mp4"), round(segments["duration_s"] * 25))
        shaded = (np.clip(cv2.resize(image, SIZE) * shade, 0, 255).astype(np.uint8) for image in images)
        video = encode(folder / f"{shade}.mp4", shaded, SIZE, 25)
        rows += [(video.name, segment["start_s"], segment["end_s"], segment["label"]) for segment in segments["segments"]]
    with (folder / "segments.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("video", "start_s", "end_s", "label"), *rows])
