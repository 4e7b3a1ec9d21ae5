"""Converts a backbone to whole numbers, int8: half the time, a quarter of the size of float32.

The ranges of its tensors are those that it meets on real pictures, of which the file keeps nothing else: frames of videos, as they are, and where the
backbone is to look at them so, what changed since a moment before, and three moments in grey.
"""

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from tensorflow.lite.python.convert import mlir_quantize

from streamvc.capture.container import FILE_OPTIONS
from streamvc.errors import DataError
from streamvc.inference.manifest import ImageInput
from streamvc.inference.native_logs import hide_native_logs
from streamvc.inference.preprocessing import Preprocessor
from streamvc.inference.runtime import TensorSpec
from streamvc.inference.tensorflow import Graph
from streamvc.training.networks.edge import edge_converter, function_converter
from streamvc.training.tensorflow import tf
from streamvc.types import Array

Image = NDArray[np.uint8]

NUM_VIDEOS = 800  # that are looked into at most
MOMENTS_S = (0.8, 0.9, 1.0)  # of each video, the one that counts last
VIDEOS = {".mp4", ".avi", ".mkv", ".mov", ".webm"}


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationFrames:
    """Three frames of one video, (H, W, 3) uint8 BGR, a tenth of a second apart, the newest first."""

    images: tuple[Image, Image, Image]


def read_calibration_frames(folder: Path) -> list[CalibrationFrames]:
    """The calibration frames of the videos in a folder, of at most `NUM_VIDEOS`, evenly spaced.

    Raises:
        DataError: There is no video with a second of frames.
    """
    videos = sorted(path for path in folder.rglob("*") if path.suffix.lower() in VIDEOS)
    step = -(-len(videos) // NUM_VIDEOS) or 1
    found = [moments for video in islice(videos, 0, None, step) if (moments := _moments(video))]
    if not found:
        raise DataError(f"{folder}: holds no video with a second of frames to calibrate with")
    return found


def int8(network: Any, spec: ImageInput, moments: Sequence[CalibrationFrames]) -> bytes:
    """Convert a network, (B, S, S, 3) to (B, D), to a `.tflite` file of batch 1 in int8.

    Args:
        network: A functional Keras model.
        spec: How pictures are brought into its form.
        moments: What the ranges are found on.
    """
    converter = edge_converter(network)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    converter.representative_dataset = lambda: _pictures(spec, moments)
    with hide_native_logs(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Statistics for quantized inputs")  # they are found here
        return bytes(converter.convert())


def int8_up_to(call: Callable[[Any], Any], shape: tuple[int, ...], pictures: Iterable[Array], kind: str) -> bytes:
    """Convert a function of one picture to a `.tflite` file in int8, but for its first operator of a kind and all that follow, which stay float32.

    What a network's last layers find, such as places in the picture, has a finer grain than 256 steps, and those layers cost little.

    Args:
        call: From pictures of `shape`, 0 to 255, to what the network finds, which stays float32.
        shape: (1, H, W, 3).
        pictures: What the ranges are found on, (H, W, 3) uint8 each; they are seen once.
        kind: Of TensorFlow Lite's operators, as `RESIZE_BILINEAR`.
    """
    # Black and white make the input's range the full one, so that it is quantised exactly: pixel minus 128.
    extremes = [np.full(shape[1:], value, np.uint8) for value in (0, 255)]
    converter = function_converter(call, shape)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([each[None].astype(np.float32)] for each in (*extremes, *pictures))
    converter._experimental_calibrate_only = True  # what tf.lite.experimental.QuantizationDebugger does, without its second, slow model
    with hide_native_logs(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Statistics for quantized inputs")
        calibrated = converter.convert()
        graph = Graph(bytes(calibrated), Path("calibrated.tflite"))
        left_alone = graph.names_from(graph.made_by(kind)[0])
        return bytes(mlir_quantize(calibrated, input_data_type=tf.int8, output_data_type=tf.float32, denylisted_nodes=left_alone))


def _pictures(spec: ImageInput, moments: Sequence[CalibrationFrames]) -> Iterator[list[Array]]:
    """The pictures that the network is shown, (1, S, S, 3) float32 each: one array that changes."""
    shape = (1, spec.size_px, spec.size_px, 3)
    picture = np.empty(shape, np.float32)
    preprocessor = Preprocessor(spec, TensorSpec(shape, picture.dtype))
    # Black and white make the input's range the full one, so that it is quantised exactly: pixel minus 128.
    for extreme in (0, 255):
        preprocessor.write(np.full((spec.size_px, spec.size_px, 3), extreme, np.uint8), picture[0])
        yield [picture]
    for each in moments:
        newest, before, _ = each.images
        preprocessor.write(newest, picture[0])
        yield [picture]
        preprocessor.write_difference(newest, before, picture[0])
        yield [picture]
        preprocessor.write_greys(each.images, picture[0])
        yield [picture]


def _moments(video: Path) -> CalibrationFrames | None:
    """The frames of a video at `MOMENTS_S`; None where it cannot be read so far."""
    images: list[Image] = []
    try:
        with av.open(str(video), options=FILE_OPTIONS) as container:
            for frame in container.decode(video=0):
                if (frame.time or 0.0) >= MOMENTS_S[len(images)]:
                    images.insert(0, np.asarray(frame.to_ndarray(format="bgr24"), np.uint8))
                if len(images) == len(MOMENTS_S):
                    return CalibrationFrames((images[0], images[1], images[2]))
    except (av.FFmpegError, IndexError):
        pass
    return None
