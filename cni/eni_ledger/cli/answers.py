"""What `list` and `who` answer. Apart from their command lines: the front door answers plain questions without one."""

from __future__ import annotations

from eni_ledger.base.errors import NotFound, UsageError
from eni_ledger.cli.damage import Answer, ask, is_live, was_live
from eni_ledger.cli.session import PROGRAM, require_ledger
from eni_ledger.ledger.query import clock_note, coverage
from eni_ledger.ledger.query.questions import History
from eni_ledger.ledger.read.spelling import not_looked_up
from eni_ledger.ledger.read.terms import Query, readings
from eni_ledger.render.text import age, clock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.cli.session import Session


def live(session: Session, at: str | None, *, as_json: bool) -> None:
    """Print what is live, or was `at` a time.

    Raises NotFound for a time before the ledger begins, and as `History.live` does; LedgerDamaged when the answer has
    been printed.
    """
    times = session.times(at, "--at")
    progress = session.progress()
    try:
        with History(session.state_dir(), progress) as history:
            require_ledger(history)
            found = (
                ask(history, lambda: coverage.during(history, *times), was_live(*times))
                if times
                else ask(history, history.live, is_live)
            )
            nothing = coverage.unknown(history, times[1]) if times and not found.found and not found.damage else None
            notes = _notes(history, times) if times else []
    finally:
        progress.close()
    _print_live(session, found, times, notes, nothing, as_json=as_json)
    if error := found.damage or nothing:
        raise error


def _print_live(
    session: Session,
    found: Answer,
    times: tuple[str, str] | None,
    notes: list[str],
    nothing: NotFound | None,
    *,
    as_json: bool,
) -> None:
    screen, moment = session.screen, times[0] if times else None
    session.introduce(as_json=as_json)
    if as_json:
        screen.json_document(found.document(at=moment, notes=notes or None))
    elif not found.found:
        if not found.damage and not nothing:
            screen.note("no live associations" if moment is None else f"nothing was live at {clock(moment)} UTC")
    elif moment is None:
        from eni_ledger.render.associations import print_live

        print_live(found.found, screen, session.as_of())
    else:
        from eni_ledger.render.associations import print_history

        session.echo_time(moment, "live")
        print_history(found.found, screen, session.as_of())
    if not as_json:
        _print_notes(session, notes)


def who(session: Session, what: str, at: str | None, *, as_json: bool) -> None:
    """Print who has or had `what`, with `at` who had it then.

    Raises NotFound when nobody had, UsageError when it is a name that is not looked up, and as `History.who` does;
    LedgerDamaged when the answer has been printed.
    """
    times = session.times(at, "--at")
    every = readings(what)
    progress = session.progress()
    try:
        with History(session.state_dir(), progress) as history:
            require_ledger(history)
            for query in every:
                found = _fitting(history, query, times)
                if found.found or found.damage:
                    break
            nobody = None
            if not found.found and not found.damage:
                nobody = _nobody(history, what, every[0], times)
            if isinstance(nobody, UsageError):  # no answer to be printed: not an empty one either
                session.introduce(as_json=as_json)
                raise nobody
            notes = _notes(history, times) if times else []
            _print_who(session, what, query, times, found, notes, as_json=as_json)
            if error := found.damage or nobody:
                raise error
    finally:
        progress.close()


def _fitting(history: History, query: Query, times: tuple[str, str] | None) -> Answer:
    """Return what fits best."""
    then = was_live(*times) if times else None
    found = ask(
        history,
        lambda: coverage.during(history, *times, query) if times else history.spans(query),
        lambda one: query.matches(one) and (then is None or then(one)),
    )
    found.found = query.best(found.found)
    return found


def _print_who(
    session: Session,
    what: str,
    query: Query,
    times: tuple[str, str] | None,
    found: Answer,
    notes: list[str],
    *,
    as_json: bool,
) -> None:
    screen, moment = session.screen, times[0] if times else None
    fitted = query.fitted(found.found)
    session.introduce(as_json=as_json)
    if as_json:
        screen.json_document(found.document(at=moment, notes=notes or None, fitted=fitted or None))
        return
    if found.found:
        if moment:
            session.echo_time(moment, what)
        from eni_ledger.render.associations import print_history

        print_history(found.found, screen, session.as_of())
    _print_notes(session, notes)
    if fitted:
        from eni_ledger.render.associations import explain_fits

        explain_fits(what, fitted, screen)


def _notes(history: History, times: tuple[str, str]) -> list[str]:
    """Return a sentence for each time that the clock, set back, showed the moment asked about once more."""
    return [
        f"clock set back by {age(step / 1e6)} at {clock(ts)} UTC, so {clock(times[0])} came twice; `log` shows both"
        for ts, step in clock_note.set_back(history, *times)
    ]


def _print_notes(session: Session, notes: list[str]) -> None:
    for note in notes:
        session.screen.note(f"note: {note}")


def _nobody(history: History, what: str, query: Query, times: tuple[str, str] | None) -> NotFound | UsageError:
    """Return the error for no answer, with the question that might have one; UsageError: it was not looked up."""
    if query.may_be_another_name and not (times and ask(history, lambda: history.spans(query), query.matches).found):
        return not_looked_up(query.text)
    if times is None:
        begin = coverage.begin(history)
        since = f" since {clock(begin)} UTC, when the ledger begins" if begin else ""
        nobody = "no container, task or association has had this ID" if query.kind == "name" else "nobody has had it"
        return NotFound(f"{nobody}{since}", what, f"{PROGRAM} list")
    if nothing := coverage.unknown(history, times[1]):
        nothing.hint = f"{PROGRAM} who {what}"
        return nothing
    return NotFound(f"nobody had it at {clock(times[0])} UTC", what, f"{PROGRAM} who {what} (at any time)")
