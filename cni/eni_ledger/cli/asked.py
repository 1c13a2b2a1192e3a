"""What `list` and `who` answer. Apart from their command lines: the front door answers plain questions without one."""

from __future__ import annotations

from eni_ledger.cli.session import PROGRAM, require_ledger
from eni_ledger.cli.sound import Answer, ask, is_live, was_live
from eni_ledger.cli.twice import Twice
from eni_ledger.errors import NotFound
from eni_ledger.ledger import known
from eni_ledger.ledger.history import History
from eni_ledger.ledger.query import Query
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
                ask(history, lambda: known.during(history, *times), was_live(*times))
                if times
                else ask(history, history.live, is_live)
            )
            nothing = known.unknown(history, times[1]) if times and not found.found and not found.damage else None
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

    Raises NotFound when nobody had, and as `History.who` does; LedgerDamaged when the answer has been printed.
    """
    times = session.times(at, "--at")
    query = Query(what)
    progress = session.progress()
    try:
        with History(session.state_dir(), progress) as history:
            require_ledger(history)
            _who(session, history, what, query, times, as_json=as_json)
    finally:
        progress.close()


def _who(
    session: Session, history: History, what: str, query: Query, times: tuple[str, str] | None, *, as_json: bool
) -> None:
    screen, moment = session.screen, times[0] if times else None
    then = was_live(*times) if times else None
    found = ask(
        history,
        lambda: known.during(history, *times, query) if times else history.who(what),
        lambda one: query.matches(one) and (then is None or then(one)),
    )
    found.found = query.best(found.found)
    twice = Twice(history, times, found, query.best) if times else None
    session.introduce(as_json=as_json)
    if as_json:
        screen.json_document(found.document(at=moment, second_time=twice.document() if twice else None))
    elif found.found:
        if moment:
            session.echo_time(moment, what)
        from eni_ledger.render.associations import print_history

        print_history(found.found, screen, session.as_of())
    if twice and not as_json:
        twice.print(session)
    if found.damage:
        raise found.damage
    if not found.found and not (twice and twice.found):
        raise _nobody(history, what, times)


def _nobody(history: History, what: str, times: tuple[str, str] | None) -> NotFound:
    """Return the error for no answer, with the question that might have one."""
    if times is None:
        begin = known.begin(history)
        since = f" since {clock(begin)} UTC, when the ledger begins" if begin else ""
        return NotFound(f"nobody has had it{since}", what, f"{PROGRAM} list")
    if nothing := known.unknown(history, times[1]):
        nothing.hint = f"{PROGRAM} who {what}"
        return nothing
    return NotFound(f"nobody had it at {clock(times[0])} UTC", what, f"{PROGRAM} who {what} (at any time)")
