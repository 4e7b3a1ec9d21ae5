"""`streamvc recipes`."""

import json
from dataclasses import asdict

import click

from streamvc.cli import options


@click.command()
@click.argument("name", required=False, shell_complete=options.complete_recipe)
@options.as_json
def recipes(name: str | None, as_json: bool) -> None:
    """List the recipes that `streamvc train --recipe` knows; with NAME, its settings.

    A recipe streams by `step` (once per frame), over the `window` of the last features, or over the `clip` of the last pictures.

    \b
    Examples:
      streamvc recipes
      streamvc recipes stacked-lstm
    """
    from streamvc.training.recipes import RECIPES, find_recipe

    if name:
        recipe = find_recipe(name)
        settings = {"backbone": recipe.backbone, "rate_hz": recipe.rate_hz, **asdict(recipe.head)}
        if as_json:
            click.echo(json.dumps({"name": recipe.name, "streams": recipe.streams, **settings}))
            return
        click.echo(f"{recipe.name}: {recipe.summary}\nstreams by {recipe.streams}; its settings, each changed by --set NAME=VALUE:\n")
        for setting, value in settings.items():
            text = ",".join(map(str, value)) if isinstance(value, tuple) else value
            click.echo(f"  {setting:18}{text}")
        return
    rows = [
        {"name": recipe.name, "trains": True, "exports": True, "streams": recipe.streams, "backbone": recipe.backbone, "summary": recipe.summary}
        for recipe in RECIPES.values()
    ]
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        click.echo(f"{row['name']:14}{row['streams']:8}{row['backbone']:24}{row['summary']}")
