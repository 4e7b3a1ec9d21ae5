"""Options of a backbone that is to be made, and whether it can be. Loads no TensorFlow."""

from dataclasses import dataclass
from pathlib import Path

from streamvc.errors import BundleError, DataError
from streamvc.training.backbones.registry import Blueprint, find_blueprint
from streamvc.training.backbones.weights import PUBLISHED, check_weights
from streamvc.training.dataset import load_videos

OUT = Path("models/backbones")
MANIFEST = "backbone.json"


@dataclass(frozen=True, slots=True)
class BackboneOptions:
    """Options that replace what a blueprint says.

    Attributes:
        weights: `imagenet` (those that it was published with), `none`, or a path.
        size_px: Side of the pictures; the blueprint's if None.
        num_frames: T of a network that sees several frames; the blueprint's if None.
        name: Of the backbone that is made; the blueprint's if None.
        float16: Keep the weights as float16.
        calibration: A folder of videos: convert it to int8, with ranges found on their frames.
        seed: Of random weights.
    """

    weights: str = PUBLISHED
    size_px: int | None = None
    num_frames: int | None = None
    name: str | None = None
    float16: bool = True
    calibration: Path | None = None
    seed: int = 0


def check_options(name: str, options: BackboneOptions, out: Path, overwrite: bool) -> None:
    """Refuse what cannot be made, as far as that can be seen without loading anything.

    Raises:
        DataError: There is no such blueprint, it cannot have that size or be int8, its weights are not there, or no video is.
        BundleError: The folder is there already.
    """
    blueprint = find_blueprint(name)
    shape = picture_shape(blueprint, options)
    if options.calibration and shape != (*shape[:2], 3):
        raise DataError(f"{name}: sees several frames at a time, which cannot be converted to int8")
    check_out_folder(out / (options.name or name), MANIFEST, overwrite)
    check_weights(blueprint, options.weights)
    if options.calibration:
        load_videos(options.calibration)


def check_out_folder(folder: Path, manifest: str, overwrite: bool) -> Path:
    """A folder that may be written: one that is not there yet, or, with `overwrite`, one that holds such a manifest.

    Raises:
        BundleError: It may not.
    """
    if folder.exists() and not (overwrite and (folder / manifest).is_file()):
        raise BundleError(f"{folder}: is there already; bundles trained on it need it as it is: choose another --name, or --overwrite it")
    return folder


def picture_shape(blueprint: Blueprint, choices: BackboneOptions) -> tuple[int, ...]:
    """Shape of what the network sees: (S, S, C), or (T, S, S, C).

    Raises:
        DataError: The network cannot have it.
    """
    size_px = choices.size_px or blueprint.size_px
    if size_px < blueprint.least_px:
        raise DataError(f"{blueprint.name}: {size_px} pixels are too few; it needs {blueprint.least_px} at least")
    if blueprint.least_px == blueprint.size_px != size_px:
        raise DataError(f"{blueprint.name}: its dense layers need pictures of {blueprint.size_px} pixels, not {size_px}")
    picture = (size_px, size_px, blueprint.channels)
    num_frames = choices.num_frames or blueprint.num_frames
    if blueprint.num_frames == 1 < num_frames:
        raise DataError(f"{blueprint.name}: sees one frame at a time, not {num_frames}")
    if blueprint.num_frames > 1 == num_frames:
        raise DataError(f"{blueprint.name}: sees several frames at a time, not one")
    return picture if num_frames == 1 else (num_frames, *picture)
