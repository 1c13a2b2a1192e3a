"""The answers of `list` and `who`, without their command lines: the front door answers plain questions itself."""

from __future__ import annotations

from eni_ledger.base.errors import NotFound
from eni_ledger.cli.damage import Answer, ask, is_live, was_live
from eni_ledger.cli.session import PROGRAM, require_ledger
from eni_ledger.ledger.query import clock_note, coverage
from eni_ledger.ledger.query.questions import History
from eni_ledger.ledger.read.container_terms import SHORTEST_START
from eni_ledger.ledger.read.terms import Query, readings
from eni_ledger.render.text import SHORT, age, clock, safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.cli.request import Request
    from eni_ledger.cli.session import Session


def live(session: Session, request: Request) -> None:
    """Print the live associations, or those of the time that `request` names.

    Raises NotFound for a time before the ledger begins, and as `History.live` does; LedgerDamaged after the answer has
    been printed.
    """
    times = session.times(request.at, "--at")
    progress = session.progress()
    try:
        with session.ask(progress) as history:
            require_ledger(history)
            answer = (
                ask(history, lambda: coverage.during(history, *times), was_live(*times))
                if times
                else ask(history, history.live, is_live)
            )
            empty = times and not answer.associations and not answer.damage
            error = answer.damage or (coverage.unknown(history, times[1], session.zone) if times and empty else None)
            notes = _notes(session, history, times)
    finally:
        progress.close()
    _print_live(
        session, answer, times, notes, covered=not isinstance(error, NotFound), as_json=request.form.output == "json"
    )
    if error:
        raise error


def _print_live(
    session: Session,
    answer: Answer,
    times: tuple[str, str] | None,
    notes: list[str],
    *,
    covered: bool,
    as_json: bool,
) -> None:
    screen, moment = session.screen, times[0] if times else None
    session.introduce(as_json=as_json)
    if as_json:
        screen.json_document(answer.document(at=moment, notes=notes or None))
        return
    if not answer.associations:
        if not answer.damage and covered:
            screen.note("no live associations" if moment is None else f"nothing was live at {session.clock(moment)}")
    elif moment is None:
        from eni_ledger.render.associations import print_live

        print_live(answer.associations, screen, session.as_of())
    else:
        from eni_ledger.render.associations import print_history

        session.echo_time(moment, "live")
        print_history(answer.associations, screen, session.as_of())
    _print_notes(session, notes)


def who(session: Session, request: Request) -> None:
    """Print the associations that have or had what `request` asks for, with a time those of that time.

    Raises NotFound if there is none, and as `History.who` does; LedgerDamaged after the answer has been printed.
    """
    what, as_json = request.whats[0], request.form.output == "json"
    times = session.times(request.at, "--at")
    queries = readings(what)
    progress = session.progress()
    try:
        with session.ask(progress) as history:
            require_ledger(history)
            for query in queries:
                answer = _best(history, query, times)
                if answer.associations or answer.damage:
                    break
            notes = _notes(session, history, times)
            if not answer.associations and not answer.damage and (shared := _in_docker(session, history, query, times)):
                query, answer, note = shared
                notes.append(note)
            empty = not answer.associations and not answer.damage
            error = answer.damage or (_nobody(session, history, what, times) if empty else None)
            _print_who(session, what, query, times, answer, notes, as_json=as_json)
            if error:
                raise error
    finally:
        progress.close()


def _best(history: History, query: Query, times: tuple[str, str] | None) -> Answer:
    """Return the associations that fit `query` best."""
    then = was_live(*times) if times else None
    answer = ask(
        history,
        lambda: coverage.during(history, *times, query) if times else history.spans(query),
        lambda association: query.matches(association) and (then is None or then(association)),
    )
    answer.associations = query.best(answer.associations)
    return answer


def _in_docker(
    session: Session, history: History, query: Query, times: tuple[str, str] | None
) -> tuple[Query, Answer, str] | None:
    """Return the answer for a container that only Docker knows: the association of the container whose network it uses.

    With it the query for that one, and a note that says so.
    """
    may_be = query.kind == "name" or (query.kind == "number" and len(query.text) >= SHORTEST_START)
    found = session.docker(query.text) if may_be and session.docker else None
    if found is None:
        return None
    owner = Query(found.network_of)
    answer = _best(history, owner, times)
    if found.network_of == found.docker_id:
        note = f"Docker knows {safe(query.text)} as {found.docker_id[:SHORT]}"
    else:
        note = f"container {safe(query.text)} of Docker shares the network of {found.network_of[:SHORT]}"
    return (owner, answer, note) if answer.associations else None


def _print_who(
    session: Session,
    what: str,
    query: Query,
    times: tuple[str, str] | None,
    answer: Answer,
    notes: list[str],
    *,
    as_json: bool,
) -> None:
    screen, moment = session.screen, times[0] if times else None
    fitted = query.fitted(answer.associations)
    session.introduce(as_json=as_json)
    if as_json:
        screen.json_document(answer.document(at=moment, notes=notes or None, fitted=fitted or None))
        return
    if answer.associations:
        if moment:
            session.echo_time(moment, what)
        from eni_ledger.render.associations import print_history

        print_history(answer.associations, screen, session.as_of())
    _print_notes(session, notes)
    if fitted:
        from eni_ledger.render.associations import explain_fits

        explain_fits(what, fitted, screen)


def _notes(session: Session, history: History, times: tuple[str, str] | None) -> list[str]:
    """Return a sentence for each time that the clock, set back, showed the time asked for once more."""
    if times is None:
        return []
    twice = f"so {clock(times[0], session.zone)} came twice; `log` shows both"
    return [
        f"{where + ': ' if where else ''}clock set back by {age(step / 1e6)} at {session.clock(ts)}, {twice}"
        for where, ts, step in clock_note.of_each(history, *times)
    ]


def _print_notes(session: Session, notes: list[str]) -> None:
    for note in notes:
        session.screen.note(f"note: {note}")


def _nobody(session: Session, history: History, what: str, times: tuple[str, str] | None) -> NotFound:
    """Return the error for an empty answer."""
    if times is None:
        begin = coverage.begin(history)
        since = f" since {session.clock(begin)}, when the ledger begins" if begin else ""
        return NotFound(f"nobody has had it{since}", what, f"{PROGRAM} list")
    if unknown := coverage.unknown(history, times[1], session.zone):
        unknown.hint = f"{PROGRAM} who {what}"
        return unknown
    return NotFound(f"nobody had it at {session.clock(times[0])}", what, f"{PROGRAM} who {what} (at any time)")
