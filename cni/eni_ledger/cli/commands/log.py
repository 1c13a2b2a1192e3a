"""`eni-ledger log`: print events in the order in which they were written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

import click

from eni_ledger import timespec
from eni_ledger.base.errors import NotFound, UsageError
from eni_ledger.cli.asking import filter_options, form_options, request_of, time_options, whats_argument
from eni_ledger.cli.found import Wanted, gather
from eni_ledger.cli.options import Command, located, reading, session_of
from eni_ledger.cli.period import Period, period_of
from eni_ledger.cli.present import present
from eni_ledger.cli.request import Request
from eni_ledger.cli.session import Session
from eni_ledger.cli.tail import following, last_events
from eni_ledger.ledger.query import coverage
from eni_ledger.ledger.read.terms import Query
from eni_ledger.render.events import EventLines
from eni_ledger.render.text import moment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Event
    from eni_ledger.ledger.query.reader import LedgerReader

EXAMPLES = [
    ("eni-ledger log --since -15m", "the last quarter of an hour"),
    ("eni-ledger log --since 'yesterday 03:00' --until 'yesterday 04:00'", "an hour of yesterday"),
    ("eni-ledger log --at '03:12 Europe/Berlin'", "that minute"),
    ("eni-ledger log vlan:102 --since -1d", "what happened to a VLAN ID"),
    ("eni-ledger log 10.0.32.5", "the events of all that had an address"),
    ("eni-ledger log --family api --event add --event del", "how tasks of a family come and go"),
    ("eni-ledger log -n 20 -f", "the last 20 events, then each new one as it is written"),
    ("eni-ledger log --json | jq 'select(.event == \"add_failed\")'", "the lines of the ledger"),
]
_SECOND, _MINUTE = timedelta(microseconds=999_999), timedelta(seconds=59, microseconds=999_999)


@click.command(cls=Command, examples=EXAMPLES, short_help="The events as they were written.")
@whats_argument(required=False)
@time_options
@click.option("-n", "--lines", metavar="N", type=click.IntRange(min=0), help="Only the last N of them.")
@click.option(
    "-f",
    "--follow",
    is_flag=True,
    help="Go on with each new event as it is written, until ^C; begins with the last 10 unless -n or --since say "
    "otherwise.",
)
@filter_options
@form_options
@reading
@click.pass_context
def command(
    ctx: click.Context,
    /,
    what: tuple[str, ...],
    lines: int | None,
    follow: bool,
    state_dir: str | None,
    no_color: bool,
    **options: Any,
) -> None:
    """Print events in the order in which they were written: add, del, lost, add_failed, boot, checkpoint and the
    rest. With WHAT, as with who, the events of the associations that it fits, and calls that failed; - reads WHATs from
    standard input. --at is the second, or without seconds the minute, that it names. Filters other than --event, --via
    and --mismatch are on the association that an event is about.

    With --json each line is one event with exactly the keys of the ledger file, so a program that reads ledger.jsonl
    can read it. Exit status 1 when there are no events of that time or of that WHAT; 2 when a line of standard input
    can be no WHAT: it is named, and the events of all others are printed.
    """
    session = session_of(ctx, state_dir, no_color)
    request = request_of(what, options)
    period = _period(session, request)
    if follow:
        _check_following(request)
    history = session.history()
    queries, filters = _queries(history, request), request.filters
    first, last = (period.first, period.last) if period else (None, None)
    events: Iterable[Event]
    if follow:
        events = following(history, first, lines, queries=queries, filters=filters)
    elif lines is not None:
        events = last_events(history, first, last, lines, queries=queries, filters=filters)
    else:
        events = history.events(first, last, queries=queries, filters=filters)
    session.introduce(as_json=request.form.output not in ("table", "wide"))
    with located(history.state_dir):
        shown = _print(events, session, request, at_once=follow)
        if not shown and lines != 0 and (period or request.whats):
            raise _none(session, history, request, period)
    if not shown and request.form.plain and request.form.output == "table":
        session.screen.note("no events")
    if request.not_understood:
        details = f"{request.not_understood} of them, named above"
        raise UsageError("lines of standard input were not understood", details)


def _queries(history: LedgerReader, request: Request) -> list[Query]:
    """Return what to look for; of what may mean several things the first that there is."""
    wanted = [Wanted(what) for what in request.whats]
    if several := [each for each in wanted if len(each.queries) > 1]:
        gather(history, several, None, None)
    return [each.query for each in wanted]


def _period(session: Session, request: Request) -> Period | None:
    """Return the time that is asked for; a moment is all of the second, or without seconds of the minute, it names."""
    period = period_of(session, request)
    begin = moment(period.first) if period and period.moment else None
    if period is None or begin is None or period.first != period.last:
        return period
    whole_minute = begin.second == 0 and begin.microsecond == 0
    begin = begin.replace(microsecond=0)
    return Period(timespec.to_ledger(begin), timespec.to_ledger(begin + (_MINUTE if whole_minute else _SECOND)))


def _check_following(request: Request) -> None:
    """Raise UsageError for what cannot be had of events that are still to come."""
    for name, value in (("--until", request.until), ("--at", request.at)):
        if value is not None:
            raise UsageError(f"--follow and {name} exclude each other", hint="eni-ledger log --help")
    if not request.form.plain and request.form.output != "jsonl":
        raise UsageError("--follow prints events as they come: a table or JSON lines", hint="eni-ledger log -f --json")


def _none(session: Session, history: LedgerReader, request: Request, period: Period | None) -> NotFound:
    """Return the error for a time, or for WHATs, without events."""
    if period is None or not (period.first or period.last):
        return NotFound("no events", ", ".join(request.whats[:3]), f"eni-ledger who {request.whats[0]}")
    if period.last and (nothing := coverage.unknown(history, period.last, session.zone)):
        return nothing
    words = [f"{word} {session.clock(ts)}" for word, ts in (("from", period.first), ("until", period.last)) if ts]
    whats = [f"of {', '.join(request.whats[:3])}"] if request.whats else []
    return NotFound("no events", " ".join([*whats, *words]), "eni-ledger log -n 10")


def _print(events: Iterable[Event], session: Session, request: Request, *, at_once: bool) -> int:
    """Print the events as they come and return their number; `at_once` flushes after each one, for --follow."""
    screen, form = session.screen, request.form
    shown = 0

    def counted(events: Iterable[Event]) -> Iterator[Event]:
        nonlocal shown
        for event in events:
            shown += 1
            yield event

    if form.output in ("json", "jsonl") and (form.plain or at_once):
        for _ in screen.json_lines(events):
            shown += 1
            if at_once:
                screen.flush()
        return shown
    if not form.plain:
        present(session, form, {"events": counted(events)})
        return shown
    lines = EventLines(screen, instances=len(session.ask().apart()) > 1)
    for event in events:
        if not shown:
            screen.line(lines.header())
        screen.line(lines.line(event))
        shown += 1
        if at_once:
            screen.flush()
    return shown
