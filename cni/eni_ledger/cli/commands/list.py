"""`eni-ledger list`: the live associations, now or at a given time."""

from __future__ import annotations

import click

from eni_ledger.cli.answers import live
from eni_ledger.cli.options import Command, reading, session_of
from eni_ledger.cli.request import Request
from eni_ledger.render.form import Form

EXAMPLES = [
    ("eni-ledger list", "the branch ENIs of this host and their tasks"),
    ("eni-ledger list --at 'yesterday 03:12'", "live at that moment (UTC), with tasks that have ended since"),
    ("eni-ledger list --json | jq -r '.associations[].addresses[]'", "every IP address in use"),
]


@click.command(cls=Command, examples=EXAMPLES, short_help="What is live now, or was at some time.")
@click.option(
    "--at",
    metavar="TIME",
    help="What was live at that time, in place of now; to the second means at any moment of it. Forms as with "
    "'who --at'. No zone means UTC.",
)
@click.option("--json", "as_json", is_flag=True, help='Print one document, {"associations": [...]}, one a line.')
@reading
@click.pass_context
def command(ctx: click.Context, at: str | None, as_json: bool, state_dir: str | None, no_color: bool) -> None:
    """List the live associations: VLAN, branch ENI (its MAC while the ENI ID is not known), IP addresses, task
    (or container), inode of the network namespace, PID of the pause container, age.

    A value marked ! was declared to the plugin, but the kernel shows another. Where the clock was set back and showed
    the time again, a note says so.

    Exit status 0, even when nothing is live; 1 for a time before the ledger begins.
    """
    live(session_of(ctx, state_dir, no_color), Request(at=at, form=Form("json" if as_json else "table")))
