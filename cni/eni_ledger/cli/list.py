"""`eni-ledger list`: what is live, now or at some time."""

from __future__ import annotations

import click

from eni_ledger.cli.common import Command, reading, session_of
from eni_ledger.cli.sound import Answer, ask, is_live, was_live
from eni_ledger.cli.twice import Twice
from eni_ledger.ledger import known
from eni_ledger.ledger.history import History
from eni_ledger.render.associations import print_history, print_live
from eni_ledger.render.text import clock

EXAMPLES = [
    ("eni-ledger list", "the branch ENIs of this host and whose they are"),
    ("eni-ledger list --at 'yesterday 03:12'", "those of that moment (UTC), also of tasks long gone"),
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

    A value marked ! is one where the kernel shows something else than was declared. Where the clock was set back a
    time came twice, and both answers are given. That nothing is live is an answer, with exit status 0; for a time
    before the ledger begins there is none, and that is exit status 1.
    """
    session = session_of(ctx, state_dir, no_color)
    times = session.times(at, "--at")
    moment = times[0] if times else None
    screen = session.screen
    history = session.history()
    answer = ask(history, lambda: known.during(history, *times), was_live(*times)) if times else _live(history)
    nothing = known.unknown(history, times[1]) if times and not answer.found and not answer.damage else None
    twice = Twice(history, times, answer) if times and not nothing else None
    if as_json:
        screen.json_document(answer.document(at=moment, second_time=twice.document() if twice else None))
    elif not answer.found:
        if not answer.damage and not nothing:
            screen.note("no live associations" if moment is None else f"nothing was live at {clock(moment)} UTC")
    elif moment is None:
        print_live(answer.found, screen, session.now)
    else:
        session.echo_time(moment, "live")
        print_history(answer.found, screen, session.now)
    if twice and not as_json:
        twice.print(session)
    if error := answer.damage or nothing:
        raise error


def _live(history: History) -> Answer:
    return ask(history, history.live, is_live)
