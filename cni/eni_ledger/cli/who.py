"""`eni-ledger who`: who has, or had, an address, a tag, an ENI, a namespace."""

from __future__ import annotations

import click

from eni_ledger.cli.common import PROGRAM, Command, Session, reading
from eni_ledger.cli.sound import ask, was_live
from eni_ledger.errors import NotFound
from eni_ledger.ledger.history import History
from eni_ledger.ledger.query import Query
from eni_ledger.render.associations import print_history
from eni_ledger.render.text import clock

EXAMPLES = [
    ("eni-ledger who 10.0.32.4", "everyone who ever had this address, the latest last"),
    ("eni-ledger who 10.0.32.4 --at 'last tuesday 03:12'", "the one who had it then (UTC)"),
    ("eni-ledger who 101 --at 2026-11-23T03:12:00Z", "VLAN ID 101, as a packet capture shows it"),
    ("eni-ledger who 0a:12:34:56:78:9a", "a MAC"),
    ("eni-ledger who 4026532281 --json", "a network namespace, by its inode"),
]


@click.command(cls=Command, examples=EXAMPLES, short_help="Who has or had an IP, a MAC, a VLAN ID, an ENI ...")
@click.argument("what")
@click.option(
    "--at",
    metavar="TIME",
    help="Only who had it at that time: RFC 3339, '2026-11-23 03:12', '03:12', 'tuesday 03:12', '2h ago', "
    "'-15m', Unix time. No zone means UTC.",
)
@click.option("--json", "as_json", is_flag=True, help='Print one document, {"associations": [...]}, one a line.')
@reading
@click.pass_context
def command(
    ctx: click.Context, what: str, at: str | None, as_json: bool, state_dir: str | None, no_color: bool
) -> None:
    """Tell who has or had WHAT: an IP address, a MAC, a VLAN ID, an ENI ID, a container ID or the beginning of
    one, a task ARN or task ID, the inode of a network namespace.

    All of these are reused, often within minutes, so there may be several answers; with --at there is one for
    each trunk. Exit status 1 when there is none.
    """
    session = Session(ctx, state_dir, no_color)
    moment = session.time(at, "--at")
    screen = session.screen
    query = Query(what)
    history = session.history(slow=True)
    then = was_live(moment) if moment else None
    answer = ask(
        history,
        lambda: history.who(what, moment),
        lambda one: query.matches(one) and (then is None or then(one)),
    )
    if as_json:
        screen.json_document(answer.document(at=moment))
    elif answer.found:
        if moment:
            session.echo_time(moment, what)
        print_history(answer.found, screen, session.now)
    if answer.damage:
        raise answer.damage
    if not answer.found:
        raise _nobody(history, what, moment)


def _nobody(history: History, what: str, moment: str | None) -> NotFound:
    """Return the error for no answer, with the question that might have one."""
    if moment is None:
        return NotFound("nobody has or had it", what, f"{PROGRAM} list")
    first = next(history.events(), None)
    if first and moment < first["ts"]:
        begins = f"the ledger begins at {clock(first['ts'])} UTC"
        return NotFound(f"nothing is known of {clock(moment)} UTC", begins, f"{PROGRAM} who {what}")
    return NotFound(f"nobody had it at {clock(moment)} UTC", what, f"{PROGRAM} who {what} (at any time)")
