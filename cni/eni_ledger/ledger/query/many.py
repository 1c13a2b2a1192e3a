"""Several ledgers as one: each is asked by itself, their answers are put together.

Of several copies of one host's ledger the newest counts: what it says of an association, the older ones do not add to.
An association or event has the ledger that it is from in `ledger`, if there are several; an association that is live
in a copy has in `as_of` the time of the copy's last event.
"""

from __future__ import annotations

import os

from eni_ledger.base.errors import EniLedgerError, LedgerDamaged, LedgerUnreadable, UsageError
from eni_ledger.ledger.query.proven import proven
from eni_ledger.ledger.query.questions import History
from eni_ledger.ledger.read.terms import Query, best_reading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import TracebackType

    from eni_ledger.base.events import Association, Event
    from eni_ledger.ledger.read.filters import Filters
    from eni_ledger.ledger.read.held_files import HeldFiles
    from eni_ledger.ledger.read.origin import Copy

    Question = Callable[[History], list[Association]]


class Part:
    """One of several ledgers: its `history` under the `name` that it was given by.

    `last` is its last event, `copy` whose it is; None where it is not known, `copy` also for this host's own ledger.
    `newer` are later copies of the same ledger, the newest first; `files` what is held open of it until `release`.
    """

    __slots__ = ("copy", "files", "history", "last", "name", "newer")

    def __init__(self, name: str, history: History, last: Event | None = None, copy: Copy | None = None) -> None:
        self.name = name
        self.history = history
        self.last = last
        self.copy = copy
        self.newer: list[Part] = []
        self.files: HeldFiles | None = None


