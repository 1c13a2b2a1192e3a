"""`eni-ledger report`: one HTML file about an interval."""

from __future__ import annotations

import os
from typing import Any

import click

from eni_ledger import timespec
from eni_ledger.base.errors import EniLedgerError, LedgerError, NotFound, UsageError
from eni_ledger.cli.options import Command, reading, session_of
from eni_ledger.cli.period import period_of
from eni_ledger.cli.request import Request
from eni_ledger.cli.session import Session
from eni_ledger.desk.topology.facts import DockerFacts
from eni_ledger.desk.topology.limits import instance_type
from eni_ledger.render.text import counted, safe, size

EXAMPLES = [
    ("eni-ledger report hour.html --since 'today 03:00' --until 'today 04:00'", "an hour, to send along"),
    ("eni-ledger report today.html --since today", "from midnight (UTC) up to now"),
    ("eni-ledger report all.html --state-dir /mnt/evidence/eni-ledger", "all that a copy knows"),
]
STDOUT = "-"
MOST = 100_000
"""Associations in a page: of so many it has some 13 MB, and a browser takes seconds to show it."""


@click.command(cls=Command, examples=EXAMPLES, short_help="One HTML file about an incident.")
@click.argument("file", metavar="FILE")
@click.option("--since", metavar="TIME", help="From that time on. Default: from where the ledger begins.")
@click.option("--until", metavar="TIME", help="Up to that time; to the second: all of that second. Default: now.")
@click.option("--json", "as_json", is_flag=True, help="Print what was written to FILE, as a JSON document.")
@reading
@click.pass_context
def command(
    ctx: click.Context,
    file: str,
    since: str | None,
    until: str | None,
    as_json: bool,
    state_dir: str | None,
    no_color: bool,
) -> None:
    """Write FILE (- for standard output): one HTML page with a timeline of the VLAN IDs, a table to search and sort,
    findings and gaps, the topology at the end, and what it was made from, with the chain of checksums proven as by
    fsck. The page loads nothing, sends nothing, and needs no network.

    Exit status 1 when the interval ends before the ledger begins; 2 when there is too much in it for a page; 3 when
    the ledger is damaged: the page then has what is proven, and says so.
    """
    session = session_of(ctx, state_dir, no_color)
    if file == STDOUT and as_json:
        raise UsageError("--json and standard output exclude each other", hint="write the page to a FILE")
    first, last = _interval(session, since, until)
    document = _collect(session, first, last)
    if document["begins"] is not None and document["last"] < document["begins"] and not document["associations"]:
        raise NotFound("the interval ends before the ledger begins", f"it begins at {document['begins'][:19]}Z")
    from eni_ledger.desk.report.page import render  # jinja2

    page = render(document, session.zone)
    if file == STDOUT:
        session.screen.line(page.rstrip("\n"))
    else:
        _write(file, page)
        _say(session, file, document, len(page.encode()), as_json=as_json)
    if error := _error(document):
        raise error


def _say(session: Session, file: str, document: dict[str, Any], length: int, *, as_json: bool) -> None:
    """Say what has been written."""
    number = len(document["associations"])
    if as_json:
        written = {"file": file, "associations": number, "bytes": length}
        session.screen.json_document({**written, "since": document["first"], "until": document["last"]})
    else:
        session.screen.note(f"{safe(file)}: {counted(number, 'association')}, {size(length)}")


def _interval(session: Session, since: str | None, until: str | None) -> tuple[str | None, str | None]:
    """Return the two ends of the interval, None for where the ledger begins and for now. Raises as `period_of` does."""
    period = period_of(session, Request(since=since, until=until))
    if period is None:
        return None, None
    now = timespec.to_ledger(session.now)
    return period.first, None if period.last and period.last > now else period.last


def _collect(session: Session, first: str | None, last: str | None) -> dict[str, Any]:
    from eni_ledger.desk.report.collect import collect  # pydantic, by way of fsck

    copy = session.copy()  # of several, the latest; none if one of them is this host's
    progress = session.progress()
    try:
        with session.history(slow=True) as history:
            return collect(
                history,
                first,
                last,
                now=timespec.to_ledger(session.now),
                as_of=copy.ts if copy else None,
                copies=_copies(session),
                instance_type=None if copy else instance_type(),
                facts=DockerFacts() if last is None and not copy else None,
                most=MOST,
                progress=progress,
            )
    finally:
        progress.close()


def _copies(session: Session) -> dict[str, str]:
    """Return by the name of a ledger what it is a copy of."""
    if opened := session.opened():
        return {part.history.state_dir: part.copy.words() for part in opened.history.given if part.copy}
    copy = session.copy()
    return {session.state_dir(): copy.words()} if copy else {}


def _write(path: str, page: str) -> None:
    """Write the page under a temporary name beside it, then rename it. Raises LedgerError."""
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
        try:
            with open(fd, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor
                file.write(page)
            os.replace(temporary, path)  # noqa: PTH105 - names as they were typed
        except BaseException:
            os.unlink(temporary)  # noqa: PTH108
            raise
    except OSError as exc:
        raise LedgerError("the page cannot be written", f"{path}: {exc.strerror}", "name another FILE") from exc


def _error(document: dict[str, Any]) -> EniLedgerError | None:
    """Return the error for a damaged ledger."""
    damage = [text for source in document["sources"] for text in source["damage"]] or document["damage"]
    if not damage:
        return None
    return LedgerError(str(damage[0]), "", "eni-ledger fsck lists every damaged place")
