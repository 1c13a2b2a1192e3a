"""`eni-ledger help`: the help of a command."""

from __future__ import annotations

import click

from eni_ledger.base.errors import UsageError
from eni_ledger.cli.completers import command_names
from eni_ledger.cli.options import Command
from eni_ledger.cli.session import PROGRAM
from eni_ledger.render.screen import Screen

EXAMPLES = [
    ("eni-ledger help", "all commands"),
    ("eni-ledger help who", "the same as eni-ledger who --help"),
]


@click.command(cls=Command, examples=EXAMPLES, short_help="The help of a command.")
@click.argument("name", metavar="COMMAND", required=False, shell_complete=command_names)
@click.option("--json", "as_json", is_flag=True, help='Print one document, {"commands": [{"name": ...}]}.')
@click.pass_context
def command(ctx: click.Context, name: str | None, as_json: bool) -> None:
    """Print the help of COMMAND, without it the list of all commands.

    The packages have the same as manual pages: man eni-ledger-who.
    """
    root = ctx.find_root()
    group = root.command
    if name is None and as_json and isinstance(group, click.Group):
        Screen().json_document({"commands": [_about(root, group, each) for each in group.list_commands(root)]})
        return
    if name is None:
        Screen().line(root.get_help())
        return
    wanted = group.get_command(root, name) if isinstance(group, click.Group) else None
    if wanted is None:
        raise UsageError("there is no such command", f"'{name:.60}'", f"{PROGRAM} help")
    with click.Context(wanted, info_name=name, parent=root, **wanted.context_settings) as of_command:
        text = wanted.get_help(of_command)
        if as_json:
            Screen().json_document({"commands": [{**_about(root, group, name), "text": text}]})
        else:
            Screen().line(text)


def _about(root: click.Context, group: click.Command, name: str) -> dict[str, str]:
    found = group.get_command(root, name) if isinstance(group, click.Group) else None
    return {"name": name, "help": found.get_short_help_str(200) if found else ""}