class Many:
    """The ledgers `parts`, to be asked as one. Damage in one of them leaves the others' answers whole.

    Where `History` raises LedgerDamaged, so does this class, with the answer of all ledgers in `associations`, absolute
    paths, and the problems of further ledgers in `others`; a ledger that cannot be read is a LedgerUnreadable. If no
    ledger can be read, the error of the first one is raised.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        self.state_dir = ", ".join(part.name for part in parts)
        self.parts = sorted(parts, key=_by_recency, reverse=True)
        self.given = list(parts)
        if len(parts) > 1:
            self._find_copies()

    def _find_copies(self) -> None:
        """Note with each part the newer copies of the same ledger."""
        for at, part in enumerate(self.parts):
            part.newer = [newer for newer in self.parts[:at] if _continues(part, newer)]

    def apart(self) -> Sequence[History]:
        """Return the ledgers, as they were given."""
        return [part.history for part in self.given]

    def named(self) -> Sequence[tuple[str | None, History]]:
        """Return the ledgers, as they were given, with their names."""
        return [(part.name if len(self.parts) > 1 else None, part.history) for part in self.given]

    def is_there(self) -> bool:
        """Return True: that has been seen when the ledgers were opened."""
        return True

    def __enter__(self) -> Many:
        """Put all questions to one snapshot of each ledger; one that cannot be read says so when it is asked."""
        for part in self.parts:
            try:
                part.history.__enter__()
            except (EniLedgerError, OSError):
                continue
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        for part in self.parts:
            part.history.__exit__(kind, exc, trace)

    def live(self) -> list[Association]:
        """Return the associations that are live by the last word of each ledger, oldest first."""
        return self._ask(lambda history: history.live(), lambda one: "until" not in one)

    def at(self, when: str, query: Query | None = None) -> list[Association]:
        """Return what was live at `when`, oldest first."""
        return self._ask(
            lambda history: history.at(when, query),
            lambda one: one["since"] <= when < one.get("until", "~") and (query is None or query.matches(one)),
        )

    def spans(self, query: Query | None) -> list[Association]:
        """Return every association that `query` may mean, live or ended: all of them without one."""
        return self._ask(lambda history: history.spans(query), lambda one: query is None or query.matches(one))

    def who(self, what: str, at: str | None = None) -> list[Association]:
        """Return the associations that have or had `what`, oldest first, as `History.who` does."""
        return best_reading(what, lambda query: self.at(at, query) if at else self.spans(query))

    def all(self) -> list[Association]:
        """Return every association there ever was, oldest first."""
        return self.spans(None)

    def find(
        self,
        queries: Sequence[Query] = (),
        *,
        first: str | None = None,
        last: str | None = None,
        filters: Filters | None = None,
    ) -> list[Association]:
        """Return the associations that fit one of `queries` and `filters`, as `History.find` does."""
        return self._ask(
            lambda history: history.find(queries, first=first, last=last, filters=filters),
            lambda one: (
                (last is None or one["since"] <= last)
                and (first is None or first < one.get("until", "~"))
                and (not queries or any(query.matches(one) for query in queries))
                and (filters is None or filters.matches(one))
            ),
        )

    def neighbours(self, query: Query, when: str) -> tuple[Association | None, Association | None]:
        """Return the association that had what `query` asks for last before `when`, and the next one after it."""
        found = self._ask(lambda history: [one for one in history.neighbours(query, when) if one], query.matches)
        before = [one for one in found if one.get("until", "~") <= when]
        after = [one for one in found if one["since"] > when]
        last = max(before, key=lambda one: one["until"], default=None)
        return last, min(after, key=_by_age, default=None)

    def events(
        self,
        since: str | None = None,
        until: str | None = None,
        *,
        imported: bool = True,
        queries: Sequence[Query] = (),
        filters: Filters | None = None,
    ) -> Iterator[Event]:
        """Yield the events from `since` to `until` in order of time; those that were imported first.

        One that several copies have is yielded once. `queries` and `filters` are as of `History.events`.
        """
        problems: list[EniLedgerError] = []
        if imported:
            yield from self.imported_events(since, until, queries=queries, filters=filters)
        yield from self._merged(
            lambda history: history.events(since, until, imported=False, queries=queries, filters=filters), problems
        )
        self._raise([], problems)

    def imported_events(
        self,
        since: str | None = None,
        until: str | None = None,
        *,
        queries: Sequence[Query] = (),
        filters: Filters | None = None,
    ) -> Iterator[Event]:
        """Yield those of `events` that were imported; their damage is left to `events`."""
        yield from self._merged(
            lambda history: history.imported_events(since, until, queries=queries, filters=filters), []
        )

    def events_of(self, association: Association) -> Iterator[Event]:
        """Yield the events of an association, from the ledger that it is from."""
        problems: list[EniLedgerError] = []
        parts = [part for part in self.parts if association.get("ledger", part.name) == part.name]
        for part in parts:
            yield from self._labelled(part, part.history.events_of(association), problems)
        self._raise([], problems)

    def _ask(self, question: Question, fits: Callable[[Association], bool]) -> list[Association]:
        """Return the answers of all ledgers, oldest first, each association once."""
        problems: list[EniLedgerError] = []
        found: dict[str, Association] = {}
        for part in self.parts:
            for one in self._answer(part, question, fits, problems):
                if one["association_id"] not in found and not _is_over(part, one):
                    if len(self.parts) > 1:
                        one["ledger"] = part.name
                        if "until" not in one and part.copy:
                            one["as_of"] = part.copy.ts
                    found[one["association_id"]] = one
        answer = sorted(found.values(), key=_by_age)
        self._raise(answer, problems)
        return answer

    def _answer(
        self, part: Part, question: Question, fits: Callable[[Association], bool], problems: list[EniLedgerError]
    ) -> list[Association]:
        """Return the answer of one ledger; of a damaged one what is proven and `fits`."""
        try:
            return question(part.history)
        except UsageError:
            raise
        except LedgerDamaged as exc:
            problems.append(_located(exc, part))
            answer: list[Association] = [one for one in exc.associations if fits(one)]
            return answer or [one for one in proven(part.history) if fits(one)]
        except (EniLedgerError, OSError) as exc:
            problems.append(_unread(exc, part))
            return []

    def _merged(self, events: Callable[[History], Iterator[Event]], problems: list[EniLedgerError]) -> Iterator[Event]:
        """Yield the events of all ledgers in order of time, each once."""
        from heapq import merge  # not in the front door

        seen: set[tuple[int, str]] = set()
        now = ""
        streams = [self._labelled(part, events(part.history), problems) for part in self.parts]
        for event in merge(*streams, key=_by_time):
            if event["ts"] != now:
                now = event["ts"]
                seen.clear()
            mark = event["seq"], event["crc"]
            if mark not in seen:
                seen.add(mark)
                yield event

    def _labelled(self, part: Part, events: Iterator[Event], problems: list[EniLedgerError]) -> Iterator[Event]:
        """Yield the events with their ledger's name; what goes wrong is put into `problems`."""
        several = len(self.parts) > 1
        try:
            for event in events:
                if several:
                    event["ledger"] = part.name
                yield event
        except LedgerDamaged as exc:
            problems.append(_located(exc, part))
        except (EniLedgerError, OSError) as exc:
            problems.append(_unread(exc, part))

    def _raise(self, answer: list[Association], problems: list[EniLedgerError]) -> None:
        """Raise the first problem, if there is any, with the answer and the other problems in it."""
        if not problems:
            return
        unreadable = [each.__cause__ for each in problems if isinstance(each, LedgerUnreadable)]
        if len(unreadable) == len(self.parts) and unreadable[0] is not None:
            raise unreadable[0]
        first, *others = problems
        if isinstance(first, LedgerDamaged):
            first.associations, first.others = list(answer), others
        raise first


