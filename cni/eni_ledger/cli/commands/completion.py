"""`eni-ledger completion`: print the script that completes commands, options and values in a shell."""

from __future__ import annotations

import click

from eni_ledger.cli.options import COMPLETE_VAR, Command
from eni_ledger.cli.session import PROGRAM
from eni_ledger.render.screen import Screen

EXAMPLES = [
    ("eni-ledger completion bash > /etc/bash_completion.d/eni-ledger", "for bash 4.4 and later"),
    ('eni-ledger completion zsh > "${fpath[1]}/_eni-ledger"', "for zsh"),
    ("eni-ledger completion fish > ~/.config/fish/completions/eni-ledger.fish", "for fish"),
]


@click.command(cls=Command, examples=EXAMPLES, short_help="Completion for bash, zsh and fish.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.option("--json", "as_json", is_flag=True, help='Print one document, {"shell": ..., "script": ...}.')
@click.pass_context
def command(ctx: click.Context, shell: str, as_json: bool) -> None:
    """Print the completion script for a SHELL: bash, zsh or fish."""
    from eni_ledger.cli.shells import script  # start-up: no other command needs it

    text = script(shell, ctx.find_root().command, PROGRAM, COMPLETE_VAR)
    if as_json:
        Screen().json_document({"shell": shell, "script": text})
        return
    Screen().line(text)
