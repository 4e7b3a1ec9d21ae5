"""`streamvc models`."""

import json
import sys
from pathlib import Path

import click

from streamvc.cli import options


@click.group()
def models() -> None:
    """List, show, check and carry model bundles.

    A bundle is a folder with model.json, the head's .tflite files and a card. It is found by path, or by name in ./models, in $STREAMVC_MODELS and
    among those that come with streamvc.

    \b
    Examples:
      streamvc models list
      streamvc models show exercise
    """


@models.command("list")
@options.as_json
def list_(as_json: bool) -> None:
    """List the bundles that are found, with their labels. Exit code 1 if one is bad.

    \b
    Examples:
      streamvc models list
      streamvc models list --json | jq -r '.[].name'
    """
    from streamvc.errors import BundleError
    from streamvc.inference.bundle import list_bundles, load_bundle
    from streamvc.text import printable

    rows, problems = {}, []
    for name in list_bundles():
        try:
            rows[name] = load_bundle(name)
        except BundleError as error:  # one of them does not hide the others
            problems.append(printable(f"{name}: {error}"))
    if as_json:
        click.echo(json.dumps([{"name": name, "path": str(bundle.path), "labels": bundle.manifest.labels} for name, bundle in rows.items()]))
    else:
        width = max(map(len, rows), default=0)
        for name, bundle in rows.items():
            click.echo(f"{printable(name):{width}}  {', '.join(bundle.manifest.labels)}")
    for problem in problems:
        click.echo(problem, err=True)
    if problems:
        sys.exit(1)


@models.command()
@click.argument("name", shell_complete=options.complete_model)
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="PNG",
    help="Draw its operating curve: what it hears against false events an hour, as its thresholds move.",
)
@options.as_json
def show(name: str, plot: Path | None, as_json: bool) -> None:
    """Show the card of a bundle: data, split, measured figures, licence, limits.

    \b
    Examples:
      streamvc models show exercise
      streamvc models show ./models/mine --json | jq .thresholds
      streamvc models show exercise --plot curve.png
    """
    from streamvc.inference.bundle import load_bundle
    from streamvc.text import printable

    bundle = load_bundle(name)
    if plot:
        from streamvc.training.operating_curve import plot_curve

        plot_curve({bundle.manifest.name: bundle.manifest.curve}, plot)
        return
    if as_json:
        click.echo((bundle.path / "model.json").read_text())
        return
    manifest = bundle.manifest
    rates = f"{manifest.rate_hz:g} Hz, {manifest.least_hz:g} at least"
    click.echo(f"{bundle.path}\nmanifest sha256 {bundle.sha256}\nsees {manifest.extractor} at {rates}\n")
    click.echo(printable((bundle.path / "CARD.md").read_text(errors="replace"), lines=True))


@models.command()
@click.argument("names", nargs=-1, shell_complete=options.complete_model)
def check(names: tuple[str, ...]) -> None:
    """Check bundles (all of them if none is named): fields, hashes, shapes, backbone. Exit code 1 if one is bad.

    \b
    Examples:
      streamvc models check
      streamvc models check exercise ./models/mine
    """
    from streamvc.errors import StreamvcError
    from streamvc.inference.bundle import check_bundle, list_bundles
    from streamvc.text import printable

    bad = False
    for name in names or tuple(list_bundles()):
        try:
            check_bundle(name)
            click.echo(printable(f"{name}: ok"))
        except StreamvcError as error:
            click.echo(printable(f"{name}: {error}"), err=True)
            bad = True
    if bad:
        sys.exit(1)


@models.command()
@click.argument("name", shell_complete=options.complete_model)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="The file to write.  [default: NAME.zip]")
def pack(name: str, out: Path | None) -> None:
    """Write the bundle NAME and all its backbones into one file, to carry to another machine.

    \b
    Examples:
      streamvc models pack exercise
      streamvc models pack ./models/mine --out mine.zip
    """
    from streamvc.inference.packing import pack

    out = out or Path(f"{Path(name).name}.zip")
    bundle = pack(name, out)
    click.echo(f"{out}: {bundle.manifest.name}, {out.stat().st_size / 1e6:.1f} MB")


@models.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--to", "folder", type=click.Path(path_type=Path, file_okay=False), default="models", show_default=True, help="Folder of models.")
@click.option("--overwrite", is_flag=True, help="Replace the bundle that is there.")
def install(file: Path, folder: Path, overwrite: bool) -> None:
    """Take in a bundle that `streamvc models pack` made, after checking all of it.

    \b
    Examples:
      streamvc models install exercise.zip
      streamvc models install mine.zip --to ~/models --overwrite
    """
    from streamvc.inference.packing import contents, install

    bundle = install(file, folder, overwrite=overwrite)
    for name, num_bytes in contents(file).items():
        click.echo(f"{num_bytes / 1e6:8.2f} MB  {name}", err=True)
    click.echo(f"{bundle.path}: ok")