def _located(exc: LedgerDamaged, part: Part) -> LedgerDamaged:
    """Return the damage with the absolute path of its file."""
    if exc.path.startswith("/"):
        return exc
    located = LedgerDamaged(exc.msg, path=part.history.path(exc.path), line=exc.line, offset=exc.offset)
    located.__cause__ = exc
    return located


def _unread(exc: EniLedgerError | OSError, part: Part) -> LedgerUnreadable:
    """Return the problem that a ledger cannot be read."""
    why = exc
    if isinstance(why, OSError):
        why = EniLedgerError(why.strerror or "it cannot be read", str(why.filename or part.name))
    unread = LedgerUnreadable(os.path.abspath(part.name), why)
    unread.__cause__ = exc
    return unread


def _is_over(part: Part, association: Association) -> bool:
    """Tell whether a newer copy knows this association, which is live in `part`, and did not have it in its answer."""
    if "until" in association:
        return False
    query = Query(association["association_id"])
    for newer in part.newer:
        try:
            found: Sequence[object] = newer.history.spans(query)
        except LedgerDamaged as exc:
            found = exc.associations
        except (EniLedgerError, OSError):
            continue
        if found:
            return True
    return False


def _continues(part: Part, newer: Part) -> bool:
    """Tell whether `newer` is a later, or equal, copy of the ledger in `part`: it has that ledger's last event."""
    if part.last is None or newer.last is None:
        return False
    hosts = {each.copy.instance_id for each in (part, newer) if each.copy is not None} - {None}
    if len(hosts) > 1:
        return False
    ts, mark = part.last["ts"], (part.last["seq"], part.last["crc"])
    try:
        return any((event["seq"], event["crc"]) == mark for event in newer.history.events(ts, ts, imported=False))
    except (EniLedgerError, OSError):
        return False


def _by_recency(part: Part) -> tuple[str, int]:
    return (part.last["ts"], part.last["seq"]) if part.last else ("", 0)


def _by_age(association: Association) -> tuple[str, int]:
    return association["since"], association["add_seq"]


def _by_time(event: Event) -> tuple[str, int]:
    return event["ts"], event["seq"]
