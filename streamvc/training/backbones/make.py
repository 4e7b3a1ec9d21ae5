"""Makes a backbone: builds its network, loads its weights, converts it and writes its folder."""

import hashlib
import tempfile
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from streamvc.errors import BundleError
from streamvc.inference.manifest import BackboneManifest, ImageInput, manifest_json, refusal
from streamvc.training.backbones.options import MANIFEST, OUT, BackboneOptions, check_options, picture_shape
from streamvc.training.backbones.quantise import int8, read_calibration_frames
from streamvc.training.backbones.registry import APACHE, Blueprint, find_blueprint
from streamvc.training.backbones.weights import Weights, find_weights
from streamvc.training.networks.edge import tflite
from streamvc.training.tensorflow import keras

NUM_BLOTCHES = 2  # pictures, or clips, of blotches of colour
NOTICE = """{name}: {blueprint.name} as a feature extractor

{blueprint.credit}
Weights: {source}
Licence of the weights: {licence}

Changes made by streamvc: what stands behind the features was removed, and batch normalisation folded into the convolutions where it can be;
the network was converted to TFLite, and {conversion}.
"""


def make_backbone(name: str, choices: BackboneOptions | None = None, *, out: Path = OUT, overwrite: bool = False) -> BackboneManifest:
    """Make a backbone and write it to a folder of its name in `out`, in one move.

    Raises:
        DataError: There is no such blueprint, it cannot have that size or be int8, its weights are not there or not its own, or no video is.
        BundleError: The folder is there already, or cannot be written.
    """
    choices = choices or BackboneOptions()
    check_options(name, choices, out, overwrite)
    blueprint, folder = find_blueprint(name), out / (choices.name or name)
    shape = picture_shape(blueprint, choices)
    weights = find_weights(blueprint, choices.weights)
    moments = read_calibration_frames(choices.calibration) if choices.calibration else []
    network = build_network(blueprint, shape, weights, choices.seed)
    if moments:
        model = int8(flatten_map(network), _input(blueprint, shape[0]), moments)
        shown = f"the video frames, their differences\nand greys of {len(moments)} moments"
        conversion = f"quantised to int8, with ranges found on {shown}, of which the file keeps nothing else"
    else:
        model = tflite(flatten_map(network), float16=choices.float16)
        conversion = "its weights were rounded to float16" if choices.float16 else "its weights are float32 as before"
    return write_backbone(folder, blueprint, network, weights, model, conversion)


def build_network(blueprint: Blueprint, shape: tuple[int, ...], weights: Weights, seed: int = 0) -> Any:
    """A Keras model from pictures (B, *shape), normalised as the blueprint says, to features (B, D) or maps (B, H, W, C)."""
    keras.utils.set_random_seed(seed)
    network = blueprint.network(shape, weights)
    if weights.path is None:
        _settle(network, blueprint, np.random.default_rng(seed))
    return network


def write_backbone(folder: Path, blueprint: Blueprint, network: Any, weights: Weights, model: bytes, conversion: str) -> BackboneManifest:
    """Write a backbone's folder in one move, in place of the one that is there.

    Args:
        folder: Its last part is the backbone's name.
        blueprint: What it was made from.
        network: The network as it was built.
        weights: The weights that it was built with.
        model: The converted network, (1, ...) to (1, D).
        conversion: How it was converted, for the notice.

    Raises:
        BundleError: The name cannot be one, or the folder cannot be written.
    """
    manifest = _manifest(folder, blueprint, network, weights, hashlib.sha256(model).hexdigest())
    text = NOTICE.format(name=manifest.name, blueprint=blueprint, source=manifest.source, licence=manifest.licence, conversion=conversion)
    write_folder(folder, {"backbone.tflite": model, "NOTICE": text.encode(), MANIFEST: manifest_json(manifest)})
    return manifest


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a folder of files in one move, in place of the one that is there.

    Raises:
        BundleError: It cannot be written.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
            new, old = Path(scratch, "new"), Path(scratch, "old")
            new.mkdir()
            for name, content in files.items():
                (new / name).write_bytes(content)
            if folder.exists():
                folder.rename(old)
            new.rename(folder)
    except OSError as error:
        raise BundleError(f"{folder}: cannot be written: {error.strerror}") from error


def flatten_map(network: Any) -> Any:
    """A network whose map is flattened to one row, as the file of a backbone puts it out."""
    if len(network.output_shape) == 2:
        return network
    return keras.Model(network.input, keras.layers.Flatten()(network.output))


def _settle(network: Any, blueprint: Blueprint, rng: np.random.Generator) -> None:
    """Set the normalisation of a network with random weights to what it meets: as they are, most let any picture fade to nothing on the way."""
    *_, height, width, channels = shape = network.input_shape[1:]
    coarse = rng.uniform(0, 255, (NUM_BLOTCHES * prod(shape[:-3]), 8, 8, channels))
    pictures = keras.ops.image.resize((coarse - blueprint.mean) / blueprint.scale, (height, width))
    layers = [layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)]
    before = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 0.0
    network(keras.ops.reshape(pictures, (NUM_BLOTCHES, *shape)), training=True)
    for layer, momentum in zip(layers, before, strict=True):
        layer.momentum = momentum


def _input(blueprint: Blueprint, size_px: int) -> ImageInput:
    return ImageInput(size_px=size_px, crop="whole", resize="linear", colour=blueprint.colour, mean=blueprint.mean, scale=blueprint.scale)


def _manifest(folder: Path, blueprint: Blueprint, network: Any, weights: Weights, sha256: str) -> BackboneManifest:
    *num_frames, size_px, _, _ = network.input_shape[1:]
    feature = network.output_shape[1:]
    try:
        return BackboneManifest(
            schema=1,
            name=folder.name,
            sha256=sha256,
            input=_input(blueprint, size_px),
            feature_size=prod(feature),
            feature_map=feature if len(feature) == 3 else None,
            num_frames=prod(num_frames),
            licence=blueprint.licence if weights.path else APACHE,
            source=weights.source,
        )
    except ValidationError as error:
        raise refusal(folder / MANIFEST, error) from error
