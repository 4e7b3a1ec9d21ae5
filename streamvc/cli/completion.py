"""`streamvc completion`."""

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that completes streamvc's commands, options and model names in your shell.

    \b
    Examples:
      streamvc completion bash >> ~/.bashrc
      streamvc completion zsh  >> ~/.zshrc
      streamvc completion fish >  ~/.config/fish/completions/streamvc.fish
    """
    from streamvc.cli import main

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"no completion for {shell}")
    click.echo(kind(main, {}, "streamvc", "_STREAMVC_COMPLETE").source())
