"""`streamvc keys`."""

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from streamvc.cli import options

F = TypeVar("F", bound=Callable[..., Any])


def folder(command: F) -> F:
    """`--keys`."""
    path = click.Path(file_okay=False, path_type=Path)
    return click.option("--keys", "chosen", type=path, metavar="FOLDER", help="Folder of keys.  [default: ~/.config/streamvc/keys]")(command)


def _folder(chosen: Path | None) -> Path:
    from streamvc.publish.keys import default_keys

    return chosen or default_keys()


@click.group()
def keys() -> None:
    """Say who may subscribe, by keys (CURVE): what is sent is encrypted, and nobody else gets in.

    The folder of keys belongs on the publisher's machine (`streamvc watch --keys FOLDER`); the key file of a client, on the client's (`streamvc
    subscribe --keys NAME.key`). Whoever is allowed or revoked while it runs gets in, or is cut off, within seconds.

    \b
    Examples:
      streamvc keys new alice                  makes a key file, and lets who has it subscribe
      streamvc keys revoke alice
      streamvc watch 0 --publish 'tcp://*:7788' --keys ~/.config/streamvc/keys
    """


@keys.command()
@click.argument("name")
@folder
def new(name: str, chosen: Path | None) -> None:
    """Make a key file for the client NAME, and let it in.

    \b
    Examples:
      streamvc keys new display
      streamvc keys new display --keys /etc/streamvc/keys
    """
    from streamvc.publish.keys import new_client

    path = new_client(_folder(chosen), name)
    click.echo(path)
    click.echo(f"Carry this file to the client's machine and keep it secret there. Then: streamvc subscribe --keys {path.name} ENDPOINT", err=True)


@keys.command("list")
@folder
@options.as_json
def list_(chosen: Path | None, as_json: bool) -> None:
    """List the clients: name, fingerprint of the key, allowed or revoked, since when.

    \b
    Examples:
      streamvc keys list
      streamvc keys list --json
    """
    from streamvc.publish.keys import list_clients

    clients = list_clients(_folder(chosen))
    if as_json:
        rows = [{"name": who.name, "fingerprint": who.fingerprint, "allowed": who.allowed, "since": who.since} for who in clients]
        click.echo(json.dumps(rows))
        return
    width = max((len(client.name) for client in clients), default=0)
    for client in clients:
        status = "allowed" if client.allowed else "revoked"
        click.echo(f"{client.name:{width}}  {client.fingerprint}  {status}  {datetime.fromtimestamp(client.since):%Y-%m-%d %H:%M}")


@keys.command()
@click.argument("name")
@click.argument("public", required=False, metavar="[FILE|KEY]")
@folder
def allow(name: str, public: str | None, chosen: Path | None) -> None:
    """Let a client in again that was revoked; or one that made its keys itself, by its public key or a file that holds it.

    \b
    Examples:
      streamvc keys allow display
      streamvc keys allow display display.public
      streamvc keys allow display 'rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7'
    """
    from streamvc.publish.keys import allow, read_public

    allow(_folder(chosen), name, None if public is None else read_public(public))
    click.echo(f"{name}: allowed")


@keys.command()
@click.argument("name")
@folder
def revoke(name: str, chosen: Path | None) -> None:
    """Let the client NAME in no more; a running publisher cuts it off.

    \b
    Examples:
      streamvc keys revoke display
    """
    from streamvc.publish.keys import revoke

    revoke(_folder(chosen), name)
    click.echo(f"{name}: revoked")


@keys.command("show-server")
@folder
def show_server(chosen: Path | None) -> None:
    """Print the publisher's public key, for clients that made their keys themselves.

    \b
    Examples:
      streamvc keys show-server
    """
    from streamvc.publish.keys import load_server

    click.echo(load_server(_folder(chosen)).public)
