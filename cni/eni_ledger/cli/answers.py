"""What `list` and `who` answer. Apart from their command lines: the front door answers plain questions without one."""

from __future__ import annotations

from eni_ledger.base.errors import NotFound, UsageError
from eni_ledger.cli.damage import Answer, ask, is_live, was_live
from eni_ledger.cli.session import PROGRAM, require_ledger
from eni_ledger.cli.twice import Twice
from eni_ledger.ledger.query import coverage
from eni_ledger.ledger.query.questions import History
from eni_ledger.ledger.read.spelling import not_looked_up
from eni_ledger.ledger.read.terms import Query, readings
from eni_ledger.render.text import clock

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
            twice = Twice(history, times, found) if times and not nothing else None
    finally:
        progress.close()
    _print_live(session, found, times, twice, nothing, as_json=as_json)
    if error := found.damage or nothing:
        raise error


def _print_live(
    session: Session,
    found: Answer,
    times: tuple[str, str] | None,
    twice: Twice | None,
    nothing: NotFound | None,
    *,
    as_json: bool,
) -> None:
    screen, moment = session.screen, times[0] if times else None
    session.introduce(as_json=as_json)
    if as_json:
        screen.json_document(found.document(at=moment, second_time=twice.document() if twice else None))
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
    if twice and not as_json:
        twice.print(session)


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
                found, twice = _fitting(history, query, times)
                if found.found or found.damage or twice:
                    break
            nobody = None
            if not found.found and not found.damage and not (twice and twice.found):
                nobody = _nobody(history, what, every[0], times)
            if isinstance(nobody, UsageError):  # no answer to be printed: not an empty one either
                session.introduce(as_json=as_json)
                raise nobody
            _print_who(session, what, query, times, found, twice, as_json=as_json)
            if error := found.damage or nobody:
                raise error
    finally:
        progress.close()


def _fitting(history: History, query: Query, times: tuple[str, str] | None) -> tuple[Answer, Twice | None]:
    """Return what fits best, and the same of moments that came twice."""
    then = was_live(*times) if times else None
    found = ask(
        history,
        lambda: coverage.during(history, *times, query) if times else history.spans(query),
        lambda one: query.matches(one) and (then is None or then(one)),
    )
    found.found = query.best(found.found)
    return found, Twice(history, times, found, query.best) if times else None


def _print_who(
    session: Session,
    what: str,
    query: Query,
    times: tuple[str, str] | None,
    found: Answer,
    twice: Twice | None,
    *,
    as_json: bool,
) -> None:
    screen, moment = session.screen, times[0] if times else None
    fitted = query.fitted([*found.found, *(twice.found if twice else ())])
    session.introduce(as_json=as_json)
    if as_json:
        second = twice.document() if twice else None
        screen.json_document(found.document(at=moment, second_time=second, fitted=fitted or None))
        return
    if found.found:
        if moment:
            session.echo_time(moment, what)
        from eni_ledger.render.associations import print_history

        print_history(found.found, screen, session.as_of())
    if twice:
        twice.print(session)
    if fitted:
        from eni_ledger.render.associations import explain_fits

        explain_fits(what, fitted, screen)


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
