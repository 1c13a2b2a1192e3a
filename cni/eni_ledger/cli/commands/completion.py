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
    from click.shell_completion import ShellComplete, get_completion_class  # start-up: no other command needs it

    shell_class = get_completion_class(shell)
    if shell_class is None:
        raise click.UsageError(f"no completion for {shell}")
    # ShellComplete's own source(): bash's own runs bash to check its version, but the script may be
    # meant for another machine.
    script = ShellComplete.source(shell_class(ctx.find_root().command, {}, PROGRAM, COMPLETE_VAR))
    if as_json:
        Screen().json_document({"shell": shell, "script": script})
        return
    Screen().line(script)
