"""`eni-ledger log`: print events in the order in which they were written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from eni_ledger.base.errors import NotFound, UsageError
from eni_ledger.cli.options import Command, located, reading, session_of
from eni_ledger.cli.session import Session
from eni_ledger.cli.tail import following, last_events
from eni_ledger.ledger.query import coverage
from eni_ledger.ledger.query.questions import History
from eni_ledger.render.events import EventLines

EXAMPLES = [
    ("eni-ledger log --since -15m", "the last quarter of an hour"),
    ("eni-ledger log --since 'yesterday 03:00' --until 'yesterday 04:00'", "an hour of yesterday (UTC)"),
    ("eni-ledger log -n 20 -f", "the last 20 events, then each new one as it is written"),
    ("eni-ledger log --json | jq 'select(.event == \"add_failed\")'", "the lines of the ledger"),
]


@click.command(cls=Command, examples=EXAMPLES, short_help="The events as they were written.")
@click.option("--since", metavar="TIME", help="Events of this time and later. Forms as with 'who --at'.")
@click.option("--until", metavar="TIME", help="Events of this time and earlier; to the second: all of that second.")
@click.option("-n", "--lines", metavar="N", type=click.IntRange(min=0), help="Only the last N of them.")
@click.option(
    "-f",
    "--follow",
    is_flag=True,
    help="Go on with each new event as it is written, until ^C; begins with the last 10 unless -n or --since say "
    "otherwise.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line, with the keys of the ledger.")
@reading
@click.pass_context
def command(
    ctx: click.Context,
    since: str | None,
    until: str | None,
    lines: int | None,
    follow: bool,
    as_json: bool,
    state_dir: str | None,
    no_color: bool,
) -> None:
    """Print events in the order in which they were written: add, del, lost, add_failed, boot, checkpoint and the
    rest.

    With --json each line is one event with exactly the keys of the ledger file, so a program that reads ledger.jsonl
    can read it. Exit status 1 when there are no events between --since and --until.
    """
    session = session_of(ctx, state_dir, no_color)
    begin, end = session.times(since, "--since"), session.times(until, "--until", future=True)
    first, last = begin[0] if begin else None, end[1] if end else None
    if first and last and first > last:
        hint = "change the two round, or give the date too: a time without one is the latest that is past"
        raise UsageError("--since is later than --until", f"{first} and {last}", hint)
    if follow and until:
        raise UsageError("--follow and --until exclude each other", hint="eni-ledger log --help")
    history = session.history()
    events: Iterable[dict[str, Any]]
    if follow:
        events = following(history, first, lines)
    elif lines is not None:
        events = last_events(history, first, last, lines)
    else:
        events = history.events(first, last)
    session.introduce(as_json=as_json)
    with located(history.state_dir):
        shown = _print(events, session, as_json=as_json, at_once=follow)
        if not shown and lines != 0 and (first or last):
            raise _none(session, history, first, last)
    if not shown and not as_json:
        session.screen.note("no events")


def _none(session: Session, history: History, first: str | None, last: str | None) -> NotFound:
    """Return the error for a time range without events."""
    if last and (nothing := coverage.unknown(history, last, session.zone)):
        return nothing
    words = [f"{word} {session.clock(ts)}" for word, ts in (("from", first), ("until", last)) if ts]
    return NotFound("no events", " ".join(words), "eni-ledger log -n 10")


def _print(events: Iterable[dict[str, Any]], session: Session, *, as_json: bool, at_once: bool) -> int:
    """Print the events as they come and return their number; `at_once` flushes after each one, for --follow."""
    screen = session.screen
    shown = 0
    if as_json:
        for _ in screen.json_lines(events):
            shown += 1
            if at_once:
                screen.flush()
        return shown
    lines = EventLines(screen)
    for event in events:
        if not shown:
            screen.line(lines.header())
        screen.line(lines.line(event))
        shown += 1
        if at_once:
            screen.flush()
    return shown
