"""`eni-ledger list`: what is live, now or at some time."""

from __future__ import annotations

import click

from eni_ledger.cli.common import Command, Session, reading
from eni_ledger.cli.sound import ask, is_live, was_live
from eni_ledger.render.associations import print_history, print_live
from eni_ledger.render.text import clock

EXAMPLES = [
    ("eni-ledger list", "the branch ENIs of this host and whose they are"),
    ("eni-ledger list --at 'yesterday 03:12'", "those of that moment (UTC), also of tasks long gone"),
    ("eni-ledger list --json | jq -r '.associations[].addresses[]'", "every IP address in use"),
]


@click.command(cls=Command, examples=EXAMPLES, short_help="What is live now, or was at some time.")
@click.option("--at", metavar="TIME", help="What was live at that time, in place of now. No zone means UTC.")
@click.option("--json", "as_json", is_flag=True, help='Print one document, {"associations": [...]}, one a line.')
@reading
@click.pass_context
def command(ctx: click.Context, at: str | None, as_json: bool, state_dir: str | None, no_color: bool) -> None:
    """List the live associations: VLAN, branch ENI (its MAC while the ENI ID is not known), IP addresses, task
    (or container), inode of the network namespace, PID of the pause container, age.

    A value marked ! is one where the kernel shows something else than was declared.
    """
    session = Session(ctx, state_dir, no_color)
    moment = session.time(at, "--at")
    screen = session.screen
    history = session.history()
    if moment is None:
        answer = ask(history, history.live, is_live)
    else:
        when = moment
        answer = ask(history, lambda: history.at(when), was_live(when))
    if as_json:
        screen.json_document(answer.document(at=moment))
    elif not answer.found:
        screen.note("no live associations" if moment is None else f"nothing was live at {clock(moment)} UTC")
    elif moment is None:
        print_live(answer.found, screen, session.now)
    else:
        session.echo_time(moment, "live")
        print_history(answer.found, screen, session.now)
    if answer.damage:
        raise answer.damage
