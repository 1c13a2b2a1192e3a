"""`eni-ledger enter`: run a command in the network namespace of one task."""

from __future__ import annotations

import os

import click

from eni_ledger.cli.acting import enter_netns, execute, live_association, nsenter, show
from eni_ledger.cli.completers import live_names
from eni_ledger.cli.options import Command, reading, session_of
from eni_ledger.desk.wire.chosen import label

EXAMPLES = [
    ("eni-ledger enter 5f8a2b3d -- ss -tnp", "the connections of a task"),
    ("eni-ledger enter api:17 -- ip -d address", "its interfaces, with the VLAN ID"),
    ("eni-ledger enter 10.0.32.5", "a shell; the prompt does not show where it is"),
    ("eni-ledger enter 10.0.32.5 --print -- ss -tnp", "the command line that would do so"),
]


@click.command(cls=Command, examples=EXAMPLES, short_help="Run a command in the namespace of one task.")
@click.argument("what", shell_complete=live_names)
@click.argument("argv", metavar="[-- COMMAND]", nargs=-1, type=click.UNPROCESSED)
@click.option("--print", "only_print", is_flag=True, help="Print a command line that does so and run nothing.")
@click.option("--json", "as_json", is_flag=True, help='As --print, as a JSON document: {"argv": [...]}.')
@reading
@click.pass_context
def command(
    ctx: click.Context,
    what: str,
    argv: tuple[str, ...],
    only_print: bool,
    as_json: bool,
    state_dir: str | None,
    no_color: bool,
) -> None:
    """Run [-- COMMAND], or a shell, in the network namespace of the live association that WHAT names; anything that who
    accepts. It is entered only if it is the one recorded: the same inode, and the pause process of that time.
    Works on this host's own ledger: a copy and the sample ledger are refused.

    Only the network is the task's. Files, /etc/resolv.conf among them, are those of the host. The exit status is the
    command's; 1 when nothing live has WHAT, 2 when several have.
    """
    session = session_of(ctx, state_dir, no_color)
    association = live_association(session, what)
    program = list(argv) or [os.environ.get("SHELL") or "/bin/sh"]
    if only_print or as_json:
        show(session, association, [*nsenter(association), *program], as_json=as_json)
        return
    enter_netns(association)
    if not argv:
        session.screen.note(f"in the network namespace of {label(association)}")
    execute(program)
