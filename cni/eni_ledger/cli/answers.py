"""The answers of `list` and `who`, without their command lines: the front door answers plain questions itself.

Imports inside functions keep the front door's start short: a plain question pays only for what its answer needs.
"""

from __future__ import annotations

from eni_ledger.base.collector import Paused
from eni_ledger.base.errors import NotFound, UsageError
from eni_ledger.cli.damage import with_every_key
from eni_ledger.cli.found import Wanted, find_neighbours, gather
from eni_ledger.cli.keys import KEYS
from eni_ledger.cli.period import Period, period_of
from eni_ledger.cli.session import require_ledger
from eni_ledger.ledger.query import clock_note, coverage
from eni_ledger.render.text import SHORT, age, clock, safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Protocol

    from eni_ledger.base.errors import EniLedgerError
    from eni_ledger.base.events import Fields
    from eni_ledger.cli.damage import Answer
    from eni_ledger.cli.request import Request
    from eni_ledger.cli.session import Session
    from eni_ledger.ledger.query.reader import LedgerReader
    from eni_ledger.render.form import Form

    class Present(Protocol):
        """Prints a document in a form that is not plain."""

        def __call__(self, session: Session, form: Form, document: dict[str, Any], *, live: bool) -> None:
            """Print it."""


_SHORTEST_START = 6  # of the digits of a container's ID
_HUMAN = ("table", "wide")


def live(session: Session, request: Request, present: Present | None = None) -> None:
    """Print the live associations, or those of the time that `request` names; with WHATs those that fit one of them.

    `present` prints the forms that are not plain, with libraries that the front door does not have.

    Raises NotFound for a time before the ledger begins and for a WHAT that nothing fits, and as `History.live` does;
    LedgerDamaged after the answer has been printed.
    """
    with Paused():
        _tell(session, request, present, live=True)


def who(session: Session, request: Request, present: Present | None = None) -> None:
    """Print the associations that have or had what `request` asks for, with a time those of that time.

    `present` is as for `live`.

    Raises NotFound if there is none for one of the WHATs, and as `History.find` does; UsageError if a line of standard
    input was not understood; LedgerDamaged after the answer has been printed.
    """
    with Paused():
        _tell(session, request, present, live=False)


class _Told:
    """What is to be printed of an answer, and the error that the command ends with."""

    __slots__ = ("answer", "error", "found", "live", "misses", "notes", "period")

    def __init__(self, answer: Answer, found: list[Wanted], period: Period | None, *, live: bool) -> None:
        self.live = live
        self.answer = answer
        self.found = found
        self.period = period
        self.error: EniLedgerError | None = answer.damage
        self.misses: list[tuple[Wanted, EniLedgerError]] = []
        self.notes: list[str] = []


def _tell(session: Session, request: Request, present: Present | None, *, live: bool) -> None:
    period = period_of(session, request)
    found = [Wanted(what) for what in request.whats]
    progress = session.progress()
    try:
        with session.ask(progress) as history:
            require_ledger(history)
            told = _Told(gather(history, found, period, request.filters, live=live), found, period, live=live)
            told.notes = _notes(session, history, period)
            if not live and len(found) == 1 and not told.answer.associations and not told.answer.damage:
                _ask_docker(session, history, told, request)
            _add_misses(session, history, told, request)
    finally:
        progress.close()
    _print(session, request, told, present)
    if told.error:
        raise told.error


def _ask_docker(session: Session, history: LedgerReader, told: _Told, request: Request) -> None:
    """Answer for a container that only Docker knows: with the container whose network it uses, and a note."""
    (each,) = told.found
    query = each.query
    may_be = query.kind == "name" or (query.kind == "number" and len(query.text) >= _SHORTEST_START)
    shared = session.docker(query.text) if may_be and session.docker else None
    if shared is None:
        return
    owner = Wanted(shared.network_of)
    answer = gather(history, [owner], told.period, request.filters)
    if not answer.associations:
        return
    owner.what = each.what
    told.answer, told.found, told.error = answer, [owner], answer.damage
    if shared.network_of == shared.docker_id:
        told.notes.append(f"Docker knows {safe(query.text)} as {shared.docker_id[:SHORT]}")
    else:
        told.notes.append(f"container {safe(query.text)} of Docker shares the network of {shared.network_of[:SHORT]}")


def _add_misses(session: Session, history: LedgerReader, told: _Told, request: Request) -> None:
    """Add an error for each WHAT that nothing was found for, and who had it before and after; and the error of all."""
    damage, period = told.answer.damage, told.period
    missing = [] if damage else [each for each in told.found if not each.associations]
    if missing:
        from eni_ledger.cli import misses

        if period:
            find_neighbours(history, missing, period, request.filters)
        begin = coverage.begin(history)
        told.misses = [(each, misses.nobody(session, begin, each, period, live=told.live)) for each in missing]
    if damage:
        return
    if request.not_understood:
        details = f"{request.not_understood} of them, named above"
        told.error = UsageError("lines of standard input were not understood", details, "all others were answered")
    elif len(told.found) > 1 and told.misses:
        number = f"{len(told.misses)} of {len(told.found)}"
        told.error = NotFound("nothing was found for some of them", number)
    elif told.misses:
        told.error = told.misses[0][1]
    elif period and period.last and not told.answer.associations:
        told.error = coverage.unknown(history, period.last, session.zone)


