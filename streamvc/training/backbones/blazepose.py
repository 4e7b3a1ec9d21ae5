"""BlazePose's two networks, of the files that MediaPipe runs, as this project runs them: with one output, and without what it has no use for.

MediaPipe keeps most weights sparse, in a form that only TensorFlow Lite's interpreter reads; it is asked for them. The landmark network's heat maps
and its outline of the person are left out: they take nearly half of its time, and move the landmarks by 0.6 % of the region's side.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ai_edge_litert.interpreter import Interpreter, OpResolverType

from streamvc.inference.manifest import manifest_json
from streamvc.inference.native_logs import hide_native_logs
from streamvc.inference.pose.tracker import MANIFEST, PoseManifest
from streamvc.inference.tensorflow import Graph
from streamvc.training.backbones.make import write_folder
from streamvc.training.backbones.options import OUT, check_out_folder
from streamvc.training.backbones.registry import APACHE, BLAZEPOSE, Package
from streamvc.training.backbones.weights import PUBLISHED, find_packed
from streamvc.training.networks.edge import tflite_of
from streamvc.training.tensorflow import tf
from streamvc.types import Array

MEDIAPIPE = "mediapipe==0.10.21"
NOTICE = """{name}: BlazePose (Bazarevsky et al., 2020), which finds a person and the landmarks of their body

Licensed under the Apache License, Version 2.0 (http://www.apache.org/licenses/LICENSE-2.0).

The networks and their weights: Copyright The MediaPipe Authors, https://github.com/google-ai-edge/mediapipe,
pose_detection.tflite and pose_landmark_full.tflite of the Python package {package}

Changes made by the streamvc project, with `streamvc backbones make blazepose`: the outputs of each network that are used were put side by side in
one; of the landmark network, the outline of the person and the heat maps were removed; sparse weights are stored densely, as float16 as before.
"""


@dataclass(frozen=True, slots=True)
class _Network:
    """A file of MediaPipe's, and those of its outputs that are kept."""

    package: Package
    outputs: Sequence[str]


_DETECT = _Network(
    Package(
        MEDIAPIPE,
        "mediapipe/modules/pose_detection/pose_detection.tflite",
        "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
    ),
    ("Identity", "Identity_1"),  # boxes with their points, scores
)
_LANDMARK = _Network(
    Package(
        MEDIAPIPE,
        "mediapipe/modules/pose_landmark/pose_landmark_full.tflite",
        "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
    ),
    ("Identity", "Identity_1", "Identity_4"),  # landmarks, presence, landmarks in metres
)


def make_blazepose(weights: str = PUBLISHED, *, name: str = BLAZEPOSE, out: Path = OUT, overwrite: bool = False) -> PoseManifest:
    """Make BlazePose's networks and write them to a folder of their name in `out`, in one move.

    Args:
        weights: `imagenet` for those that they were published with, or the path of MediaPipe's wheel.
        name: What they are called.
        out: The folder of backbones.
        overwrite: Replace those that are there.

    Raises:
        DataError: The weights are not there, or not theirs.
        BundleError: The folder is there already, or cannot be written.
    """
    folder = check_out_folder(out / name, MANIFEST, overwrite)
    networks = (_DETECT, _LANDMARK)
    found = find_packed(weights, *(network.package for network in networks))
    detect, landmark = (_convert(each.content or b"", network) for each, network in zip(found, networks, strict=True))
    manifest = PoseManifest(
        schema=1,
        name=name,
        detect_sha256=hashlib.sha256(detect).hexdigest(),
        landmark_sha256=hashlib.sha256(landmark).hexdigest(),
        licence=APACHE,
        source=_DETECT.package.url,
    )
    notice = NOTICE.format(name=name, package=MEDIAPIPE)
    files = {"detect.tflite": detect, "landmark.tflite": landmark, "NOTICE": notice.encode(), MANIFEST: manifest_json(manifest)}
    write_folder(folder, files)
    return manifest


def _convert(content: bytes, network: _Network) -> bytes:
    """A file of MediaPipe's with the outputs that are kept as one, and its weights as they are."""
    graph = Graph(content, Path(network.package.member))
    weights = _constants(content, graph.made_by("DENSIFY"))
    sinks = [graph.sinks[output] for output in network.outputs]
    return tflite_of(lambda x: tf.concat(graph.call(x, sinks, weights), axis=-1), graph.spec(graph.source).shape, float16=True)


def _constants(content: bytes, indices: Sequence[int]) -> dict[int, Array]:
    """Tensors that are the same for any input, by their index."""
    with hide_native_logs():
        resolver = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES  # a delegate would keep them to itself
        interpreter = Interpreter(model_content=content, experimental_preserve_all_tensors=True, experimental_op_resolver_type=resolver)
        interpreter.allocate_tensors()
        interpreter.invoke()
    return {index: interpreter.get_tensor(index) for index in indices}
