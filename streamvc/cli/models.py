"""`streamvc models`."""

import json
import sys

import click

from streamvc.cli import options


@click.group()
def models() -> None:
    """List, show and check model bundles.

    A bundle is a folder with model.json, the head's .tflite files and a card. It is found by path, or by name in ./models, in $STREAMVC_MODELS and
    among those that come with streamvc.
    """


@models.command("list")
@options.as_json
def list_(as_json: bool) -> None:
    """List the bundles that are found, with their labels."""
    from streamvc.inference.bundle import list_bundles, load_bundle

    rows = {name: load_bundle(name) for name in list_bundles()}
    if as_json:
        click.echo(json.dumps([{"name": name, "path": str(bundle.path), "labels": bundle.manifest.labels} for name, bundle in rows.items()]))
        return
    width = max(map(len, rows), default=0)
    for name, bundle in rows.items():
        click.echo(f"{name:{width}}  {', '.join(bundle.manifest.labels)}")


@models.command()
@click.argument("name", shell_complete=options.complete_model)
@options.as_json
def show(name: str, as_json: bool) -> None:
    """Show the card of a bundle: data, split, measured figures, licence, limits."""
    from streamvc.inference.bundle import load_bundle

    bundle = load_bundle(name)
    if as_json:
        click.echo((bundle.path / "model.json").read_text())
        return
    click.echo(f"{bundle.path}\nmanifest sha256 {bundle.sha256}\n")
    click.echo((bundle.path / "CARD.md").read_text())


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

    bad = False
    for name in names or tuple(list_bundles()):
        try:
            check_bundle(name)
            click.echo(f"{name}: ok")
        except StreamvcError as error:
            click.echo(f"{name}: {error}", err=True)
            bad = True
    if bad:
        sys.exit(1)