def _print(session: Session, request: Request, told: _Told, present: Present | None) -> None:
    form, period = request.form, told.period
    human = form.output in _HUMAN and not (form.query or form.quiet)
    session.introduce(as_json=not human)
    if not form.plain or form.output == "json":
        document = _document(told, every_key=not form.plain)
        if form.plain:
            session.screen.json_document(document, {"associations": KEYS})
            return
        if human and period and told.answer.associations:
            period.echo(session, _subject(told))
        if present:
            present(session, form, document, live=told.live and period is None)
    else:
        _print_table(session, told)
    _print_misses(session, told, beside=not human or len(told.found) > 1)
    for note in told.notes:
        session.screen.note(f"note: {note}")
    for each in told.found if human else ():
        if fitted := each.query.fitted(each.associations):
            from eni_ledger.render.associations import explain_fits

            explain_fits(each.what, fitted, session.screen)


def _print_table(session: Session, told: _Told) -> None:
    screen, period, live, associations = session.screen, told.period, told.live, _rows(told)
    if not associations:
        if live and not told.found and not told.answer.damage and not told.error:
            screen.note(f"nothing was live {period.words(session)}" if period else "no live associations")
    elif live and period is None:
        from eni_ledger.render.associations import print_live

        print_live(associations, screen, session.as_of())
    else:
        from eni_ledger.render.associations import print_history

        if period:
            period.echo(session, _subject(told))
        print_history(associations, screen, session.as_of())


def _subject(told: _Told) -> str:
    """Return what the answer is about."""
    if not told.found:
        return "live"
    whats = ", ".join(each.what for each in told.found[:3])
    return whats if len(told.found) <= 3 else f"{whats} and {len(told.found) - 3} more"


def _print_misses(session: Session, told: _Told, *, beside: bool) -> None:
    """Print who had last and next what nobody had: as the answer, or `beside` it on standard error."""
    if not told.misses:
        return
    from eni_ledger.cli.misses import nearest

    for each, error in told.misses:
        words = nearest(each, told.period, session) if told.period else ""
        if beside and (words or len(told.found) > 1):
            session.screen.note(f"{safe(each.what)}: {error.msg}{'; ' if words else ''}{words}")
        elif words:
            session.screen.line(f"{safe(each.what)}: nobody {told.period.words(session) if told.period else ''}")
            for part in words.split("; "):
                session.screen.line(f"  {part}")


def _rows(told: _Told) -> Sequence[Fields]:
    """Return the associations; of several WHATs for each WHAT its own, with `what` and, in doubt, `fitted`.

    For `list` each association once, with all WHATs that it fits in `what`.
    """
    if len(told.found) < 2:
        return told.answer.associations
    if told.live:
        whats: dict[str, list[str]] = {}
        for each in told.found:
            for one in each.associations:
                whats.setdefault(one["association_id"], []).append(each.what)
        return [{"what": ", ".join(whats[one["association_id"]]), **one} for one in told.answer.associations]
    rows = []
    for each in told.found:
        fitted = each.query.fitted(each.associations)
        for one in each.associations:
            by = {"fitted": fitted[one["association_id"]]} if fitted else {}
            rows.append({"what": each.what, **by, **one})
    return rows


def _document(told: _Told, *, every_key: bool) -> dict[str, Any]:
    """Return what `--json` prints."""
    several = len(told.found) > 1
    fitted = told.found[0].query.fitted(told.answer.associations) if told.found and not several else {}
    more: dict[str, Any] = told.period.document() if told.period else {}
    more |= {"notes": told.notes or None, "fitted": fitted or None}
    if several:
        told_of = [{"what": each.what, **(_neighbours(each) if told.period else {})} for each, _ in told.misses]
        more["missing"] = told_of or None
    document = told.answer.document(_rows(told), every_key=every_key, **more)
    if told.misses and told.period and not several:
        each = told.misses[0][0]
        document |= _neighbours(each)
    return document


def _neighbours(each: Wanted) -> dict[str, Any]:
    """Return who had last and next what nobody had, as JSON says it."""
    both = {"before": each.before, "after": each.after}
    return {key: with_every_key(one) if one else None for key, one in both.items()}


def _notes(session: Session, history: LedgerReader, period: Period | None) -> list[str]:
    """Return a sentence for each time that the clock, set back, showed the moment asked for once more.

    And one for each of several ledgers that knows nothing of that time, and for an interval that is known only in part.
    """
    if period is None:
        return []
    unknown = coverage.unknown_parts(history, period.last, session.zone) if period.last else []
    if period.first and not period.moment:
        begin = coverage.begin(history)
        return [*unknown, *([f"the ledger begins at {session.clock(begin)}"] if begin and period.first < begin else [])]
    if period.first is None or period.last is None:
        return unknown
    twice = f"so {clock(period.first, session.zone)} came twice; `log` shows both"
    return [
        f"{where + ': ' if where else ''}clock set back by {age(step / 1e6)} at {session.clock(ts)}, {twice}"
        for where, ts, step in clock_note.of_each(history, period.first, period.last)
    ] + unknown
